// What one rewritten pack may hold: contents, packs that its slots are of, and packs that its patches
// refer to.

import { PACK_PAGES_MAX } from '../../values/page.ts';
import { PATCH_PACKS_MAX } from '../../events/patches.ts';
import { HOME_PACKS_MAX } from '../../events/pack-rewritten.ts';
import type { RewrittenSlot } from './home-columns.ts';

export class PackLimits {
  #slots = 0;
  #homes = new Set<string>();
  #referencePacks = new Set<string>();

  /** Whether the pack has room for one more; false: it ends before it. */
  hasRoom({ home, reference }: RewrittenSlot): boolean {
    if (this.#slots >= PACK_PAGES_MAX) return false;
    if (this.#homes.size >= HOME_PACKS_MAX && !this.#homes.has(home.pack)) return false;
    if (reference === null) return true;
    return this.#referencePacks.size < PATCH_PACKS_MAX || this.#referencePacks.has(reference.pack);
  }

  add({ home, reference }: RewrittenSlot): void {
    this.#slots += 1;
    this.#homes.add(home.pack);
    if (reference !== null) this.#referencePacks.add(reference.pack);
  }

  /** The next pack begins. */
  begin(): void {
    this.#slots = 0;
    this.#homes = new Set();
    this.#referencePacks = new Set();
  }
}
