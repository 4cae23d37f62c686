// The bytes of the embedded event log in format 1 (docs/format.md, "Frames"). A file is frames and
// nothing else; what is no frame is stepped over. Numbers are little-endian.
//
// A frame:
//
//      0     8  magic: 9d 1f e6 b4 50 c3 7a 08
//      8     2  format version: 1
//     10     1  bytes of the stream's name, 1 to 255
//     11     1  bytes of the type's name, 0 to 255
//     12     4  bytes of the body (all after the header): names + data + 32
//     16     4  bytes of the event's data
//     20     8  revision in the stream
//     28     8  time, milliseconds since 1970, as a double
//     36    16  event identifier
//     52     4  schema
//     56     4  index in its append
//     60     4  count of events in its append
//     64     8  position up to which the writer had read the log
//     72    32  chain value of the stream's previous record; zeros for revision 0
//    104     4  CRC-32 of bytes 0 to 103
//    108     -  stream name, type name (UTF-8), data
//      -    32  chain value: SHA-256 of all bytes of the frame before it
//
// The frames of one append follow one another without a byte between them.

import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import { EVENT_BYTES_MAX } from '../../../domain/values/page.ts';
import type { AppendRequest } from '../../../domain/ports/event-log.ts';

/** In the log's folder: its first file, and the witnesses. */
export const LOG_FILE = '00000000000000000000.log';
export const HEADS_FOLDER = 'heads';

export const FRAME_MAGIC = Uint8Array.of(0x9d, 0x1f, 0xe6, 0xb4, 0x50, 0xc3, 0x7a, 0x08);
const FRAME_FORMAT = 1;
export const HASH_BYTES = 32;
export const ID_BYTES = 16;
export const NAME_BYTES_MAX = 255;
const HEADER_CRC_OFFSET = 104;
export const HEADER_BYTES = HEADER_CRC_OFFSET + 4;
/** The chain value before a stream's first record. */
export const NO_HASH = new Uint8Array(HASH_BYTES);

/** A frame's header, once its checksum and its bounds have been verified. */
export interface FrameHeader {
  readonly streamBytes: number;
  readonly typeBytes: number;
  readonly dataBytes: number;
  /** Bytes of the whole frame. */
  readonly lengthBytes: number;
  readonly revision: number;
  readonly timeMs: number;
  readonly schema: number;
  readonly index: number;
  readonly count: number;
  readonly seen: number;
}

const ID_OFFSET = 36;
const PREVIOUS_OFFSET = 72;

/** Where the parts of a frame lie that are bytes, counted from the frame's start. */
export const FRAME_PARTS = { id: ID_OFFSET, previous: PREVIOUS_OFFSET, names: HEADER_BYTES };

export const readU64 = (view: DataView, offset: number): number =>
  view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);

export const writeU64 = (view: DataView, offset: number, value: number): void => {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
};

/**
 * The header at `offset` of `view`, which holds HEADER_BYTES from there; null if it is none, 'later'
 * if it is one of a later format.
 */
export function readHeader(view: DataView, offset: number): FrameHeader | 'later' | null {
  for (let i = 0; i < FRAME_MAGIC.length; i++) {
    if (view.getUint8(offset + i) !== FRAME_MAGIC[i]) return null;
  }
  const start = view.byteOffset + offset;
  const covered = new Uint8Array(view.buffer, start, HEADER_CRC_OFFSET);
  if (crc32(covered) !== view.getUint32(offset + HEADER_CRC_OFFSET, true)) return null;
  const format = view.getUint16(offset + 8, true);
  if (format > FRAME_FORMAT) return 'later';
  const streamBytes = view.getUint8(offset + 10);
  const typeBytes = view.getUint8(offset + 11);
  const dataBytes = view.getUint32(offset + 16, true);
  const bodyBytes = view.getUint32(offset + 12, true);
  const header = {
    streamBytes,
    typeBytes,
    dataBytes,
    lengthBytes: HEADER_BYTES + bodyBytes,
    revision: readU64(view, offset + 20),
    timeMs: view.getFloat64(offset + 28, true),
    schema: view.getUint32(offset + 52, true),
    index: view.getUint32(offset + 56, true),
    count: view.getUint32(offset + 60, true),
    seen: readU64(view, offset + 64),
  };
  const isSound =
    format === FRAME_FORMAT &&
    streamBytes > 0 &&
    dataBytes <= EVENT_BYTES_MAX &&
    bodyBytes === streamBytes + typeBytes + dataBytes + HASH_BYTES &&
    header.index < header.count &&
    header.revision <= Number.MAX_SAFE_INTEGER &&
    header.revision >= header.index;
  return isSound ? header : null;
}

/** Whether the frame of `lengthBytes` at `offset` of `bytes` ends with the hash of what precedes. */
export function hasSoundHash(
  bytes: Uint8Array,
  { offset, lengthBytes }: { readonly offset: number; readonly lengthBytes: number },
): boolean {
  const hashOffset = offset + lengthBytes - HASH_BYTES;
  const found = hash('sha256', bytes.subarray(offset, hashOffset), 'buffer');
  for (let i = 0; i < HASH_BYTES; i++) if (bytes[hashOffset + i] !== found[i]) return false;
  return true;
}

/** An append as its frames, back to back. */
export interface EncodedAppend {
  readonly bytes: Uint8Array;
  /** Chain value of the last record. */
  readonly lastHash: Uint8Array;
}

const UTF8 = new TextEncoder();

export const nameBytes = (name: string): Uint8Array => {
  const bytes = UTF8.encode(name);
  assert(bytes.length <= NAME_BYTES_MAX, 'a name of a stream or a type has at most 255 bytes');
  return bytes;
};

/** The frames of an append that follows the record with chain value `previous`. */
export function encodeAppend(
  request: AppendRequest,
  { previous, seen }: { readonly previous: Uint8Array; readonly seen: number },
): EncodedAppend {
  const stream = nameBytes(request.stream);
  assert(stream.length > 0, 'a stream has a name');
  const types = request.events.map((event) => nameBytes(event.type));
  const sizeBytes = request.events.reduce(
    (sum, { data }, i) =>
      sum + HEADER_BYTES + stream.length + types[i]!.length + data.length + HASH_BYTES,
    0,
  );
  const bytes = new Uint8Array(sizeBytes);
  let offset = 0;
  let chain = previous;
  for (const [index, event] of request.events.entries()) {
    const type = types[index]!;
    assert(event.id.length === ID_BYTES, 'an event has an identifier of 16 bytes');
    const bodyBytes = stream.length + type.length + event.data.length + HASH_BYTES;
    const view = new DataView(bytes.buffer, offset, HEADER_BYTES);
    bytes.set(FRAME_MAGIC, offset);
    view.setUint16(8, FRAME_FORMAT, true);
    view.setUint8(10, stream.length);
    view.setUint8(11, type.length);
    view.setUint32(12, bodyBytes, true);
    view.setUint32(16, event.data.length, true);
    writeU64(view, 20, request.expectedRevision + 1 + index);
    view.setFloat64(28, event.timeMs, true);
    bytes.set(event.id, offset + ID_OFFSET);
    view.setUint32(52, event.schema, true);
    view.setUint32(56, index, true);
    view.setUint32(60, request.events.length, true);
    writeU64(view, 64, seen);
    bytes.set(chain, offset + PREVIOUS_OFFSET);
    view.setUint32(
      HEADER_CRC_OFFSET,
      crc32(bytes.subarray(offset, offset + HEADER_CRC_OFFSET)),
      true,
    );
    bytes.set(stream, offset + HEADER_BYTES);
    bytes.set(type, offset + HEADER_BYTES + stream.length);
    bytes.set(event.data, offset + HEADER_BYTES + stream.length + type.length);
    const end = offset + HEADER_BYTES + bodyBytes;
    chain = hash('sha256', bytes.subarray(offset, end - HASH_BYTES), 'buffer');
    bytes.set(chain, end - HASH_BYTES);
    offset = end;
  }
  assert(offset === sizeBytes, 'an append is as long as its frames');
  return { bytes, lastHash: bytes.slice(sizeBytes - HASH_BYTES) };
}

/** Whether two arrays hold the same bytes. */
export const isSameBytes = (left: Uint8Array, right: Uint8Array): boolean =>
  Buffer.compare(left, right) === 0;
