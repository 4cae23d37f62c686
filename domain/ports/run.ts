// Where asynchronous code meets the ports: their signatures are TaskEither, code on both sides of them
// is async and throws. One way in and one way out, here.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { isLedgerError, type LedgerError } from '../values/ledger-error.ts';
import type { Refusal } from '../values/refusals.ts';
import { refuse } from '../values/refused.ts';

/** The value; a failure is thrown. */
export function valueOf<A>(outcome: Either<LedgerError, A>): A {
  if (either.isLeft(outcome)) throw outcome.left;
  return outcome.right;
}

/** What the domain decided; its no is thrown as Refused. */
export function accepted<A>(decision: Either<Refusal, A>): A {
  if (either.isLeft(decision)) throw refuse(decision.left);
  return decision.right;
}

/** Does what a port offers: its value, or its failure thrown. */
export const run = async <A>(task: TaskEither<LedgerError, A>): Promise<A> => valueOf(await task());

/** What is thrown inside is a LedgerError, or a bug, which stays one. */
function ledgerErrorOf(thrown: unknown): LedgerError {
  if (isLedgerError(thrown)) return thrown;
  throw thrown;
}

/** Offers work at a port. `failureOf` names what other failures than LedgerErrors are, and throws bugs on. */
export const atPort = <A>(
  work: () => Promise<A>,
  failureOf: (thrown: unknown) => LedgerError = ledgerErrorOf,
): TaskEither<LedgerError, A> => taskEither.tryCatch(work, failureOf);
