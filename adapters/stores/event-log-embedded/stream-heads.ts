// The heads of all streams at a position of the log: what the fold of the records so far accepted.
// Small and serialisable, so that a state file can keep it and a reader need not begin at zero.
//
// Serialised (little-endian): magic "PLSH", u32 format 1, u64 position, u32 heads, u32 unreadable
// stretches; per head: u8 name length, name, u64 revision, u64 position, u64 end, 32 bytes chain
// value; per stretch: u64 position, u64 end; at last a SHA-256 of all before it.

import { hash } from 'node:crypto';

import { HASH_BYTES, NO_HASH, isSameBytes } from './layout.ts';

/** The last accepted record of a stream. */
export interface Head {
  readonly revision: number;
  readonly hash: Uint8Array;
  readonly position: number;
  /** The place after the record. */
  readonly end: number;
}

/** Bytes of the log that are no frame. */
export interface Stretch {
  readonly position: number;
  readonly end: number;
}

/** A stream before its first record. */
export const NO_HEAD: Head = { revision: -1, hash: NO_HASH, position: 0, end: 0 };

/** Stretches kept: only a record written by someone who had not yet read one asks for it. */
const STRETCHES_MAX = 64;

/** Heads at a position. A plain value with a copy: folds own theirs, checkpoints are never changed. */
export class StreamHeads {
  position: number;
  readonly heads: Map<string, Head>;
  readonly stretches: Stretch[];

  constructor(position = 0, heads = new Map<string, Head>(), stretches: Stretch[] = []) {
    this.position = position;
    this.heads = heads;
    this.stretches = stretches;
  }

  of(stream: string): Head {
    return this.heads.get(stream) ?? NO_HEAD;
  }

  addStretch(stretch: Stretch): void {
    this.stretches.push(stretch);
    if (this.stretches.length > STRETCHES_MAX) this.stretches.shift();
  }

  copy(): StreamHeads {
    return new StreamHeads(this.position, new Map(this.heads), [...this.stretches]);
  }

  /** The record accepted last in log order, or null: none yet. */
  newest(): Head | null {
    let newest: Head | null = null;
    for (const head of this.heads.values()) {
      if (newest === null || head.position > newest.position) newest = head;
    }
    return newest;
  }
}

/** Bytes of a head and its stream, but for the stream's name. */
const NAMED_HEAD_FIXED_BYTES = 1 + 24 + HASH_BYTES;

/** Bytes that heads take as they are serialised, with the names of their streams. */
export function namedHeadsBytes(heads: ReadonlyMap<string, Head>): number {
  let sum = 0;
  for (const stream of heads.keys()) sum += NAMED_HEAD_FIXED_BYTES + Buffer.byteLength(stream);
  return sum;
}

/** Writes heads from `at` on; gives the place after them. */
export function putNamedHeads(
  bytes: Uint8Array,
  at: number,
  heads: ReadonlyMap<string, Head>,
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [stream, head] of heads) {
    const name = Buffer.from(stream);
    view.setUint8(at, name.length);
    bytes.set(name, at + 1);
    at += 1 + name.length;
    view.setBigUint64(at, BigInt(head.revision), true);
    view.setBigUint64(at + 8, BigInt(head.position), true);
    view.setBigUint64(at + 16, BigInt(head.end), true);
    bytes.set(head.hash, at + 24);
    at += 24 + HASH_BYTES;
  }
  return at;
}

/**
 * Reads so many heads from `at` on into `heads`; gives the place after them, or null: they do not end
 * before `end`. Names and numbers are believed: a hash vouches for the bytes.
 */
export function readNamedHeads(
  bytes: Uint8Array,
  { at, end, count }: { readonly at: number; readonly end: number; readonly count: number },
  heads: Map<string, Head>,
): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u64 = (from: number): number => Number(view.getBigUint64(from, true));
  let next = at;
  for (let left = count; left > 0; left -= 1) {
    if (next + NAMED_HEAD_FIXED_BYTES > end) return null;
    const nameEnd = next + 1 + view.getUint8(next);
    if (nameEnd + NAMED_HEAD_FIXED_BYTES - 1 > end) return null;
    heads.set(Buffer.from(bytes.subarray(next + 1, nameEnd)).toString('utf8'), {
      revision: u64(nameEnd),
      position: u64(nameEnd + 8),
      end: u64(nameEnd + 16),
      hash: bytes.slice(nameEnd + 24, nameEnd + 24 + HASH_BYTES),
    });
    next = nameEnd + 24 + HASH_BYTES;
  }
  return next;
}

const MAGIC = 0x4853_4c50;
const FORMAT = 1;
const PREFIX_BYTES = 24;
const STRETCH_BYTES = 16;

/** The serialised heads. */
export function encodeHeads(state: StreamHeads): Uint8Array {
  const sizeBytes =
    PREFIX_BYTES +
    namedHeadsBytes(state.heads) +
    state.stretches.length * STRETCH_BYTES +
    HASH_BYTES;
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  const putU64 = (at: number, value: number): void => {
    view.setBigUint64(at, BigInt(value), true);
  };
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT, true);
  putU64(8, state.position);
  view.setUint32(16, state.heads.size, true);
  view.setUint32(20, state.stretches.length, true);
  let at = putNamedHeads(bytes, PREFIX_BYTES, state.heads);
  for (const stretch of state.stretches) {
    putU64(at, stretch.position);
    putU64(at + 8, stretch.end);
    at += STRETCH_BYTES;
  }
  bytes.set(hash('sha256', bytes.subarray(0, at), 'buffer'), at);
  return bytes;
}

/** Heads from their serialised bytes, or null: damaged, or of another format. */
export function decodeHeads(bytes: Uint8Array): StreamHeads | null {
  const end = bytes.length - HASH_BYTES;
  if (end < PREFIX_BYTES) return null;
  if (!isSameBytes(hash('sha256', bytes.subarray(0, end), 'buffer'), bytes.subarray(end))) {
    return null;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== FORMAT) return null;
  const readU64 = (at: number): number => Number(view.getBigUint64(at, true));
  const state = new StreamHeads(readU64(8));
  // The hash vouches for lengths only if an encoder of ours wrote them, so they are bounded too.
  const count = view.getUint32(16, true);
  let at = readNamedHeads(bytes, { at: PREFIX_BYTES, end, count }, state.heads);
  if (at === null) return null;
  for (let i = view.getUint32(20, true); i > 0; i--) {
    if (at + STRETCH_BYTES > end) return null;
    state.stretches.push({ position: readU64(at), end: readU64(at + 8) });
    at += STRETCH_BYTES;
  }
  return at === end ? state : null;
}
