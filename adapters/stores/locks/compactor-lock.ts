// One compaction of a ledger at a time: two would rewrite the same content twice.

import { setTimeout } from 'node:timers/promises';
import * as either from 'fp-ts/lib/Either.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { atPort, run } from '../../../domain/ports/run.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { failureOf } from '../../files/failures.ts';
import { holdLock, type HeldLock, type LockPlace } from './held-lock.ts';

function busy(processId: number | null): LedgerError {
  const who = processId === null ? 'another process' : `process ${processId}`;
  return new LedgerError(
    'COMPACTION_BUSY',
    `${who} compacts this ledger, and only one does at a time; wait until it has ended`,
    { processId },
  );
}

const MERGER = 'merger';
/** A merge holds its lock for some milliseconds, or, of a large VM, for seconds. */
const LOOK_AGAIN_MS = 20;
const WAIT_MS_MAX = 600_000;

const hold = (place: LockPlace, name: string): TaskEither<LedgerError, HeldLock> =>
  atPort(
    () => holdLock(place, { name, kind: 'exclusive' }, busy),
    (thrown) => failureOf(thrown, { operation: 'lock the compaction in', path: place.folder }),
  );

/** Takes the lock of who merges small packs while it records, or COMPACTION_BUSY at once. */
export const lockMerger = (place: LockPlace): TaskEither<LedgerError, HeldLock> =>
  hold(place, MERGER);

/** The same, once who merges now is done. */
async function afterMerge(place: LockPlace): Promise<HeldLock> {
  for (const until = performance.now() + WAIT_MS_MAX; ; await setTimeout(LOOK_AGAIN_MS)) {
    const held = await lockMerger(place)();
    if (either.isRight(held)) return held.right;
    if (held.left.code !== 'COMPACTION_BUSY' || performance.now() > until) throw held.left;
  }
}

/**
 * Takes the lock of who compacts a ledger, or COMPACTION_BUSY at once. Who merges small packs meanwhile is
 * waited for, and nobody begins to until it is released.
 */
export const lockCompactor = (place: LockPlace): TaskEither<LedgerError, HeldLock> =>
  atPort(
    async () => {
      const compactor = await run(hold(place, 'compactor'));
      try {
        const merger = await afterMerge(place);
        const release = async (): Promise<void> => {
          await merger.release();
          await compactor.release();
        };
        return { unavailable: compactor.unavailable ?? merger.unavailable, release };
      } catch (thrown) {
        await compactor.release();
        throw thrown;
      }
    },
    (thrown) => failureOf(thrown, { operation: 'lock the compaction in', path: place.folder }),
  );
