// Failures as exit codes and as what standard error shows (docs/errors.md): a sentence, or one object
// under --json.

import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { escapedLines } from '../rows/escaped-text.ts';
import {
  failureRow,
  Interrupted,
  type FailureRow,
  type Interrupting,
} from '../rows/failure-rows.ts';
import { jsonLine } from '../rows/row.ts';

export { UsageError } from '../rows/failure-rows.ts';

export const EXIT_FAILED = 1;
export const EXIT_DAMAGE = 3;

const EXIT_CODES: Readonly<Record<FailureRow['kind'], number>> = {
  failed: EXIT_FAILED,
  usage: 2,
  damage: EXIT_DAMAGE,
  busy: 4,
  absent: 5,
  away: 6,
  interrupted: 130,
};

/** As a shell shows the end by a signal: 128 and its number. */
const SIGNAL_CODES: Readonly<Record<Interrupting, number>> = {
  SIGINT: EXIT_CODES.interrupted,
  SIGTERM: 143,
  SIGHUP: 129,
  SIGQUIT: 131,
};

/** The exit code that a failure stands for. */
export const exitCodeOf = (failure: unknown): number =>
  failure instanceof Interrupted
    ? SIGNAL_CODES[failure.signal]
    : EXIT_CODES[failureRow(failure).kind];

/** What standard error shows of a failure. */
export function failureText(failure: unknown): string {
  const { code, message } = failureRow(failure);
  const text = isLedgerError(failure) ? `${message} [${code}]` : message;
  return escapedLines(`pageledger: ${text}`);
}

/** The same for programs: one object on a line. */
export function failureJson(failure: unknown): string {
  const { code, message, facts, advice } = failureRow(failure);
  return jsonLine({ error: { code, message, facts, advice } });
}
