// Page tables: what every page of a VM holds at a capture, a 32-bit holding a page. Memory at a point
// is the nearest page-table image at or before it and the page events since. An image is written when
// the page events since the last, plus 64 for each capture, reach the VM's page count, so a point
// costs the same in a history of any length.

import { isLedgerError, LedgerError } from '../../domain/values/ledger-error.ts';
import type { MemoryMap } from '../../domain/values/memory-map.ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import type { ReadPageWrites } from '../../domain/ports/page-writes.ts';
import type { EventLog, StoredEvent } from '../../domain/ports/event-log.ts';
import { areShort } from '../../domain/events/pages-written.ts';
import { vmStream } from '../../domain/events/streams.ts';
import { areNumbered, type Numbered } from '../../domain/invariants.ts';
import { assert } from '../../domain/values/assert.ts';
import type { CaptureRow, VmEntry } from './vm-entry.ts';
import { decodeBatches, readBatches } from '../commits.ts';
import {
  applyPageWrites,
  applyWrites,
  grownTable,
  readPlainly,
  spansOf,
  takeFirsts,
  unknownTable,
  type PageTable,
} from '../table.ts';
import type { Contents } from './contents.ts';

/** The memory map at a point. POINT_DAMAGED where the event that describes it cannot be read. */
export function memoryMapOf(of: { readonly entry: VmEntry; readonly row: CaptureRow }): MemoryMap {
  const { entry, row } = of;
  const memoryMap = entry.mapAt(row.capture);
  if (memoryMap !== null) return memoryMap;
  throw new LedgerError(
    'POINT_DAMAGED',
    `capture ${row.capture} of VM ${entry.vm} cannot be restored: the event that describes its memory is damaged, or claims more than its captures tell of; run \`pageledger verify\``,
    { vm: entry.vm },
  );
}

/** After a table: the packs that are numbered, and their numbering; then which commit it is after. */
const IMAGE_END_BYTES = 12;

/** Page events from which on a kernel is worth loading: fewer are read in a millisecond without one. */
const KERNEL_EVENTS_MIN = 2 ** 16;

/** An image is of one commit: files that changed places, or are of another past, are none. */
interface ImageOf {
  readonly vm: string;
  readonly row: Pick<CaptureRow, 'capture' | 'position' | 'id'>;
  readonly contents: Contents;
}

/** Positions between two captures that are read rather than sought past. */
const GAP_MAX = 4n * 1024n * 1024n;

/** Whether the events of captures that follow each other are read in one go: of damaged ones, each for itself. */
const areNear = (before: CaptureRow, after: CaptureRow): boolean =>
  before.damage === null &&
  after.damage === null &&
  after.range.fromPosition - before.position <= GAP_MAX;

/** An event's id is of no other ledger, and of no other past of this one. */
const commitBytes = ({ vm, row: { capture, position, id } }: ImageOf): Uint8Array =>
  new TextEncoder().encode(`${vm} ${capture} ${position} ${id}`);

const numberedIn = ({ count, patternCount }: Contents): Numbered => ({
  contents: count,
  patterns: patternCount,
});

const imageName = ({ vm, row }: ImageOf): string => `tables/${vm}/${row.capture}`;

/** The table that a VM's history begins with; null: none is told of. */
export type StartTables = (vm: string) => Promise<PageTable | null>;

export class PageTables {
  readonly #log: EventLog;
  readonly #files: StateFiles;
  readonly #starts: StartTables;
  readonly #reader: () => Promise<ReadPageWrites | null>;

  constructor(ports: {
    readonly log: EventLog;
    readonly files: StateFiles;
    /** Absent: all history is there. */
    readonly starts?: StartTables;
    /** Reads what many page events wrote; absent: as few ones, without a kernel. */
    readonly reader?: (() => Promise<ReadPageWrites>) | undefined;
  }) {
    this.#log = ports.log;
    this.#files = ports.files;
    this.#starts = ports.starts ?? (() => Promise.resolve(null));
    this.#reader = ports.reader ?? (() => Promise.resolve(null));
  }

  /** The table before a VM's first capture, or after the last one that is gone; the caller's own. */
  async start({ vm, gone }: VmEntry): Promise<PageTable> {
    const start = gone === null ? null : await this.#starts(vm);
    return start?.slice() ?? unknownTable(0);
  }

  /** Keeps a table with what its contents' numbers depend on, which lost events would change. */
  async saveImage(of: ImageOf, table: PageTable): Promise<void> {
    assert(areNumbered(table, numberedIn(of.contents)), 'a table holds what has a number');
    const packs = of.contents.written;
    const commit = commitBytes(of);
    const bytes = new Uint8Array(table.byteLength + IMAGE_END_BYTES + commit.length);
    bytes.set(new Uint8Array(table.buffer, table.byteOffset, table.byteLength));
    const end = new DataView(bytes.buffer, table.byteLength);
    end.setUint32(0, packs, true);
    end.setBigUint64(4, of.contents.numbering(packs)!, true);
    bytes.set(commit, table.byteLength + IMAGE_END_BYTES);
    await this.#files.save(imageName(of), bytes);
  }

  async #loadImage(of: ImageOf, pages: number): Promise<PageTable | null> {
    const bytes = await this.#files.load(imageName(of));
    const commit = commitBytes(of);
    const commitAt = pages * 4 + IMAGE_END_BYTES;
    if (bytes?.length !== commitAt + commit.length) return null;
    if (commit.some((byte, i) => byte !== bytes[commitAt + i])) return null;
    const end = new DataView(bytes.buffer, bytes.byteOffset + pages * 4);
    if (of.contents.numbering(end.getUint32(0, true)) !== end.getBigUint64(4, true)) return null;
    const table =
      bytes.byteOffset % 4 === 0
        ? new Uint32Array(bytes.buffer, bytes.byteOffset, pages)
        : new Uint32Array(bytes.slice().buffer, 0, pages);
    return areNumbered(table, numberedIn(of.contents)) ? table : null;
  }

  /**
   * The page table of a VM right after a capture, of the pages that it had then. O(pages), whatever
   * the history's length.
   */
  async at(entry: VmEntry, contents: Contents, row: CaptureRow): Promise<PageTable> {
    if (entry.maps.length === 0) memoryMapOf({ entry, row });
    const pages = entry.pagesAt(row.capture);
    const images = entry.images.filter((capture) => capture <= row.capture);
    let table: PageTable | null = null;
    let from = 0;
    for (let i = images.length - 1; i >= 0 && table === null; i -= 1) {
      from = images[i]!;
      const of = entry.capture(from);
      if (of === undefined) continue;
      const image = { vm: entry.vm, row: of, contents };
      table = await this.#loadImage(image, entry.pagesAt(from));
    }
    if (table === null) from = entry.gone?.capture ?? 0;
    table = grownTable(table ?? (await this.start(entry)), pages);
    // An image that is older than what stands for a lost content names that.
    if (contents.hasRenewed) takeFirsts(contents, table);
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
    let rows = entry.between(span.from, span.to);
    const wiped = rows.findLastIndex((row) => row.isWiped);
    if (wiped >= 0) {
      const { batches } = decodeBatches(await this.events(entry.vm, rows[wiped]!));
      applyWrites(span.table, contents, { batches, isWiped: true });
      rows = rows.slice(wiped + 1);
    }
    const events = rows.reduce((sum, { written }) => sum + written, 0);
    const read = events < KERNEL_EVENTS_MIN ? null : await this.#reader();
    let at = 0;
    const settle = async (revision: number): Promise<void> => {
      for (; at < rows.length; at += 1) {
        const row = rows[at]!;
        const { range, capture } = row;
        if (revision < range.firstRevision + range.count) return;
        // Images that were lost are made again on the way past them.
        if (!missing.has(capture)) continue;
        const table = span.table.subarray(0, entry.pagesAt(capture));
        await this.saveImage({ vm: entry.vm, row, contents }, table);
      }
    };
    for await (const event of this.#span(entry.vm, rows, { arePassing: true })) {
      await settle(event.revision);
      const row = rows[at];
      if (row === undefined || event.revision < row.range.firstRevision) continue;
      if (event.type !== 'PagesWritten') continue;
      const spans = (packs: readonly string[]) => spansOf(contents, packs);
      const writes =
        read === null || areShort(event.schema)
          ? readPlainly(event, spans)
          : read(event.data, spans);
      if (writes === null) continue;
      takeFirsts(contents, writes.holdings);
      applyPageWrites(span.table, writes);
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
    for (const row of entry.between(span.from, span.to)) {
      const { events, damage } = await readBatches(this.#log, vmStream(entry.vm), row.range);
      const { batches } = decodeBatches(events);
      applyWrites(span.table, contents, { batches, isWiped: row.isWiped || damage !== null });
    }
  }

  /**
   * The events of consecutive captures in one read, from the first batch to the last; those that are
   * passing are valid until the next is asked for.
   */
  async *#span(
    vm: string,
    rows: readonly CaptureRow[],
    { arePassing }: { readonly arePassing: boolean },
  ): AsyncGenerator<StoredEvent> {
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
      arePassing,
    }))
      yield* chunk;
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

  /**
   * The batch events of captures, ascending by number, of each in turn as `events` gives them: those
   * that lie near each other are read together.
   */
  async *eventsOfEach(
    vm: string,
    rows: readonly CaptureRow[],
  ): AsyncGenerator<readonly StoredEvent[], undefined> {
    for (let at = 0; at < rows.length;) {
      let end = at + 1;
      while (end < rows.length && areNear(rows[end - 1]!, rows[end]!)) end += 1;
      yield* this.#eventsTogether(vm, rows.slice(at, end));
      at = end;
    }
    return undefined;
  }

  async *#eventsTogether(
    vm: string,
    rows: readonly CaptureRow[],
  ): AsyncGenerator<readonly StoredEvent[]> {
    let at = 0;
    try {
      let events: StoredEvent[] = [];
      const isOne = rows.length === 1;
      for await (const event of this.#span(vm, isOne ? [] : rows, { arePassing: false })) {
        for (; rows[at]!.range.count === 0; at += 1) yield [];
        const { firstRevision, count } = rows[at]!.range;
        if (event.revision < firstRevision) continue;
        events.push(event);
        if (event.revision < firstRevision + count - 1) continue;
        yield events;
        events = [];
        at += 1;
      }
    } catch (thrown) {
      if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
    }
    // Where what lies between captures was damaged since they were folded, each is read by itself.
    for (; at < rows.length; at += 1) yield await this.events(vm, rows[at]!);
  }
}
