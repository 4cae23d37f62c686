// What clones map: a point that is mounted already, or one that is mounted for them alone.

import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { ParentPoint } from '../../../domain/vm.ts';
import { mappedBlockOf, type CloneBase } from '../../wiring/clones/clone-base.ts';
import { FarGuest } from '../../wiring/clones/far-point.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../wiring/ledger/vm-point.ts';
import { readMaster, type FarServer } from '../nbd/far-memory.ts';
import { unmountFolder } from '../nbd/fuse.ts';
import { hasDied, mountAt, mountPlace } from '../nbd/mounts.ts';
import { startMount, wordsOfFar, wordsOfPart, type MountedRow } from './background-mount.ts';
import type { FarOptions } from './far-server.ts';

/** A base, and what to do once nobody maps it. */
export interface UsedBase {
  readonly base: CloneBase;
  letGo(): Promise<void>;
}

/** What is mounted at a folder, as a base. */
export function mountedBase(ledger: Ledger, point: VmPoint, folder: string): UsedBase {
  const place = mountPlace(folder);
  const mount = mountAt(place);
  const block = mappedBlockOf(point);
  if (mount === null || hasDied(mount) || mount.part !== block)
    throw new LedgerError(
      'NOT_FOUND',
      `no block ${block} of a point is mounted at ${place}: \`pageledger mount --vm ${point.entry.vm} --block ${block} ${place}\` does that`,
      { folder: place, block },
    );
  const entry = ledger.vm(mount.vm);
  const row = ledger.resolve(entry, `@${mount.capture}`);
  const base = { point: { entry, row }, block, path: mount.file };
  return { base, letGo: () => Promise.resolve() };
}

/** Mounts something for these clones alone. */
async function mountedAlone(
  command: Command,
  what: readonly string[],
): Promise<{ readonly mount: MountedRow; readonly letGo: () => Promise<void> }> {
  const place = mountPlace(mkdtempSync(join(tmpdir(), 'pageledger-base-')));
  try {
    const mount = await startMount(command, place, what);
    const letGo = async (): Promise<void> => {
      await unmountFolder(place, 'when free');
      rmdirSync(place);
    };
    return { mount, letGo };
  } catch (thrown) {
    rmdirSync(place);
    throw thrown;
  }
}

/** Mounts the point for these clones alone. */
export async function ownBase(command: Command, point: VmPoint): Promise<UsedBase> {
  const block = mappedBlockOf(point);
  const { vm } = point.entry;
  const { capture } = point.row;
  const { mount, letGo } = await mountedAlone(command, wordsOfPart({ vm, capture, block }));
  return { base: { point, block, path: mount.file }, letGo };
}

/** What a memory server serves, as guests are started over it. */
interface FarBase {
  readonly guest: FarGuest;
  readonly master: ParentPoint;
  readonly path: string;
  letGo(): Promise<void>;
}

/** Mounts what a memory server serves for these clones alone, and asks for all else of the guest. */
export async function farBase(command: Command, server: FarServer): Promise<FarBase> {
  const { master, bytes, devices } = await readMaster(server);
  const { mount, letGo } = await mountedAlone(command, wordsOfFar(command.opts<FarOptions>()));
  const { block, vm, capture } = master;
  try {
    const isSame = mount.vm === vm && mount.capture === capture && mount.bytes === bytes;
    if (!isSame)
      throw new LedgerError('PEER_REFUSED', 'the memory server serves another point by now', {});
    const guest = await FarGuest.read(devices, { block, bytes, path: mount.file });
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
