// What every event log says of an append before it touches anything, and of one that it has taken before:
// whoever got no answer asks again with the same ids, and is answered as then.

import { assert } from '../../domain/values/assert.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import { APPEND_BYTES_MAX, EVENT_BYTES_MAX } from '../../domain/values/page.ts';
import {
  NO_STREAM,
  type Appended,
  type AppendRequest,
  type StoredEvent,
} from '../../domain/ports/event-log.ts';

const tooLarge = (
  what: string,
  { found, expected }: { readonly found: number; readonly expected: number },
): LedgerError =>
  new LedgerError(
    'EVENT_TOO_LARGE',
    `found ${what} of ${found} bytes, expected at most ${expected}; cut it into smaller ones`,
    { found, expected },
  );

/** Refuses what no log takes, whatever it holds: EVENT_TOO_LARGE. */
export function checkAppend({ stream, events }: AppendRequest): void {
  assert(events.length > 0, 'an append has an event');
  let sizeBytes = 0;
  for (const { data } of events) {
    if (data.length > EVENT_BYTES_MAX)
      throw tooLarge(`an event for ${stream}`, { found: data.length, expected: EVENT_BYTES_MAX });
    sizeBytes += data.length;
  }
  if (sizeBytes > APPEND_BYTES_MAX)
    throw tooLarge(`an append to ${stream}`, { found: sizeBytes, expected: APPEND_BYTES_MAX });
}

/** Another writer was first; `actual` is the revision that the stream has now. */
export const conflict = (
  { stream, expectedRevision: expected }: AppendRequest,
  actual: number,
): LedgerError =>
  new LedgerError(
    'REVISION_CONFLICT',
    `found stream ${stream} at revision ${actual}, expected ${expected}: another writer was first; read on and decide again`,
    { stream, expected, actual },
  );

/** The revisions that an append would have taken; null: the stream does not reach as far. */
export function revisionsOf(
  { expectedRevision, events }: AppendRequest,
  actual: number,
): { readonly fromRevision: number; readonly count: number } | null {
  if (expectedRevision < NO_STREAM || expectedRevision + events.length > actual) return null;
  return { fromRevision: expectedRevision + 1, count: events.length };
}

/** The answer given before, where a stream has the very events of an append in its place; else REVISION_CONFLICT. */
export function answeredBefore(
  request: AppendRequest,
  { found, actual }: { readonly found: readonly StoredEvent[]; readonly actual: number },
): Appended {
  const { events } = request;
  const last = found.at(-1);
  const isAgain =
    found.length === events.length &&
    found.every(({ id }, i) => Buffer.compare(id, events[i]!.id) === 0);
  if (!isAgain || last === undefined) throw conflict(request, actual);
  return { position: last.position, revision: last.revision };
}
