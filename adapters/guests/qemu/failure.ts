// From what Node and QEMU throw to LedgerError, once, at the edge of the adapter.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { isNativeError } from 'node:util/types';
import { codeOfErrno, errnoOf } from '../../files/failures.ts';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort } from '../../../domain/ports/run.ts';
import type { ErrorFacts, LedgerErrorCode } from '../../../domain/values/ledger-error.ts';

/** The sentence of anything thrown. */
export const sentenceOf = (thrown: unknown): string =>
  isNativeError(thrown) ? thrown.message : String(thrown);

/** A failure of the system, seen while `doing` something; our own bugs pass through unchanged. */
export function guestFailure(
  thrown: unknown,
  otherwise: { readonly code: LedgerErrorCode; readonly doing: string; readonly data?: ErrorFacts },
): LedgerError {
  if (isLedgerError(thrown)) return thrown;
  const system = errnoOf(thrown);
  // Without a system's code it is no failure of the world: it must reach the process's edge.
  if (system === null) throw thrown;
  const full = codeOfErrno(system) === 'DISK_FULL';
  return new LedgerError(
    full ? 'DISK_FULL' : otherwise.code,
    `${otherwise.doing}: ${sentenceOf(thrown)}${full ? '; free some space and try again' : ''}`,
    { ...otherwise.data, system },
    thrown,
  );
}

/** Runs what may throw LedgerError or a system error; the latter is IO_FAILED while `doing`. */
export const attempt = <A>(doing: string, run: () => Promise<A>): TaskEither<LedgerError, A> =>
  atPort(run, (thrown) => guestFailure(thrown, { code: 'IO_FAILED', doing }));
