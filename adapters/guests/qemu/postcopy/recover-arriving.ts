// Goes on for a process that gave a guest its memory and has ended. QEMU has paused the guest at a page
// that it lacks; it is asked what it has, and given the rest.

import { dirname, join } from 'node:path';
import type { Socket } from 'node:net';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { isLedgerError, LedgerError } from '../../../../domain/values/ledger-error.ts';
import type { ArrivingGuest } from '../../../../domain/ports/arriving-guest.ts';
import type { MemoryMap } from '../../../../domain/values/memory-map.ts';
import { attempt } from '../failure.ts';
import { delay, runStateNow } from '../migration-control.ts';
import { connectQmp, type QmpClient } from '../qmp-client.ts';
import { connected, isTooEarly } from '../starting-qemu.ts';
import { ArrivingQemu } from './arriving-qemu.ts';
import { askKeeper, connectionToKeep, startKeeper, type Keeper } from './keeper.ts';
import { INCOMING_SOCKET } from './sockets.ts';

export interface RecoverRequest {
  readonly qmpPath: string;
  readonly memoryMap: MemoryMap;
  /** Gives the guest the pages that it lacks; where [page] of `given` is 1 it has it. */
  readonly serve: (guest: ArrivingGuest, given: Uint8Array) => void;
}

export interface RecoveredGuest {
  readonly qmp: QmpClient;
  readonly qmpPath: string;
  readonly runState: string;
  /** Null also where another process started the one that is there. */
  readonly keeper: Keeper;
}

/** How long QEMU may take to find out that the other process has ended, and to listen then. */
const PAUSE_TIMEOUT_MS = 5_000;
const LISTEN_TIMEOUT_MS = 5_000;
const POLL_MS = 5;
/** What QEMU says while the guest is not paused, and where it listens already. */
const NOT_PAUSED = /postcopy is paused/iu;
const LISTENS = /triggered already/iu;

/** Goes on with a guest; right when it runs again. GUEST_ARRIVING where another process gives it its memory. */
export const recoverArriving = (request: RecoverRequest): TaskEither<LedgerError, RecoveredGuest> =>
  attempt('cannot go on with the guest', async () => {
    const { qmpPath, memoryMap } = request;
    // The same for all who go on, one after the other: one may have been killed before it connected.
    const path = join(dirname(qmpPath), INCOMING_SOCKET);
    const isKept = await listensAt(qmpPath, `unix:${path}`);
    const arriving = new ArrivingQemu({ socket: await socketAt(path), memoryMap, path: qmpPath });
    try {
      request.serve(arriving, await arriving.goOn());
      const qmp = await connectQmp({ path: qmpPath });
      const keeper = isKept ? null : startKeeper(qmpPath, await connectionToKeep(qmpPath));
      return { qmp, qmpPath, keeper, runState: await runStateNow(qmp) };
    } catch (error) {
      arriving.leave();
      throw error;
    }
  });

/** Has QEMU listen, as soon as it has seen that nobody gives the guest its memory; whether by a keeper. */
async function listensAt(qmpPath: string, uri: string): Promise<boolean> {
  const limit = performance.now() + PAUSE_TIMEOUT_MS;
  for (;;) {
    const kept = await askKeeper(qmpPath, uri);
    const refusal = kept ?? (await askQemu(qmpPath, uri));
    if (refusal === '' || LISTENS.test(refusal)) return kept !== null;
    const facts = { path: qmpPath, description: refusal };
    if (!NOT_PAUSED.test(refusal))
      throw new LedgerError(
        'QMP_REFUSED',
        `${qmpPath}: QEMU does not go on with the guest: ${refusal}`,
        facts,
      );
    if (performance.now() > limit)
      throw new LedgerError(
        'GUEST_ARRIVING',
        `${qmpPath}: the guest does not wait for somebody: another process gives it its memory; stop that one first (QEMU: ${refusal})`,
        facts,
      );
    await delay(POLL_MS);
  }
}

/** The same of QEMU itself, which may not answer: see keeper.ts. */
async function askQemu(path: string, uri: string): Promise<string> {
  const qmp = await connectQmp({ path });
  try {
    await qmp.execute('migrate-recover', { uri });
    return '';
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'QMP_REFUSED') throw thrown;
    return String(thrown.facts['description']);
  } finally {
    qmp.close();
  }
}

async function socketAt(path: string): Promise<Socket> {
  const limit = performance.now() + LISTEN_TIMEOUT_MS;
  for (;;) {
    try {
      return await connected(path);
    } catch (thrown) {
      if (!isTooEarly(thrown) || performance.now() > limit) throw thrown;
    }
    await delay(POLL_MS);
  }
}
