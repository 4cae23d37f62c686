// A dump in kdump's compressed form, by makedumpfile's description of it.

import { deflateSync } from 'node:zlib';
import { packFrame } from '../../../adapters/kernels/codec/zstd-frame.ts';
import { snapped } from './avml-bytes.ts';
import { u32le, u64le, type MemoryRun } from './dump-bytes.ts';
import { lzoOf } from './lzo-bytes.ts';

const PAGE = 4096;
/** Where what stands of the sub-header, and in the header. */
export const KDUMP_FIELDS = {
  status: 424,
  block: 428,
  pages: 440,
  level: PAGE + 8,
  split: PAGE + 12,
  pages64: PAGE + 96,
} as const;
export const KDUMP_BITMAPS_AT = 2 * PAGE;

interface KdumpRequest {
  readonly runs: readonly MemoryRun[];
  readonly level?: number;
  /** How pages are written; absent: as zlib. */
  readonly kind?: keyof typeof FLAGS;
  /** Whether a page is left out as what is no zeros, at levels from 2 on. Absent: none is. */
  readonly isFiltered?: (page: number) => boolean;
}

const FLAGS = { plain: 0, zlib: 1, lzo: 2, snappy: 4, zstd: 32 } as const;

const PACKED: Readonly<Record<keyof typeof FLAGS, (page: Uint8Array) => Uint8Array>> = {
  plain: (page) => page,
  zlib: (page) => deflateSync(page),
  lzo: lzoOf,
  snappy: snapped,
  zstd: (page) => packFrame(page, 1),
};

/** Pages of zeros are left out where the level has bit 0. */
export function kdump({
  runs,
  level = 0,
  kind = 'zlib',
  isFiltered = () => false,
}: KdumpRequest): Buffer {
  const end = Math.max(...runs.map(({ address, bytes }) => address + bytes.length)) / PAGE;
  const halfBlocks = Math.ceil(end / 8 / PAGE);
  const maps = Buffer.alloc(2 * halfBlocks * PAGE);
  const pages: Uint8Array[] = [];
  for (const { address, bytes } of runs)
    for (let at = 0; at < bytes.length; at += PAGE) {
      const page = (address + at) / PAGE;
      const content = bytes.subarray(at, at + PAGE);
      maps[page >> 3]! |= 1 << (page & 7);
      if ((level & 1) === 1 && content.every((byte) => byte === 0)) continue;
      if (level > 1 && isFiltered(page)) continue;
      maps[halfBlocks * PAGE + (page >> 3)]! |= 1 << (page & 7);
      pages.push(content);
    }
  const head = Buffer.alloc(2 * PAGE);
  head.write('KDUMP   ');
  head.writeInt32LE(6, 8);
  head.writeInt32LE(PAGE, KDUMP_FIELDS.block);
  head.writeUInt32LE(1, 432);
  head.writeUInt32LE(2 * halfBlocks, 436);
  head.writeUInt32LE(end, KDUMP_FIELDS.pages);
  head.writeInt32LE(level, KDUMP_FIELDS.level);
  head.writeBigUInt64LE(BigInt(end), KDUMP_FIELDS.pages64);
  let offset = head.length + maps.length + pages.length * 24;
  const packed = pages.map((page): readonly [Uint8Array, number] => {
    const bytes = PACKED[kind](page);
    // What compression does not make smaller is written as it is.
    return bytes.length < PAGE ? [bytes, FLAGS[kind]] : [page, 0];
  });
  const descriptors = packed.map(([{ length }, flags]) => {
    offset += length;
    return Buffer.concat([u64le(offset - length), u32le(length), u32le(flags), u64le(0)]);
  });
  return Buffer.concat([head, maps, ...descriptors, ...packed.map(([bytes]) => bytes)]);
}

const u64be = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

/** The same as it is written to a pipe: records out of order. */
export function flattened(dump: Uint8Array, recordBytes = 5000): Buffer {
  const head = Buffer.alloc(PAGE);
  head.write('makedumpfile');
  head.writeBigInt64BE(1n, 16);
  head.writeBigInt64BE(1n, 24);
  const records: Buffer[] = [];
  for (let at = 0; at < dump.length; at += recordBytes) {
    const part = dump.subarray(at, at + recordBytes);
    records.unshift(Buffer.concat([u64be(BigInt(at)), u64be(BigInt(part.length)), part]));
  }
  return Buffer.concat([head, ...records, u64be(-1n), u64be(-1n)]);
}
