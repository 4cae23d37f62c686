// A checkpoint's map: which of its pages lie in which block of pages, and which blocks in which storage
// block, of the packs that were written for it (docs/format.md, "Maps of checkpoints"). It lies among
// the packs, under the SHA-256 of its bytes. All integers little-endian.
//
//   0  4  magic "PLMP"
//   4  4  format: 1; 2 where gfns do not ascend
//   8  4  capture
//  12  4  packs p
//  16  4  runs of pages r
//  20  -  packs, back to back:
//           0  32  name
//          32   4  bytes of the pack, its header included
//          36   4  blocks b
//          40   4  storage blocks s
//          44   -  codecs       b x u8
//           -   -  pages        b x u8
//           -   -  lengths      b x u32
//           -   -  checksums    b x u32    CRC-32 of the stored bytes
//           -   -  ends         s x u16    the block after the last one of each storage block
//   -  -  runs: r x (u32 first gfn, u32 count)
//
// The runs say, slot by slot through the packs, which page each slot is a copy of, none twice. In format
// 1 they ascend.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { BLOCK_ROW_BYTES, blocksAt, putBlocks } from './block-columns.ts';
import { blocksFault } from './written-pack.ts';
import { fromHex, toHex } from '../values/identifier.ts';
import { contentSlotsOf, slotsOf, type BlockTable } from '../values/pack.ts';
import { PACK_PAGES_MAX, VM_PAGES_MAX } from '../values/page.ts';

/** Most packs of copies that a checkpoint has: 8 GiB of pages. */
export const LAYOUT_PACKS_MAX = 512;
/** Most pages that a checkpoint has copies of. */
export const LAYOUT_PAGES_MAX = LAYOUT_PACKS_MAX * PACK_PAGES_MAX;

const MAGIC = 0x504d_4c50;
const FORMAT = 1;
/** Of maps whose pages lie in another order than that of their numbers. */
const FORMAT_ORDERED = 2;
const HEADER_BYTES = 20;
const NAME_BYTES = 32;
const PACK_HEADER_BYTES = NAME_BYTES + 12;
const END_BYTES = 2;
const RUN_BYTES = 8;
/** Most bytes of a map. */
export const LAYOUT_MAP_BYTES_MAX =
  HEADER_BYTES +
  LAYOUT_PACKS_MAX * (PACK_HEADER_BYTES + PACK_PAGES_MAX * (BLOCK_ROW_BYTES + END_BYTES)) +
  LAYOUT_PAGES_MAX * RUN_BYTES;

/** A pack of copies. */
export interface LaidOutPack {
  readonly name: string;
  readonly sizeBytes: number;
  readonly blocks: BlockTable;
  /** The number of the block after the last one of each storage block. */
  readonly storageEnds: Uint32Array;
}

export interface LayoutMap {
  /** The capture whose pages were copied. */
  readonly capture: number;
  readonly packs: readonly LaidOutPack[];
  /** By slot, through the packs: the page that it is a copy of. None twice. */
  readonly gfns: Uint32Array;
}

/** Pages next to each other, as first one and count. */
function runsOf(gfns: Uint32Array): [number, number][] {
  const runs: [number, number][] = [];
  for (const gfn of gfns) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === gfn) last[1] += 1;
    else runs.push([gfn, 1]);
  }
  return runs;
}

/** The bytes of a map. */
export function encodeLayoutMap({ capture, packs, gfns }: LayoutMap): Uint8Array {
  const runs = runsOf(gfns);
  const format = runs.every(([first], i) => i === 0 || first > runs[i - 1]![0])
    ? FORMAT
    : FORMAT_ORDERED;
  const packBytes = ({ blocks, storageEnds }: LaidOutPack): number =>
    PACK_HEADER_BYTES + blocks.codecs.length * BLOCK_ROW_BYTES + storageEnds.length * END_BYTES;
  const runsAt = packs.reduce((at, pack) => at + packBytes(pack), HEADER_BYTES);
  const bytes = new Uint8Array(runsAt + runs.length * RUN_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of [MAGIC, format, capture, packs.length, runs.length].entries())
    view.setUint32(4 * i, word, true);
  let at = HEADER_BYTES;
  for (const { name, sizeBytes, blocks, storageEnds } of packs) {
    const count = blocks.codecs.length;
    bytes.set(fromHex(name), at);
    for (const [i, word] of [sizeBytes, count, storageEnds.length].entries())
      view.setUint32(at + NAME_BYTES + 4 * i, word, true);
    at += PACK_HEADER_BYTES;
    putBlocks(bytes, at, blocks);
    at += count * BLOCK_ROW_BYTES;
    for (const end of storageEnds) {
      view.setUint16(at, end, true);
      at += END_BYTES;
    }
  }
  for (const [first, count] of runs) {
    view.setUint32(at, first, true);
    view.setUint32(at + 4, count, true);
    at += RUN_BYTES;
  }
  return bytes;
}

/** What does not fit in a map, as a sentence's end. */
class Misfit {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

/** The pack whose table begins at `at`, and where it ends. */
function packIn(
  bytes: Uint8Array,
  view: DataView,
  at: number,
): { readonly pack: LaidOutPack; readonly end: number } | Misfit {
  if (at + PACK_HEADER_BYTES > bytes.length) return new Misfit('it ends within its packs');
  const name = toHex(bytes.subarray(at, at + NAME_BYTES));
  const sizeBytes = view.getUint32(at + NAME_BYTES, true);
  const count = view.getUint32(at + NAME_BYTES + 4, true);
  const storage = view.getUint32(at + NAME_BYTES + 8, true);
  if (count < 1 || count > PACK_PAGES_MAX || storage < 1 || storage > count)
    return new Misfit(`pack ${name} has ${count} blocks in ${storage} storage blocks`);
  const from = at + PACK_HEADER_BYTES;
  const endsAt = from + count * BLOCK_ROW_BYTES;
  const end = endsAt + storage * END_BYTES;
  if (end > bytes.length) return new Misfit(`the table of pack ${name} ends beyond it`);
  const blocks = blocksAt(bytes, from, count);
  const storageEnds = Uint32Array.from({ length: storage }, (_, i) =>
    view.getUint16(endsAt + END_BYTES * i, true),
  );
  const areEnds =
    storageEnds.at(-1) === count &&
    storageEnds.every((block, i) => block > (i === 0 ? 0 : storageEnds[i - 1]!));
  if (!areEnds)
    return new Misfit(`the storage blocks of pack ${name} do not end one after another`);
  const slots = slotsOf(blocks);
  const fault = blocksFault(blocks, { slots, sizeBytes });
  if (fault !== null) return new Misfit(`of pack ${name} ${fault}`);
  if (contentSlotsOf(blocks) !== slots)
    return new Misfit(`pack ${name} has descriptors of patterns`);
  return { pack: { name, sizeBytes, blocks, storageEnds }, end };
}

/** Whether no number is there twice. */
function areApart(numbers: Uint32Array): boolean {
  const sorted = numbers.toSorted();
  return sorted.every((number, i) => i === 0 || number !== sorted[i - 1]);
}

/** The pages that runs name; no page is named twice. */
function gfnsIn(
  view: DataView,
  at: number,
  {
    runs,
    slots,
    ascend,
  }: { readonly runs: number; readonly slots: number; readonly ascend: boolean },
): Uint32Array | Misfit {
  const gfns = new Uint32Array(slots);
  let slot = 0;
  let next = 0;
  for (let run = 0; run < runs; run += 1) {
    const first = view.getUint32(at + RUN_BYTES * run, true);
    const count = view.getUint32(at + RUN_BYTES * run + 4, true);
    const isBehind = !ascend || first >= next;
    const isOne = isBehind && count >= 1 && first + count <= VM_PAGES_MAX;
    if (!isOne || slot + count > slots)
      return new Misfit(`run ${run} is of ${count} pages from page ${first} on`);
    for (let i = 0; i < count; i += 1) gfns[slot + i] = first + i;
    slot += count;
    next = first + count;
  }
  if (slot !== slots) return new Misfit(`its runs name ${slot} pages, and its packs hold ${slots}`);
  return ascend || areApart(gfns) ? gfns : new Misfit('it names a page twice');
}

/** The map in some bytes; what does not fit, as a sentence's end, where they are none. */
export function decodeLayoutMap(bytes: Uint8Array): Either<string, LayoutMap> {
  if (bytes.length < HEADER_BYTES) return either.left(`it has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (number: number): number => view.getUint32(4 * number, true);
  const format = word(1);
  const capture = word(2);
  const packCount = word(3);
  const runs = word(4);
  if (word(0) !== MAGIC) return either.left('it does not begin as one');
  if (format !== FORMAT && format !== FORMAT_ORDERED)
    return either.left(
      `it is of format ${format}, and ${FORMAT} or ${FORMAT_ORDERED} was expected`,
    );
  if (capture < 1) return either.left('it is of no capture');
  if (packCount < 1 || packCount > LAYOUT_PACKS_MAX)
    return either.left(`it claims ${packCount} packs`);
  const packs: LaidOutPack[] = [];
  let at = HEADER_BYTES;
  for (let i = 0; i < packCount; i += 1) {
    const read = packIn(bytes, view, at);
    if (read instanceof Misfit) return either.left(read.why);
    packs.push(read.pack);
    at = read.end;
  }
  if (at + runs * RUN_BYTES !== bytes.length)
    return either.left(
      `its ${runs} runs end at ${at + runs * RUN_BYTES}, and it has ${bytes.length} bytes`,
    );
  const slots = packs.reduce((sum, { blocks }) => sum + slotsOf(blocks), 0);
  const gfns = gfnsIn(view, at, { runs, slots, ascend: format === FORMAT });
  return gfns instanceof Misfit ? either.left(gfns.why) : either.right({ capture, packs, gfns });
}
