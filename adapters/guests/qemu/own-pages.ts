// Captures a guest that maps its memory from a file of a recorded point, copy-on-write: while it stands
// still, the pages that are its own are read out of its process, and its devices are saved by QEMU. What
// it never wrote is as at that point, and is not read. So the cost follows what the guest modified.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PagesAsAt } from '../../../domain/ports/guests.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { errnoOf } from '../../files/failures.ts';
import { runStateOf, deviceSectionsOf, withRunState } from './device-sections.ts';
import { withFittedDescription } from './fitted-description.ts';
import { continueGuest } from './migration-control.ts';
import { PauseLog } from './pause-log.ts';
import { blockAt, fileAt, OWN_PAGE, ProcessMemory } from './process-memory.ts';
import type { Qmp } from './qmp.ts';
import type { Spool } from './spool.ts';
import { STREAM_MAGIC, STREAM_VERSION, type GuestState } from './stream-layout.ts';

/** What is known of the point that a guest maps a block of. */
export interface MappedPoint {
  /** QEMU's process. */
  readonly process: number;
  readonly block: string;
  /** The file that it maps. */
  readonly path: string;
  readonly memoryMap: MemoryMap;
  /** The devices at the point: of the same machine. */
  readonly device: DeviceState;
  /** Pages that may be said to be as at the point, where the guest has them from the file. */
  readonly asAt: PagesAsAt;
}

/** What a capture of a guest's own pages is of. */
export interface OwnPagesRequest {
  readonly mapped: MappedPoint;
  readonly spool: Spool;
  /** A folder that QEMU sees as well. */
  readonly folder: string;
  readonly wasRunning: boolean;
  /** Whether it is left standing still. */
  readonly staysStill: boolean;
}

/** A guest of which its own pages were read. */
export interface OwnPages extends Pick<GuestState, 'memoryMap' | 'image' | 'device' | 'runState'> {
  readonly asAt: PagesAsAt;
}

/** Where the blocks of a guest's memory lie in its process. */
interface PlacedBlock {
  readonly name: string;
  readonly gfn: number;
  readonly pages: number;
  readonly address: number;
  readonly isMapped: boolean;
}

const RUN_BYTES = 2 ** 20;
const RESUME_TIMEOUT_MS = 2_000;
/** Header of a stream, and the record that ends it. */
const HEADER_BYTES = 8;
const END_BYTES = 1;
/** A line of `info ramblock`: name, page size, offset, used and total length. */
const BLOCK_LINE = /^ *(\S+) +\d+ [KMGT]iB +0x[0-9a-f]+ +0x([0-9a-f]+) +0x([0-9a-f]+)/u;

/** The blocks that QEMU says it has: bytes used and laid out. */
export const blocksOfText = (
  text: string,
): ReadonlyMap<string, { readonly used: number; readonly total: number }> =>
  new Map(
    text.split('\n').flatMap((line) => {
      const [, name, used, total] = BLOCK_LINE.exec(line) ?? [];
      if (name === undefined) return [];
      const bytes = (hex: string | undefined): number => Number.parseInt(hex!, 16);
      return [[name, { used: bytes(used), total: bytes(total) }] as const];
    }),
  );

/** Where each block lies; null where that is not clear of one, or the guest has others than the point. */
function placed(
  { block, path, memoryMap }: MappedPoint,
  blocks: ReturnType<typeof blocksOfText>,
  { mappings }: ProcessMemory,
): readonly PlacedBlock[] | null {
  if (blocks.size !== memoryMap.blocks.length) return null;
  const found: PlacedBlock[] = [];
  let gfn = 0;
  for (const { name, pages } of memoryMap.blocks) {
    const size = blocks.get(name);
    if (size?.used !== pages * PAGE_BYTES) return null;
    const isMapped = name === block;
    const address = isMapped ? fileAt(mappings, path, size.used) : blockAt(mappings, size.total);
    if (address === null) return null;
    found.push({ name, gfn, pages, address, isMapped });
    gfn += pages;
  }
  return found;
}

/** Reads pages, where they are wanted, into the spool. */
function take(
  memory: ProcessMemory,
  spool: Spool,
  { gfn, pages, address, wanted }: PlacedBlock & { readonly wanted: (page: number) => boolean },
): void {
  const bytes = new Uint8Array(RUN_BYTES);
  const runMax = RUN_BYTES / PAGE_BYTES;
  for (let page = 0; page < pages;) {
    let length = 0;
    while (page + length < pages && length < runMax && wanted(page + length)) length += 1;
    if (length === 0) {
      page += 1;
      continue;
    }
    memory.read(address + page * PAGE_BYTES, bytes.subarray(0, length * PAGE_BYTES));
    for (let i = 0; i < length; i += 1) spool.write(gfn + page + i, bytes, i * PAGE_BYTES);
    page += length;
  }
}

/** Reads the guest's own pages into the spool; which pages are as at the point. Null: it is not clear where they lie. */
function takeOwn(
  mapped: MappedPoint,
  spool: Spool,
  blocks: ReturnType<typeof blocksOfText>,
): Uint8Array | null {
  const memory = new ProcessMemory(mapped.process);
  try {
    const places = placed(mapped, blocks, memory);
    if (places === null) return null;
    const known = mapped.asAt.pages;
    const left = new Uint8Array(known.length);
    spool.begin(known.length);
    for (const place of places) {
      const { gfn, pages, address, isMapped } = place;
      const states = isMapped ? memory.states(address, pages) : null;
      const isLeft = (page: number): boolean =>
        states !== null && states[page] !== OWN_PAGE && known[gfn + page] === 1;
      take(memory, spool, { ...place, wanted: (page) => !isLeft(page) });
      for (let page = 0; page < pages; page += 1) left[gfn + page] = isLeft(page) ? 1 : 0;
    }
    spool.flush();
    return left;
  } finally {
    memory.close();
  }
}

/** Devices as QEMU saved them into a file; null where they are not those of the point. */
function devicesIn(path: string, { device }: MappedPoint): DeviceState | null {
  const bytes = new Uint8Array(readFileSync(path));
  const view = new DataView(bytes.buffer);
  const isSaved =
    bytes.length > HEADER_BYTES + END_BYTES &&
    view.getUint32(0) === STREAM_MAGIC &&
    view.getUint32(4) === STREAM_VERSION;
  const sections = bytes.subarray(HEADER_BYTES, bytes.length - END_BYTES);
  return isSaved ? withFittedDescription({ ...device, sections }) : null;
}

/**
 * Reads a guest that stands still. Null where it cannot be told apart what is its own: of a QEMU that
 * does not save devices alone, of one that may not be looked into, of other blocks or devices than the
 * point has.
 */
async function readOwnPages(
  qmp: Qmp,
  { mapped, spool, folder, wasRunning }: OwnPagesRequest,
): Promise<OwnPages | null> {
  const file = join(folder, 'devices');
  try {
    const blocks = blocksOfText(await qmp.monitor('info ramblock'));
    await qmp.execute('xen-save-devices-state', { filename: file, live: false });
    const saved = devicesIn(file, mapped);
    const pages = saved === null ? null : takeOwn(mapped, spool, blocks);
    if (saved === null || pages === null) return null;
    const label = `the guest of ${qmp.path}`;
    // QEMU says of every guest that it saves so that it runs.
    const device = wasRunning ? saved : withRunState(saved, { runState: 'paused', label });
    const runState = runStateOf(device, deviceSectionsOf(device, label));
    const { memoryMap } = mapped;
    const image = spool.image(label);
    const asAt = { ...mapped.asAt, pages };
    return { memoryMap, image, device, runState, asAt };
  } catch (thrown) {
    const isRefused = isLedgerError(thrown) && thrown.code === 'QMP_REFUSED';
    if (!isRefused && errnoOf(thrown) === null) throw thrown;
    return null;
  }
}

/** The same of a guest that may run: it stands still meanwhile, and how long is told; null: it still does. */
export async function captureOwnPages(
  qmp: Qmp,
  request: OwnPagesRequest,
): Promise<(OwnPages & { readonly pauseMs: number | null }) | null> {
  const { wasRunning, staysStill } = request;
  const pauses = new PauseLog(qmp);
  try {
    if (wasRunning) await qmp.execute('stop');
    const own = await readOwnPages(qmp, request);
    if (staysStill) return own === null ? null : { ...own, pauseMs: null };
    if (wasRunning) await continueGuest(qmp);
    if (wasRunning) await pauses.untilResumed(RESUME_TIMEOUT_MS);
    return own === null ? null : { ...own, pauseMs: wasRunning ? pauses.pauseMs : 0 };
  } finally {
    pauses.close();
  }
}
