// A stream, read: what is wrong with it as a value.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { attempt } from '../../../adapters/guests/qemu/failure.ts';
import * as reader from '../../../adapters/guests/qemu/stream-reader.ts';

/** Reads a stream to its end. The image lies in the spool. */
export const readStream = (
  request: reader.ReadStreamRequest,
): TaskEither<LedgerError, Awaited<ReturnType<typeof reader.readStream>>> =>
  attempt(`cannot read ${request.label}`, () => reader.readStream(request));
