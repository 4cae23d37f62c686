// PackWritten up to schema 4: what a pack holds (docs/events.md). All integers little-endian.
//
//   0  32  name (SHA-256 of the pack)
//  32   4  capture
//  36   4  slots n: those of contents, then those of patterns
//  40   4  blocks b
//  44   4  bytes of the pack, its header included
//  48  64  group name, NUL padded
// 112   -  codecs       b x u8
//       -  pages        b x u8
//       -  lengths      b x u32
//       -  checksums    b x u32      CRC-32 of the stored bytes
//       -  identifiers  n x 32 bytes, in slot order
//       -  patches      see patches.ts; absent where there are none
//
// Of a slot of a pattern, the identifier is that of a page made of its descriptor and its VM's name:
// its recorder finds it by that, and it equals none of another VM.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { IDENTIFIER_BYTES } from '../ports/page-engine.ts';
import { fromHex, toHex } from '../values/identifier.ts';
import type { LedgerError } from '../values/ledger-error.ts';
import { contentSlotsOf, PACK_GROUP_BYTES } from '../values/pack.ts';
import { PACK_PAGES_MAX, PACK_PATTERNS_MAX } from '../values/page.ts';
import { BLOCK_ROW_BYTES, blocksAt, putBlocks } from './block-columns.ts';
import { decodePatches, encodePatches } from './patches.ts';
import { isGroupName } from './streams.ts';
import { blocksFault, malformed, packSlotsOf, type PackWritten } from './written-pack.ts';

const HEADER_BYTES = 48 + PACK_GROUP_BYTES;

/** The bytes of the event's data. */
export function encodeWritten4(pack: PackWritten): Uint8Array {
  const count = pack.blocks.codecs.length;
  const patches = encodePatches(pack.patches);
  const columnBytes = count * BLOCK_ROW_BYTES + pack.identifiers.length;
  const bytes = new Uint8Array(HEADER_BYTES + columnBytes + patches.length);
  const view = new DataView(bytes.buffer);
  bytes.set(fromHex(pack.name), 0);
  view.setUint32(32, pack.capture, true);
  view.setUint32(36, packSlotsOf(pack), true);
  view.setUint32(40, count, true);
  view.setUint32(44, pack.sizeBytes, true);
  bytes.set(new TextEncoder().encode(pack.group).subarray(0, PACK_GROUP_BYTES), 48);
  putBlocks(bytes, HEADER_BYTES, pack.blocks);
  bytes.set(pack.identifiers, HEADER_BYTES + count * BLOCK_ROW_BYTES);
  bytes.set(patches, HEADER_BYTES + columnBytes);
  return bytes;
}

/** The pack in an event's data; EVENT_INVALID where any size does not fit. */
export function decodeWritten4(bytes: Uint8Array): Either<LedgerError, PackWritten> {
  if (bytes.length < HEADER_BYTES) return malformed(`it has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const slots = view.getUint32(36, true);
  const count = view.getUint32(40, true);
  if (slots < 1 || slots > PACK_PAGES_MAX + PACK_PATTERNS_MAX || count > slots)
    return malformed(`it claims ${slots} pages in ${count} blocks`);
  const length = HEADER_BYTES + count * BLOCK_ROW_BYTES + slots * IDENTIFIER_BYTES;
  if (length > bytes.length)
    return malformed(`its columns need ${length} bytes and it has ${bytes.length}`);
  const group = bytes.subarray(48, HEADER_BYTES);
  const end = group.indexOf(0);
  const blocks = blocksAt(bytes, HEADER_BYTES, count);
  const sizeBytes = view.getUint32(44, true);
  const patches = decodePatches(bytes.subarray(length), contentSlotsOf(blocks));
  if (typeof patches === 'string') return malformed(patches);
  const pack: PackWritten = {
    name: toHex(bytes.subarray(0, 32)),
    capture: view.getUint32(32, true),
    group: new TextDecoder().decode(end < 0 ? group : group.subarray(0, end)),
    sizeBytes,
    blocks,
    identifiers: bytes.slice(HEADER_BYTES + count * BLOCK_ROW_BYTES, length),
    patches,
  };
  if (!isGroupName(pack.group)) return malformed('its group has a name that is not allowed');
  const fault = blocksFault(blocks, { slots, sizeBytes });
  return fault === null ? either.right(pack) : malformed(fault);
}
