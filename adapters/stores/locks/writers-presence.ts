// Who writes packs says so, beside any others, so that a compaction on this host knows that packs may
// be under way which no event names yet.

import { join } from 'node:path';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { atPort } from '../../../domain/ports/run.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { failureOf } from '../../files/failures.ts';
import { holdLock, type HeldLock, type LockPlace } from './held-lock.ts';

const NAME = 'writers';
/** A question whether anybody writes holds the lock for some milliseconds; far more than that. */
const WAIT_S = 30;

const neverFree = ({ folder }: LockPlace): LedgerError =>
  new LedgerError(
    'IO_FAILED',
    `the lock ${join(folder, NAME)} was expected to be free in a moment and was not for ${WAIT_S} s; ` +
      'end the process that holds it: `fuser` says which',
    { file: join(folder, NAME) },
  );

/** Says that this process writes packs into a ledger, until it is released. */
export const announceWriter = (place: LockPlace): TaskEither<LedgerError, HeldLock> =>
  atPort(
    () => holdLock(place, { name: NAME, kind: 'shared', waitS: WAIT_S }, () => neverFree(place)),
    (thrown) => failureOf(thrown, { operation: 'announce a writer in', path: place.folder }),
  );

/** Whether anybody may be writing packs into a ledger on this host: so also where that cannot be told. */
export async function mayBeWritten({ files, folder }: LockPlace): Promise<boolean> {
  await files.makeFolder(folder).catch(() => undefined);
  const locked = await files.lock(join(folder, NAME), { kind: 'exclusive' });
  if (locked._tag !== 'lock') return true;
  await locked.release();
  return false;
}
