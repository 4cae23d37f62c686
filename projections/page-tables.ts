// Page tables: what every page of a VM holds at a capture, a 32-bit holding a page. Memory at a point
// is the nearest page-table image at or before it and the page events since (brief, section 4, Any
// point). An image is written when the page events since the last, plus 64 for each capture, reach
// the VM's page count, so a point costs the same in a history of any length.

import { KIND_MASK, KIND_PATTERN, KIND_ZERO, type PageColumns } from '../domain/page-columns.ts';
import { isLedgerError } from '../domain/ledger-error.ts';
import { pageCountOf } from '../domain/memory-map.ts';
import { UNKNOWN, ZERO } from '../domain/page-writes.ts';
import type { EventLog, StateFiles, StoredEvent } from '../domain/ports.ts';
import { vmStream } from '../domain/stream-names.ts';
import { assert } from '../domain/assert.ts';
import type { CaptureRow, VmEntry } from './catalogue.ts';
import { decodeBatches, readBatches } from './commits.ts';
import type { Contents, KnownPack } from './contents.ts';

export type PageTable = Uint32Array;

/** What the rows of a batch hold, in row order; UNKNOWN where a pack is not known. O(rows). */
export function holdingsOf(contents: Contents, columns: PageColumns): Uint32Array {
  const { kinds, packIndexes, slots } = columns;
  const packs: (KnownPack | undefined)[] = columns.packs.map((name) => contents.byName(name));
  const hasAliases = contents.aliases.size > 0;
  const bases = new Float64Array(
    packs.map((pack) => (pack === undefined ? -1 : pack.firstContent + 256)),
  );
  const limits = new Uint32Array(packs.map((pack) => pack?.pages ?? 0));
  const holdings = new Uint32Array(kinds.length);
  for (let row = 0; row < kinds.length; row += 1) {
    const outcome = kinds[row]! & KIND_MASK;
    if (outcome === KIND_ZERO) holdings[row] = ZERO;
    else if (outcome === KIND_PATTERN) holdings[row] = UNKNOWN;
    else {
      const index = packIndexes[row]!;
      const slot = slots[row]!;
      if (slot >= limits[index]!) holdings[row] = UNKNOWN;
      else if (hasAliases) holdings[row] = contents.holdingOf(packs[index]!, slot);
      else holdings[row] = bases[index]! + slot;
    }
  }
  return holdings;
}

/** Writes a batch into a table; rows beyond it are of a damaged event and are passed over. */
export function applyColumns(table: PageTable, columns: PageColumns, holdings: Uint32Array): void {
  const { gfns } = columns;
  for (let row = 0; row < gfns.length; row += 1) {
    const gfn = gfns[row]!;
    if (gfn < table.length) table[gfn] = holdings[row]!;
  }
}

const imageName = (vm: string, capture: number): string => `tables/${vm}/${capture}`;

export class PageTables {
  readonly #log: EventLog;
  readonly #files: StateFiles;

  constructor(ports: { readonly log: EventLog; readonly files: StateFiles }) {
    this.#log = ports.log;
    this.#files = ports.files;
  }

  async saveImage(vm: string, capture: number, table: PageTable): Promise<void> {
    await this.#files.save(
      imageName(vm, capture),
      new Uint8Array(table.buffer, table.byteOffset, table.byteLength),
    );
  }

  async #loadImage(vm: string, capture: number, pages: number): Promise<PageTable | null> {
    const bytes = await this.#files.load(imageName(vm, capture));
    if (bytes === null || bytes.length !== pages * 4) return null;
    return bytes.byteOffset % 4 === 0
      ? new Uint32Array(bytes.buffer, bytes.byteOffset, pages)
      : new Uint32Array(bytes.slice().buffer);
  }

  /** The page table of a VM right after a capture. O(pages), whatever the history's length. */
  async at(entry: VmEntry, contents: Contents, row: CaptureRow): Promise<PageTable> {
    const { registered } = entry.state;
    assert(registered !== null, 'a VM with a page table is registered');
    const pages = pageCountOf(registered.memoryMap);
    const images = entry.images.filter((capture) => capture <= row.capture);
    let table: PageTable | null = null;
    let from = 0;
    for (let i = images.length - 1; i >= 0 && table === null; i -= 1) {
      from = images[i]!;
      table = await this.#loadImage(entry.vm, from, pages);
    }
    if (table === null) {
      table = new Uint32Array(pages).fill(UNKNOWN);
      from = 0;
    }
    const missing = new Set(images.filter((capture) => capture > from));
    const span = { table, from, to: row.capture };
    try {
      await this.#replay(entry, contents, span, missing);
    } catch (thrown) {
      if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
      await this.#replayDamaged(entry, contents, span);
    }
    return table;
  }

  async #replay(
    entry: VmEntry,
    contents: Contents,
    span: { readonly table: PageTable; readonly from: number; readonly to: number },
    missing: ReadonlySet<number>,
  ): Promise<void> {
    let rows = entry.captures.filter((row) => row.capture > span.from && row.capture <= span.to);
    const wiped = rows.findLastIndex((row) => row.isWiped);
    if (wiped >= 0) {
      const row = rows[wiped]!;
      span.table.fill(UNKNOWN);
      for await (const columns of this.batches(entry.vm, row))
        applyColumns(span.table, columns, holdingsOf(contents, columns));
      rows = rows.slice(wiped + 1);
    }
    let at = 0;
    const settle = async (revision: number): Promise<void> => {
      for (; at < rows.length; at += 1) {
        const { range, capture } = rows[at]!;
        if (revision < range.firstRevision + range.count) return;
        // Images that were lost are made again on the way past them.
        if (missing.has(capture)) await this.saveImage(entry.vm, capture, span.table);
      }
    };
    for await (const event of this.#span(entry.vm, rows)) {
      await settle(event.revision);
      const row = rows[at];
      if (row === undefined || event.revision < row.range.firstRevision) continue;
      for (const columns of decodeBatches([event]).batches)
        applyColumns(span.table, columns, holdingsOf(contents, columns));
    }
    await settle(Number.MAX_SAFE_INTEGER);
  }

  /**
   * As #replay, where the log was damaged after it was folded: capture by capture, wiped where one is
   * not whole. Batches that were written to the table before are written again with the same values.
   */
  async #replayDamaged(
    entry: VmEntry,
    contents: Contents,
    span: { readonly table: PageTable; readonly from: number; readonly to: number },
  ): Promise<void> {
    for (const row of entry.captures) {
      if (row.capture <= span.from || row.capture > span.to) continue;
      const { events, damage } = await readBatches(this.#log, vmStream(entry.vm), row.range);
      if (row.isWiped || damage !== null) span.table.fill(UNKNOWN);
      for (const columns of decodeBatches(events).batches)
        applyColumns(span.table, columns, holdingsOf(contents, columns));
    }
  }

  /** The events of consecutive captures in one read, from the first batch to the last. */
  async *#span(vm: string, rows: readonly CaptureRow[]): AsyncGenerator<StoredEvent> {
    const changed = rows.filter((row) => row.range.count > 0);
    const [first] = changed;
    const last = changed.at(-1);
    if (first === undefined || last === undefined) return;
    const { firstRevision: fromRevision, fromPosition } = first.range;
    const count = last.range.firstRevision + last.range.count - fromRevision;
    for await (const chunk of this.#log.readStream({
      stream: vmStream(vm),
      fromRevision,
      count,
      fromPosition,
    }))
      yield* chunk;
  }

  /** The page batches of one capture, read from the log by range; nothing after what is damaged. */
  async *batches(vm: string, row: CaptureRow): AsyncGenerator<PageColumns> {
    const events = await this.events(vm, row);
    for (const columns of decodeBatches(events).batches) yield columns;
  }

  /** The batch events of one capture. Of a damaged capture: those that can be read. */
  async events(vm: string, row: CaptureRow): Promise<readonly StoredEvent[]> {
    const { firstRevision: fromRevision, count, fromPosition } = row.range;
    const events: StoredEvent[] = [];
    if (count === 0) return events;
    const range = { stream: vmStream(vm), fromRevision, count, fromPosition };
    try {
      for await (const chunk of this.#log.readStream(range)) events.push(...chunk);
    } catch (thrown) {
      if (row.damage === null) throw thrown;
    }
    return events;
  }
}
