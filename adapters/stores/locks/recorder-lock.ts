// One recorder of a VM (a second recorder of the same VM is refused at once, before any work was done).

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { atPort } from '../../../domain/ports/run.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { failureOf } from '../../files/failures.ts';
import { holdLock, type HeldLock, type LockPlace } from './held-lock.ts';

function busy(vm: string, processId: number | null): LedgerError {
  const who = processId === null ? 'another process' : `process ${processId}`;
  return new LedgerError(
    'VM_BUSY',
    `${who} is recording VM '${vm}' into this ledger; a VM has one recorder at a time. ` +
      'Stop that one first, or record under another name.',
    { vm, processId },
  );
}

/** Takes the lock of a VM, or VM_BUSY at once. It never keeps the process alive. */
export const lockRecorder = (place: LockPlace, vm: string): TaskEither<LedgerError, HeldLock> =>
  atPort(
    () =>
      holdLock(place, { name: `vm-${vm}`, kind: 'exclusive' }, (processId) => busy(vm, processId)),
    (thrown) => failureOf(thrown, { operation: 'lock the recording of', path: vm }),
  );
