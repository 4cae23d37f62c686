// Whole reads and writes at a place in a file, with short ones finished and failures told as
// LedgerError.

import { readSync, writeSync } from 'node:fs';
import { LedgerError } from '../../domain/ledger-error.ts';
import type { LedgerErrorCode } from '../../domain/ledger-error.ts';

/** A stretch of a buffer and the place in a file it comes from or goes to. */
export interface Stretch {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly lengthBytes: number;
  readonly offsetBytes: number;
  /** What a message calls the file. */
  readonly label: string;
}

function errnoOf(error: unknown): string {
  const isCoded = typeof error === 'object' && error !== null && 'code' in error;
  return isCoded ? String(error.code) : 'an unknown error';
}

/** Codes of a write's failure that mean that there is no room. */
const NO_ROOM: readonly string[] = ['ENOSPC', 'EDQUOT'];
const UNWRITABLE: readonly string[] = ['EBADF', 'EROFS', 'EPERM', 'EACCES', 'EFBIG', 'ESPIPE'];

function readOnce(stretch: Stretch, done: number): number {
  const { fd, bytes, at, lengthBytes, offsetBytes, label } = stretch;
  try {
    return readSync(fd, bytes, at + done, lengthBytes - done, offsetBytes + done);
  } catch (error) {
    throw new LedgerError(
      'SOURCE_UNREADABLE',
      `reading ${lengthBytes} bytes at offset ${offsetBytes} of ${label} failed with ` +
        `${errnoOf(error)}; expected the image's pages. Check the file and the disk it is on.`,
      { label, offsetBytes, lengthBytes, errno: errnoOf(error) },
      error,
    );
  }
}

/** Reads the whole stretch; SOURCE_SIZE if the file ends before it does. */
export function readFully(stretch: Stretch): void {
  const { lengthBytes, offsetBytes, label } = stretch;
  let done = 0;
  while (done < lengthBytes) {
    const count = readOnce(stretch, done);
    if (count === 0)
      throw new LedgerError(
        'SOURCE_SIZE',
        `${label} ends at byte ${offsetBytes + done}; expected at least ` +
          `${offsetBytes + lengthBytes}, as when reading began. ` +
          `Record it again when nobody changes it.`,
        { label, found: offsetBytes + done, expected: offsetBytes + lengthBytes },
      );
    done += count;
  }
}

function writeFailure(stretch: Stretch, errno: string, cause?: unknown): LedgerError {
  const { label, lengthBytes, offsetBytes } = stretch;
  let code: LedgerErrorCode = 'IO_FAILED';
  let advice = 'Check the disk it is on.';
  if (NO_ROOM.includes(errno)) {
    code = 'DISK_FULL';
    advice = 'Free some space and run it again.';
  } else if (UNWRITABLE.includes(errno)) {
    code = 'TARGET_UNWRITABLE';
    advice = 'Choose another target.';
  }
  return new LedgerError(
    code,
    `writing ${lengthBytes} bytes of ${label} at offset ${offsetBytes} of the target failed with ` +
      `${errno}; expected all to be written. ${advice}`,
    { label, offsetBytes, lengthBytes, errno },
    cause,
  );
}

function writeOnce(stretch: Stretch, done: number): number {
  const { fd, bytes, at, lengthBytes, offsetBytes } = stretch;
  try {
    return writeSync(fd, bytes, at + done, lengthBytes - done, offsetBytes + done);
  } catch (error) {
    throw writeFailure(stretch, errnoOf(error), error);
  }
}

/** Writes the whole stretch; DISK_FULL where there is no room. */
export function writeFully(stretch: Stretch): void {
  let done = 0;
  while (done < stretch.lengthBytes) {
    const count = writeOnce(stretch, done);
    if (count === 0) throw writeFailure(stretch, 'no byte written');
    done += count;
  }
}
