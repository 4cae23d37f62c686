// What a recorder decides on: the committed sharing state under a layer of its own capture. The layer
// is thrown away; after the commit the fold takes the same writes from the log.

import { assert } from '../../domain/values/assert.ts';
import { NumberSet } from '../../domain/values/number-set.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import {
  FIRST_CONTENT,
  PATTERN_BASE,
  UNKNOWN,
  ZERO,
  contentOf,
  holdingOfContent,
  holdingOfPattern,
  isContent,
  keptPatternOf,
  type Holding,
} from '../../domain/values/holding.ts';
import type { CaptureView, CaptureWants, PageReference } from '../../domain/ports/models.ts';
import type { Contents } from './contents.ts';
import { IdentifierIndex, MemoryIdentifierColumn } from './identifier-index.ts';
import { grownTable, type PageTable } from '../table.ts';
import type { Losses } from './losses.ts';
import type { Sharing } from './sharing.ts';

/** Room for the holders of contents of a small capture. */
const OWN_HOLDERS = 256;

export class LayeredCaptureView implements CaptureView {
  readonly #contents: Contents;
  readonly #sharing: Sharing;
  readonly #table: PageTable;
  readonly #losses: Losses;
  /** What could not be read when this capture began. */
  readonly #lost: ReadonlySet<Holding>;
  readonly isWhole: boolean;
  readonly #regions: CaptureWants['regions'];
  readonly #isLinked: boolean;
  /** Contents of this capture are numbered from here. */
  readonly #base: number;
  readonly #patternBase: number;
  readonly #column = new MemoryIdentifierColumn();
  readonly #own = new IdentifierIndex(this.#column);
  /** Contents that this capture stores so far. */
  #stored = 0;
  readonly #patternColumn = new MemoryIdentifierColumn();
  readonly #ownPatterns = new IdentifierIndex(this.#patternColumn);
  /** What moved or was released when this capture began. */
  readonly #changes: number;
  readonly #areReplaced: () => boolean;
  /** Committed contents and patterns that this capture refers to, and what its patches may refer to. */
  readonly #linked = new NumberSet();
  readonly #linkedPatterns = new NumberSet();
  readonly #patchReferences = new NumberSet();
  /** What this capture adds to, or takes from, the holders of a content that was there before it. */
  readonly #shift = new Map<Holding, number>();
  /** Pages that hold each content of this capture: nearly all of what a first capture holds. */
  #ownHolders = new Uint32Array(OWN_HOLDERS);

  /**
   * `known` is the VM's table as a copy: this view writes to it. The capture has so many `pages`,
   * perhaps more at the end.
   */
  constructor(models: {
    readonly contents: Contents;
    readonly sharing: Sharing;
    readonly known: PageTable;
    readonly pages: number;
    /** Which pages are to be held large. */
    readonly regions: CaptureWants['regions'];
    readonly losses: Losses;
    /** Whether the VM may share anything but patterns. */
    readonly isLinked: boolean;
    /** Whether others stand in the place of these models, as history begins later; absent: never. */
    readonly areReplaced?: () => boolean;
  }) {
    this.#contents = models.contents;
    this.#sharing = models.sharing;
    this.#table = grownTable(models.known, models.pages);
    this.#regions = models.regions;
    this.#isLinked = models.isLinked;
    this.#base = models.contents.count;
    this.#patternBase = models.contents.patternCount;
    this.#changes = models.contents.changes;
    this.#losses = models.losses;
    this.#areReplaced = models.areReplaced ?? (() => false);
    const { known } = models;
    const lost = models.losses.of(models.contents);
    this.#lost = lost;
    const isLost = (holding: Holding): boolean => lost.has(holding);
    this.isWhole = !known.includes(UNKNOWN) && (lost.size === 0 || !known.some(isLost));
  }

  find(identifiers: Uint8Array, row: number, gfn: number): Holding {
    const isHeldLarge = this.isLarge(this.#table[gfn] ?? UNKNOWN);
    const isToBeLarge = this.#regions.isLarge(gfn);
    if (isHeldLarge || isToBeLarge || !this.#isLinked) {
      const mayStay = isHeldLarge ? this.#regions.mayStayLarge(gfn) : !isToBeLarge;
      if (mayStay && this.#isSame(identifiers, row, gfn)) return this.held(gfn);
      if (isToBeLarge || !this.#isLinked) return -1;
    }
    const committed = this.#sharing.index.find(identifiers, row);
    // What others committed since this capture began was folded meanwhile, and has numbers of ours.
    if (committed >= 0 && committed < this.#base) return holdingOfContent(committed);
    const own = this.#own.find(identifiers, row);
    return own < 0 ? -1 : FIRST_CONTENT + this.#base + own;
  }

  /** Whether a page holds what the identifier in a row stands for. */
  #isSame(identifiers: Uint8Array, row: number, gfn: number): boolean {
    // Pages of a device state or an attachment are not in the memory.
    const held = this.#table[gfn] ?? UNKNOWN;
    if (!isContent(held) || contentOf(held) >= this.#base || this.#lost.has(held)) return false;
    const found = this.#sharing.column.read(contentOf(held));
    const at = row * IDENTIFIER_BYTES;
    return found !== null && found.every((byte, i) => byte === identifiers[at + i]);
  }

  held(gfn: number): Holding {
    const held = this.#table[gfn];
    assert(held !== undefined, 'a written page is in its VM');
    return held;
  }

  holders(content: Holding): number {
    const number = contentOf(content);
    if (number >= this.#base) return this.#ownHolders[number - this.#base] ?? 0;
    return this.#sharing.holders(number) + (this.#shift.get(content) ?? 0);
  }

  isLarge(holding: Holding): boolean {
    return contentOf(holding) < this.#base && this.#contents.held.isLarge(holding);
  }

  store(identifiers: Uint8Array, row: number, gfn: number): Holding {
    const own = this.#stored;
    this.#stored += 1;
    const at = row * IDENTIFIER_BYTES;
    this.#column.append(own, identifiers.subarray(at, at + IDENTIFIER_BYTES));
    const isFound = this.#isLinked && !this.#regions.isLarge(gfn);
    if (isFound) this.#own.insert(identifiers, row, own);
    return FIRST_CONTENT + this.#base + own;
  }

  hold(gfn: number, holding: Holding): void {
    const old = this.#table[gfn]!;
    if (isContent(old)) this.#addHolders(old, -1);
    if (isContent(holding)) this.#addHolders(holding, 1);
    this.#table[gfn] = holding;
  }

  #addHolders(content: Holding, count: number): void {
    const own = contentOf(content) - this.#base;
    if (own < 0) {
      this.#shift.set(content, (this.#shift.get(content) ?? 0) + count);
      return;
    }
    if (own >= this.#ownHolders.length) {
      const longer = new Uint32Array(Math.max(own + 1, 2 * this.#ownHolders.length));
      longer.set(this.#ownHolders);
      this.#ownHolders = longer;
    }
    this.#ownHolders[own]! += count;
  }

  reference(holding: Holding): PageReference {
    assert(holding !== UNKNOWN && holding !== ZERO, 'only what is kept or public has a reference');
    if (holding < FIRST_CONTENT) return { _tag: 'public', pattern: holding };
    const isOfContent = isContent(holding);
    const number = isOfContent
      ? contentOf(holding) - this.#base
      : keptPatternOf(holding) - this.#patternBase;
    if (number >= 0) return { _tag: 'pending', kind: isOfContent ? 'content' : 'pattern', number };
    if (isOfContent) this.#linked.add(contentOf(holding));
    else this.#linkedPatterns.add(keptPatternOf(holding));
    return { _tag: 'committed', ...this.#contents.reference(holding) };
  }

  findPattern(identifier: Uint8Array): Holding {
    const committed = this.#sharing.findPattern(identifier);
    const isKnown = committed >= 0 && committed < holdingOfPattern(this.#patternBase);
    if (isKnown && !this.#lost.has(committed)) return committed;
    const own = this.#ownPatterns.find(identifier, 0);
    return own < 0 ? -1 : PATTERN_BASE + this.#patternBase + own;
  }

  storePattern(identifier: Uint8Array): Holding {
    const own = this.#ownPatterns.count;
    this.#patternColumn.append(own, identifier);
    this.#ownPatterns.insert(identifier, 0, own);
    return PATTERN_BASE + this.#patternBase + own;
  }

  patchReference(holding: Holding): Holding | null {
    if (!isContent(holding) || contentOf(holding) >= this.#base) return null;
    const place = this.#contents.placeOf(holding);
    if (place < 0) return null;
    const reference = this.#contents.referenceAt(place) ?? holding;
    if (!isContent(reference) || !this.#isWhole(reference) || this.#lost.has(reference))
      return null;
    this.#patchReferences.add(contentOf(reference));
    return reference;
  }

  /** Whether a content lies somewhere, and is no patch. */
  #isWhole(content: Holding): boolean {
    const place = this.#contents.placeOf(content);
    return place >= 0 && this.#contents.referenceAt(place) === null;
  }

  isOutdated(): boolean {
    if (this.#areReplaced()) return true;
    if (this.#contents.changes === this.#changes) return false;
    for (const content of this.#linked.numbers())
      if (this.#isGone(holdingOfContent(content))) return true;
    for (const pattern of this.#linkedPatterns.numbers())
      if (this.#isGone(holdingOfPattern(pattern))) return true;
    for (const content of this.#patchReferences.numbers())
      if (!this.#isWhole(holdingOfContent(content)) || this.#isGone(holdingOfContent(content)))
        return true;
    return false;
  }

  /** Whether something was released, or is lost. */
  #isGone(holding: Holding): boolean {
    return this.#contents.isReleased(holding) || this.#losses.of(this.#contents).has(holding);
  }
}
