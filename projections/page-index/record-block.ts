// Records of 32-bit words, sorted, in blocks (docs/format.md, "State files"). A record says how many
// of its first words equal those of the one before; then by how much the next word is larger; then
// the other words. The first record of a block is whole, so each block is read alone.
//
//   0  2  records n, u16 little-endian
//   2  -  n records: words that are equal (u8), then LEB128 numbers

import { assert } from '../../domain/values/assert.ts';
import { FILE_BLOCK_BYTES } from '../../domain/ports/derived-files.ts';
import { StateUnfit } from '../models/state-bytes.ts';

const HEADER_BYTES = 2;
const WORD_BYTES_MAX = 5;

/** Some records, `words` numbers each. */
export interface Records {
  readonly words: Uint32Array;
  readonly count: number;
}

const putWord = (block: Uint8Array, at: number, word: number): number => {
  let rest = word;
  let end = at;
  while (rest >= 0x80) {
    block[end] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    end += 1;
  }
  block[end] = rest;
  return end + 1;
};

/** Fills blocks with records that come in order. */
export class BlockPacker {
  readonly #width: number;
  readonly #block = new Uint8Array(FILE_BLOCK_BYTES);
  readonly #last: Uint32Array;
  #at = HEADER_BYTES;
  count = 0;

  /** `width`: words in a record. */
  constructor(width: number) {
    this.#width = width;
    this.#last = new Uint32Array(width);
  }

  /** Whether another record surely fits. */
  get hasRoom(): boolean {
    return this.#at + 1 + this.#width * WORD_BYTES_MAX <= FILE_BLOCK_BYTES;
  }

  /** Takes the record that begins at `from` in. */
  add(words: Uint32Array, from: number): void {
    const width = this.#width;
    const last = this.#last;
    const block = this.#block;
    let equal = 0;
    if (this.count > 0) while (equal < width && words[from + equal] === last[equal]) equal += 1;
    assert(equal < width, 'no two records of a run are equal');
    const before = this.count > 0 ? last[equal]! : 0;
    const word = words[from + equal]!;
    assert(word >= before, 'records come in order');
    block[this.#at] = equal;
    let at = putWord(block, this.#at + 1, word - before);
    for (let i = equal + 1; i < width; i += 1) at = putWord(block, at, words[from + i]!);
    for (let i = equal; i < width; i += 1) last[i] = words[from + i]!;
    this.#at = at;
    this.count += 1;
  }

  /** The block, valid until the next record is added to an empty one. */
  take(): Uint8Array {
    new DataView(this.#block.buffer).setUint16(0, this.count, true);
    const taken = this.#block.subarray(0, this.#at);
    this.#at = HEADER_BYTES;
    this.count = 0;
    return taken;
  }
}

/** Most records of a block: each takes two bytes at least. */
const RECORDS_MAX = FILE_BLOCK_BYTES / 2;

/** Room for the records of any block. */
export const roomForRecords = (width: number): Uint32Array => new Uint32Array(RECORDS_MAX * width);

/**
 * The records of a block, in `room` where some is given, where they are valid as long as it is left
 * alone. StateUnfit where it is none.
 */
export function recordsIn(block: Uint8Array, width: number, room?: Uint32Array): Records {
  const count = block[0]! | (block[1]! << 8);
  if (count > RECORDS_MAX) throw new StateUnfit('a block claims more records than it can hold');
  const words = room?.subarray(0, count * width) ?? new Uint32Array(count * width);
  let at = HEADER_BYTES;
  for (let row = 0; row < count; row += 1) {
    const from = row * width;
    const equal = block[at]!;
    at += 1;
    if (equal >= width || (row === 0 && equal > 0))
      throw new StateUnfit('a record repeats another');
    for (let i = 0; i < equal; i += 1) words[from + i] = words[from - width + i]!;
    for (let i = equal; i < width; i += 1) {
      let byte = block[at]!;
      at += 1;
      let word = byte & 0x7f;
      for (let scale = 128; byte >= 0x80; scale *= 128) {
        if (at >= block.length || scale > 2 ** 28) throw new StateUnfit('a record has no end');
        byte = block[at]!;
        at += 1;
        word += (byte & 0x7f) * scale;
      }
      words[from + i] = i === equal && row > 0 ? words[from - width + i]! + word : word;
    }
    if (at > block.length) throw new StateUnfit('records end early');
  }
  return { words, count };
}
