// Failures as exit codes and sentences (brief, section 5): 0 done, 1 failed, 2 bad usage, 3 integrity
// damage found. Under --json the sentence still goes to stderr.

import { isDamage } from '../../../projections/questions/verify.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';

export const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
export const EXIT_DAMAGE = 3;

/** Words on the command line that do not fit. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const USAGE_REFUSALS = new Set([
  'BadVmName',
  'BadGroupName',
  'BadCheckpointName',
  'BadPlace',
  'BadPoint',
  'BadExpression',
  'BadIdentifier',
  'ProjectionUnknown',
  'BadUrl',
]);

/** The exit code that a failure stands for. */
export function exitCodeOf(failure: unknown): number {
  if (failure instanceof UsageError) return EXIT_USAGE;
  if (isRefused(failure))
    return USAGE_REFUSALS.has(failure.refusal._tag) ? EXIT_USAGE : EXIT_FAILED;
  if (isLedgerError(failure)) return isDamage(failure) ? EXIT_DAMAGE : EXIT_FAILED;
  return EXIT_FAILED;
}

/** The line that stderr shows for a failure. Bugs keep their stack. */
export function failureText(failure: unknown): string {
  if (isLedgerError(failure)) return `pageledger: ${failure.message} [${failure.code}]`;
  if (isRefused(failure) || failure instanceof UsageError) return `pageledger: ${failure.message}`;
  const text = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
  return `pageledger: unexpected failure, please report it: ${text}`;
}
