// What one rewritten pack may hold: contents, patterns, packs that its slots are of, and packs that its
// patches refer to.

import { PACK_PAGES_MAX, PACK_PATTERNS_MAX } from '../../values/page.ts';
import { PATCH_PACKS_MAX } from '../../events/patches.ts';
import { SOURCE_PACKS_MAX } from '../../events/pack-rewritten.ts';
import type { RewrittenSlot, SourceOf } from './slot-sources.ts';

/** Slots that go into one pack together. */
export interface SlotsTogether {
  readonly slots: readonly RewrittenSlot[];
  readonly isOfPatterns: boolean;
}

/** How many there would be with others. */
function countWith(known: ReadonlySet<string>, others: readonly string[]): number {
  return known.size + new Set(others.filter((name) => !known.has(name))).size;
}

export class PackLimits {
  #contents = 0;
  #patterns = 0;
  readonly #sources = new Set<string>();
  readonly #referencePacks = new Set<string>();
  readonly #sourceOf: SourceOf;

  constructor(sourceOf: SourceOf) {
    this.#sourceOf = sourceOf;
  }

  #sourcesOf(slots: readonly RewrittenSlot[]): string[] {
    return slots.map(({ holding }) => this.#sourceOf(holding).pack);
  }

  #referencesOf(slots: readonly RewrittenSlot[]): string[] {
    return slots.flatMap(({ reference }) =>
      reference === null ? [] : [this.#sourceOf(reference).pack],
    );
  }

  /** Whether the pack has room for these; false: it ends before them. */
  hasRoom({ slots, isOfPatterns }: SlotsTogether): boolean {
    const [count, countMax] = isOfPatterns
      ? [this.#patterns, PACK_PATTERNS_MAX]
      : [this.#contents, PACK_PAGES_MAX];
    return (
      count + slots.length <= countMax &&
      countWith(this.#sources, this.#sourcesOf(slots)) <= SOURCE_PACKS_MAX &&
      countWith(this.#referencePacks, this.#referencesOf(slots)) <= PATCH_PACKS_MAX
    );
  }

  add({ slots, isOfPatterns }: SlotsTogether): void {
    if (isOfPatterns) this.#patterns += slots.length;
    else this.#contents += slots.length;
    for (const name of this.#sourcesOf(slots)) this.#sources.add(name);
    for (const name of this.#referencesOf(slots)) this.#referencePacks.add(name);
  }

  /** The next pack begins. */
  begin(): void {
    this.#contents = 0;
    this.#patterns = 0;
    this.#sources.clear();
    this.#referencePacks.clear();
  }
}
