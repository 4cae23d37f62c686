// The staging buffer (brief, 3.3): blocks of pages are copied into it one after the other; full, or at
// the capture's end, it is written as one pack, whole and durable, before any event names it.
//
// Invariants: packs end where the plan says; they are announced in order; at most PUTS_MAX puts are
// under way.

import { assert } from '../../values/assert.ts';
import { toHex } from '../../values/identifier.ts';
import { PACK_HEADER_BYTES, packHeader, type BlockTable } from '../../values/pack.ts';
import { PACK_PAGES_MAX, PACK_SLOTS } from '../../values/page.ts';
import { IDENTIFIER_BYTES, type PageEngine, type StoredBlocks } from '../../ports/page-engine.ts';
import type { PackWritten } from '../../events/pack-written.ts';
import { NO_PATCHES, type PatchTable } from '../../events/patches.ts';
import type { PageStore } from '../../ports/page-store.ts';
import type { PackPlan } from './pack-plan.ts';

const PUTS_MAX = 2;
/** Room to begin with: little for a capture's first pack, as most captures are small. */
const FIRST_STAGING_BYTES = 256 * 1024;
const STAGING_BYTES = 4 * 1024 * 1024;

export interface StagerPorts {
  readonly store: PageStore;
  readonly engine: Pick<PageEngine, 'encodePatterns'>;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** A content by the pack and slot that gave it its number. */
export interface SlotOfPack {
  readonly pack: string;
  readonly slot: number;
}

/** New contents, compressed, in the order of the plan. */
export interface NewContents {
  readonly blocks: StoredBlocks;
  /** A row a page. */
  readonly identifiers: Uint8Array;
  /** What each page is a patch of; null: it is none. */
  readonly references: readonly (SlotOfPack | null)[];
}

class Staging {
  bytes: Uint8Array;
  length = 0;
  pages = 0;
  blocks = 0;
  readonly codecs = new Uint8Array(PACK_SLOTS);
  readonly blockPages = new Uint8Array(PACK_SLOTS);
  readonly lengths = new Uint32Array(PACK_SLOTS);
  readonly checksums = new Uint32Array(PACK_SLOTS);
  readonly identifiers = new Uint8Array(PACK_SLOTS * IDENTIFIER_BYTES);
  /** Of patches: slots, what they refer to, and the packs of that. */
  readonly patchSlots: number[] = [];
  readonly references: SlotOfPack[] = [];

  constructor(lengthBytes: number) {
    this.bytes = new Uint8Array(lengthBytes);
  }

  start(header: Uint8Array): void {
    this.bytes.set(header, 0);
    this.length = PACK_HEADER_BYTES;
    this.pages = 0;
    this.blocks = 0;
    this.patchSlots.length = 0;
    this.references.length = 0;
  }

  /** Takes one block in; `identifiers` has a row a page of it. */
  add(
    block: { readonly codec: number; readonly pages: number; readonly checksum: number },
    bytes: Uint8Array,
    identifiers: Uint8Array,
  ): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length);
    this.codecs[this.blocks] = block.codec;
    this.blockPages[this.blocks] = block.pages;
    this.lengths[this.blocks] = bytes.length;
    this.checksums[this.blocks] = block.checksum;
    this.identifiers.set(identifiers, this.pages * IDENTIFIER_BYTES);
    this.length += bytes.length;
    this.pages += block.pages;
    this.blocks += 1;
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

  room(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
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

/** Names of a capture's packs as they become durable. */
export type PackAnnounced = (pack: PackWritten, ordinal: number) => void;

export class PackStager {
  readonly #ports: StagerPorts;
  readonly #pack: { readonly group: string; readonly capture: number };
  readonly #plan: PackPlan;
  readonly #announce: PackAnnounced;
  readonly #spare: Staging[] = [];
  #staging: Staging | null = null;
  #sealed = 0;
  /** Announcements in order: each waits for its own put and for the one before. */
  #chain: Promise<void> = Promise.resolve();
  readonly #puts = new Set<Promise<void>>();

  constructor(
    ports: StagerPorts,
    pack: { readonly group: string; readonly capture: number; readonly plan: PackPlan },
    announce: PackAnnounced,
  ) {
    this.#ports = ports;
    this.#pack = pack;
    this.#plan = pack.plan;
    this.#announce = announce;
  }

  /** Takes new contents in, and writes the packs that they complete. */
  async add({ blocks, identifiers, references }: NewContents): Promise<void> {
    let at = 0;
    let page = 0;
    for (let block = 0; block < blocks.codecs.length; block += 1) {
      await this.#sealComplete();
      const staging = (this.#staging ??= this.#begin());
      const [codec, pages] = [blocks.codecs[block]!, blocks.pages[block]!];
      const [length, checksum] = [blocks.lengths[block]!, blocks.checksums[block]!];
      assert(staging.pages + pages <= PACK_PAGES_MAX, 'a block lies in one pack');
      for (let i = 0; i < pages; i += 1) {
        const reference = references[page + i];
        if (reference === null || reference === undefined) continue;
        staging.patchSlots.push(staging.pages + i);
        staging.references.push(reference);
      }
      staging.add(
        { codec, pages, checksum },
        blocks.bytes.subarray(at, at + length),
        identifiers.subarray(page * IDENTIFIER_BYTES, (page + pages) * IDENTIFIER_BYTES),
      );
      at += length;
      page += pages;
    }
    await this.#sealComplete();
  }

  /** Writes the packs that have all contents that the plan gives them. */
  async #sealComplete(): Promise<void> {
    for (;;) {
      const contents = this.#plan.contentsOf(this.#sealed);
      if (contents === null || (this.#staging?.pages ?? 0) < contents) return;
      const staging = (this.#staging ??= this.#begin());
      this.#addPatterns(staging);
      await this.#seal(staging);
    }
  }

  #addPatterns(staging: Staging): void {
    const patterns = this.#plan.patternsOf(this.#sealed);
    if (patterns.length === 0) return;
    const blocks = this.#ports.engine.encodePatterns(patterns.map(({ descriptor }) => descriptor));
    let at = 0;
    let first = 0;
    for (let block = 0; block < blocks.codecs.length; block += 1) {
      const [codec, pages] = [blocks.codecs[block]!, blocks.pages[block]!];
      const length = blocks.lengths[block]!;
      const identifiers = new Uint8Array(pages * IDENTIFIER_BYTES);
      for (let i = 0; i < pages; i += 1)
        identifiers.set(patterns[first + i]!.identifier, i * IDENTIFIER_BYTES);
      const of = { codec, pages, checksum: blocks.checksums[block]! };
      staging.add(of, blocks.bytes.subarray(at, at + length), identifiers);
      at += length;
      first += pages;
    }
  }

  #begin(): Staging {
    const staging =
      this.#spare.pop() ?? new Staging(this.#sealed === 0 ? FIRST_STAGING_BYTES : STAGING_BYTES);
    const random = this.#ports.randomBytes(16);
    staging.start(packHeader({ group: this.#pack.group, random }));
    return staging;
  }

  async #seal(staging: Staging): Promise<void> {
    this.#staging = null;
    const bytes = staging.bytes.subarray(0, staging.length);
    const written: PackWritten = {
      name: toHex(this.#ports.sha256(bytes)),
      capture: this.#pack.capture,
      group: this.#pack.group,
      sizeBytes: staging.length,
      blocks: staging.table(),
      identifiers: staging.identifiers.slice(0, staging.pages * IDENTIFIER_BYTES),
      patches: staging.patches(),
    };
    const ordinal = this.#sealed;
    this.#sealed += 1;
    const put = this.#put(written.name, bytes).finally(() => {
      this.#puts.delete(put);
      this.#spare.push(staging);
    });
    this.#puts.add(put);
    this.#chain = Promise.all([this.#chain, put]).then(() => this.#announce(written, ordinal));
    // A failure is met by `finish`, or by the wait just below; never unhandled.
    this.#chain.catch(() => undefined);
    if (this.#puts.size >= PUTS_MAX) await Promise.race(this.#puts);
  }

  async #put(name: string, bytes: Uint8Array): Promise<void> {
    const done = await this.#ports.store.put({ name, bytes })();
    if (done._tag === 'Left') throw done.left;
  }

  /** Writes what is left of a plan that is finished; resolves when every pack is durable and announced. */
  async finish(): Promise<void> {
    await this.#sealComplete();
    assert(this.#sealed === this.#plan.count, 'every planned pack is written');
    await this.#chain;
  }
}
