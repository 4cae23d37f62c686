// What went wrong, as programs read it: a code that docs/errors.md has, the facts, and what to do. The
// same for every face; a face says in its own way what kind it is (an exit code, a status).

import {
  isLedgerError,
  LEDGER_ERRORS,
  type FailureKind,
} from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import { refusalCode, refusalFacts } from '../../../domain/values/refusals.ts';
import type { Row } from './row.ts';

/** Words that do not fit, as a face understood them. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Work that a signal ended. The message says what is done and what is left. */
/** Signals that interrupt a command: a person, a service manager, a terminal that is closed. */
export const INTERRUPTING = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
export type Interrupting = (typeof INTERRUPTING)[number];

export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: Interrupting;

  constructor(signal: Interrupting, message: string) {
    super(message);
    this.signal = signal;
  }
}

export interface FailureRow {
  readonly code: string;
  readonly kind: FailureKind | 'interrupted';
  readonly message: string;
  readonly facts: Row;
  readonly advice: string;
}

const refusedRow = (thrown: unknown): FailureRow | null => {
  if (!isRefused(thrown)) return null;
  const { refusal, message } = thrown;
  const { _tag, ...facts } = refusal;
  return { ...refusalFacts(refusal), code: refusalCode(refusal), message, facts };
};

const ownRow = (thrown: unknown): FailureRow | null => {
  if (thrown instanceof UsageError)
    return {
      code: 'BAD_USAGE',
      kind: 'usage',
      message: thrown.message,
      facts: {},
      advice: 'See `pageledger COMMAND --help`.',
    };
  if (thrown instanceof Interrupted)
    return {
      code: 'INTERRUPTED',
      kind: 'interrupted',
      message: thrown.message,
      facts: { signal: thrown.signal },
      advice: 'Run the command again: what was done stays.',
    };
  return null;
};

/** What went wrong. A fault of ours is UNEXPECTED and bears its stack. */
export function failureRow(thrown: unknown): FailureRow {
  if (isLedgerError(thrown)) {
    const { code, message, facts } = thrown;
    return { code, message, facts, ...LEDGER_ERRORS[code] };
  }
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return (
    refusedRow(thrown) ??
    ownRow(thrown) ?? {
      code: 'UNEXPECTED',
      kind: 'failed',
      message: `unexpected failure, please report it: ${text}`,
      facts: {},
      advice: 'Please report it.',
    }
  );
}
