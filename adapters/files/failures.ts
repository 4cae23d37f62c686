// How the stores give what was thrown inside them to their callers: once, at the port.

import { InvariantError } from '../../domain/values/assert.ts';
import { isLedgerError } from '../../domain/values/ledger-error.ts';
import type { LedgerError } from '../../domain/values/ledger-error.ts';
import { fileFailure } from './files.ts';

/** The LedgerError of what was thrown; one that is one stays as it is. */
export function failureOf(
  thrown: unknown,
  doing: { readonly operation: string; readonly path: string },
): LedgerError {
  if (isLedgerError(thrown)) return thrown;
  // Our own bug is no operating failure: it goes on up, to the edge of the process.
  if (thrown instanceof InvariantError) throw thrown;
  return fileFailure(thrown, doing);
}

/** What the system answered to a file operation, as ENOENT, or null. */
export const systemCodeOf = (thrown: unknown): unknown =>
  isLedgerError(thrown) ? (thrown.facts['errno'] ?? null) : null;

/** Whether a file operation failed because there is nothing of that name. */
export const isAbsent = (thrown: unknown): boolean => systemCodeOf(thrown) === 'ENOENT';
