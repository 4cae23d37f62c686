// PackWritten: what a pack holds (docs/events.md). All integers little-endian.
//
//   0  32  name (SHA-256 of the pack)
//  32   4  capture
//  36   4  pages n
//  40   4  blocks b
//  44   4  bytes of the pack, its header included
//  48  64  group name, NUL padded
// 112   -  codecs       b x u8
//       -  pages        b x u8
//       -  lengths      b x u32
//       -  checksums    b x u32      CRC-32 of the stored bytes
//       -  identifiers  n x 32 bytes, in slot order

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { fromHex, toHex } from './identifier.ts';
import { LedgerError } from './ledger-error.ts';
import { CODEC_ZSTD, PACK_GROUP_BYTES, PACK_HEADER_BYTES, type BlockTable } from './pack.ts';
import { BLOCK_BYTES, BLOCK_PAGES, PACK_PAGES_MAX } from './page.ts';
import { IDENTIFIER_BYTES } from './page-engine.ts';
import { isGroupName } from './stream-names.ts';

const HEADER_BYTES = 48 + PACK_GROUP_BYTES;
const BLOCK_ROW_BYTES = 1 + 1 + 4 + 4;

export interface PackWritten {
  readonly name: string;
  readonly capture: number;
  readonly group: string;
  readonly sizeBytes: number;
  readonly blocks: BlockTable;
  /** IDENTIFIER_BYTES a page, in slot order. */
  readonly identifiers: Uint8Array;
}

/** Pages of a pack. */
export const packPagesOf = (pack: PackWritten): number =>
  pack.identifiers.length / IDENTIFIER_BYTES;

/** The bytes of a PackWritten event's data. */
export function encodePackWritten(pack: PackWritten): Uint8Array {
  const count = pack.blocks.codecs.length;
  const bytes = new Uint8Array(HEADER_BYTES + count * BLOCK_ROW_BYTES + pack.identifiers.length);
  const view = new DataView(bytes.buffer);
  bytes.set(fromHex(pack.name), 0);
  view.setUint32(32, pack.capture, true);
  view.setUint32(36, packPagesOf(pack), true);
  view.setUint32(40, count, true);
  view.setUint32(44, pack.sizeBytes, true);
  bytes.set(new TextEncoder().encode(pack.group).subarray(0, PACK_GROUP_BYTES), 48);
  let at = HEADER_BYTES;
  bytes.set(pack.blocks.codecs, at);
  bytes.set(pack.blocks.pages, at + count);
  at += 2 * count;
  for (let i = 0; i < count; i += 1) {
    view.setUint32(at + 4 * i, pack.blocks.lengths[i]!, true);
    view.setUint32(at + 4 * (count + i), pack.blocks.checksums[i]!, true);
  }
  bytes.set(pack.identifiers, at + 8 * count);
  return bytes;
}

function invalid(why: string): Either<LedgerError, never> {
  return either.left(
    new LedgerError(
      'EVENT_INVALID',
      `a PackWritten event is malformed: ${why}; run \`pageledger verify\``,
      {
        found: why,
      },
    ),
  );
}

/** A sentence on what does not fit in a pack's table, or null. */
function faultOf(pack: PackWritten): string | null {
  let pages = 0;
  let length = PACK_HEADER_BYTES;
  const { codecs, lengths } = pack.blocks;
  if (!isGroupName(pack.group)) return 'its group has a name that is not allowed';
  for (let i = 0; i < codecs.length; i += 1) {
    const inBlock = pack.blocks.pages[i]!;
    if (codecs[i]! > CODEC_ZSTD) return `block ${i} has codec ${codecs[i]}`;
    if (inBlock < 1 || inBlock > BLOCK_PAGES) return `block ${i} has ${inBlock} pages`;
    if (lengths[i]! < 1 || lengths[i]! > BLOCK_BYTES) return `block ${i} has ${lengths[i]} bytes`;
    pages += inBlock;
    length += lengths[i]!;
  }
  if (pages !== packPagesOf(pack))
    return `its blocks hold ${pages} pages, not ${packPagesOf(pack)}`;
  return length === pack.sizeBytes ? null : `its blocks end at ${length}, not ${pack.sizeBytes}`;
}

/** The pack in an event's data; EVENT_INVALID where any size does not fit. */
export function decodePackWritten(bytes: Uint8Array): Either<LedgerError, PackWritten> {
  if (bytes.length < HEADER_BYTES) return invalid(`it has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pages = view.getUint32(36, true);
  const count = view.getUint32(40, true);
  if (pages < 1 || pages > PACK_PAGES_MAX || count > pages)
    return invalid(`it claims ${pages} pages in ${count} blocks`);
  const length = HEADER_BYTES + count * BLOCK_ROW_BYTES + pages * IDENTIFIER_BYTES;
  if (length !== bytes.length)
    return invalid(`its columns need ${length} bytes and it has ${bytes.length}`);
  const group = bytes.subarray(48, HEADER_BYTES);
  const end = group.indexOf(0);
  let at = HEADER_BYTES;
  const column = (): Uint32Array => {
    const values = new Uint32Array(count);
    for (let i = 0; i < count; i += 1) values[i] = view.getUint32(at + 4 * i, true);
    at += 4 * count;
    return values;
  };
  const codecs = bytes.slice(at, at + count);
  const blockPages = bytes.slice(at + count, at + 2 * count);
  at += 2 * count;
  const lengths = column();
  const checksums = column();
  const pack: PackWritten = {
    name: toHex(bytes.subarray(0, 32)),
    capture: view.getUint32(32, true),
    group: new TextDecoder().decode(end < 0 ? group : group.subarray(0, end)),
    sizeBytes: view.getUint32(44, true),
    blocks: { codecs, pages: blockPages, lengths, checksums },
    identifiers: bytes.slice(at),
  };
  const fault = faultOf(pack);
  return fault === null ? either.right(pack) : invalid(fault);
}
