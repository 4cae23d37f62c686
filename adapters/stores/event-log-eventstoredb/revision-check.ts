// Streams of the ledger have no gaps. Who reads the log sees one where somebody deleted or cut off a
// stream and the server has tidied up: it is told as damage, in the place where it shows.

import type { LogDamage, StoredEvent } from '../../../domain/ports/event-log.ts';
import { FOREIGN_PREFIX, TOMBSTONE_TYPE } from './event-codec.ts';

const TOMBSTONE = FOREIGN_PREFIX + TOMBSTONE_TYPE;

/** Whether that is only the server's mark for a stream that was deleted for good. */
export const isTombstone = ({ type }: StoredEvent): boolean => type === TOMBSTONE;
const ADVICE =
  'pageledger never deletes or truncates streams; restore the server from a copy, or copy the ledger into a new one';

export class RevisionCheck {
  readonly #lastOf = new Map<string, number>();
  readonly #isFromStart: boolean;

  /** From the log's start on, a stream begins with revision 0; later the first one seen is believed. */
  constructor(from: bigint) {
    this.#isFromStart = from === 0n;
  }

  /** What is missing of the event's stream just before it; null: nothing. */
  take(event: StoredEvent): LogDamage | null {
    const { stream, revision, position } = event;
    const damage = { position, lengthBytes: 0, stream };
    if (isTombstone(event))
      return {
        ...damage,
        revisions: null,
        reason: `found stream ${stream} deleted for good, expected all its events; ${ADVICE}`,
      };
    const last = this.#lastOf.get(stream) ?? (this.#isFromStart ? -1 : revision - 1);
    this.#lastOf.set(stream, revision);
    if (revision <= last + 1) return null;
    return {
      ...damage,
      revisions: [last + 1, revision - 1],
      reason: `found revision ${revision} of stream ${stream}, expected ${last + 1}: the events between are gone; ${ADVICE}`,
    };
  }
}
