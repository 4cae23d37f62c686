// From what the system answers to what a caller is told: the one table of its codes, and how the
// stores give what was thrown inside them to their callers, once, at the port.

import { InvariantError } from '../../domain/values/assert.ts';
import {
  LedgerError,
  isLedgerError,
  type LedgerErrorCode,
} from '../../domain/values/ledger-error.ts';

const CODE_OF_ERRNO: Readonly<Record<string, LedgerErrorCode>> = {
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EROFS: 'READ_ONLY',
  EACCES: 'READ_ONLY',
  EPERM: 'READ_ONLY',
};

const ADVICE: Readonly<Partial<Record<LedgerErrorCode, string>>> = {
  DISK_FULL: 'free some space and try again',
  READ_ONLY: 'give permission for it or use another place',
};

/** The system's code of anything thrown, as ENOENT, or null. */
export const errnoOf = (thrown: unknown): string | null =>
  typeof thrown === 'object' &&
  thrown !== null &&
  'code' in thrown &&
  typeof thrown.code === 'string'
    ? thrown.code
    : null;

/** What the system's code means to a ledger: DISK_FULL, READ_ONLY, and IO_FAILED for all others. */
export const codeOfErrno = (errno: string): LedgerErrorCode => CODE_OF_ERRNO[errno] ?? 'IO_FAILED';

/** The LedgerError for what the system said about `operation` on `path`. */
export function fileFailure(
  cause: unknown,
  { operation, path }: { readonly operation: string; readonly path: string },
): LedgerError {
  const errno = errnoOf(cause) ?? 'unknown error';
  const code = codeOfErrno(errno);
  const advice = ADVICE[code] ?? 'see to the device or the path and try again';
  return new LedgerError(
    code,
    `cannot ${operation} ${path}: the system answered ${errno}; ${advice}`,
    { file: path, operation, errno },
    cause,
  );
}

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

/** What opening something is answered that is no regular file (node-file.ts). */
const NO_FILE: readonly unknown[] = ['EISDIR', 'EINVAL'];

/** What the system answered to a file operation, as ENOENT, or null. */
export const systemCodeOf = (thrown: unknown): unknown =>
  isLedgerError(thrown) ? (thrown.facts['errno'] ?? null) : null;

/** Whether a file operation failed because there is nothing of that name. */
export const isAbsent = (thrown: unknown): boolean => systemCodeOf(thrown) === 'ENOENT';

/**
 * Whether a file could not be had because what stands there is none, but a folder, a pipe, a device. That
 * will not pass, and nobody refused anything.
 */
export const isNoFile = (thrown: unknown): thrown is LedgerError =>
  isLedgerError(thrown) && NO_FILE.includes(systemCodeOf(thrown));
