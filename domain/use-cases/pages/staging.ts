// Where a pack is put together: its blocks one after the other, with their rows of the table, and what
// its patches refer to. Salts come in when it is complete.

import { grown } from '../../values/grown.ts';
import { CODEC_SALTED, SALT_BYTES, saltedChecksum } from '../../values/block-salt.ts';
import {
  PACK_HEADER_BYTES,
  PACK_RANDOM_BYTES,
  packHeader,
  type BlockTable,
} from '../../values/pack.ts';
import { PACK_SLOTS } from '../../values/page.ts';
import type { StoredBlocks } from '../../ports/page-engine.ts';
import { NO_PATCHES, type PatchTable } from '../../events/patches.ts';

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
    this.bytes = grown(this.bytes, this.length + lengthBytes);
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
