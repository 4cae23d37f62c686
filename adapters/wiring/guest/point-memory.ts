// A guest's memory at a point by guest-physical addresses, out of the ledger's pages: nothing is restored
// for it. What is lost, unknown, or was never recorded, is no memory.

import type { GuestPages } from '../../../domain/ports/guest-pages.ts';
import { beginsVmcoreinfo } from '../../../domain/guest/vmcoreinfo.ts';
import type { PointReader } from '../../../domain/use-cases/layout/laid-out-reader.ts';
import { isTold, UNTOLD, ZERO } from '../../../domain/values/holding.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import { FrameMap } from './frame-map.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { readPoint } from '../points/point-reader.ts';
import { labelOf, tableOf, type VmPoint } from '../ledger/vm-point.ts';

export class PointMemory implements GuestPages {
  readonly table: Uint32Array;
  readonly #frameMap: FrameMap;
  readonly #reader: PointReader;
  readonly #label: string;

  private constructor(of: {
    readonly table: Uint32Array;
    readonly map: MemoryMap;
    readonly reader: PointReader;
    readonly label: string;
  }) {
    this.table = of.table;
    this.#frameMap = new FrameMap(of.map);
    this.#reader = of.reader;
    this.#label = of.label;
  }

  get frames(): number {
    return this.#frameMap.frames;
  }

  /** Memory at a point. */
  static async open(ledger: Ledger, point: VmPoint): Promise<PointMemory> {
    const table = await tableOf(ledger, point, { isWhole: false });
    const { reader } = await readPoint(ledger, { point, table });
    return PointMemory.of(point, { table, reader });
  }

  /** Memory at a point whose table is known, by who reads it. */
  static of(
    point: VmPoint,
    by: { readonly table: Uint32Array; readonly reader: PointReader },
  ): PointMemory {
    return new PointMemory({ ...by, map: memoryMapOf(point), label: labelOf(point) });
  }

  /** The page that a frame is; null: it is none. */
  gfnOf(frame: number): number | null {
    const gfn = this.#frameMap.gfnOf(frame);
    return gfn !== null && gfn < this.table.length ? gfn : null;
  }

  /** The frame that a page is; null: no address leads to it. */
  frameOf(gfn: number): number | null {
    return this.#frameMap.frameOf(gfn);
  }

  has(frame: number): boolean {
    const gfn = this.gfnOf(frame);
    return gfn !== null && isTold(this.table[gfn]!);
  }

  read(frames: readonly number[]): Promise<Uint8Array> {
    return this.pages(frames.map((frame) => this.gfnOf(frame)!));
  }

  /** Pages by their numbers, one after the other. POINT_DAMAGED where one is lost, PAGE_UNKNOWN. */
  async pages(gfns: readonly number[]): Promise<Uint8Array> {
    const holdings = gfns.map((gfn) => this.table[gfn]!);
    const untold = holdings.indexOf(UNTOLD);
    if (untold >= 0)
      throw new LedgerError(
        'PAGE_UNKNOWN',
        `what page ${gfns[untold]} of ${this.#label} held is unknown: the dump that it was recorded from leaves it out`,
        { gfn: gfns[untold]! },
      );
    return this.#reader.read(holdings, new Uint8Array(gfns.length * PAGE_BYTES));
  }

  /**
   * Frames of pages that begin as VMCOREINFO, ascending, among those that are not the same in an earlier
   * table; null: among all. Cost: each of them that is not zeros is read.
   */
  async noteFrames(earlier: Uint32Array | null): Promise<readonly number[]> {
    const table = this.table.map((holding, gfn) => {
      const isSame = earlier !== null && earlier[gfn] === holding;
      return isSame || !isTold(holding) ? ZERO : holding;
    });
    const found: number[] = [];
    const request = { table, label: this.#label, onLost: () => undefined };
    for await (const { firstPage, pages } of this.#reader.inOrder(request))
      for (let at = 0; at < pages.length; at += PAGE_BYTES) {
        const frame = beginsVmcoreinfo(pages, at)
          ? this.frameOf(firstPage + at / PAGE_BYTES)
          : null;
        if (frame !== null) found.push(frame);
      }
    return found.toSorted((a, b) => a - b);
  }
}
