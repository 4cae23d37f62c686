// What is left of an ended segment once a part of its records was let go (docs/format.md, "Segments"): a
// file that takes the segment's place, with the same name. Behind the segment's header, which says what
// it is, stands a table of what is left, twice, and then that. Numbers are little-endian.
//
//      0     4  bytes of the table
//      4     4  stretches n
//      8     4  streams m
//     12     -  n times: position of the stretch's first byte (u64), its bytes (u64); ascending
//      -     -  m times, of the stream's last record that is gone: bytes of the name (u8), name,
//               revision (u64), position (u64), position after it (u64), chain value (32)
//      -    32  SHA-256 of the table before it
//
// Stretches are records, as they were, and lie back to back in their order.

import { hash } from 'node:crypto';
import { toHex } from '../../../domain/values/identifier.ts';
import type { OpenFile } from '../../files/file-port.ts';
import { HASH_BYTES, isSameBytes } from './layout.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { namedHeadsBytes, putNamedHeads, readNamedHeads, type Head } from './stream-heads.ts';

/** Bytes of a segment that are left, where they were. */
export interface LeftStretch {
  readonly position: number;
  readonly end: number;
}

/** What is left of a segment, and what is not. */
export interface Left {
  readonly stretches: readonly LeftStretch[];
  /** By stream: its last record that is gone. */
  readonly cuts: ReadonlyMap<string, Head>;
}

/** A table as it was read. */
export interface LeftTable extends Left {
  /** Tells it from any other. */
  readonly digest: string;
  /** Where in the file the first stretch begins. */
  readonly startBytes: number;
  /** Copies of it that are damaged. */
  readonly damaged: readonly number[];
}

const FIXED_BYTES = 12;
const STRETCH_BYTES = 16;
const COPIES = [0, 1] as const;

/** The bytes of a table. */
export function encodeLeft({ stretches, cuts }: Left): Uint8Array {
  const sizeBytes =
    FIXED_BYTES + stretches.length * STRETCH_BYTES + namedHeadsBytes(cuts) + HASH_BYTES;
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  const putU64 = (at: number, value: number): void => {
    view.setBigUint64(at, BigInt(value), true);
  };
  view.setUint32(0, sizeBytes, true);
  view.setUint32(4, stretches.length, true);
  view.setUint32(8, cuts.size, true);
  let at = FIXED_BYTES;
  for (const { position, end } of stretches) {
    putU64(at, position);
    putU64(at + 8, end - position);
    at += STRETCH_BYTES;
  }
  at = putNamedHeads(bytes, at, cuts);
  bytes.set(hash('sha256', bytes.subarray(0, at), 'buffer'), at);
  return bytes;
}

function stretchesOf(view: DataView, count: number): LeftStretch[] | null {
  const stretches: LeftStretch[] = [];
  let before = 0;
  for (let i = 0; i < count; i += 1) {
    const at = FIXED_BYTES + i * STRETCH_BYTES;
    const position = Number(view.getBigUint64(at, true));
    const end = position + Number(view.getBigUint64(at + 8, true));
    if (position < before || end <= position || !Number.isSafeInteger(end)) return null;
    stretches.push({ position, end });
    before = end;
  }
  return stretches;
}

/** The table in these bytes; null: it is damaged. */
function decodeLeft(bytes: Uint8Array): Left | null {
  const end = bytes.length - HASH_BYTES;
  if (end < FIXED_BYTES) return null;
  if (!isSameBytes(hash('sha256', bytes.subarray(0, end), 'buffer'), bytes.subarray(end)))
    return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(4, true);
  if (FIXED_BYTES + count * STRETCH_BYTES > end) return null;
  const stretches = stretchesOf(view, count);
  if (stretches === null) return null;
  const cuts = new Map<string, Head>();
  const at = FIXED_BYTES + count * STRETCH_BYTES;
  const cutsEnd = readNamedHeads(bytes, { at, end, count: view.getUint32(8, true) }, cuts);
  return cutsEnd === end ? { stretches, cuts } : null;
}

/** Nothing is known to be left. */
const NOTHING: Left = { stretches: [], cuts: new Map() };

/**
 * The table of a file whose header says that it ends at `startBytes`. One whose copies are both damaged
 * leaves nothing: what was there is damage then, of the streams that miss it.
 */
export async function readLeftTable(
  file: Pick<OpenFile, 'read' | 'sizeBytes'>,
  startBytes: number,
): Promise<LeftTable> {
  const tableBytes = (startBytes - SEGMENT_HEADER_BYTES) / COPIES.length;
  const isSound = Number.isInteger(tableBytes) && tableBytes > FIXED_BYTES + HASH_BYTES;
  const isThere = isSound && startBytes <= (await file.sizeBytes());
  const copies = isThere
    ? await Promise.all(
        COPIES.map(async (copy) => {
          const bytes = new Uint8Array(tableBytes);
          const got = await file.read(bytes, SEGMENT_HEADER_BYTES + copy * tableBytes);
          return got === tableBytes ? decodeLeft(bytes) : null;
        }),
      )
    : [null, null];
  const left = copies[0] ?? copies[1] ?? NOTHING;
  const digest = toHex(hash('sha256', encodeLeft(left), 'buffer'));
  return { ...left, digest, startBytes, damaged: COPIES.filter((copy) => copies[copy] === null) };
}
