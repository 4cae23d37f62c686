// What is wrong with a stream, by where it was met.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { ByteWindow } from './byte-window.ts';

/** A stream that is none of QEMU's, or damaged. */
export function invalid(window: ByteWindow, found: string): LedgerError {
  const { label, offsetBytes: offset } = window;
  return new LedgerError(
    'STREAM_INVALID',
    `${label} has ${found}, at byte ${offset}: expected a QEMU migration stream; ` +
      'capture or copy it again',
    { label, offset },
  );
}

/** A stream that has what a ledger does not read. */
export function unsupported(window: ByteWindow, found: string, instead: string): LedgerError {
  const { label, offsetBytes: offset } = window;
  return new LedgerError(
    'STREAM_UNSUPPORTED',
    `${label} has ${found}, at byte ${offset}, which a ledger does not read: ${instead}`,
    { label, offset },
  );
}
