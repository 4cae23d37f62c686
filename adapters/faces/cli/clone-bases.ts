// What clones map: a point that is mounted already, or one that is mounted for them alone.

import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { mappedBlockOf, type CloneBase } from '../../wiring/clones/clones.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../wiring/ledger/vm-point.ts';
import { unmountFolder } from '../nbd/fuse.ts';
import { hasDied, mountAt, mountPlace } from '../nbd/mounts.ts';
import { startMount } from './background-mount.ts';

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

/** Mounts the point for these clones alone. */
export async function ownBase(command: Command, point: VmPoint): Promise<UsedBase> {
  const place = mountPlace(mkdtempSync(join(tmpdir(), 'pageledger-base-')));
  const block = mappedBlockOf(point);
  const { vm } = point.entry;
  const { capture } = point.row;
  try {
    const { file } = await startMount(command, place, { vm, capture, block });
    const letGo = async (): Promise<void> => {
      await unmountFolder(place, 'when free');
      rmdirSync(place);
    };
    return { base: { point, block, path: file }, letGo };
  } catch (thrown) {
    rmdirSync(place);
    throw thrown;
  }
}
