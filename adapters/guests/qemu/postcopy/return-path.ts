// What a QEMU whose memory still arrives says on its way back (docs/qemu.md, "The way back"). All
// integers are big-endian; nothing of it is trusted.
//
//   u16 type, u16 length, then
//   1 SHUT         u32 status: 0 where the guest has all that it needs
//   2 PONG         u32
//   3 REQ_PAGES    u64 offset, u32 bytes, u8 length, name of the block
//   4 REQ_PAGES    u64 offset, u32 bytes, of the block named last
//   5 RECV_BITMAP  u8 length, name; behind it u64 bytes, a bit a page, the lowest page the lowest bit
//                  of the first byte, u64 0123456789abcdef
//   6 RESUME_ACK   u32: 1

import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import type { MemoryMap } from '../../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { latin1 } from '../byte-window.ts';

const SHUT = 1;
const PONG = 2;
const REQUEST_NAMED = 3;
const REQUEST = 4;
const RECEIVED = 5;
const RESUME_ACK = 6;

/** Where in a block a request begins, and how many bytes it asks for. */
const REQUEST_BYTES = 12;
const HEAD_BYTES = 4;
const RECEIVED_END = 0x0123_4567_89ab_cdefn;
/** Most bytes that one request asks for: QEMU asks for a page of the host's, 1 GiB where it is huge. */
const REQUEST_BYTES_MAX = 2 ** 30;
/**
 * Most times that a guest asks for as many pages as it has: QEMU asks once for what it lacks, and once
 * more for each processor that waits for the same page, of the host's huge ones too.
 */
const ASKED_TIMES_MAX = 256;

/** Something that QEMU said. */
export type Returned =
  | { readonly _tag: 'shut'; readonly status: number }
  | { readonly _tag: 'pong' }
  | { readonly _tag: 'resumed' }
  /** Pages by their numbers in the whole guest. */
  | { readonly _tag: 'wanted'; readonly firstPage: number; readonly count: number }
  /** Where [page] of the block is 1, the guest has it. */
  | { readonly _tag: 'received'; readonly block: string; readonly has: Uint8Array };

/** Longest message after its head, by its type. */
const LENGTHS: Readonly<Record<number, { readonly min: number; readonly max: number }>> = {
  [SHUT]: { min: 4, max: 4 },
  [PONG]: { min: 4, max: 4 },
  [REQUEST_NAMED]: { min: REQUEST_BYTES + 1, max: REQUEST_BYTES + 256 },
  [REQUEST]: { min: REQUEST_BYTES, max: REQUEST_BYTES },
  [RECEIVED]: { min: 1, max: 256 },
  [RESUME_ACK]: { min: 4, max: 4 },
};

interface Block {
  readonly name: string;
  readonly firstPage: number;
  readonly pages: number;
}

/** Reads what QEMU says, in whatever parts it comes. */
export class ReturnPath {
  readonly #blocks = new Map<string, Block>();
  readonly #path: string;
  #rest = Buffer.alloc(0);
  /** The block that was named last. */
  #block: Block | null = null;
  /** Pages that were asked for, and that may be, the same ones again counted again. */
  #asked = 0;
  readonly #askedMax: number;

  constructor({ blocks }: MemoryMap, path: string) {
    this.#path = path;
    let firstPage = 0;
    for (const { name, pages } of blocks) {
      this.#blocks.set(name, { name, firstPage, pages });
      firstPage += pages;
    }
    this.#askedMax = firstPage * ASKED_TIMES_MAX;
  }

  /** The messages that are whole with these bytes. Throws QEMU_FAILED for what QEMU would not say. */
  take(bytes: Uint8Array): readonly Returned[] {
    this.#rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    const messages: Returned[] = [];
    for (let next = this.#next(); next !== null; next = this.#next()) {
      messages.push(next.message);
      this.#rest = this.#rest.subarray(next.bytes);
    }
    return messages;
  }

  #next(): { readonly message: Returned; readonly bytes: number } | null {
    if (this.#rest.length < HEAD_BYTES) return null;
    const type = this.#rest.readUInt16BE(0);
    const length = this.#rest.readUInt16BE(2);
    const bounds = LENGTHS[type];
    if (bounds === undefined || length < bounds.min || length > bounds.max)
      throw this.#unfit(`a message of type ${type} with ${length} bytes`);
    const bytes = HEAD_BYTES + length;
    if (this.#rest.length < bytes) return null;
    const body = this.#rest.subarray(HEAD_BYTES, bytes);
    if (type === RECEIVED) return this.#received(body, bytes);
    return { message: this.#message(type, body), bytes };
  }

  #message(type: number, body: Buffer): Returned {
    switch (type) {
      case SHUT:
        return { _tag: 'shut', status: body.readUInt32BE(0) };
      case PONG:
        return { _tag: 'pong' };
      case RESUME_ACK:
        if (body.readUInt32BE(0) !== 1) throw this.#unfit('that it does not go on');
        return { _tag: 'resumed' };
      default:
        return this.#wanted(type, body);
    }
  }

  #wanted(type: number, body: Buffer): Returned {
    if (type === REQUEST_NAMED) this.#block = this.#named(body.subarray(REQUEST_BYTES));
    const block = this.#block;
    if (block === null) throw this.#unfit('a request without a block');
    const offset = Number(body.readBigUInt64BE(0));
    const bytes = body.readUInt32BE(8);
    const isPages = offset % PAGE_BYTES === 0 && bytes % PAGE_BYTES === 0 && bytes > 0;
    const isWithin = offset + bytes <= block.pages * PAGE_BYTES && bytes <= REQUEST_BYTES_MAX;
    if (!isPages || !isWithin)
      throw this.#unfit(
        `a request for ${bytes} bytes at ${offset} of ${block.name}, which has ${block.pages * PAGE_BYTES}`,
      );
    const count = bytes / PAGE_BYTES;
    this.#asked += count;
    if (this.#asked > this.#askedMax)
      throw this.#unfit(
        `requests for ${this.#asked} pages in all, which is each page ${ASKED_TIMES_MAX} times`,
      );
    return { _tag: 'wanted', firstPage: block.firstPage + offset / PAGE_BYTES, count };
  }

  #named(bytes: Buffer): Block {
    const length = bytes[0]!;
    if (length !== bytes.length - 1) throw this.#unfit('a name of another length than it says');
    const name = latin1(bytes.subarray(1));
    const block = this.#blocks.get(name);
    if (block === undefined)
      throw this.#unfit(
        `a request for the block ${JSON.stringify(name)}, which the guest does not have`,
      );
    return block;
  }

  #received(
    body: Buffer,
    at: number,
  ): { readonly message: Returned; readonly bytes: number } | null {
    const { name, pages } = this.#named(body);
    if (this.#rest.length < at + 8) return null;
    const length = Number(this.#rest.readBigUInt64BE(at));
    // Whole words of 64 bits.
    if (length !== Math.ceil(pages / 64) * 8)
      throw this.#unfit(`${length} bytes of what it has of ${name}, which has ${pages} pages`);
    const end = at + 8 + length + 8;
    if (this.#rest.length < end) return null;
    if (this.#rest.readBigUInt64BE(end - 8) !== RECEIVED_END)
      throw this.#unfit(`another end of what it has of ${name}`);
    const bits = this.#rest.subarray(at + 8, at + 8 + length);
    const has = Uint8Array.from({ length: pages }, (_, i) => (bits[i >>> 3]! >>> (i & 7)) & 1);
    return { message: { _tag: 'received', block: name, has }, bytes: end };
  }

  #unfit(found: string): LedgerError {
    return new LedgerError(
      'QEMU_FAILED',
      `${this.#path}: the guest's QEMU sent ${found}: that is no request for memory as QEMU makes them; it is given nothing more`,
      { path: this.#path },
    );
  }
}
