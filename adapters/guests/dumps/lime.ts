// LiME's dumps, and those that avml writes uncompressed: each range of memory behind a header. Numbers
// are little-endian.
//
//   0   4  magic "EMiL"
//   4   4  version: 1
//   8   8  address of the first byte
//  16   8  address of the last byte
//  24   8  0
//  32   -  bytes of the range; then the next header
//
// LiME writes all of a range. avml cuts ranges into pieces of 16 MiB and leaves out those that are zero:
// of a file that has no larger one, what is left out counts as zeros.

import type { Dump } from './dump-source.ts';
import { dumpUnfit, hexOf, u64, type DumpFile } from './dump-file.ts';
import { SEGMENTS_MAX, type Segment } from './segments.ts';

export const LIME_MAGIC = 'EMiL';
export const LIME_HEADER_BYTES = 32;
const VERSION = 1;
/** Longest piece that avml writes. */
const PIECE_BYTES_MAX = 16 * 1024 * 1024;

/** What a header says; refuses one that is none. */
export function limeHeader(
  file: DumpFile,
  at: number,
  expected: { readonly magic: string; readonly version: number },
): { readonly address: number; readonly length: number } {
  const view = file.view(at, LIME_HEADER_BYTES, 'the header of a range');
  const magic = String.fromCharCode(...new Uint8Array(view.buffer, 0, 4));
  const version = view.getUint32(4, true);
  const [address, last] = [u64(view, 8), u64(view, 16)];
  const isSound = magic === expected.magic && version === expected.version && last >= address;
  if (isSound) return { address, length: last - address + 1 };
  throw dumpUnfit(
    file.label,
    `has no header of a range at byte ${at} (version ${version}, ${hexOf(address)} to ${hexOf(last)})`,
    `expected "${expected.magic}" of version ${expected.version}; it is damaged, copy or dump it again`,
  );
}

/** Ranges of a dump. */
export function readLime(file: DumpFile): Dump {
  const segments: Segment[] = [];
  for (let at = 0; at < file.sizeBytes && segments.length <= SEGMENTS_MAX;) {
    const range = limeHeader(file, at, { magic: LIME_MAGIC, version: VERSION });
    const offset = at + LIME_HEADER_BYTES;
    segments.push({ ...range, offset });
    file.check(offset, range.length, `memory at ${hexOf(range.address)}`);
    at = offset + range.length;
  }
  const isCut = segments.every(({ length }) => length <= PIECE_BYTES_MAX);
  return { segments, mode: 'image', between: isCut ? 'zeros' : 'nothing' };
}
