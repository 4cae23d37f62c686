// Temporary folders, and failures of theirs by the name of the place: where it was said, and what
// would be another way.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import { codeOfErrno, errnoOf } from '../files/failures.ts';
import { asOwnersOwn } from '../files/system-calls.ts';
import { sentenceOf } from './qemu/failure.ts';

/** What a message calls a place for temporary files. */
export const temporaryPlace = (folder: string | undefined): string =>
  folder ?? `${tmpdir()} (${process.env['TMPDIR'] === undefined ? 'the system' : '$TMPDIR'})`;

/** A new folder in `folder`, or in the system's place for temporary files. */
export function makeTemporaryFolder(prefix: string, folder?: string): string {
  try {
    return asOwnersOwn(() => mkdtempSync(join(folder ?? tmpdir(), prefix)));
  } catch (error) {
    throw temporaryFailure(error, folder);
  }
}

/** What went wrong with temporary files, by name; what is no failure of the system stays as it is. */
export function temporaryFailure(thrown: unknown, folder?: string): unknown {
  const system = errnoOf(thrown);
  if (system === null) return thrown;
  const place = temporaryPlace(folder);
  const isFull = codeOfErrno(system) === 'DISK_FULL';
  return new LedgerError(
    isFull ? 'DISK_FULL' : 'IO_FAILED',
    `no temporary file in ${place}: ${sentenceOf(thrown)}; ${
      isFull ? 'make room there' : 'make it, or make it writable'
    }, or set TMPDIR to a folder that has room for the memory of a guest`,
    { folder: folder ?? tmpdir(), system },
    thrown,
  );
}
