// Where a cache reads from: a page store that also says how long a pack is, which its port has no use
// for.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { PackRange } from '../page-requests.ts';

/** Most bytes of a pack, with room: 4,096 pages stored as they are, and a header. */
export const PACK_BYTES_MAX = 17 * 2 ** 20;

/** What of a range is in a pack. */
export interface FoundRange {
  /** As long as the range, or as much of it as lies before the pack's end. */
  readonly bytes: Uint8Array;
  /** Of the whole pack. */
  readonly sizeBytes: number;
}

export interface RangeSource {
  /** A part of a pack that ends within PACK_BYTES_MAX, and the pack's size. PACK_MISSING. */
  find(range: PackRange): TaskEither<LedgerError, FoundRange>;
}

/** Whether a range can be one of a pack; others are only held against the pack's size. */
export const canBeOfPack = ({ offsetBytes, lengthBytes }: PackRange): boolean =>
  lengthBytes > 0 && offsetBytes + lengthBytes <= PACK_BYTES_MAX;
