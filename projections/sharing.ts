// The sharing state at the head of the log: the identifier index and, for every content, how many
// pages hold it. Heavy: recording needs it, and folding what others recorded; reading does not.
//
// It decides, as the fold (brief, section 4, Many recorders), which of two equal stores is the content
// and which writes broke a sharing. Invariant of preemptive merging: no two contents that are not
// aliases have equal identifiers.

import { KIND_BROKE, KIND_MASK, KIND_STORED, type PageColumns } from '../domain/page-columns.ts';
import { FIRST_CONTENT, isContent, UNKNOWN } from '../domain/page-writes.ts';
import type { PackWritten } from '../domain/pack-event.ts';
import { packPagesOf } from '../domain/pack-event.ts';
import { StateUnfit, type StateReader, type StateWriter } from './bytes.ts';
import type { FoldedCounts } from './catalogue.ts';
import type { Contents, KnownPack } from './contents.ts';
import { IdentifierIndex, type IdentifierColumn } from './identifier-index.ts';
import { holdingsOf, type PageTable } from './page-tables.ts';

/** Growth of the column of holders. */
const GROWTH = 1.125;
const HOLDERS_MIN = 4096;

export class Sharing {
  readonly index: IdentifierIndex;
  readonly column: IdentifierColumn;
  #holders: Uint32Array;
  /** Contents whose identifiers are in the index or known to be aliases: all below this number. */
  indexed: number;

  constructor(
    column: IdentifierColumn,
    loaded?: { index: IdentifierIndex; holders: Uint32Array; indexed: number },
  ) {
    this.column = column;
    this.index = loaded?.index ?? new IdentifierIndex(column);
    this.#holders = loaded?.holders ?? new Uint32Array(HOLDERS_MIN);
    this.indexed = loaded?.indexed ?? 0;
  }

  /** Pages that hold a content now. */
  holders(content: number): number {
    return this.#holders[content] ?? 0;
  }

  /** Takes a pack's identifiers in; contents known before become aliases. */
  addPack(contents: Contents, known: KnownPack, pack: PackWritten): void {
    const { firstContent } = known;
    this.column.append(firstContent, pack.identifiers);
    for (let slot = 0; slot < packPagesOf(pack); slot += 1) {
      const first = this.index.find(pack.identifiers, slot);
      if (first < 0) this.index.insert(pack.identifiers, slot, firstContent + slot);
      else contents.aliases.set(firstContent + slot, first);
    }
    this.indexed = firstContent + known.pages;
    this.#room(this.indexed);
  }

  #room(contents: number): void {
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
    const { gfns, kinds, slots, packIndexes } = columns;
    const holdings = holdingsOf(contents, columns);
    const holders = this.#holders;
    const hasAliases = contents.aliases.size > 0;
    let broken = 0;
    let overridden = 0;
    for (let row = 0; row < gfns.length; row += 1) {
      const gfn = gfns[row]!;
      if (gfn >= table.length) continue;
      const old = table[gfn]!;
      const next = holdings[row]!;
      const kind = kinds[row]!;
      const isBroken = isContent(old) && old !== next && holders[old - FIRST_CONTENT]! > 1;
      if (isBroken) broken += 1;
      if (isBroken !== ((kind & KIND_BROKE) !== 0)) toggles.push(2 * (columns.firstRow + row) + 1);
      if (hasAliases && (kind & KIND_MASK) === KIND_STORED && isContent(next)) {
        const pack = contents.byName(columns.packs[packIndexes[row]!]!)!;
        if (next !== FIRST_CONTENT + pack.firstContent + slots[row]!) overridden += 1;
      }
      if (old >= FIRST_CONTENT && old !== UNKNOWN) holders[old - FIRST_CONTENT]! -= 1;
      if (next >= FIRST_CONTENT && next !== UNKNOWN) holders[next - FIRST_CONTENT]! += 1;
      table[gfn] = next;
    }
    return { overridden, broken };
  }

  /** The pages of a table hold nothing any more: the VM was retired, or its table was lost. */
  release(table: PageTable): void {
    for (const old of table)
      if (old >= FIRST_CONTENT && old !== UNKNOWN) this.#holders[old - FIRST_CONTENT]! -= 1;
  }

  save(writer: StateWriter): void {
    writer.u32(this.indexed).column(this.#holders.subarray(0, this.indexed));
    this.index.save(writer);
  }

  static load(reader: StateReader, column: IdentifierColumn): Sharing {
    const indexed = reader.u32();
    const holders = reader.words();
    if (indexed > 0 && column.read(indexed - 1) === null)
      throw new StateUnfit('identifiers that the index counts on are missing');
    return new Sharing(column, { index: IdentifierIndex.load(reader, column), holders, indexed });
  }
}
