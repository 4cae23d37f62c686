// What clones map: a point that is mounted already, by hand or for other clones, or one that is mounted for
// them. What is mounted for clones stays until the last command that maps it has ended.

import { closeSync, existsSync, mkdtempSync, openSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import type { ParentPoint } from '../../../domain/vm.ts';
import { baseFor, mappedBlockOf, type CloneBase } from '../../wiring/clones/clone-base.ts';
import { FarGuest } from '../../wiring/clones/far-point.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../wiring/ledger/vm-point.ts';
import { readMaster } from '../nbd/far-memory.ts';
import { unmountFolder } from '../nbd/fuse.ts';
import {
  hasDied,
  livingMounts,
  mountAt,
  mountPlace,
  untilServerEnded,
  type Mount,
} from '../nbd/mounts.ts';
import { startMount, wordsOfFar, wordsOfPart, type MountedRow } from './background-mount.ts';
import type { Far, FarOptions } from './far-server.ts';

/** A base, and what to do once nobody maps it. */
export interface UsedBase {
  readonly base: CloneBase;
  letGo(): Promise<void>;
}

/** How folders are called that are mounted for clones. */
const OWN = 'pageledger-base-';
/** How long a command waits for its base's lease to end; where the ledger is away, its server goes on. */
const LET_GO_MS = 10_000;

/** The point that is mounted; null: it is none of this ledger, or not known to be. */
function pointOf(ledger: Ledger, { vm, capture, commit }: Mount): VmPoint | null {
  try {
    const entry = ledger.vm(vm);
    const row = ledger.resolve(entry, `@${capture}`);
    return row.id === commit ? { entry, row } : null;
  } catch (thrown) {
    if (isLedgerError(thrown)) return null;
    throw thrown;
  }
}

/** What is mounted at a folder, as a base of whatever guest fits it. NOT_FOUND. */
export function baseAt(ledger: Ledger, folder: string): CloneBase {
  const place = mountPlace(folder);
  const mount = mountAt(place);
  const point = mount === null || hasDied(mount) ? null : pointOf(ledger, mount);
  if (mount === null || point === null || mount.part !== mappedBlockOf(point))
    throw new LedgerError(
      'NOT_FOUND',
      `no block of memory is mounted at ${place}: \`pageledger mount --vm VM --block BLOCK ${place}\` does that`,
      { folder: place },
    );
  return { point, block: mount.part, path: mount.file };
}

/** What is mounted at a folder, as a base. */
function mountedBase(ledger: Ledger, point: VmPoint, folder: string): UsedBase {
  const place = mountPlace(folder);
  const mount = mountAt(place);
  const block = mappedBlockOf(point);
  if (mount === null || hasDied(mount) || mount.part !== block)
    throw new LedgerError(
      'NOT_FOUND',
      `no block ${block} of a point is mounted at ${place}: \`pageledger mount --vm ${point.entry.vm} --block ${block} ${place}\` does that`,
      { folder: place, block },
    );
  const of = pointOf(ledger, mount);
  if (of === null)
    throw new LedgerError(
      'NOT_FOUND',
      `what is mounted at ${place} is no point of this ledger: ${mount.vm}@${mount.capture} of another one, of a memory server, or of an earlier release; unmount it, and mount one of this ledger`,
      { folder: place },
    );
  const base = { point: of, block, path: mount.file };
  return { base, letGo: () => Promise.resolve() };
}

/** Unmounts what was mounted for clones, unless others map it, who do so then, or have done it. */
async function leave(place: string): Promise<void> {
  try {
    const mount = mountAt(place);
    await unmountFolder(place, 'when free');
    if (mount !== null) await untilServerEnded(mount, LET_GO_MS);
    rmdirSync(place);
  } catch (thrown) {
    const isInUse = isLedgerError(thrown) && thrown.code === 'MOUNT_BUSY';
    if (!isInUse && existsSync(place)) throw thrown;
  }
}

/** A base that is mounted, and stays so while its file is open; null: it has gone. */
function kept(base: CloneBase, { folder, file }: Mount): UsedBase | null {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return null;
  }
  const letGo = async (): Promise<void> => {
    closeSync(fd);
    if (basename(folder).startsWith(OWN)) await leave(folder);
  };
  return { base, letGo };
}

/** What so many clones of a point map of all that is mounted; null: that is no gain. */
async function foundBase(ledger: Ledger, point: VmPoint, clones: number): Promise<UsedBase | null> {
  const block = mappedBlockOf(point);
  const mounts = livingMounts().flatMap((mount) => {
    const of = mount.part === block ? pointOf(ledger, mount) : null;
    return of === null ? [] : [{ mount, base: { point: of, block, path: mount.file } }];
  });
  const base = await baseFor(ledger, point, { bases: mounts.map((each) => each.base), clones });
  const found = mounts.find((each) => each.base === base);
  return found === undefined ? null : kept(found.base, found.mount);
}

/** Mounts something for these clones alone. */
async function mountedAlone(
  command: Command,
  what: readonly string[],
): Promise<{ readonly mount: MountedRow; readonly letGo: () => Promise<void> }> {
  const place = mountPlace(mkdtempSync(join(tmpdir(), OWN)));
  try {
    const mount = await startMount(command, place, what);
    return { mount, letGo: () => leave(place) };
  } catch (thrown) {
    rmdirSync(place);
    throw thrown;
  }
}

/** Mounts the point for these clones. */
async function ownBase(command: Command, point: VmPoint): Promise<UsedBase> {
  const block = mappedBlockOf(point);
  const { vm } = point.entry;
  const { capture } = point.row;
  const { mount, letGo } = await mountedAlone(command, wordsOfPart({ vm, capture, block }));
  return { base: { point, block, path: mount.file }, letGo };
}

/**
 * What clones of a point map: what is mounted at a folder where one is named, else what of all that is
 * mounted is a gain, else a point that is mounted for them.
 */
export async function usedBase(
  command: Command,
  ledger: Ledger,
  of: {
    readonly point: VmPoint;
    readonly clones: number;
    /** Absent: it is looked for. */
    readonly over?: string;
    /** What is mounted where nothing is; absent: the point. */
    readonly else?: VmPoint;
  },
): Promise<UsedBase> {
  const { point, clones, over } = of;
  if (over !== undefined) return mountedBase(ledger, point, over);
  return (await foundBase(ledger, point, clones)) ?? ownBase(command, of.else ?? point);
}

/** How many other points of this user are files here, in memory each for itself. */
export const otherBases = ({ block, path }: CloneBase): number =>
  livingMounts().filter(({ part, file }) => part === block && file !== path).length;

/** What a memory server serves, as guests are started over it. */
interface FarBase {
  readonly guest: FarGuest;
  readonly master: ParentPoint;
  readonly path: string;
  letGo(): Promise<void>;
}

/** Mounts what a memory server serves for these clones alone, and asks for all else of the guest. */
export async function farBase(command: Command, { server, check }: Far): Promise<FarBase> {
  const { master, bytes, devices } = await readMaster(server, check);
  const { mount, letGo } = await mountedAlone(command, wordsOfFar(command.opts<FarOptions>()));
  const { block, vm, capture } = master;
  try {
    const isSame = mount.vm === vm && mount.capture === capture && mount.bytes === bytes;
    if (!isSame)
      throw new LedgerError('PEER_REFUSED', 'the memory server serves another point by now', {});
    const guest = await FarGuest.read(devices, { block, bytes });
    const end = async (): Promise<void> => {
      guest.close();
      await letGo();
    };
    return { guest, master: { vm, capture }, path: mount.file, letGo: end };
  } catch (thrown) {
    await letGo();
    throw thrown;
  }
}
