// The sharing state at the head of the log: the identifier index and, for every content, how many
// pages hold it. Heavy: recording needs it, and folding what others recorded; reading does not.
//
// It has what the fold decides on (domain/sharing.ts): which of two equal stores is the content, and
// which writes broke a sharing. Invariant of preemptive merging: no two contents that are not
// aliases have equal identifiers, but for those that are held large and those of VMs that share nothing
// but patterns: neither is in the index.

import { KIND_BROKE, type PageColumns } from '../../domain/events/pages-written.ts';
import { foldWrites } from '../../domain/sharing.ts';
import {
  FIRST_CONTENT,
  contentOf,
  holdingOfContent,
  holdingOfPattern,
  isContent,
  isKeptPattern,
  keptPatternOf,
  type Content,
  type Holding,
} from '../../domain/values/holding.ts';
import type { PackWritten } from '../../domain/events/pack-written.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';
import type { FoldedCounts } from './catalogue.ts';
import type { Contents, KnownPack } from './contents.ts';
import {
  IdentifierIndex,
  IndexUnfit,
  MemoryIdentifierColumn,
  type IdentifierColumn,
} from './identifier-index.ts';
import { slotsBeside } from '../../domain/values/slot-runs.ts';
import { NumberSet } from '../../domain/values/number-set.ts';
import { recordedHoldingsOf, takeFirsts, type PageTable } from '../table.ts';

const IDENTIFIER_WORDS = IDENTIFIER_BYTES / 4;
/** Words of bits of all numbers that there can be. */
const NUMBERS_MAX = 2 ** 27;
/** Growth of the column of holders. */
const GROWTH = 1.125;
const HOLDERS_MIN = 4096;

export class Sharing {
  readonly index: IdentifierIndex;
  readonly column: IdentifierColumn;
  /** Kept patterns by their identifiers. */
  readonly #patterns: IdentifierIndex;
  readonly #patternColumn: MemoryIdentifierColumn;
  #holders: Uint32Array;
  /** What was released and is not found any more. */
  readonly #released: NumberSet;
  readonly #releasedPatterns: NumberSet;
  /** Contents whose identifiers are in the index or known to be aliases: all below this number. */
  indexed: number;

  constructor(
    column: IdentifierColumn,
    loaded?: {
      readonly index: IdentifierIndex;
      readonly holders: Uint32Array;
      readonly indexed: number;
      readonly patterns: Uint8Array;
      readonly released: NumberSet;
      readonly releasedPatterns: NumberSet;
    },
  ) {
    this.#released = loaded?.released ?? new NumberSet();
    this.#releasedPatterns = loaded?.releasedPatterns ?? new NumberSet();
    this.column = column;
    this.#patternColumn = new MemoryIdentifierColumn();
    this.#patterns = new IdentifierIndex(this.#patternColumn);
    if (loaded !== undefined) this.#addPatterns(loaded.patterns);
    this.index = loaded?.index ?? new IdentifierIndex(column);
    this.#holders = loaded?.holders ?? new Uint32Array(HOLDERS_MIN);
    this.indexed = loaded?.indexed ?? 0;
  }

  /** Pages that hold a content now. */
  holders(content: number): number {
    return this.#holders[content] ?? 0;
  }

  /**
   * Takes a pack's identifiers in; contents known before become aliases. Those of a VM that shares
   * nothing but patterns, and those held large, are not looked up, nor ever found.
   */
  addPack(contents: Contents, known: KnownPack, pack: PackWritten): void {
    const { firstContent, pages, isLinked, large } = known;
    const end = pages * IDENTIFIER_BYTES;
    this.column.append(firstContent, pack.identifiers.subarray(0, end));
    for (const { first, end: to } of isLinked ? slotsBeside(large, pages) : []) {
      const identifiers = pack.identifiers.subarray(first * IDENTIFIER_BYTES);
      const looked = { first: firstContent + first, rows: to - first };
      this.index.insertAll(identifiers, looked, (content, held) => contents.alias(content, held));
    }
    this.#addPatterns(pack.identifiers.subarray(end));
    this.indexed = firstContent + pages;
    this.room(this.indexed);
  }

  /** Whether a pack's identifiers were taken in. */
  hasPack({ firstContent, firstPattern, pages, patterns }: KnownPack): boolean {
    return firstContent + pages <= this.indexed && firstPattern + patterns <= this.patternCount;
  }

  /** Patterns whose identifiers were taken in. */
  get patternCount(): number {
    return this.#patternColumn.count;
  }

  #addPatterns(identifiers: Uint8Array): void {
    const first = this.patternCount;
    this.#patternColumn.append(first, identifiers);
    for (let row = 0; row < identifiers.length / IDENTIFIER_BYTES; row += 1)
      if (!this.#releasedPatterns.has(first + row) && this.#patterns.find(identifiers, row) < 0)
        this.#patterns.insert(identifiers, row, first + row);
  }

  /** The kept pattern with an identifier, or -1. */
  findPattern(identifier: Uint8Array): Holding {
    const found = this.#patterns.find(identifier, 0);
    return found < 0 ? -1 : holdingOfPattern(found);
  }

  /** Whether anything is released: only then what a capture refers to may be. */
  get hasReleased(): boolean {
    return !this.#released.isEmpty || !this.#releasedPatterns.isEmpty;
  }

  isReleased(holding: Holding): boolean {
    if (isContent(holding)) return this.#released.has(contentOf(holding));
    return isKeptPattern(holding) && this.#releasedPatterns.has(keptPatternOf(holding));
  }

  /** A content or a pattern is found by its identifier no more: equal pages are stored anew. */
  releaseHolding(holding: Holding): void {
    if (isContent(holding)) this.#released.add(contentOf(holding));
    else this.#releasedPatterns.add(keptPatternOf(holding));
    this.hide(holding);
  }

  /**
   * Something released is used again. Gives what stands for it from now on: itself, or the equal
   * content that was stored meanwhile, since of equal contents there is one.
   */
  revive(contents: Contents, holding: Holding): Holding {
    if (!isContent(holding)) {
      this.#releasedPatterns.delete(keptPatternOf(holding));
      this.show(contents, holding);
      return holding;
    }
    const content = contentOf(holding);
    if (contents.packOf(content).isFound(content)) {
      const identifier = this.identifierOf(content);
      const found = this.index.find(identifier, 0);
      if (found >= 0) return holdingOfContent(found);
      this.index.insert(identifier, 0, content);
    }
    this.#released.delete(content);
    return holding;
  }

  /** Something is found by its identifier no more: it is lost, or it was released. */
  hide(holding: Holding): void {
    if (isContent(holding)) {
      this.index.remove(this.identifierOf(contentOf(holding)), 0, contentOf(holding));
      return;
    }
    const pattern = keptPatternOf(holding);
    const identifier = this.#patternColumn.read(pattern);
    if (identifier !== null) this.#patterns.remove(identifier, 0, pattern);
  }

  /** What was lost is there again, unless it was released, or equal content was stored meanwhile. */
  show(contents: Contents, holding: Holding): void {
    if (this.isReleased(holding)) return;
    if (!isContent(holding)) {
      const pattern = keptPatternOf(holding);
      const identifier = this.#patternColumn.read(pattern);
      if (identifier !== null && this.#patterns.find(identifier, 0) < 0)
        this.#patterns.insert(identifier, 0, pattern);
      return;
    }
    const content = contentOf(holding);
    if (!contents.packOf(content).isFound(content)) return;
    const identifier = this.identifierOf(content);
    if (this.index.find(identifier, 0) < 0) this.index.insert(identifier, 0, content);
  }

  /** Pages that hold a content hold another, which stands for it. */
  moveHolders(from: Content, to: Content): void {
    this.#holders[to]! += this.#holders[from]!;
    this.#holders[from] = 0;
  }

  /** The identifier of a content or a kept pattern. IndexUnfit where it cannot be read. */
  identifierAt(holding: Holding): Uint8Array {
    if (isContent(holding)) return this.identifierOf(contentOf(holding));
    const identifier = this.#patternColumn.read(keptPatternOf(holding));
    if (identifier === null) throw new IndexUnfit('the identifier of a pattern is not there');
    return identifier;
  }

  /** The identifier of a content. IndexUnfit where it cannot be read. */
  identifierOf(content: Content): Uint8Array {
    const identifier = this.column.read(content);
    if (identifier === null) throw new IndexUnfit(`identifier ${content} cannot be read`);
    // A copy: the column may give the same bytes for the next one that is read.
    return identifier.slice();
  }

  /** Makes room for the holders of so many contents. */
  room(contents: number): void {
    if (contents <= this.#holders.length) return;
    const grown = new Uint32Array(Math.max(contents, Math.ceil(this.#holders.length * GROWTH)));
    grown.set(this.#holders);
    this.#holders = grown;
  }

  /**
   * Folds a batch into a VM's table and the counts of holders. Adds to `toggles` the items whose
   * SharingBroken the recorder saw otherwise.
   */
  applyBatch(
    contents: Contents,
    table: PageTable,
    columns: PageColumns,
    toggles: number[],
  ): FoldedCounts {
    const recorded = recordedHoldingsOf(contents, columns);
    const holdings = contents.hasAliases ? takeFirsts(contents, recorded.slice()) : recorded;
    const { gfns, kinds, firstRow } = columns;
    const pages = { table, holders: this.#holders };
    const folded = foldWrites(pages, { gfns, kinds, holdings, recorded });
    if (folded.toggled > 0)
      for (let row = 0; row < kinds.length; row += 1)
        if (((folded.kinds[row]! ^ kinds[row]!) & KIND_BROKE) !== 0)
          toggles.push(2 * (firstRow + row) + 1);
    return folded;
  }

  /** The pages of a table hold nothing any more: the VM was retired, or its table was lost. */
  release(table: PageTable): void {
    for (const old of table) if (isContent(old)) this.#holders[old - FIRST_CONTENT]! -= 1;
  }

  save(writer: StateWriter): void {
    writer.u32(this.indexed).runs(this.#holders.subarray(0, this.indexed));
    this.index.save(writer);
    writer.runs(this.#releasedPatterns.bits).u32(this.patternCount);
    // These bytes are a copy, and nobody else's.
    writer.runs(new Uint32Array(this.#patternColumn.all().buffer)).runs(this.#released.bits);
  }

  static load(reader: StateReader, column: IdentifierColumn): Sharing {
    const indexed = reader.u32();
    const holders = reader.runs(indexed);
    if (holders.length !== indexed) throw new StateUnfit('contents have no holders each');
    if (indexed > 0 && column.read(indexed - 1) === null)
      throw new StateUnfit('identifiers that the index counts on are missing');
    const index = IdentifierIndex.load(reader, column);
    const releasedPatterns = new NumberSet(reader.runs(NUMBERS_MAX));
    const patternCount = reader.u32();
    const words = reader.runs(patternCount * IDENTIFIER_WORDS);
    const patterns = new Uint8Array(words.buffer);
    if (patterns.length !== patternCount * IDENTIFIER_BYTES)
      throw new StateUnfit('patterns have no identifier each');
    const released = new NumberSet(reader.runs(NUMBERS_MAX));
    return new Sharing(column, { index, holders, indexed, patterns, released, releasedPatterns });
  }
}
