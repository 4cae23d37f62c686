// How an event stands on the server (docs/events.md): its identifier as a UUID, its schema and time as
// JSON metadata, its data as JSON where it is a JSON object that survives being parsed and printed
// byte for byte (people read it in the server's own UI), else binary. Both come back byte for byte.
//
// Whatever lacks our metadata was written by someone else. It keeps its place and revision, so that a
// stream has no gap there, under a type that no reader of ours knows, and without its data.

import type { EventData, RecordedEvent } from '@eventstore/db-client';
import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { assert } from '../../../domain/values/assert.ts';
import { EVENT_BYTES_MAX } from '../../../domain/values/page.ts';
import type { NewEvent, Position, StoredEvent } from '../../../domain/ports/event-log.ts';

/** Before the type of an event that pageledger did not write. */
export const FOREIGN_PREFIX = 'foreign:';
/** The type of what the server itself writes where a stream is deleted for good. */
export const TOMBSTONE_TYPE = '$streamDeleted';

const ID_BYTES = 16;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/iu;
/** Where a UUID's text has its hyphens, in hex digits. */
const UUID_CUTS = [0, 8, 12, 16, 20, 32];
const OPENING_BRACE = 0x7b;

const Metadata = t.type({ schema: t.number, timeMs: t.number });

/** An event of a stream of ours, and whether pageledger wrote it. */
export interface FoundEvent {
  readonly event: StoredEvent;
  readonly isForeign: boolean;
}

/** The 16 bytes as a UUID. */
export function uuidOf(id: Uint8Array): string {
  assert(id.length === ID_BYTES, 'an event has an identifier of 16 bytes');
  // The server takes a UUID of zeros for none.
  assert(
    id.some((byte) => byte !== 0),
    "an event's identifier is not all zeros",
  );
  let digits = '';
  for (const byte of id) digits += byte.toString(16).padStart(2, '0');
  return UUID_CUTS.slice(1)
    .map((end, i) => digits.slice(UUID_CUTS[i], end))
    .join('-');
}

function bytesOfUuid(uuid: string): Uint8Array | null {
  if (!UUID.test(uuid)) return null;
  const digits = uuid.replaceAll('-', '');
  return Uint8Array.from({ length: ID_BYTES }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The object that the bytes are the JSON text of, exactly; null: they are no such text. */
function jsonOf(data: Uint8Array): Record<string, unknown> | null {
  if (data[0] !== OPENING_BRACE) return null;
  try {
    const text = decoder.decode(data);
    const parsed: unknown = JSON.parse(text);
    return t.UnknownRecord.is(parsed) && JSON.stringify(parsed) === text ? parsed : null;
  } catch {
    return null;
  }
}

/** An event as the client sends it; it shares nothing with the caller's buffers. */
export function toServerEvent(event: NewEvent): EventData {
  assert(event.type !== '', 'an event has a type');
  assert(
    Number.isSafeInteger(event.schema) && event.schema >= 0 && Number.isFinite(event.timeMs),
    'an event has a schema number and a time',
  );
  const { type } = event;
  const id = uuidOf(event.id);
  const metadata = { schema: event.schema, timeMs: event.timeMs };
  const json = jsonOf(event.data);
  return json === null
    ? {
        id,
        type,
        contentType: 'application/octet-stream',
        // A plain array of bytes of our own: the client turns other kinds into something else.
        data: new Uint8Array(event.data),
        metadata,
      }
    : { id, type, contentType: 'application/json', data: json, metadata };
}

function dataOf(recorded: RecordedEvent): Uint8Array {
  return recorded.isJson ? encoder.encode(JSON.stringify(recorded.data)) : recorded.data;
}

/** An event as the server gives it, in the stream `stream` of the ledger. */
export function fromServerEvent(
  recorded: RecordedEvent,
  { stream, position }: { readonly stream: string; readonly position: Position },
): FoundEvent {
  const metadata = Metadata.decode(recorded.metadata);
  const id = bytesOfUuid(recorded.id);
  const place = { position, stream, revision: Number(recorded.revision) };
  if (either.isRight(metadata) && isOurs(metadata.right) && id !== null) {
    const data = dataOf(recorded);
    if (data.length <= EVENT_BYTES_MAX) {
      const { schema, timeMs } = metadata.right;
      return {
        event: { ...place, id, type: recorded.type, schema, timeMs, data },
        isForeign: false,
      };
    }
  }
  const event = {
    ...place,
    id: id ?? new Uint8Array(ID_BYTES),
    type: FOREIGN_PREFIX + recorded.type,
    schema: 0,
    timeMs: recorded.created.getTime(),
    data: new Uint8Array(),
  };
  return { event, isForeign: true };
}

const isOurs = ({ schema, timeMs }: t.TypeOf<typeof Metadata>): boolean =>
  Number.isSafeInteger(schema) && schema >= 0 && Number.isFinite(timeMs);
