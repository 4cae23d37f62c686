// Restoring, joined: a point of a VM on one side, what it is restored to on the other.

import type { Writable } from 'node:stream';
import { openReplacement } from '../../files/replacement.ts';
import { sinkOfWritable } from '../../guests/byte-sink.ts';
export { resumableCommand } from '../../guests/qemu/recorded-command.ts';
import { resumeGuest, type ResumedGuest } from '../../guests/qemu/resume-guest.ts';
import { TARGET_FORMATS, type TargetFormatName } from '../../guests/targets.ts';
import { assert } from '../../../domain/values/assert.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { coreLayoutOf, type CoreLayout } from '../../../domain/values/core-layout.ts';
import { flatMap } from '../../../domain/values/memory-map.ts';
import { ZERO } from '../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import {
  blockLayoutOf,
  layOut,
  rawLayoutOf,
  type ImageLayout,
  type RawLayout,
  type RawLayoutName,
} from '../../../domain/values/raw-layout.ts';
import { refuse } from '../../../domain/values/refused.ts';
import type { GuestKernel, GuestTarget, RestoredGuest } from '../../../domain/ports/guests.ts';
import { accepted, run } from '../../../domain/ports/run.ts';
import { readDevice } from '../../../domain/use-cases/restore/device-state.ts';
import {
  assertTold,
  assertUndamaged,
  untoldAsZeros,
  untoldIn,
} from '../../../domain/use-cases/pages/patch-chain.ts';
import { restoreGuest } from '../../../domain/use-cases/restore/restore-guest.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import { isDeviceLost } from '../../../projections/questions/affected-points.ts';
import { decodeBatches } from '../../../projections/commits.ts';
import { holdingsOf } from '../../../projections/table.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { readPoint } from '../points/point-reader.ts';
import { recordRestored } from './restored.ts';
import { labelOf, tableOf, type VmPoint } from '../ledger/vm-point.ts';

/** What memory is restored as: a raw image, an ELF core, or a QEMU migration stream. */
export type RestoreFormat = TargetFormatName;

type OnProgress = (progress: { readonly pages: number; readonly pageCount: number }) => void;

/** Refuses a point that has no device state, before any work is done for it. */
export function requireDeviceState({ entry, row }: VmPoint): void {
  if (isDeviceLost(row))
    throw new LedgerError(
      'POINT_DAMAGED',
      `the device state of ${labelOf({ entry, row })} is lost: ${row.damage}; run \`pageledger verify\``,
      { vm: entry.vm, capture: row.capture },
    );
  if (!row.hasDevice) throw refuse({ _tag: 'NoDeviceState', vm: entry.vm, capture: row.capture });
}

/** The device state of a point. Refused where the capture has none. */
export async function deviceStateOf(ledger: Ledger, point: VmPoint): Promise<DeviceState> {
  requireDeviceState(point);
  const { entry, row } = point;
  const { state } = ledger;
  const events = await state.tables.events(entry.vm, row);
  // Of a first capture the events of pages are as many as the guest is large.
  const { device } = decodeBatches(events.filter(({ type }) => type === 'DeviceStateWritten'));
  assert(device !== null, 'a capture with a device state has its event');
  return readDevice(await ledger.pageReader(), {
    columns: device,
    holdings: holdingsOf(state.contents, device),
  });
}

/** How a raw image of a point is laid out; null: as tools expect it. */
export const layoutOf = (point: VmPoint, asked: RawLayoutName | null): RawLayout =>
  accepted(rawLayoutOf(memoryMapOf(point), asked));

/** How a core of a point holds its RAM. Refused where it is not known at which addresses it lies. */
export const coreLayout = (point: VmPoint): CoreLayout =>
  accepted(coreLayoutOf(memoryMapOf(point)));

/** What a target is given, and which pages of the VM; null: all, as they are numbered. */
interface Wanted extends RestoredGuest {
  readonly layout: ImageLayout | null;
}

/** What each kind of target is given of a point. */
const WANTED: Readonly<
  Record<
    GuestTarget['takes'],
    (ledger: Ledger, point: VmPoint, asked: RawLayoutName | null) => Promise<Wanted>
  >
> = {
  guest: async (ledger, point) => ({
    device: await deviceStateOf(ledger, point),
    memoryMap: memoryMapOf(point),
    layout: null,
  }),
  'main RAM': async (_, point, asked) => {
    const layout = layoutOf(point, asked);
    return { device: null, memoryMap: flatMap(layout.pages), layout };
  },
  'RAM at addresses': async (ledger, point) => {
    const layout = coreLayout(point);
    const device = point.row.hasDevice ? await deviceStateOf(ledger, point) : null;
    return { device, memoryMap: layout.memoryMap, layout };
  },
};

/** The table with nothing in blocks that the guest has from elsewhere. Refused where there is none of a name. */
function withoutBlocks(point: VmPoint, table: Uint32Array, names: readonly string[]): Uint32Array {
  if (names.length === 0) return table;
  const map = memoryMapOf(point);
  const left = table.slice();
  for (const block of names)
    for (const { gfn, pages } of accepted(blockLayoutOf(map, { vm: point.entry.vm, block })).pieces)
      left.fill(ZERO, gfn, gfn + pages);
  return left;
}

/** The table with nothing where the guest has pages from elsewhere. */
const withoutPages = (table: Uint32Array, elsewhere: Uint8Array | undefined): Uint32Array =>
  elsewhere === undefined
    ? table
    : table.map((holding, gfn) => (elsewhere[gfn] === 1 ? ZERO : holding));

/** Restores a point to a target. Refused, before any work, where the target wants devices and there are none. */
export async function restorePoint(
  ledger: Ledger,
  point: VmPoint,
  to: {
    readonly target: GuestTarget;
    readonly layout?: RawLayoutName | null;
    /** Pages that a guest has from elsewhere: 1 at each. Absent: it is given all. */
    readonly elsewhere?: Uint8Array;
  } & Pick<
    RestoreRequest,
    'kernel' | 'onProgress' | 'onLost' | 'without' | 'areUnknownZeros' | 'onUnknown'
  >,
): Promise<void> {
  const { target, kernel, onProgress, onLost, without = [], elsewhere } = to;
  const wanted = await WANTED[target.takes](ledger, point, to.layout ?? null);
  const { device, memoryMap, layout } = wanted;
  const whole = await tableOf(ledger, point, { isWhole: false });
  if (onLost === undefined) assertUndamaged(whole, labelOf(point));
  const given = withoutPages(withoutBlocks(point, whole, without), elsewhere);
  const told = layout === null ? given : layOut(layout, given);
  if (to.areUnknownZeros === true) to.onUnknown?.(untoldIn(told));
  else assertTold(told, labelOf(point));
  const request = {
    guest: { memoryMap, device, ...(kernel === undefined ? {} : { kernel }) },
    table: untoldAsZeros(told),
    label: labelOf(point),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(onLost === undefined ? {} : { onLost }),
  };
  const { reader } = await readPoint(ledger, { point, table: whole });
  await restoreGuest(reader, request, target);
}

/** What `restoreToFile` and `restoreToStream` make, and who is told how far they are. */
export interface RestoreRequest {
  readonly format: RestoreFormat;
  /** Of a raw image; null: as tools expect it. */
  readonly layout?: RawLayoutName | null;
  /** Of a QEMU stream: blocks that it leaves out, as the guest maps them from elsewhere. Absent: none. */
  readonly without?: readonly string[];
  /** Of a core: what its kernel says of itself (`coreKernelOf`). Absent: nothing is known. */
  readonly kernel?: GuestKernel;
  readonly onProgress?: OnProgress;
  /** Whether pages that are unknown are zeros. Absent: PAGE_UNKNOWN where there are some. */
  readonly areUnknownZeros?: boolean;
  /** Is told then how many there are. */
  readonly onUnknown?: (pages: number) => void;
  /** Is told which pages are lost, ascending: they are zeros then. Absent: the first one is thrown. */
  readonly onLost?: (pages: Uint32Array) => void;
}

/**
 * Memory at a point into a file, whole and durable or not at all: what is there stays until then. A
 * new file is its owner's alone, one that is replaced keeps its permissions. TARGET_EXISTS unless
 * `isForced`.
 */
export async function restoreToFile(
  ledger: Ledger,
  point: VmPoint,
  request: RestoreRequest & { readonly path: string; readonly isForced: boolean },
): Promise<void> {
  const { format, path, isForced } = request;
  const replacement = await openReplacement({ files: ledger.files, path, isForced });
  try {
    const target = TARGET_FORMATS[format].file(replacement.file, {
      without: request.without ?? [],
    });
    const onProgress: OnProgress = (progress) => {
      replacement.wrote(progress.pages * PAGE_BYTES);
      request.onProgress?.(progress);
    };
    await restorePoint(ledger, point, { ...request, target, onProgress });
    await replacement.place();
    await recordRestored(ledger, point, { how: 'file', to: path });
  } catch (thrown) {
    await replacement.discard();
    throw thrown;
  }
}

/**
 * Memory at a point to a pipe, in the order of its pages, each verified before it is sent. Where
 * something is damaged what was sent is cut there, and the failure thrown; the pipe is not ended.
 */
export async function restoreToStream(
  ledger: Ledger,
  point: VmPoint,
  request: RestoreRequest & { readonly writable: Writable },
): Promise<void> {
  const target = TARGET_FORMATS[request.format].pipe(sinkOfWritable(request.writable), {
    without: request.without ?? [],
  });
  await restorePoint(ledger, point, { ...request, target });
  await recordRestored(ledger, point, { how: 'pipe' });
}

/** How `resumePoint` starts QEMU. */
export interface ResumePointRequest {
  /** The whole command; empty: the one that was recorded with the VM. */
  readonly command: readonly string[];
  readonly isDiskOk: boolean;
  /** The guest's standard input and output; absent: none. */
  readonly stdio?: 'inherit' | 'ignore';
  readonly onStderr?: (text: string) => void;
}

/** Sends all of a point to a guest, and notes it: the guest is the caller's when nothing is left to do. */
export async function restoreToGuest(
  ledger: Ledger,
  point: VmPoint,
  target: GuestTarget,
): Promise<void> {
  await restorePoint(ledger, point, { target });
  await recordRestored(ledger, point, { how: 'resume' });
}

/** Starts a guest from a point, all its memory sent before it runs. */
export async function resumePoint(
  ledger: Ledger,
  point: VmPoint,
  request: ResumePointRequest,
): Promise<ResumedGuest> {
  requireDeviceState(point);
  return run(
    resumeGuest({
      command: request.command,
      diskOk: request.isDiskOk,
      restore: (target) => restoreToGuest(ledger, point, target),
      ...(request.stdio === undefined ? {} : { stdin: request.stdio, stdout: request.stdio }),
      ...(request.onStderr === undefined ? {} : { onStderr: request.onStderr }),
    }),
  );
}
