// Streams of the ledger have no gaps. Who reads the log sees one where somebody deleted or cut off a
// stream and the server has tidied up: it is told as damage, in the place where it shows.

import type { LogDamage, StoredEvent } from '../../../domain/ports/event-log.ts';
import { FOREIGN_PREFIX, TOMBSTONE_TYPE } from './event-codec.ts';

const TOMBSTONE = FOREIGN_PREFIX + TOMBSTONE_TYPE;

/** Whether that is only the server's mark for a stream that was deleted for good. */
export const isTombstone = ({ type }: StoredEvent): boolean => type === TOMBSTONE;
const ADVICE =
  'pageledger did not let them go; restore the server from a copy, or copy the ledger into a new one';

export class RevisionCheck {
  readonly #lastOf = new Map<string, number>();
  /** By stream: the first revision that the ledger kept of it. */
  readonly #firstKept = new Map<string, number>();
  readonly #isFromStart: boolean;

  /** From the log's start on, a stream begins with revision 0; later the first one seen is believed. */
  constructor(from: bigint) {
    this.#isFromStart = from === 0n;
  }

  /** Whether events before this one are gone, and it is not known yet whether the ledger let them go. */
  asks({ stream, revision }: StoredEvent): boolean {
    return revision > this.#last(stream, revision) + 1 && !this.#firstKept.has(stream);
  }

  /** The ledger let go of what was before a revision. */
  tell(stream: string, firstKept: number): void {
    this.#firstKept.set(stream, firstKept);
  }

  #last(stream: string, revision: number): number {
    const last = this.#lastOf.get(stream) ?? (this.#isFromStart ? -1 : revision - 1);
    return Math.max(last, (this.#firstKept.get(stream) ?? 0) - 1);
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
    const last = this.#last(stream, revision);
    this.#lastOf.set(stream, revision);
    if (revision <= last + 1) return null;
    return {
      ...damage,
      revisions: [last + 1, revision - 1],
      reason: `found revision ${revision} of stream ${stream}, expected ${last + 1}: the events between are gone; ${ADVICE}`,
    };
  }
}
