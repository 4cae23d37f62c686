// What one rewritten pack may hold: contents, patterns, packs that its slots are of, and packs that its
// patches refer to.

import { PACK_PAGES_MAX, PACK_PATTERNS_MAX } from '../../values/page.ts';
import { PATCH_PACKS_MAX } from '../../events/patches.ts';
import { HOME_PACKS_MAX } from '../../events/pack-rewritten.ts';
import type { RewrittenSlot } from './home-columns.ts';

/** Slots that go into one pack together. */
export interface SlotsTogether {
  readonly slots: readonly RewrittenSlot[];
  readonly isOfPatterns: boolean;
}

/** How many there would be with others. */
function countWith(known: ReadonlySet<string>, others: readonly string[]): number {
  return known.size + new Set(others.filter((name) => !known.has(name))).size;
}

const homesOf = (slots: readonly RewrittenSlot[]): string[] => slots.map(({ home }) => home.pack);
const referencesOf = (slots: readonly RewrittenSlot[]): string[] =>
  slots.flatMap(({ reference }) => reference?.pack ?? []);

export class PackLimits {
  #contents = 0;
  #patterns = 0;
  readonly #homes = new Set<string>();
  readonly #referencePacks = new Set<string>();

  /** Whether the pack has room for these; false: it ends before them. */
  hasRoom({ slots, isOfPatterns }: SlotsTogether): boolean {
    const [count, countMax] = isOfPatterns
      ? [this.#patterns, PACK_PATTERNS_MAX]
      : [this.#contents, PACK_PAGES_MAX];
    return (
      count + slots.length <= countMax &&
      countWith(this.#homes, homesOf(slots)) <= HOME_PACKS_MAX &&
      countWith(this.#referencePacks, referencesOf(slots)) <= PATCH_PACKS_MAX
    );
  }

  add({ slots, isOfPatterns }: SlotsTogether): void {
    if (isOfPatterns) this.#patterns += slots.length;
    else this.#contents += slots.length;
    for (const name of homesOf(slots)) this.#homes.add(name);
    for (const name of referencesOf(slots)) this.#referencePacks.add(name);
  }

  /** The next pack begins. */
  begin(): void {
    this.#contents = 0;
    this.#patterns = 0;
    this.#homes.clear();
    this.#referencePacks.clear();
  }
}
