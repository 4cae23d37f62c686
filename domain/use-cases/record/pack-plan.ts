// Which pack of a capture each new content and pattern goes to. It is decided in gfn order, long
// before content is compressed, so that page events can refer to slots of packs that do not exist yet
// and blocks can be cut where a pack ends.
//
// Invariants: a pack has at most PACK_PAGES_MAX contents and PACK_PATTERNS_MAX patterns; its patterns
// follow its contents; contents and patterns are numbered through the packs in the order of decision.

import { assert } from '../../values/assert.ts';
import { PACK_PAGES_MAX, PACK_PATTERNS_MAX } from '../../values/page.ts';
import { PATCH_PACKS_MAX } from '../../events/patches.ts';
import { GrowingRuns, type SlotRuns } from '../../values/slot-runs.ts';
import { lastWhere } from '../../values/sorted-search.ts';

/** A pattern that a pack will keep. */
export interface KeptPattern {
  readonly descriptor: Uint8Array;
  /** Its row of the pack's identifiers. */
  readonly identifier: Uint8Array;
}

interface PlannedPack {
  readonly firstContent: number;
  readonly firstPattern: number;
  contents: number;
  readonly patterns: KeptPattern[];
  /** Slots of contents that are held large. */
  readonly large: GrowingRuns;
  /** Packs that its patches refer to. */
  readonly referred: Set<string>;
}

export class PackPlan {
  readonly #packs: PlannedPack[] = [];
  #isFinished = false;

  #open(): PlannedPack {
    const last = this.#packs.at(-1);
    if (last !== undefined && last.contents < PACK_PAGES_MAX) return last;
    return this.#begin();
  }

  #begin(): PlannedPack {
    const last = this.#packs.at(-1);
    const pack: PlannedPack = {
      firstContent: last === undefined ? 0 : last.firstContent + last.contents,
      firstPattern: last === undefined ? 0 : last.firstPattern + last.patterns.length,
      contents: 0,
      patterns: [],
      large: new GrowingRuns(),
      referred: new Set(),
    };
    this.#packs.push(pack);
    return pack;
  }

  /** The next contents, so many, lie in one pack. */
  keepTogether(contents: number): void {
    assert(contents <= PACK_PAGES_MAX, 'what is kept together fits a pack');
    const last = this.#packs.at(-1);
    if (last !== undefined && last.contents + contents > PACK_PAGES_MAX) this.#begin();
  }

  /** The next content; true: it begins a pack. */
  addContent(isLarge = false): boolean {
    const pack = this.#open();
    if (isLarge) pack.large.add(pack.contents);
    pack.contents += 1;
    return pack.contents === 1;
  }

  /** The next pattern. */
  addPattern(pattern: KeptPattern): void {
    const open = this.#open();
    const pack = open.patterns.length < PACK_PATTERNS_MAX ? open : this.#begin();
    pack.patterns.push(pattern);
  }

  /** Whether the content that was added last may be a patch against a content of this pack. */
  mayRefer(pack: string): boolean {
    const { referred } = this.#packs.at(-1)!;
    if (referred.size >= PATCH_PACKS_MAX && !referred.has(pack)) return false;
    referred.add(pack);
    return true;
  }

  /** Nothing more comes. */
  finish(): void {
    this.#isFinished = true;
  }

  /** Packs that are planned. */
  get count(): number {
    return this.#packs.length;
  }

  /** Contents of a pack; null: more may come. */
  contentsOf(ordinal: number): number | null {
    const isOpen = ordinal === this.#packs.length - 1 && !this.#isFinished;
    const pack = this.#packs[ordinal];
    return pack === undefined || (isOpen && pack.contents < PACK_PAGES_MAX) ? null : pack.contents;
  }

  /** Slots of a pack, to which no more contents come, that are held large. */
  largeOf(ordinal: number): SlotRuns {
    return this.#packs[ordinal]!.large.runs;
  }

  /** The patterns of a pack to which no more come. */
  patternsOf(ordinal: number): readonly KeptPattern[] {
    return this.#packs[ordinal]!.patterns;
  }

  /** The pack of the nth content or pattern, and which of the pack's it is. */
  locate(
    kind: 'content' | 'pattern',
    number: number,
  ): { readonly ordinal: number; readonly index: number } {
    const first = kind === 'content' ? 'firstContent' : 'firstPattern';
    const ordinal = lastWhere(this.#packs.length, (i) => this.#packs[i]![first] <= number);
    const pack = this.#packs[ordinal];
    assert(pack !== undefined, 'what is referred to was planned');
    return { ordinal, index: number - pack[first] };
  }
}
