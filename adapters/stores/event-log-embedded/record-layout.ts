// The bytes of a record of format 2: a whole append (docs/format.md, "Records"). It begins with the
// mark of its segment, random bytes that nobody knows who chooses what stands in an event, and ends
// with its chain value. Numbers are little-endian, (v) LEB128.
//
//      0     8  mark: the first half of the segment's marker
//      8     4  CRC-32 of the segment's marker and of bytes 12 to 75
//     12     4  bytes of the record
//     16     2  count of events; 0: a seal, which ends the segment
//     18     1  bytes of the stream's name, 1 to 255; 0 in a seal
//     19     1  zero
//     20     8  revision of the first event
//     28     8  position up to which the writer had read the log
//     36     8  time of the first event, milliseconds since 1970, as a double
//     44    32  chain value of the stream's previous record; zeros for revision 0
//     76     -  stream name (UTF-8), then the events
//      -    32  chain value: SHA-256 of the record from byte 12 to before it
//
// An event:
//
//            4  distance to the record's start; absent in the first event
//           16  event identifier
//            1  1: its time follows; 0: the time of the event before it
//            8  time, where it follows
//            -  schema (v), bytes of the type's name (u8), type, bytes of data (v), data

import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import { EVENT_BYTES_MAX } from '../../../domain/values/page.ts';
import type { AppendRequest, NewEvent } from '../../../domain/ports/event-log.ts';
import type { EventsWanted, Frame } from './frame.ts';
import { HASH_BYTES, ID_BYTES, nameBytes, readU64, writeU64 } from './layout.ts';
import type { EncodedAppend } from './layout.ts';
import { LebReader, lebBytes, writeLeb } from '../../../domain/values/leb128.ts';

export const RECORD_HEADER_BYTES = 76;
/** An append's data takes at most 960 KiB; the rest is room for what stands around it. */
export const RECORD_BYTES_MAX = 2 * 1024 * 1024;
export const MARK_BYTES = 8;
const CHECKED_OFFSET = 12;
const PREVIOUS_OFFSET = 44;
const DISTANCE_BYTES = 4;
const TIME_BYTES = 8;

/** The numbers in a record's header. */
interface Numbers {
  readonly lengthBytes: number;
  readonly count: number;
  readonly streamBytes: number;
  readonly revision: number;
  readonly seen: number;
  readonly timeMs: number;
}

function writeHeader(bytes: Uint8Array, marker: Uint8Array, numbers: Numbers): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_HEADER_BYTES);
  bytes.set(marker.subarray(0, MARK_BYTES));
  view.setUint32(12, numbers.lengthBytes, true);
  view.setUint16(16, numbers.count, true);
  view.setUint8(18, numbers.streamBytes);
  writeU64(view, 20, numbers.revision);
  writeU64(view, 28, numbers.seen);
  view.setFloat64(36, numbers.timeMs, true);
  const covered = bytes.subarray(CHECKED_OFFSET, RECORD_HEADER_BYTES);
  view.setUint32(8, crc32(covered, crc32(marker)), true);
}

const isTimed = (events: readonly NewEvent[], i: number): boolean =>
  i > 0 && !Object.is(events[i]!.timeMs, events[i - 1]!.timeMs);

const eventBytes = (event: NewEvent, typeBytes: number, hasTime: boolean): number =>
  ID_BYTES +
  1 +
  (hasTime ? TIME_BYTES : 0) +
  lebBytes(event.schema) +
  1 +
  typeBytes +
  lebBytes(event.data.length) +
  event.data.length;

/** An append as one record of the segment with this marker. */
export function encodeRecord(
  request: AppendRequest,
  place: { readonly marker: Uint8Array; readonly previous: Uint8Array; readonly seen: number },
): EncodedAppend {
  const { events } = request;
  const stream = nameBytes(request.stream);
  assert(stream.length > 0, 'a stream has a name');
  const types = events.map((event) => nameBytes(event.type));
  const lengthBytes = events.reduce(
    (sum, event, i) =>
      sum + (i > 0 ? DISTANCE_BYTES : 0) + eventBytes(event, types[i]!.length, isTimed(events, i)),
    RECORD_HEADER_BYTES + stream.length + HASH_BYTES,
  );
  const bytes = new Uint8Array(lengthBytes);
  bytes.set(place.previous, PREVIOUS_OFFSET);
  writeHeader(bytes, place.marker, {
    lengthBytes,
    count: events.length,
    streamBytes: stream.length,
    revision: request.expectedRevision + 1,
    seen: place.seen,
    timeMs: events[0]!.timeMs,
  });
  bytes.set(stream, RECORD_HEADER_BYTES);
  let at = RECORD_HEADER_BYTES + stream.length;
  const view = new DataView(bytes.buffer);
  for (const [i, event] of events.entries()) {
    if (i > 0) {
      view.setUint32(at, at, true);
      at += DISTANCE_BYTES;
    }
    bytes.set(event.id, at);
    at += ID_BYTES;
    const hasTime = isTimed(events, i);
    bytes[at] = hasTime ? 1 : 0;
    at += 1;
    if (hasTime) {
      view.setFloat64(at, event.timeMs, true);
      at += TIME_BYTES;
    }
    at = writeLeb(bytes, at, event.schema);
    bytes[at] = types[i]!.length;
    bytes.set(types[i]!, at + 1);
    at = writeLeb(bytes, at + 1 + types[i]!.length, event.data.length);
    bytes.set(event.data, at);
    at += event.data.length;
  }
  assert(at === lengthBytes - HASH_BYTES, 'a record is as long as its events');
  return { bytes, lastHash: sealHash(bytes) };
}

/** Writes the chain value at a record's end, and gives it. */
function sealHash(bytes: Uint8Array): Uint8Array {
  const end = bytes.length - HASH_BYTES;
  const chain = hash('sha256', bytes.subarray(CHECKED_OFFSET, end), 'buffer');
  bytes.set(chain, end);
  return bytes.slice(end);
}

/** A seal, written by one who had read the log up to `seen`. */
export function encodeSeal(place: {
  readonly marker: Uint8Array;
  readonly seen: number;
}): Uint8Array {
  const lengthBytes = RECORD_HEADER_BYTES + HASH_BYTES;
  const bytes = new Uint8Array(lengthBytes);
  const { marker, seen } = place;
  const numbers = { lengthBytes, count: 0, streamBytes: 0, revision: 0, seen, timeMs: 0 };
  writeHeader(bytes, marker, numbers);
  sealHash(bytes);
  return bytes;
}

/** A record's header, once its checksum and its bounds have been verified. */
export type RecordHeader = Numbers;

/** The header at `offset` of `view`, which holds RECORD_HEADER_BYTES from there; null: it is none. */
export function readRecordHeader(
  view: DataView,
  offset: number,
  marker: Uint8Array,
): RecordHeader | null {
  for (let i = 0; i < MARK_BYTES; i += 1) if (view.getUint8(offset + i) !== marker[i]) return null;
  const covered = new Uint8Array(
    view.buffer,
    view.byteOffset + offset + CHECKED_OFFSET,
    RECORD_HEADER_BYTES - CHECKED_OFFSET,
  );
  if (crc32(covered, crc32(marker)) !== view.getUint32(offset + 8, true)) return null;
  const header = {
    lengthBytes: view.getUint32(offset + 12, true),
    count: view.getUint16(offset + 16, true),
    streamBytes: view.getUint8(offset + 18),
    revision: readU64(view, offset + 20),
    seen: readU64(view, offset + 28),
    timeMs: view.getFloat64(offset + 36, true),
  };
  const isSound =
    header.lengthBytes >= RECORD_HEADER_BYTES + header.streamBytes + HASH_BYTES &&
    header.lengthBytes <= RECORD_BYTES_MAX &&
    (header.count === 0) === (header.streamBytes === 0) &&
    header.revision <= Number.MAX_SAFE_INTEGER - header.count;
  return isSound ? header : null;
}

/** Whether the record of `lengthBytes` at `offset` ends with the hash of what precedes. */
export function hasSoundRecordHash(
  bytes: Uint8Array,
  { offset, lengthBytes }: { readonly offset: number; readonly lengthBytes: number },
): boolean {
  const end = offset + lengthBytes - HASH_BYTES;
  const found = hash('sha256', bytes.subarray(offset + CHECKED_OFFSET, end), 'buffer');
  for (let i = 0; i < HASH_BYTES; i += 1) if (bytes[end + i] !== found[i]) return false;
  return true;
}

interface Reading {
  /** A window with the record, and where in it the record begins. */
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly header: RecordHeader;
  readonly position: number;
  readonly wanted: EventsWanted;
}

/** The events of a record whose hash was verified; null where they do not fill it. */
export function readRecordFrames(reading: Reading): readonly Frame[] | null {
  const { bytes, offset, header, position } = reading;
  const { eventsFrom, arePassing = false } = reading.wanted;
  const end = offset + header.lengthBytes - HASH_BYTES;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = offset + RECORD_HEADER_BYTES;
  const stream = text.toString('utf8', at, at + header.streamBytes);
  at += header.streamBytes;
  const previous = bytes.slice(offset + PREVIOUS_OFFSET, offset + PREVIOUS_OFFSET + HASH_BYTES);
  const chain = bytes.slice(end, end + HASH_BYTES);
  const frames: Frame[] = [];
  let { timeMs } = header;
  for (let index = 0; index < header.count; index += 1) {
    const start = index === 0 ? offset : at;
    if (index > 0) at += DISTANCE_BYTES;
    const idAt = at;
    at += ID_BYTES + 1;
    if (at > end) return null;
    if (bytes[at - 1] === 1) {
      if (at + TIME_BYTES > end) return null;
      timeMs = view.getFloat64(at, true);
      at += TIME_BYTES;
    }
    const reader = new LebReader(bytes, at, end);
    const schema = reader.next();
    const typeBytes = reader.byte();
    const typeAt = reader.skip(typeBytes);
    const dataBytes = reader.next();
    const dataAt = reader.skip(dataBytes);
    if (reader.hasFailed || dataBytes > EVENT_BYTES_MAX || schema > 0xffff_ffff) return null;
    at = dataAt + dataBytes;
    const isLast = index === header.count - 1;
    if (isLast && at !== end) return null;
    const framePosition = position + start - offset;
    frames.push({
      position: framePosition,
      end: position + (isLast ? header.lengthBytes : at - offset),
      recordPosition: position,
      isPlaced: header.seen === position,
      stream,
      revision: header.revision + index,
      timeMs,
      schema,
      index,
      count: header.count,
      seen: header.seen,
      previous,
      hash: chain,
      event:
        framePosition < eventsFrom
          ? null
          : {
              id: bytes.slice(idAt, idAt + ID_BYTES),
              type: text.toString('utf8', typeAt, typeAt + typeBytes),
              data: arePassing ? bytes.subarray(dataAt, at) : bytes.slice(dataAt, at),
            },
    });
  }
  return frames;
}

/** The start of the record whose event stands at a position, by the bytes there. */
export function recordStart(bytes: Uint8Array, position: number, marker: Uint8Array): number {
  if (bytes.length < MARK_BYTES) return position;
  const isStart = bytes.subarray(0, MARK_BYTES).every((byte, i) => byte === marker[i]);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isStart ? position : position - view.getUint32(0, true);
}
