// Where a pack is put together: its blocks one after the other, with their rows of the table, and what
// its patches refer to. Salts come in when it is complete.
//
// A process uses its stagings again, whichever capture or ledger they served before: memory that is
// touched for the first time costs more than what is put into it.

import { grown } from '../../values/grown.ts';
import { CODEC_SALTED, SALT_BYTES, saltedChecksum } from '../../values/block-salt.ts';
import {
  PACK_HEADER_BYTES,
  PACK_RANDOM_BYTES,
  packHeader,
  type BlockTable,
} from '../../values/pack.ts';
import { PACK_SLOTS } from '../../values/page.ts';
import { ownBytes, SpareRooms, Spares, type LentBytes } from '../../values/spares.ts';
import type { StoredBlocks } from '../../ports/page-engine.ts';
import { NO_PATCHES, type PatchTable } from '../../events/patches.ts';

/** Room for the first pack of a writer: little, as most captures are small. */
const FIRST_BYTES = 256 * 1024;
/** Room for a pack of PACK_PAGES_MAX pages that compress as those of most guests do. */
const PACK_BYTES = 8 * 1024 * 1024;
/** Stagings that are kept for whoever comes next: as many as one writer has at work. */
const SPARE_MAX = 2;

/** A content by the pack and slot that gave it its number. */
export interface SlotOfPack {
  readonly pack: string;
  readonly slot: number;
}

export class Staging {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;
  pages = 0;
  blocks = 0;
  /** Of each block, left free behind it. */
  #saltBytes = 0;
  readonly codecs = new Uint8Array(PACK_SLOTS);
  readonly blockPages = new Uint8Array(PACK_SLOTS);
  readonly lengths = new Uint32Array(PACK_SLOTS);
  readonly checksums = new Uint32Array(PACK_SLOTS);
  /** Of patches: slots, what they refer to, and the packs of that. */
  readonly patchSlots: number[] = [];
  readonly references: SlotOfPack[] = [];

  constructor(lengthBytes: number) {
    this.bytes = new Uint8Array(lengthBytes);
  }

  start(saltBytes: number): void {
    this.#saltBytes = saltBytes;
    this.length = PACK_HEADER_BYTES;
    this.pages = 0;
    this.blocks = 0;
    this.patchSlots.length = 0;
    this.references.length = 0;
  }

  /** Takes in a block of those stored, whose bytes begin at `offsetBytes`; the slot of its first page. */
  add(stored: StoredBlocks, block: number, offsetBytes: number): number {
    const storedBytes = stored.lengths[block]!;
    const lengthBytes = storedBytes + this.#saltBytes;
    const endBytes = this.length + lengthBytes;
    // At once to what a pack takes: pages of it that stay empty are never touched.
    if (endBytes > this.bytes.length)
      this.bytes = grown(this.bytes, Math.max(endBytes, PACK_BYTES));
    this.bytes.set(stored.bytes.subarray(offsetBytes, offsetBytes + storedBytes), this.length);
    this.codecs[this.blocks] = stored.codecs[block]!;
    this.blockPages[this.blocks] = stored.pages[block]!;
    this.lengths[this.blocks] = lengthBytes;
    this.checksums[this.blocks] = stored.checksums[block]!;
    const slot = this.pages;
    this.length += lengthBytes;
    this.pages += stored.pages[block]!;
    this.blocks += 1;
    return slot;
  }

  /** Bytes that `complete` takes: of the header, and a salt a block. */
  get randomCount(): number {
    return PACK_RANDOM_BYTES + this.blocks * this.#saltBytes;
  }

  /** Fills the header and the salts in, from random bytes. */
  complete(group: string, random: Uint8Array): void {
    this.bytes.set(packHeader({ group, random }), 0);
    if (this.#saltBytes === 0) return;
    const salts = new DataView(random.buffer, random.byteOffset + PACK_RANDOM_BYTES);
    const view = new DataView(this.bytes.buffer);
    let end = PACK_HEADER_BYTES;
    for (let block = 0; block < this.blocks; block += 1) {
      const salt = salts.getUint32(block * SALT_BYTES, true);
      end += this.lengths[block]!;
      view.setUint32(end - SALT_BYTES, salt, true);
      this.codecs[block]! |= CODEC_SALTED;
      this.checksums[block] = saltedChecksum(this.checksums[block]!, salt);
    }
  }

  patches(): PatchTable {
    if (this.patchSlots.length === 0) return NO_PATCHES;
    const packs = [...new Set(this.references.map(({ pack }) => pack))];
    const numbers = new Map(packs.map((pack, index) => [pack, index]));
    return {
      packs,
      slots: Uint16Array.from(this.patchSlots),
      packIndexes: Uint16Array.from(this.references, ({ pack }) => numbers.get(pack)!),
      references: Uint16Array.from(this.references, ({ slot }) => slot),
    };
  }

  table(): BlockTable {
    const count = this.blocks;
    return {
      codecs: this.codecs.slice(0, count),
      pages: this.blockPages.slice(0, count),
      lengths: this.lengths.slice(0, count),
      checksums: this.checksums.slice(0, count),
    };
  }
}

const spares = new Spares<Staging>(SPARE_MAX);

/** A staging that nobody uses: with room for a pack, or, for the `first` of a writer, for a small one. */
export const takeStaging = ({ isFirst }: { readonly isFirst: boolean }): Staging =>
  spares.take(() => new Staging(isFirst ? FIRST_BYTES : PACK_BYTES));

/** Blocks of one chunk that are put into stagings at once: as many as there are stagings at work. */
const privateRooms = new SpareRooms({
  max: SPARE_MAX,
  stepBytes: 1024 * 1024,
  make: (lengthBytes) => new Uint8Array(lengthBytes),
});

/**
 * Bytes that threads share as this thread's alone; others as they are. Blocks begin at any byte, and what
 * is shared is copied a byte at a time unless both places lie alike to the words of memory.
 */
export function privately(bytes: Uint8Array): LentBytes {
  if (bytes.buffer instanceof ArrayBuffer) return ownBytes(bytes);
  const room = privateRooms.take(bytes.length);
  room.set(bytes);
  return {
    bytes: room.subarray(0, bytes.length),
    giveBack: () => privateRooms.giveBack(room),
  };
}

/** Gives a staging back, whose bytes nobody reads any more. */
export function giveStaging(staging: Staging): void {
  spares.giveBack(staging);
}
