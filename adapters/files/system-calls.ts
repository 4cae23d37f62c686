// The callback functions of node:fs as promises whose failures are LedgerErrors.

import { isLedgerError } from '../../domain/values/ledger-error.ts';
import { errnoOf, fileFailure } from './failures.ts';

export type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

/** Calls a callback function of node:fs; what it refuses is a LedgerError. */
export const call = <T>(
  operation: string,
  path: string,
  run: (done: Callback<T>) => void,
): Promise<T> =>
  new Promise((resolve, reject) => {
    run((error, value) => {
      if (error === null) resolve(value);
      else reject(fileFailure(error, { operation, path }));
    });
  });

/** Calls a synchronous function of node:fs, with the same failures. */
export function callNow<T>(operation: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw fileFailure(error, { operation, path });
  }
}

export const noValue =
  (done: Callback<void>) =>
  (error: NodeJS.ErrnoException | null | undefined): void => {
    done(error ?? null, undefined);
  };

export const hasDone =
  (done: Callback<boolean>) =>
  (error: NodeJS.ErrnoException | null): void => {
    done(error, true);
  };

/** As `call`, but an error with the system's code `errno` is the value `absent`. */
export const callOr = async <T>(
  { errno, absent }: { readonly errno: string; readonly absent: T },
  pending: Promise<T>,
): Promise<T> => {
  try {
    return await pending;
  } catch (error) {
    if (isLedgerError(error) && errnoOf(error.cause) === errno) return absent;
    throw error;
  }
};

/** Permissions of others. */
const OTHERS = 0o077;

/** Sets the process's umask and gives the one before; null: this thread cannot. */
function umaskOr(mask: number): number | null {
  try {
    return process.umask(mask);
  } catch (thrown) {
    // Asked like this, as the module that tells threads apart takes a command line time to load.
    if (errnoOf(thrown) === 'ERR_WORKER_UNSUPPORTED_OPERATION') return null;
    throw thrown;
  }
}

/**
 * Makes a folder that its owner can use, also where the umask takes that away: permissions could be given
 * to it only once it is open. Threads have no umask of their own to change.
 */
export function asOwnersOwn<T>(make: () => T): T {
  const before = umaskOr(OTHERS);
  if (before === null) return make();
  try {
    return make();
  } finally {
    process.umask(before);
  }
}
