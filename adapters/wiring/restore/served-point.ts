// A point that is read page by page, in any order, for as long as somebody wants it: what faces serve
// disks and files from. What of it is zeros, and what differs from another point, is told from page
// tables; pages are read when they are asked for, and waited for where the packs are away.

import type { PointReader } from '../../../domain/use-cases/layout/laid-out-reader.ts';
import { sharedMemory } from '../../../domain/ports/guests.ts';
import { PageRooms } from '../../../domain/use-cases/serve/page-rooms.ts';
import { PART_PAGES, ReadAhead } from '../../../domain/use-cases/serve/read-ahead.ts';
import type { WindowPool } from '../../../domain/use-cases/serve/window-pool.ts';
import { assertTold, untoldAsZeros } from '../../../domain/use-cases/pages/patch-chain.ts';
import { accepted } from '../../../domain/ports/run.ts';
import { ZERO } from '../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { ownBytes, type LentBytes } from '../../../domain/values/spares.ts';
import {
  blockLayoutOf,
  layOut,
  RAW_LAYOUTS,
  type ImageLayout,
  type RawLayoutName,
} from '../../../domain/values/raw-layout.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { diffOf } from '../questions/pages.ts';
import { PatientReading, type Waiting } from './patient-reading.ts';
import { readPoint, type ReadPoint } from '../points/point-reader.ts';
import { layoutOf } from './restore.ts';
import { labelOf, tableOf, type VmPoint } from '../ledger/vm-point.ts';

/** Numbers of eight bytes that take a page's room. */
const PAGE_NUMBERS = PAGE_BYTES / Float64Array.BYTES_PER_ELEMENT;

/** The newest that the log has, for whoever names points in a ledger that stays open. */
export const followLog = (ledger: Ledger): Promise<void> => ledger.state.catchUp({ heavy: false });

/** What of a point is served: as a raw image is laid out, or one block of memory. Null: as tools expect it. */
function laidOutAs(point: VmPoint, part: string | null): ImageLayout {
  const name = RAW_LAYOUTS.find((each) => each === part) ?? null;
  if (part === null || name !== null) return layoutOf(point, name satisfies RawLayoutName | null);
  return accepted(blockLayoutOf(memoryMapOf(point), { vm: point.entry.vm, block: part }));
}

/** Memory at a point, or a part of it, as pages from 0 on. */
export class ServedPoint {
  readonly point: VmPoint;
  readonly pages: number;
  readonly #ledger: Ledger;
  readonly #layout: ImageLayout;
  /** What each page holds; zeros where nothing lies. */
  readonly #table: Uint32Array;
  readonly #patient: PatientReading;
  readonly #reader: () => Promise<PointReader>;
  /** Who reads, once the first page was. */
  #ready: PointReader | null = null;
  readonly #ahead: ReadAhead;
  readonly #rooms = new PageRooms(PART_PAGES);

  private constructor(
    ledger: Ledger,
    of: {
      readonly point: VmPoint;
      readonly layout: ImageLayout;
      readonly table: Uint32Array;
      readonly waiting: Waiting;
      readonly windows: WindowPool;
      readonly reader: () => Promise<PointReader>;
    },
  ) {
    this.#ledger = ledger;
    this.point = of.point;
    this.#layout = of.layout;
    this.#table = of.table;
    this.#patient = new PatientReading(ledger, of.waiting);
    this.#reader = of.reader;
    this.pages = of.layout.pages;
    this.#ahead = new ReadAhead(of.windows, {
      pages: this.pages,
      isZero: (page) => this.isZero(page),
      fill: (firstPage, pages, into) =>
        this.#fillAny(this.#table.subarray(firstPage, firstPage + pages), into),
    });
  }

  /** Opens a point. `part`: a layout, or the name of a block; null: all, as tools expect it. */
  static async open(
    ledger: Ledger,
    of: {
      readonly point: VmPoint;
      readonly part: string | null;
      readonly waiting: Waiting;
      /** Where what is read ahead is kept, with that of other points. */
      readonly windows: WindowPool;
      /** Whether pages that are unknown are served as zeros; else PAGE_UNKNOWN where there are some. */
      readonly areUnknownZeros?: boolean;
    },
  ): Promise<ServedPoint> {
    const { point, part, waiting, windows } = of;
    const layout = laidOutAs(point, part);
    const whole = await tableOf(ledger, point, { isWhole: false });
    const laidOut = layOut(layout, whole);
    if (of.areUnknownZeros !== true) assertTold(laidOut, labelOf(point));
    const table = untoldAsZeros(laidOut);
    let made: Promise<ReadPoint> | null = null;
    // It reads a map, which may be away as pages may.
    const reader = async (): Promise<PointReader> => {
      const making = (made ??= readPoint(ledger, { point, table: whole }));
      try {
        return (await making).reader;
      } catch (thrown) {
        made = null;
        throw thrown;
      }
    };
    return new ServedPoint(ledger, { point, layout, table, waiting, windows, reader });
  }

  get sizeBytes(): number {
    return this.pages * PAGE_BYTES;
  }

  /** Whether a page is zeros. */
  isZero(page: number): boolean {
    return this.#table[page] === ZERO;
  }

  /**
   * Consecutive pages, until they are given back. Waits for packs that are away until `signal` ends it.
   * POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED.
   */
  async read(firstPage: number, pages: number, signal: AbortSignal): Promise<LentBytes> {
    const before = this.#ahead.note(firstPage, pages);
    const kept = this.#readKept(firstPage, pages);
    if (kept !== null) return kept;
    // What the first reading tells of a store that is away is heard.
    const ahead = this.#ready === null ? null : await this.#ahead.read(firstPage, pages, before);
    if (ahead !== null) return ahead;
    const holdings = this.#table.subarray(firstPage, firstPage + pages);
    return this.#patient.whenThere(() => this.#readNow(holdings), signal);
  }

  /** The same at once, where few pages are asked for that are decoded already; null: others are. */
  #readKept(firstPage: number, pages: number): LentBytes | null {
    if (this.#ready === null || pages >= PART_PAGES) return null;
    const into = this.#rooms.lend(pages);
    const holdings = this.#table.subarray(firstPage, firstPage + pages);
    if (this.#ready.readKept(holdings, into.bytes)) return into;
    into.giveBack();
    return null;
  }

  /** Makes pages in memory of zeros. */
  async #fill(table: Uint32Array, room: SharedArrayBuffer): Promise<void> {
    const reader = await this.#reader();
    const request = { table, label: labelOf(this.point) };
    await reader.fill(request, { file: sharedMemory(room), offsetBytes: 0 });
  }

  /** The same in memory that may hold anything. */
  async #fillAny(table: Uint32Array, room: SharedArrayBuffer): Promise<void> {
    // Shared memory is filled a number at a time: large ones.
    const numbers = new Float64Array(room);
    for (let page = 0; page < table.length; page += 1)
      if (table[page] === ZERO) numbers.fill(0, page * PAGE_NUMBERS, (page + 1) * PAGE_NUMBERS);
    await this.#fill(table, room);
  }

  async #readNow(holdings: Uint32Array): Promise<LentBytes> {
    const reader = await this.#reader();
    this.#ready = reader;
    if (holdings.length >= PART_PAGES) {
      const room = new SharedArrayBuffer(holdings.length * PAGE_BYTES);
      await this.#fill(holdings, room);
      return ownBytes(new Uint8Array(room));
    }
    const into = this.#rooms.lend(holdings.length);
    // Where that fails the memory is nobody's again: something may be on its way into it.
    await reader.read(holdings, into.bytes);
    return into;
  }

  /** Another point of the VM, which may be forgotten. Refused where there is none. */
  locate(text: string): VmPoint {
    const { entry } = this.point;
    return { entry, row: this.#ledger.locate(entry, text) };
  }

  /** By page, 1 where it differs, or may, from what the VM held there at another point. */
  async changedFrom(text: string): Promise<Uint32Array> {
    const ledger = this.#ledger;
    const a = this.locate(text);
    const differs = new Uint32Array(a.entry.pagesAt(this.point.row.capture));
    const onUnknown = (gfn: number): void => {
      if (gfn < differs.length) differs[gfn] = 1;
    };
    const of = { a, b: this.point, withBytes: false, onUnknown };
    for await (const differing of diffOf(ledger, of))
      for (const { gfn } of differing) if (gfn < differs.length) differs[gfn] = 1;
    return layOut(this.#layout, differs);
  }
}
