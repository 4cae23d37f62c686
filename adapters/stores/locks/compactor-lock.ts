// One compaction of a ledger at a time: two would rewrite the same content twice.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { atPort } from '../../../domain/ports/run.ts';
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

/** Takes the lock of who compacts a ledger, or COMPACTION_BUSY at once. */
export const lockCompactor = (place: LockPlace): TaskEither<LedgerError, HeldLock> =>
  atPort(
    () => holdLock(place, { name: 'compactor', kind: 'exclusive' }, busy),
    (thrown) => failureOf(thrown, { operation: 'lock the compaction in', path: place.folder }),
  );
