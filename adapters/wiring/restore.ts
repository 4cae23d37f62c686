// Restoring, joined: memory at a point into a file, a stream, or a running guest.

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  ftruncateSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join, basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Writable } from 'node:stream';
import { fileFailure } from '../files/files.ts';
import { memoryOfDescriptor } from '../files/memory-file.ts';
import { resumeGuest, type ResumedGuest } from '../guests/qemu/resume-guest.ts';
import {
  runsOfImage,
  sinkOfFile,
  writeStream,
  type ByteSink,
} from '../guests/qemu/stream-writer.ts';
import { assert } from '../../domain/values/assert.ts';
import type { DeviceState } from '../../domain/values/device-state.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import { mainPagesOf, type MemoryMap } from '../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { ZERO } from '../../domain/values/holding.ts';
import { refuse } from '../../domain/values/refused.ts';
import { readDevice } from '../../domain/use-cases/restore/device-state.ts';
import { assertWhole } from '../../domain/use-cases/pages/patch-chain.ts';
import type { CaptureRow, VmEntry } from '../../projections/models/catalogue.ts';
import { isDeviceLost } from '../../projections/questions/verify.ts';
import { decodeBatches } from '../../projections/commits.ts';
import { holdingsOf } from '../../projections/models/page-tables.ts';
import { type Ledger } from './ledger.ts';
import { run } from '../../domain/ports/run.ts';

export type RestoreFormat = 'raw' | 'qemu';

/** A point of a VM: an entry of the catalogue and one of its captures. */
export interface VmPoint {
  readonly entry: VmEntry;
  readonly row: CaptureRow;
}

type OnProgress = (progress: { readonly pages: number; readonly pageCount: number }) => void;

const labelOf = ({ entry, row }: VmPoint): string => `capture ${row.capture} of VM ${entry.vm}`;

function memoryMapOf({ entry, row }: VmPoint): MemoryMap {
  const { registered } = entry.state;
  if (registered !== null) return registered.memoryMap;
  throw new LedgerError(
    'POINT_DAMAGED',
    `capture ${row.capture} of VM ${entry.vm} cannot be restored: the event that describes its memory is damaged; run \`pageledger verify\``,
    { vm: entry.vm },
  );
}

/** Fills a fresh file with the first pages of a point. */
async function fillFile(
  ledger: Ledger,
  point: VmPoint,
  file: { readonly fd: number; readonly table: Uint32Array; readonly onProgress?: OnProgress },
): Promise<void> {
  const { table, fd, onProgress } = file;
  const label = labelOf(point);
  const reader = await ledger.pageReader();
  ftruncateSync(fd, table.length * PAGE_BYTES);
  const progress = onProgress === undefined ? {} : { onProgress };
  await reader.fill(
    { table, label, ...progress },
    { file: memoryOfDescriptor(fd), offsetBytes: 0 },
  );
}

async function tableOf(ledger: Ledger, point: VmPoint): Promise<Uint32Array> {
  memoryMapOf(point);
  const table = await ledger.state.tables.at(point.entry, ledger.state.contents, point.row);
  assertWhole(table, labelOf(point));
  return table;
}

/** A temporary file that has no name any more: gone with its descriptor. */
function openUnnamed(folder: string): number {
  const path = join(folder, `.pageledger-${randomBytes(8).toString('hex')}`);
  try {
    const fd = openSync(path, 'wx+', 0o600);
    rmSync(path);
    return fd;
  } catch (cause) {
    throw fileFailure(cause, { operation: 'create a temporary file', path });
  }
}

/** Refuses a point that has no device state, before any work is done for it. */
function requireDeviceState({ entry, row }: VmPoint): void {
  if (isDeviceLost(row))
    throw new LedgerError(
      'POINT_DAMAGED',
      `the device state of capture ${row.capture} of VM ${entry.vm} is lost: ${row.damage}; run \`pageledger verify\``,
      { vm: entry.vm, capture: row.capture },
    );
  if (!row.hasDevice) throw refuse({ _tag: 'NoDeviceState', vm: entry.vm, capture: row.capture });
}

/** The device state of a point. Refused where the capture has none. */
export async function deviceStateOf(ledger: Ledger, point: VmPoint): Promise<DeviceState> {
  requireDeviceState(point);
  const { entry, row } = point;
  const { state } = ledger;
  const { device } = decodeBatches(await state.tables.events(entry.vm, row));
  assert(device !== null, 'a capture with a device state has its event');
  return readDevice(await ledger.pageReader(), {
    columns: device,
    holdings: holdingsOf(state.contents, device),
  });
}

/** Writes a point as a QEMU migration stream. */
async function streamPoint(
  ledger: Ledger,
  point: VmPoint,
  to: {
    readonly sink: ByteSink;
    readonly zeros: 'omit' | 'send';
    readonly folder: string;
    readonly onProgress?: OnProgress;
  },
): Promise<void> {
  const device = await deviceStateOf(ledger, point);
  const table = await tableOf(ledger, point);
  const fd = openUnnamed(to.folder);
  try {
    await fillFile(ledger, point, {
      fd,
      table,
      ...(to.onProgress === undefined ? {} : { onProgress: to.onProgress }),
    });
    const zeros = new Uint8Array(new SharedArrayBuffer(table.length));
    for (let gfn = 0; gfn < table.length; gfn += 1) zeros[gfn] = table[gfn] === ZERO ? 1 : 0;
    const image = {
      file: memoryOfDescriptor(fd),
      offsetBytes: 0,
      pageCount: table.length,
      zeros,
      label: labelOf(point),
    };
    const { sink, zeros: send } = to;
    await run(
      writeStream({
        device,
        memoryMap: memoryMapOf(point),
        runs: runsOfImage(image),
        sink,
        zeros: send,
      }),
    );
  } finally {
    closeSync(fd);
  }
}

export interface RestoreRequest {
  readonly format: RestoreFormat;
  readonly onProgress?: OnProgress;
}

async function writePoint(
  ledger: Ledger,
  point: VmPoint,
  fd: number,
  request: RestoreRequest & { folder: string },
): Promise<void> {
  const progress = request.onProgress === undefined ? {} : { onProgress: request.onProgress };
  if (request.format === 'qemu') {
    await streamPoint(ledger, point, {
      sink: sinkOfFile(fd),
      zeros: 'send',
      folder: request.folder,
      ...progress,
    });
    return;
  }
  const table = await tableOf(ledger, point);
  const main = table.subarray(0, mainPagesOf(memoryMapOf(point)));
  await fillFile(ledger, point, { fd, table: main, ...progress });
}

/**
 * Memory at a point into a file, whole or not at all: through a temporary file beside it and a rename.
 * TARGET_EXISTS unless `force`.
 */
export async function restoreToFile(
  ledger: Ledger,
  point: VmPoint,
  target: RestoreRequest & { readonly path: string; readonly isForced: boolean },
): Promise<void> {
  const { path, isForced } = target;
  const folder = dirname(path);
  const exists = lstatSync(path, { throwIfNoEntry: false });
  if (exists !== undefined && !isForced)
    throw new LedgerError(
      'TARGET_EXISTS',
      `${path} exists already; say --force to replace it, or name another file`,
      { path },
    );
  if (exists !== undefined && !exists.isFile() && !exists.isSymbolicLink())
    throw new LedgerError(
      'TARGET_UNWRITABLE',
      `${path} is no regular file, so it cannot be replaced; name another`,
      { path },
    );
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  let fd: number;
  try {
    fd = openSync(temporary, 'wx+');
  } catch (cause) {
    throw new LedgerError(
      'TARGET_UNWRITABLE',
      `cannot write into ${folder}: ${String(cause)}; name a file in a folder that can be written`,
      { path },
      cause,
    );
  }
  try {
    try {
      await writePoint(ledger, point, fd, { ...target, folder });
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (thrown) {
    rmSync(temporary, { force: true });
    throw thrown;
  }
}

/** Memory at a point to a pipe: made whole in a temporary file first, so that nothing wrong is sent. */
export async function restoreToStream(
  ledger: Ledger,
  point: VmPoint,
  target: RestoreRequest & { readonly writable: Writable; readonly folder: string },
): Promise<void> {
  const fd = openUnnamed(target.folder);
  try {
    await writePoint(ledger, point, fd, target);
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
  await pipeline(createReadStream('', { fd, start: 0 }), target.writable, { end: false });
}

export interface ResumePointRequest {
  /** The whole command; empty: the one that was recorded with the VM. */
  readonly command: readonly string[];
  readonly isDiskOk: boolean;
  readonly folder: string;
  /** The guest's standard input and output; absent: none. */
  readonly stdio?: 'inherit' | 'ignore';
  readonly onStderr?: (text: string) => void;
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
      write: ({ sink, zeros }) =>
        streamPoint(ledger, point, { sink, zeros, folder: request.folder }),
      ...(request.stdio === undefined ? {} : { stdin: request.stdio, stdout: request.stdio }),
      ...(request.onStderr === undefined ? {} : { onStderr: request.onStderr }),
    }),
  );
}
