// The first bytes of a segment of the log, of format 2 (docs/format.md, "Segments"), and what ends the
// file of format 1. Both look like a frame's header of format 1 with a later number, so that a release
// that knows only format 1 refuses them. Numbers are little-endian; a header stands there twice.
//
//      0     8  magic of format 1's frames
//      8     2  format version: 2
//     10     1  kind: 0 a segment as it was appended, 1 what is left of one (left-segment.ts), 2 what is
//               left of a file of format 1, 255 the end of a file of format 1
//     11     1  cipher: 0 none
//     12     4  bytes of the header with its repetition: 216; of kinds 1 and 2 with its tables
//     16     8  position of the segment's first byte
//     24    16  marker: random; zeros in kind 2
//     40    64  what a cipher needs; zeros
//    104     4  CRC-32 of bytes 0 to 103

import { crc32 } from 'node:zlib';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { FRAME_MAGIC, HEADER_BYTES } from './layout.ts';

/** The newest format of the log. */
export const LOG_FORMAT = 2;
export const MARKER_BYTES = 16;
/** A segment's records begin here. */
export const SEGMENT_HEADER_BYTES = 2 * HEADER_BYTES;
const KIND_SEGMENT = 0;
const KIND_LEFT = 1;
const KIND_LEFT_1 = 2;
const KIND_END = 255;
const LENGTH_OFFSET = 12;
const MARKER_OFFSET = 24;
const CRC_OFFSET = 104;

/** The name of the segment whose first byte has this position. */
export const segmentName = (start: number): string => `${String(start).padStart(20, '0')}.log`;

const SEGMENT_NAME = /^(\d{20})\.log$/u;

/** The position in a segment's name; null: the name is no segment's. */
export function segmentStart(name: string): number | null {
  const start = Number(SEGMENT_NAME.exec(name)?.[1] ?? NaN);
  return Number.isSafeInteger(start) ? start : null;
}

interface HeaderFields {
  readonly kind: number;
  readonly start: number;
  readonly marker: Uint8Array;
  readonly lengthBytes: number;
}

function encodeOnce({ kind, start, marker, lengthBytes }: HeaderFields): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(FRAME_MAGIC);
  view.setUint16(8, LOG_FORMAT, true);
  view.setUint8(10, kind);
  view.setUint32(LENGTH_OFFSET, lengthBytes, true);
  view.setBigUint64(16, BigInt(start), true);
  bytes.set(marker, MARKER_OFFSET);
  view.setUint32(CRC_OFFSET, crc32(bytes.subarray(0, CRC_OFFSET)), true);
  return bytes;
}

function encodeTwice(fields: HeaderFields): Uint8Array {
  const once = encodeOnce(fields);
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  bytes.set(once);
  bytes.set(once, HEADER_BYTES);
  return bytes;
}

/** The first bytes of a segment. */
export const encodeSegmentHeader = (start: number, marker: Uint8Array): Uint8Array =>
  encodeTwice({ kind: KIND_SEGMENT, start, marker, lengthBytes: SEGMENT_HEADER_BYTES });

const NO_MARKER = new Uint8Array(MARKER_BYTES);

/** The first bytes of what is left of a segment; `marker` is that of the segment, null in format 1. */
export const encodeLeftHeader = (of: {
  readonly start: number;
  readonly marker: Uint8Array | null;
  readonly startBytes: number;
}): Uint8Array =>
  encodeTwice({
    kind: of.marker === null ? KIND_LEFT_1 : KIND_LEFT,
    start: of.start,
    marker: of.marker ?? NO_MARKER,
    lengthBytes: of.startBytes,
  });

/** What ends a file of format 1, to be appended to it. */
export const encodeEnd = (): Uint8Array =>
  encodeOnce({ kind: KIND_END, start: 0, marker: NO_MARKER, lengthBytes: HEADER_BYTES });

/** Whether a header of a later format than 1, whose checksum was verified, ends a file of format 1. */
export const isEnd = (view: DataView, offset: number): boolean =>
  view.getUint16(offset + 8, true) === LOG_FORMAT && view.getUint8(offset + 10) === KIND_END;

export const newerLog = (found: number): LedgerError =>
  new LedgerError(
    'NEWER_FORMAT',
    `found an event log of format ${found}, expected at most ${LOG_FORMAT}; use the release that wrote it, or a later one`,
    { found, expected: LOG_FORMAT },
  );

/** What the first bytes of a log file say. */
export interface SegmentHeader {
  /** Null: records of format 1 are left of a file. */
  readonly marker: Uint8Array | null;
  /** Of what is left of a segment: where in the file that begins; null: it is as it was appended. */
  readonly leftAt: number | null;
  /** Which of the two headers are damaged: 0 the first, 1 the second. */
  readonly damaged: readonly number[];
}

type HeaderOnce = Pick<SegmentHeader, 'marker' | 'leftAt'>;

const KNOWN_KINDS: readonly number[] = [KIND_SEGMENT, KIND_LEFT, KIND_LEFT_1];

function readOnce(bytes: Uint8Array, start: number): HeaderOnce | null {
  if (bytes.length < HEADER_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (FRAME_MAGIC.some((byte, i) => bytes[i] !== byte)) return null;
  if (crc32(bytes.subarray(0, CRC_OFFSET)) !== view.getUint32(CRC_OFFSET, true)) return null;
  const format = view.getUint16(8, true);
  if (format < LOG_FORMAT || (format === LOG_FORMAT && bytes[10] === KIND_END)) return null;
  const kind = bytes[10]!;
  const isKnown = format === LOG_FORMAT && KNOWN_KINDS.includes(kind) && bytes[11] === 0;
  if (!isKnown) throw newerLog(Math.max(format, LOG_FORMAT + 1));
  if (Number(view.getBigUint64(16, true)) !== start) return null;
  const marker = bytes.slice(MARKER_OFFSET, MARKER_OFFSET + MARKER_BYTES);
  const leftAt = kind === KIND_SEGMENT ? null : view.getUint32(LENGTH_OFFSET, true);
  return { marker: kind === KIND_LEFT_1 ? null : marker, leftAt };
}

/** The header in a log file's first bytes; null: it has none, as one of format 1. */
export function readSegmentHeader(bytes: Uint8Array, start: number): SegmentHeader | null {
  const found = [0, 1].map((i) => readOnce(bytes.subarray(i * HEADER_BYTES), start));
  const header = found[0] ?? found[1];
  if (header === null || header === undefined) return null;
  return { ...header, damaged: [0, 1].filter((i) => found[i] === null) };
}
