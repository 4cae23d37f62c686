// Whole reads and writes at a place in a file, with short ones finished and failures told as
// LedgerError.

import { codeOfErrno, errnoOf } from '../../files/failures.ts';
import { readMemory, writeMemory, type MemoryPart } from '../../files/memory-file.ts';
import type { MemoryFile } from '../../../domain/ports/guests.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { LedgerErrorCode } from '../../../domain/values/ledger-error.ts';

/** A stretch of a buffer and the place in a file it comes from or goes to. */
export interface Stretch {
  readonly file: MemoryFile;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly lengthBytes: number;
  readonly offsetBytes: number;
  /** What a message calls the file. */
  readonly label: string;
}

/** What the system said, for a message. */
const saidOf = (error: unknown): string => errnoOf(error) ?? 'an unknown error';

/** Codes that say that this file cannot be written, whatever the disk. */
const UNWRITABLE: readonly string[] = ['EBADF', 'EFBIG', 'ESPIPE'];

/** How the reading of a stretch ended, where not with all of it. */
type Shortfall =
  | { readonly _tag: 'failed'; readonly error: unknown }
  | { readonly _tag: 'ended'; readonly endBytes: number };

/** What is left of a stretch after so many bytes. */
const rest = ({ bytes, at, lengthBytes, offsetBytes }: Stretch, done: number): MemoryPart => ({
  bytes,
  at: at + done,
  lengthBytes: lengthBytes - done,
  offsetBytes: offsetBytes + done,
});

/** Reads the stretch; null when all of it was there. */
function readStretch(stretch: Stretch): Shortfall | null {
  const { file, lengthBytes, offsetBytes } = stretch;
  let done = 0;
  while (done < lengthBytes) {
    let count: number;
    try {
      count = readMemory(file, rest(stretch, done));
    } catch (error) {
      return { _tag: 'failed', error };
    }
    if (count === 0) return { _tag: 'ended', endBytes: offsetBytes + done };
    done += count;
  }
  return null;
}

/** Reads the whole stretch of an image; SOURCE_SIZE if the file ends before it does. */
export function readFully(stretch: Stretch): void {
  const shortfall = readStretch(stretch);
  if (shortfall === null) return;
  const { lengthBytes, offsetBytes, label } = stretch;
  if (shortfall._tag === 'ended')
    throw new LedgerError(
      'SOURCE_SIZE',
      `${label} ends at byte ${shortfall.endBytes}; expected at least ` +
        `${offsetBytes + lengthBytes}, as when reading began. ` +
        `Record it again when nobody changes it.`,
      { label, found: shortfall.endBytes, expected: offsetBytes + lengthBytes },
    );
  const errno = saidOf(shortfall.error);
  throw new LedgerError(
    'SOURCE_UNREADABLE',
    `reading ${lengthBytes} bytes at offset ${offsetBytes} of ${label} failed with ` +
      `${errno}; expected the image's pages. Check the file and the disk it is on.`,
    { label, offsetBytes, lengthBytes, errno },
    shortfall.error,
  );
}

function writeFailure(stretch: Stretch, errno: string, cause?: unknown): LedgerError {
  const { label, lengthBytes, offsetBytes } = stretch;
  let code: LedgerErrorCode = 'IO_FAILED';
  let advice = 'Check the disk it is on.';
  const meant = codeOfErrno(errno);
  if (meant === 'DISK_FULL') {
    code = 'DISK_FULL';
    advice = 'Free some space and run it again.';
  } else if (meant === 'READ_ONLY' || UNWRITABLE.includes(errno)) {
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
  try {
    return writeMemory(stretch.file, rest(stretch, done));
  } catch (error) {
    throw writeFailure(stretch, saidOf(error), error);
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
