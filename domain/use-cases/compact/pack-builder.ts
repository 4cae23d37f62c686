// Puts a rewritten pack together: blocks of contents, then the patterns, in a buffer that becomes the
// pack, and the columns of its event beside.

import { assert } from '../../values/assert.ts';
import { toHex } from '../../values/identifier.ts';
import { PACK_HEADER_BYTES, packHeader } from '../../values/pack.ts';
import { PACK_SLOTS } from '../../values/page.ts';
import type { StoredBlocks } from '../../ports/page-engine.ts';
import { NO_PATCHES, type PatchTable } from '../../events/patches.ts';
import { HOME_PACKS_MAX, type PackRewritten } from '../../events/pack-rewritten.ts';
import type { SlotOfPack } from '../record/pack-stager.ts';

const BUILDING_BYTES = 4 * 1024 * 1024;

/** What one slot of a rewritten pack stands for. */
export interface RewrittenSlot {
  readonly home: SlotOfPack;
  /** What it is a patch of; null: it is none. */
  readonly reference: SlotOfPack | null;
}

export interface BuiltPack {
  readonly bytes: Uint8Array;
  readonly pack: PackRewritten;
}

/** Names under the numbers that columns say. */
class Names {
  readonly #numbers = new Map<string, number>();

  of(name: string): number {
    const number = this.#numbers.get(name) ?? this.#numbers.size;
    this.#numbers.set(name, number);
    return number;
  }

  get count(): number {
    return this.#numbers.size;
  }

  get list(): string[] {
    return [...this.#numbers.keys()];
  }
}

export class PackBuilder {
  #bytes = new Uint8Array(BUILDING_BYTES);
  #length = PACK_HEADER_BYTES;
  #blocks = 0;
  #slots = 0;
  readonly #group: string;
  readonly #codecs = new Uint8Array(PACK_SLOTS);
  readonly #pages = new Uint8Array(PACK_SLOTS);
  readonly #lengths = new Uint32Array(PACK_SLOTS);
  readonly #checksums = new Uint32Array(PACK_SLOTS);
  readonly #homes = new Names();
  readonly #homeIndexes = new Uint16Array(PACK_SLOTS);
  readonly #homeSlots = new Uint16Array(PACK_SLOTS);
  readonly #referencePacks = new Names();
  readonly #patches: { readonly slot: number; readonly pack: number; readonly of: number }[] = [];

  constructor({ group, random }: { readonly group: string; readonly random: Uint8Array }) {
    this.#group = group;
    this.#bytes.set(packHeader({ group, random }), 0);
  }

  /** Whether so many slots may be added, whatever packs they are of. */
  hasHomes(slots: number): boolean {
    return this.#homes.count + slots <= HOME_PACKS_MAX;
  }

  /** Takes blocks in, and what each of their pages stands for. */
  add(blocks: StoredBlocks, slots: readonly RewrittenSlot[]): void {
    const count = blocks.codecs.length;
    this.#room(blocks.bytes.length);
    this.#bytes.set(blocks.bytes, this.#length);
    this.#length += blocks.bytes.length;
    this.#codecs.set(blocks.codecs, this.#blocks);
    this.#pages.set(blocks.pages, this.#blocks);
    this.#lengths.set(blocks.lengths, this.#blocks);
    this.#checksums.set(blocks.checksums, this.#blocks);
    this.#blocks += count;
    const pages = blocks.pages.reduce((sum, inBlock) => sum + inBlock, 0);
    assert(pages === slots.length, 'every page of a rewritten block stands for a slot');
    for (const { home, reference } of slots) {
      this.#homeIndexes[this.#slots] = this.#homes.of(home.pack);
      this.#homeSlots[this.#slots] = home.slot;
      if (reference !== null) {
        const pack = this.#referencePacks.of(reference.pack);
        this.#patches.push({ slot: this.#slots, pack, of: reference.slot });
      }
      this.#slots += 1;
    }
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  #patchTable(): PatchTable {
    if (this.#patches.length === 0) return NO_PATCHES;
    return {
      packs: this.#referencePacks.list,
      slots: Uint16Array.from(this.#patches, ({ slot }) => slot),
      packIndexes: Uint16Array.from(this.#patches, ({ pack }) => pack),
      references: Uint16Array.from(this.#patches, ({ of }) => of),
    };
  }

  /** The whole pack and its event. */
  build(sha256: (bytes: Uint8Array) => Uint8Array): BuiltPack {
    assert(this.#slots > 0, 'a pack has a slot');
    const bytes = this.#bytes.subarray(0, this.#length);
    const pack: PackRewritten = {
      name: toHex(sha256(bytes)),
      group: this.#group,
      sizeBytes: this.#length,
      blocks: {
        codecs: this.#codecs.slice(0, this.#blocks),
        pages: this.#pages.slice(0, this.#blocks),
        lengths: this.#lengths.slice(0, this.#blocks),
        checksums: this.#checksums.slice(0, this.#blocks),
      },
      homes: this.#homes.list,
      homeIndexes: this.#homeIndexes.slice(0, this.#slots),
      homeSlots: this.#homeSlots.slice(0, this.#slots),
      patches: this.#patchTable(),
    };
    return { bytes, pack };
  }
}
