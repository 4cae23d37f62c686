// PackRewritten up to schema 3: a pack that compaction wrote (docs/events.md). Its slots hold contents and
// patterns that have their numbers already: those of the slots of other packs, their homes. From this
// event on they lie here. All integers little-endian.
//
//   0  32  name (SHA-256 of the pack)
//  32   4  slots n: those of contents, then those of patterns
//  36   4  blocks b
//  40   4  bytes of the pack, its header included
//  44   4  home packs h
//  48  64  group name, NUL padded
// 112   -  home names   h x 32 bytes
//       -  codecs       b x u8
//       -  pages        b x u8
//       -  lengths      b x u32
//       -  checksums    b x u32      CRC-32 of the stored bytes
//       -  homes        n x u16      index into the home names
//       -  home slots   n x u16
//       -  patches      see patches.ts; absent where there are none

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { fromHex, toHex } from '../values/identifier.ts';
import type { LedgerError } from '../values/ledger-error.ts';
import { contentSlotsOf, PACK_GROUP_BYTES } from '../values/pack.ts';
import { PACK_PAGES_MAX, PACK_PATTERNS_MAX } from '../values/page.ts';
import { BLOCK_ROW_BYTES, blocksAt, putBlocks } from './block-columns.ts';
import { decodePatches, encodePatches } from './patches.ts';
import {
  malformed,
  rewrittenFault,
  SOURCE_PACKS_MAX,
  type PackRewritten,
} from './rewritten-pack.ts';

const HEADER_BYTES = 48 + PACK_GROUP_BYTES;
const NAME_BYTES = 32;
const SLOT_ROW_BYTES = 2 + 2;

/** The bytes of the event's data. */
export function encodeRewritten3(pack: PackRewritten): Uint8Array {
  const count = pack.blocks.codecs.length;
  const slots = pack.sourceSlots.length;
  const patches = encodePatches(pack.patches);
  const namesEnd = HEADER_BYTES + pack.sources.length * NAME_BYTES;
  const slotsAt = namesEnd + count * BLOCK_ROW_BYTES;
  const patchesAt = slotsAt + slots * SLOT_ROW_BYTES;
  const bytes = new Uint8Array(patchesAt + patches.length);
  const view = new DataView(bytes.buffer);
  bytes.set(fromHex(pack.name), 0);
  view.setUint32(32, slots, true);
  view.setUint32(36, count, true);
  view.setUint32(40, pack.sizeBytes, true);
  view.setUint32(44, pack.sources.length, true);
  bytes.set(new TextEncoder().encode(pack.group).subarray(0, PACK_GROUP_BYTES), 48);
  for (const [i, home] of pack.sources.entries())
    bytes.set(fromHex(home), HEADER_BYTES + i * NAME_BYTES);
  putBlocks(bytes, namesEnd, pack.blocks);
  for (let i = 0; i < slots; i += 1) {
    view.setUint16(slotsAt + 2 * i, pack.sourceIndexes[i]!, true);
    view.setUint16(slotsAt + 2 * (slots + i), pack.sourceSlots[i]!, true);
  }
  bytes.set(patches, patchesAt);
  return bytes;
}

/** The pack in an event's data; EVENT_INVALID where any size does not fit. */
export function decodeRewritten3(bytes: Uint8Array): Either<LedgerError, PackRewritten> {
  if (bytes.length < HEADER_BYTES) return malformed(`it has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const slots = view.getUint32(32, true);
  const count = view.getUint32(36, true);
  const homeCount = view.getUint32(44, true);
  if (slots < 1 || slots > PACK_PAGES_MAX + PACK_PATTERNS_MAX || count > slots)
    return malformed(`it claims ${slots} pages in ${count} blocks`);
  if (homeCount < 1 || homeCount > SOURCE_PACKS_MAX || homeCount > slots)
    return malformed(`it claims ${homeCount} home packs`);
  const namesEnd = HEADER_BYTES + homeCount * NAME_BYTES;
  const slotsAt = namesEnd + count * BLOCK_ROW_BYTES;
  const patchesAt = slotsAt + slots * SLOT_ROW_BYTES;
  if (patchesAt > bytes.length)
    return malformed(`its columns need ${patchesAt} bytes and it has ${bytes.length}`);
  const halves = (at: number): Uint16Array =>
    Uint16Array.from({ length: slots }, (_, i) => view.getUint16(at + 2 * i, true));
  const blocks = blocksAt(bytes, namesEnd, count);
  const patches = decodePatches(bytes.subarray(patchesAt), contentSlotsOf(blocks));
  if (typeof patches === 'string') return malformed(patches);
  const group = bytes.subarray(48, HEADER_BYTES);
  const end = group.indexOf(0);
  const pack: PackRewritten = {
    name: toHex(bytes.subarray(0, NAME_BYTES)),
    group: new TextDecoder().decode(end < 0 ? group : group.subarray(0, end)),
    sizeBytes: view.getUint32(40, true),
    blocks,
    sources: Array.from({ length: homeCount }, (_, i) =>
      toHex(bytes.subarray(HEADER_BYTES + i * NAME_BYTES, HEADER_BYTES + (i + 1) * NAME_BYTES)),
    ),
    sourceIndexes: halves(slotsAt),
    sourceSlots: halves(slotsAt + 2 * slots),
    patches,
    isCopied: false,
  };
  const fault = rewrittenFault(pack);
  return fault === null ? either.right(pack) : malformed(fault);
}
