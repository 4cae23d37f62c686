// The pieces of a migration stream as QEMU takes them (stream-layout.ts), put together in a buffer.

import { assert } from '../../../domain/values/assert.ts';
import { pageCountOf, type MemoryMap } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import * as layout from './stream-layout.ts';

/** Number of the RAM section: QEMU counts sections from 0, so no device has it. */
const RAM_SECTION_NUMBER = 0x7fff_0001;
const WORD_BYTES = 8;
const RECORD_HEAD_BYTES_MAX = WORD_BYTES + 1 + layout.NAME_BYTES_MAX;
/** A zero page's record is its head and the byte that fills it. */
export const ZERO_RECORD_BYTES_MAX = RECORD_HEAD_BYTES_MAX + 1;
export const PAGE_RECORD_BYTES_MAX = RECORD_HEAD_BYTES_MAX + PAGE_BYTES;
/** What begins a section that goes on, and what ends it. */
export const SECTION_BYTES = 1 + 4 + WORD_BYTES + 1 + 4;

/** Bytes of a stream; whoever writes makes sure that there is room. */
export class StreamWriter {
  protected readonly buffer: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  protected length = 0;

  constructor(bytesMax: number) {
    this.buffer = new Uint8Array(bytesMax);
    this.#view = new DataView(this.buffer.buffer);
  }

  hasRoom(count: number): boolean {
    return this.length + count <= this.buffer.length;
  }

  /** Begins anew: what was written is of no use any more. */
  begin(): void {
    this.length = 0;
  }

  /** What was written so far. */
  written(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  u8(value: number): void {
    this.buffer[this.length++] = value;
  }

  u16(value: number): void {
    this.#view.setUint16(this.length, value);
    this.length += 2;
  }

  u32(value: number): void {
    this.#view.setUint32(this.length, value);
    this.length += 4;
  }

  /** A word of `high`, a multiple of the flags' range, and flags. */
  word(high: number, flags: number): void {
    this.u32(Math.floor(high / 2 ** 32));
    this.u32((high % 2 ** 32) + flags);
  }

  name(name: string): void {
    assert(name.length <= layout.NAME_BYTES_MAX, 'a name fits its length byte');
    this.u8(name.length);
    for (let i = 0; i < name.length; i++) this.u8(name.charCodeAt(i));
  }

  /** Bytes that are known to fit. */
  take(source: Uint8Array): void {
    this.buffer.set(source, this.length);
    this.length += source.length;
  }
}

/** Bytes that the list of a guest's blocks takes at most. */
export const blockListBytes = ({ blocks }: MemoryMap): number =>
  64 + (blocks.length + 1) * RECORD_HEAD_BYTES_MAX;

/** The section that lists a guest's blocks of memory. */
export function writeBlockList(writer: StreamWriter, map: MemoryMap): void {
  writer.u8(layout.RECORD_START);
  writer.u32(RAM_SECTION_NUMBER);
  writer.name(layout.RAM_SECTION);
  writer.u32(0);
  writer.u32(layout.RAM_VERSION);
  writer.word(pageCountOf(map) * PAGE_BYTES, layout.RAM_BLOCKS);
  for (const block of map.blocks) {
    writer.name(block.name);
    writer.word(block.pages * PAGE_BYTES, 0);
  }
  writeSectionEnd(writer);
}

/** What begins a section of memory that goes on: RECORD_PART or RECORD_END. */
export function writeSectionStart(writer: StreamWriter, record: number): void {
  writer.u8(record);
  writer.u32(RAM_SECTION_NUMBER);
}

/** What ends a section of memory. */
export function writeSectionEnd(writer: StreamWriter): void {
  writer.word(0, layout.RAM_EOS);
  writer.u8(layout.RECORD_FOOTER);
  writer.u32(RAM_SECTION_NUMBER);
}

/** The heads of pages' records: each names its block, unless the one before did. */
export class PageRecords {
  /** First gfn of each block, and the number of all pages as the last. */
  readonly #firsts: readonly number[];
  readonly #named: readonly string[];
  /** The block named last. */
  #block = -1;

  constructor(memoryMap: MemoryMap) {
    const firsts = [0];
    for (const block of memoryMap.blocks) firsts.push(firsts.at(-1)! + block.pages);
    this.#firsts = firsts;
    this.#named = memoryMap.blocks.map((block) => block.name);
  }

  get pageCount(): number {
    return this.#firsts.at(-1)!;
  }

  /** A page and its bytes. */
  page(writer: StreamWriter, gfn: number, bytes: Uint8Array): void {
    this.#head(writer, gfn, layout.RAM_PAGE);
    writer.take(bytes);
  }

  /** A page of zeros. */
  zero(writer: StreamWriter, gfn: number): void {
    this.#head(writer, gfn, layout.RAM_ZERO);
    writer.u8(0);
  }

  #head(writer: StreamWriter, gfn: number, flags: number): void {
    let block = Math.max(this.#block, 0);
    while (gfn < this.#firsts[block]!) block--;
    while (gfn >= this.#firsts[block + 1]!) block++;
    const address = (gfn - this.#firsts[block]!) * PAGE_BYTES;
    if (block === this.#block) {
      writer.word(address, flags | layout.RAM_CONTINUE);
      return;
    }
    writer.word(address, flags);
    writer.name(this.#named[block]!);
    this.#block = block;
  }
}
