// A sorted run: records of 32-bit words in ascending order in a block file, found by their first words
// with three reads, whatever the run's length. Blocks of records come first, then the directory (of
// each of them, the first words of its first record), then the last block, which is read first:
//
//    0   4  magic "PLRN"
//    4   4  words in a record
//    8   8  records
//   16   4  blocks of records
//   20   4  blocks of the directory d
//   24   8  what the run is of (RunId)
//   32   -  first words of the first record that each block of the directory knows: d x 12
//
// All integers little-endian.

import { RecentMap } from '../../domain/values/recent-map.ts';
import { FILE_BLOCK_BYTES, type BlockFile } from '../../domain/ports/derived-files.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import { StateUnfit } from '../models/state-bytes.ts';
import { BlockPacker, recordsIn, roomForRecords, type Records } from './record-block.ts';

const MAGIC = 0x4e52_4c50;
const HEADER_BYTES = 32;
/** First words of a record, by which it is found. */
const KEY_WORDS = 3;
const KEY_BYTES = KEY_WORDS * 4;
/** Keys in a block of the directory. */
const KEYS_MAX = Math.floor(FILE_BLOCK_BYTES / KEY_BYTES);
/** Blocks of directories that the last block can know. */
const DIRECTORIES_MAX = Math.floor((FILE_BLOCK_BYTES - HEADER_BYTES) / KEY_BYTES);
/** Blocks kept decoded of an open run: look-ups in ascending order meet one again and again. */
const KEPT_MAX = 4;

/** What tells a run from others of the same name. */
export type RunId = bigint;

const bytesOf = (words: Uint32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength);

/**
 * The blocks of a run of these records, ascending; each is valid until the next is asked for. Memory:
 * the directory, 12 bytes a block.
 */
export async function* runBlocks(
  records: AsyncIterable<Records> | Iterable<Records>,
  of: { readonly width: number; readonly id: RunId },
): AsyncGenerator<Uint8Array> {
  const { width, id } = of;
  const packer = new BlockPacker(width);
  const keys: number[] = [];
  let total = 0;
  for await (const { words, count } of records)
    for (let row = 0; row < count; row += 1) {
      if (!packer.hasRoom) yield packer.take();
      const from = row * width;
      if (packer.count === 0) keys.push(words[from]!, words[from + 1]!, words[from + 2]!);
      packer.add(words, from);
      total += 1;
    }
  if (packer.count > 0) yield packer.take();
  const blocks = keys.length / KEY_WORDS;
  const firsts: number[] = [];
  for (let first = 0; first < blocks; first += KEYS_MAX) {
    const known = keys.slice(first * KEY_WORDS, (first + KEYS_MAX) * KEY_WORDS);
    firsts.push(...known.slice(0, KEY_WORDS));
    yield bytesOf(Uint32Array.from(known));
  }
  const last = new Uint8Array(HEADER_BYTES + firsts.length * 4);
  const view = new DataView(last.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, width, true);
  view.setBigUint64(8, BigInt(total), true);
  view.setUint32(16, blocks, true);
  view.setUint32(20, firsts.length / KEY_WORDS, true);
  view.setBigUint64(24, id, true);
  last.set(bytesOf(Uint32Array.from(firsts)), HEADER_BYTES);
  yield last;
}

/** First words of a record: what is looked for begins with them. */
export type Key = readonly [number, number, number];

/** The last of `count` ascending keys that is before `key`; 0 where none is. */
function lastBefore(keys: Uint32Array, count: number, key: Key): number {
  const isBefore = (i: number): boolean => {
    const at = i * KEY_WORDS;
    return (keys[at]! - key[0] || keys[at + 1]! - key[1] || keys[at + 2]! - key[2]) < 0;
  };
  return Math.max(0, lastWhere(count, isBefore));
}

/** A block that was read. StateUnfit where it is damaged. */
function whole(block: Uint8Array | null, number: number): Uint8Array {
  if (block === null) throw new StateUnfit(`block ${number} of a run is damaged`);
  return block;
}

/** An open run. Raises StateUnfit where a block of it is damaged. */
export class SortedRun {
  readonly #file: BlockFile;
  readonly #width: number;
  readonly #blocks: number;
  readonly #firsts: Uint32Array;
  readonly #kept = new RecentMap<number, Records>({ max: KEPT_MAX });
  #directory: { readonly number: number; readonly keys: Uint32Array } | null = null;

  private constructor(file: BlockFile, width: number, last: Uint8Array) {
    const view = new DataView(last.buffer, last.byteOffset, last.byteLength);
    const directories = view.getUint32(20, true);
    this.#file = file;
    this.#width = width;
    this.#blocks = view.getUint32(16, true);
    if (directories > DIRECTORIES_MAX || this.#blocks + directories + 1 !== file.count)
      throw new StateUnfit('a run has another number of blocks');
    const bytes = last.slice(HEADER_BYTES, HEADER_BYTES + directories * KEY_BYTES);
    this.#firsts = new Uint32Array(bytes.buffer);
  }

  /** Reads one block. StateUnfit where the file is no such run. */
  static async open(
    file: BlockFile,
    of: { readonly width: number; readonly id: RunId },
  ): Promise<SortedRun> {
    const last = await file.read(file.count - 1);
    if (last === null) throw new StateUnfit('the last block of a run is damaged');
    const view = new DataView(last.buffer, last.byteOffset, last.byteLength);
    const isRun = view.getUint32(0, true) === MAGIC && view.getUint32(4, true) === of.width;
    if (!isRun || view.getBigUint64(24, true) !== of.id) throw new StateUnfit('another run');
    return new SortedRun(file, of.width, last);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #read(number: number): Promise<Uint8Array> {
    return whole(await this.#file.read(number), number);
  }

  async #records(number: number): Promise<Records> {
    const kept = this.#kept.get(number);
    if (kept !== undefined) return kept;
    const records = recordsIn(await this.#read(number), this.#width);
    this.#kept.set(number, records);
    return records;
  }

  /** The block in which the first record not before `key` lies, or the one before it. */
  async #blockOf(key: Key): Promise<number> {
    const number = lastBefore(this.#firsts, this.#firsts.length / KEY_WORDS, key);
    if (this.#directory?.number !== number) {
      const bytes = (await this.#read(this.#blocks + number)).slice();
      this.#directory = { number, keys: new Uint32Array(bytes.buffer) };
    }
    const first = number * KEYS_MAX;
    const count = Math.min(KEYS_MAX, this.#blocks - first);
    return first + lastBefore(this.#directory.keys, count, key);
  }

  /** Records from the block of `key` on: some of the first ones may come before it. */
  async *from(key: Key): AsyncGenerator<Records> {
    if (this.#blocks === 0) return;
    for (let number = await this.#blockOf(key); number < this.#blocks; number += 1)
      yield await this.#records(number);
  }

  /** All records, a block at a time: valid until the next ones are asked for. */
  async *all(): AsyncGenerator<Records> {
    const room = roomForRecords(this.#width);
    let number = 0;
    for await (const block of this.#file.first(this.#blocks)) {
      yield recordsIn(whole(block, number), this.#width, room);
      number += 1;
    }
  }

  /** The records whose first words are these, one after the other. */
  async find(
    first: readonly number[],
    take: (words: Uint32Array, at: number) => void,
  ): Promise<void> {
    const key: Key = [first[0] ?? 0, first[1] ?? 0, first[2] ?? 0];
    for await (const { words, count } of this.from(key))
      for (let row = 0; row < count; row += 1) {
        const at = row * this.#width;
        let order = 0;
        for (let i = 0; i < first.length && order === 0; i += 1) order = words[at + i]! - first[i]!;
        if (order > 0) return;
        if (order === 0) take(words, at);
      }
  }
}
