// Captures and named points as rows.

import { unknownWritten } from '../../../projections/models/capture-rows.ts';
import type { CaptureRow, CheckpointRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import type { CheckpointTaken } from '../../wiring/points/vm-life.ts';
import type { CostRow, LedgerCosts } from '../../wiring/questions/costs.ts';
import { isoTime, type Row } from './row.ts';

/** Nothing was worked out. */
const NO_COST: CostRow = { ownBytes: null, sharedBytes: null };

/** A capture as `captures` and `record` print it; one that was just recorded is not forgotten. */
export const captureRow = (vm: string, row: CaptureRow, cost: CostRow | null = null): Row => ({
  vm,
  capture: row.capture,
  position: String(row.position),
  time: isoTime(row.timeMs),
  recordedAt: isoTime(row.recordedAtMs),
  written: row.written,
  stored: row.stored,
  merged: row.merged,
  pattern: row.pattern,
  unknown: unknownWritten(row),
  unchanged: row.unchanged,
  sharingBroken: row.broken,
  pauseMs: row.pauseMs,
  mode: row.mode,
  source: row.source,
  image: row.image,
  addedBytes: row.addedBytes,
  ...(cost ?? NO_COST),
  deviceState: row.hasDevice,
  note: row.note,
  attachments: row.attachments,
  damage: row.damage,
  damaged: row.damage !== null,
  forgotten: false,
});

/** What is told of captures beside what each says itself. */
interface CapturesTold {
  /** Those of which something that they need is lost. */
  readonly damaged?: ReadonlySet<number> | undefined;
  readonly costs?: LedgerCosts | null;
  /** Only so many, the newest; absent: all. */
  readonly last?: number | undefined;
}

/** A VM's captures, oldest first. */
export const captureRows = (
  entry: VmEntry,
  { damaged = new Set(), costs = null, last = Infinity }: CapturesTold = {},
): Row[] =>
  entry.rows.slice(Math.max(0, entry.rows.length - last)).map((row) => ({
    ...captureRow(entry.vm, row, costs?.capture(entry.vm, row.capture)),
    damaged: row.damage !== null || damaged.has(row.capture),
    forgotten: entry.isForgotten(row.capture),
  }));

/** A named point: `time` is when it was named, `capturedAt` of when its memory is. */
export const checkpointRow = (
  { vm, rows }: VmEntry,
  { name, capture, note, layout, position, timeMs }: CheckpointRow,
): Row => {
  const row = rows.at(rows.indexOf(capture));
  return {
    vm,
    name,
    capture,
    capturedAt: row === undefined ? null : isoTime(row.timeMs),
    position: String(position),
    time: isoTime(timeMs),
    note,
    rewrittenBytes: layout?.bytes ?? null,
  };
};

/** A point that was just named, and what laying it out did; nulls where it could not be. */
export function takenRow(
  named: { readonly vm: string; readonly name: string; readonly capture: number },
  note: string | null,
  taken: CheckpointTaken,
): Row {
  const laidOut = isLedgerError(taken) ? null : taken;
  return {
    ...named,
    note,
    rewrittenBytes: laidOut?.layout.bytes ?? null,
    rewrittenPages: laidOut?.pages ?? null,
    storageBlocks: laidOut?.storageBlocks ?? null,
    readsBefore: laidOut?.readsBefore ?? null,
    readsAfter: laidOut?.reads ?? null,
  };
}
