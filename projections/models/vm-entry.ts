// A VM in the catalogue: its captures and checkpoints, its memory maps and command lines, and what of
// it is lost, as the fold says.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import {
  initialPoints,
  isForgotten,
  pointForgotten,
  type PointsState,
} from '../../domain/points.ts';
import type { ClonesState } from '../../domain/clones.ts';
import type { CheckpointLayout } from '../../domain/events/control.ts';
import { assert } from '../../domain/values/assert.ts';
import { pageCountOf, tablePages, type MemoryMap } from '../../domain/values/memory-map.ts';
import { instantText } from '../../domain/values/instant.ts';
import type { Point } from '../../domain/values/point.ts';
import type { ImageFacts } from '../../domain/ports/guests.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { Holder } from '../../domain/values/lease.ts';
import type { Refusal } from '../../domain/values/refusals.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import { initialVm, type VmState } from '../../domain/vm.ts';
import { CaptureRows, type CaptureRow } from './capture-rows.ts';
import { parkedIn, runningIn, type CloneRow, type ParkedRow } from './clone-rows.ts';

/** Page events that a capture counts as, beside its own, towards the next page-table image. */
export const CAPTURE_WEIGHT = 64;

/** A name of a point, as `takeCheckpoint` gave it. */
export interface CheckpointRow {
  readonly name: string;
  readonly capture: number;
  /** What a person said of it; null: nothing. */
  readonly note: string | null;
  /** What was copied for it; null: it was not laid out. */
  readonly layout: CheckpointLayout | null;
  readonly position: Position;
  readonly timeMs: number;
  /** Pages of the trace that it was laid out by; null: by none. */
  readonly traced: number | null;
}

/** A lease of a point that has not ended. */
export interface LeaseRow {
  readonly lease: string;
  readonly capture: number;
  /** What it is held for: a LeaseKind, or what a later release calls so. */
  readonly kind: string;
  readonly holder: Holder;
  /** The user whose process that is, as he says; null: he does not. */
  readonly user: string | null;
  readonly position: Position;
  /** Since when it is held, by the holder's clock. */
  readonly timeMs: number;
}

/** A commit of a capture that was committed before it: it counts for nothing. */
export interface RepeatedCommit {
  readonly capture: number;
  readonly position: Position;
}

/** A VM's memory map, from a capture on. */
export interface MapRow {
  readonly capture: number;
  readonly memoryMap: MemoryMap;
  /** Pages that tables have from it on; null before its first capture. */
  pages: number | null;
}

/** The command line of a VM's guest, from a capture on. */
export interface CommandLineRow {
  readonly capture: number;
  readonly argv: readonly string[];
}

/** The last capture that is gone from the log; where a VM's history begins is behind it. */
export interface GoneCapture {
  readonly capture: number;
  readonly position: Position;
  /** Hex of its commit's id, and the commit's revision in the VM's stream. */
  readonly id: string;
  readonly revision: number;
  /**
   * Of the files that it, and those before it, were recorded from: the latest time of one that was not
   * ahead of its recorder's clock, in nanoseconds since 1970; null: of none is known.
   */
  readonly imagesToNs: string | null;
  /** Those of the files that have later times. */
  readonly images: readonly ImageFacts[];
}

/** What the log says of a VM: its captures, its points, and what of it is lost. */
export class VmEntry {
  readonly vm: string;
  state: VmState = initialVm;
  points: PointsState = initialPoints;
  /** Its captures, in log order. */
  rows: CaptureRows;
  readonly checkpoints: CheckpointRow[] = [];
  readonly leases: LeaseRow[] = [];
  /** Those of the leases that are clones. */
  readonly clones: CloneRow[] = [];
  /** Clones of the VM that wait to be woken. */
  readonly parked: ParkedRow[] = [];
  readonly repeated: RepeatedCommit[] = [];
  /** Memory maps, each with the first capture that it is of; ascending. */
  readonly maps: MapRow[] = [];
  /** Command lines, each with the first capture that it is of; ascending. */
  readonly commandLines: CommandLineRow[] = [];
  /** Captures that a page-table image belongs to, by the rule of page-tables.ts. */
  readonly images: number[] = [];
  imageWeight = 0;
  /** Captures up to this one left the log; null: none did. */
  gone: GoneCapture | null = null;
  registeredAtMs = 0;
  retired: { readonly position: Position; readonly timeMs: number } | null = null;
  /** Why the history after the last capture may be longer than what can be read; null: it is not. */
  lostTail: string | null = null;

  constructor(vm: string, rows = new CaptureRows()) {
    this.vm = vm;
    this.rows = rows;
  }

  /** All captures, each made: for who looks at all that they say. O(captures) once. */
  get captures(): readonly CaptureRow[] {
    return this.rows.all;
  }

  /** Notes a capture's weight; an image belongs to the one that brings it to the page count. */
  weigh(row: CaptureRow): void {
    const pages = this.pagesAt(row.capture);
    if (pages === 0) return;
    this.imageWeight += row.written + CAPTURE_WEIGHT;
    if (this.imageWeight < pages) return;
    this.images.push(row.capture);
    this.imageWeight = 0;
  }

  /** The row of a capture number, or undefined. O(log captures). */
  capture(number: number): CaptureRow | undefined {
    const row = this.rows.at(this.rows.indexOf(number));
    return row?.capture === number ? row : undefined;
  }

  /** Captures after one, up to another. */
  between(from: number, to: number): CaptureRow[] {
    return this.rows.slice(this.rows.indexOf(from) + 1, this.rows.indexOf(to) + 1);
  }

  /** The newest of these rows at or before a capture. */
  #from<A extends { readonly capture: number }>(rows: readonly A[], capture: number) {
    return rows[lastWhere(rows.length, (i) => rows[i]!.capture <= capture)];
  }

  /**
   * The memory map at a capture; null: the event that describes it cannot be read, as the capture's
   * commit counts other pages, or says more than any capture tells of.
   */
  mapAt(capture: number): MemoryMap | null {
    const memoryMap = this.#from(this.maps, capture)?.memoryMap ?? null;
    const row = this.capture(capture);
    const pages = this.pagesAt(capture);
    const isOther = row !== undefined && row.written + row.unchanged !== pages;
    return isOther || memoryMap === null || pageCountOf(memoryMap) !== pages ? null : memoryMap;
  }

  /** Whether an event is lost that says how many pages the VM has, at some capture. O(captures). */
  get isMapLost(): boolean {
    let known = 0;
    let pages = 0;
    let isShort = false;
    const { rows } = this;
    for (let i = 0; i < rows.length; i += 1) {
      for (; (this.maps[known]?.capture ?? Infinity) <= rows.captureAt(i); known += 1) {
        const { memoryMap, pages: inTables } = this.maps[known]!;
        pages = pageCountOf(memoryMap);
        isShort = pages !== inTables;
      }
      if (isShort || rows.pagesAt(i) !== pages) return true;
    }
    return false;
  }

  /**
   * Pages of the VM's tables at a capture: those of its map, unless nothing stands behind them. They
   * become more, and never fewer. `told`: page events of the capture, where it is not folded yet.
   */
  pagesAt(capture: number, told = 0): number {
    let pages = 0;
    for (const row of this.maps) {
      if (row.capture > capture) break;
      const claimed = pageCountOf(row.memoryMap);
      pages = row.pages ?? tablePages({ before: pages, claimed, told });
    }
    return pages;
  }

  /** A capture is folded that tells of so many pages: what its map brings is known. */
  #count(told: number): void {
    for (const row of this.maps) row.pages ??= this.pagesAt(row.capture, told);
  }

  /** Who holds points, which of them are clones, and which clones are parked. */
  get held(): ClonesState {
    const { points, clones, parked } = this;
    return { points, clones: runningIn(clones), parked: parkedIn(parked) };
  }

  /** Takes a capture in, the next one. */
  add(row: CaptureRow, told: number): void {
    this.#count(told);
    this.rows.push(row);
    this.weigh(row);
    this.lostTail = null;
  }

  /** The command line of the guest at a capture; null: none is known. */
  argvAt(capture: number): readonly string[] | null {
    return this.#from(this.commandLines, capture)?.argv ?? null;
  }

  /** Whether a capture was given up: it is listed, and cannot be restored. */
  isForgotten(capture: number): boolean {
    return isForgotten(this.points, capture);
  }

  /** The captures that are kept, ascending. O(captures). */
  keptCaptures(): readonly CaptureRow[] {
    return this.captures.filter(({ capture }) => !this.isForgotten(capture));
  }

  /** The newest capture committed at or before a position. */
  at(position: Position): CaptureRow | undefined {
    return this.rows.at(this.rows.indexAt(position));
  }

  /** The kept capture with the greatest time at or before one; of equals the last. O(captures). */
  atTime(timeMs: number): CaptureRow | undefined {
    return this.rows.at(this.rows.indexAtTime(timeMs, (capture) => !this.isForgotten(capture)));
  }

  /** Captures of which it is known that there were some, and nothing else: first and last number. */
  gaps(): (readonly [number, number])[] {
    const gaps: (readonly [number, number])[] = [];
    let before = this.gone?.capture ?? 0;
    for (let i = 0; i < this.rows.length; i += 1) {
      const capture = this.rows.captureAt(i);
      if (capture > before + 1) gaps.push([before + 1, capture - 1]);
      before = capture;
    }
    return gaps;
  }

  /**
   * Why the capture that a point means may be another one than `found`, the one it names among those
   * that can be read; null: it is that one, or there is none.
   */
  doubt(point: Point, found: CaptureRow | undefined): string | null {
    if (point._tag === 'checkpoint') return null;
    if (point._tag === 'capture' && found !== undefined) return null;
    if (point._tag === 'position' && found?.position === point.position) return null;
    const { rows } = this;
    const last = point._tag === 'capture' ? point.capture - 1 : found?.capture;
    const at = last === undefined ? -1 : rows.indexOf(last);
    const next = rows.at(at + 1);
    const number = rows.at(at)?.capture ?? this.gone?.capture ?? 0;
    if (next === undefined) return this.lostTail;
    if (next.capture === number + 1) return null;
    return `captures ${number + 1} to ${next.capture - 1} are lost: the events that committed them cannot be read`;
  }

  /** The refusal of a capture that is forgotten: it names the nearest that are kept. */
  forgottenRefusal(capture: number): Refusal {
    const newest = this.rows.last?.capture ?? this.gone?.capture ?? 0;
    return pointForgotten(this.points, { vm: this.vm, capture, newest });
  }

  /** The capture that a point names, if it can be restored. */
  resolve(point: Point): Either<Refusal, CaptureRow> {
    if (point._tag === 'capture' && this.isGone(point.capture))
      return either.left(this.forgottenRefusal(point.capture));
    const found = this.find(point);
    if (either.isLeft(found) || !this.isForgotten(found.right.capture)) return found;
    const { capture } = found.right;
    return either.left(this.forgottenRefusal(capture));
  }

  /** Whether a capture is before the VM's history: nothing is known of it but its number. */
  isGone(capture: number): boolean {
    return capture >= 1 && capture <= (this.gone?.capture ?? 0);
  }

  /** Of a point that names no capture: whether it may have named one that is gone. */
  #isBeforeHistory(point: Point): boolean {
    if (point._tag === 'capture') return this.isGone(point.capture);
    return point._tag === 'position' && this.gone !== null;
  }

  /** The refusal of what is before the VM's history. */
  goneRefusal(at: string): Refusal {
    const { vm, gone } = this;
    assert(gone !== null, 'only what began later can be asked for too early');
    return { _tag: 'HistoryForgotten', vm, at, begins: `@${gone.capture + 1}` };
  }

  /** The capture that a point names, though it may have been forgotten. */
  find(point: Point): Either<Refusal, CaptureRow> {
    const { vm } = this;
    const none = (at: string): Refusal =>
      this.#isBeforeHistory(point) ? this.goneRefusal(at) : { _tag: 'NoCapture', vm, at };
    const found = (row: CaptureRow | undefined, at: string): Either<Refusal, CaptureRow> =>
      row === undefined ? either.left(none(at)) : either.right(row);
    switch (point._tag) {
      case 'latest':
        return found(this.rows.last, 'latest');
      case 'capture':
        return found(this.capture(point.capture), `@${point.capture}`);
      case 'position':
        return found(this.at(point.position), `pos:${point.position}`);
      case 'time':
        return found(this.atTime(point.timeMs), `${instantText(point.timeMs)} or before`);
      case 'checkpoint': {
        const { name } = point;
        const checkpoint = this.checkpoints.find((row) => row.name === name);
        return checkpoint === undefined
          ? either.left({ _tag: 'CheckpointUnknown', vm, name })
          : found(this.capture(checkpoint.capture), `cp:${name}`);
      }
      default:
        return point satisfies never;
    }
  }
}

/** Whether a VM may share anything but patterns. */
export const isLinkedVm = ({ state }: VmEntry): boolean => state.registered?.share !== 'pattern';

export type { CaptureRow };
