// How tests look at what a port answered: the value, or the code of its failure.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from '../../domain/values/ledger-error.ts';

/** The value; a failure is thrown, so that a test shows its message. */
export async function valueOf<A>(task: TaskEither<LedgerError, A>): Promise<A> {
  const outcome = await task();
  if (outcome._tag === 'Left') throw outcome.left;
  return outcome.right;
}

/** The failure; a success is thrown. */
export async function failureOf(task: TaskEither<LedgerError, unknown>): Promise<LedgerError> {
  const outcome = await task();
  if (outcome._tag === 'Left') return outcome.left;
  throw new TypeError('a failure was expected, but it succeeded');
}

/** All that an iteration gives. */
export async function gather<A>(items: AsyncIterable<A>): Promise<A[]> {
  const gathered: A[] = [];
  for await (const item of items) gathered.push(item);
  return gathered;
}

/** What was thrown, with where it was thrown, for messages. */
export const thrownText = (thrown: unknown): string =>
  thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
