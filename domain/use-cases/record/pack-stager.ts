// Sends a capture's new contents into packs that end where the plan says, and each pack's patterns
// after them.

import { assert } from '../../values/assert.ts';
import { grown } from '../../values/grown.ts';
import { PACK_PAGES_MAX, PACK_SLOTS } from '../../values/page.ts';
import { IDENTIFIER_BYTES, type StoredBlocks } from '../../ports/page-engine.ts';
import type { PackWritten } from '../../events/pack-written.ts';
import { PackWriter, type PackWriterPorts } from '../pages/pack-writer.ts';
import { privately, type SlotOfPack } from '../pages/staging.ts';
import type { PackPlan } from './pack-plan.ts';

/** Slots that there is room for at first: most captures are small, and memory never touched is dear. */
const FIRST_SLOTS = 128;

/** New contents, compressed, in the order of the plan. */
export interface NewContents {
  readonly blocks: StoredBlocks;
  /** A row a page. */
  readonly identifiers: Uint8Array;
  /** What each page is a patch of; null: it is none. */
  readonly references: readonly (SlotOfPack | null)[];
}

/** Names of a capture's packs as they become durable. */
export type PackAnnounced = (pack: PackWritten, ordinal: number) => void;

export class PackStager {
  readonly #writer: PackWriter;
  readonly #capture: number;
  readonly #plan: PackPlan;
  readonly #announce: PackAnnounced;
  /** Of the pack under way, a row a slot. */
  #identifiers = new Uint8Array(FIRST_SLOTS * IDENTIFIER_BYTES);

  constructor(
    ports: PackWriterPorts,
    pack: { readonly group: string; readonly capture: number; readonly plan: PackPlan },
    announce: PackAnnounced,
  ) {
    this.#writer = new PackWriter(ports, pack);
    this.#capture = pack.capture;
    this.#plan = pack.plan;
    this.#announce = announce;
  }

  /** Takes new contents in, and writes the packs that they complete. */
  async add(contents: NewContents): Promise<void> {
    const { bytes, giveBack } = privately(contents.blocks.bytes);
    try {
      await this.#add({ ...contents, blocks: { ...contents.blocks, bytes } });
    } finally {
      giveBack();
    }
  }

  async #add({ blocks, identifiers, references }: NewContents): Promise<void> {
    let offsetBytes = 0;
    let page = 0;
    for (let block = 0; block < blocks.codecs.length; block += 1) {
      await this.#sealComplete();
      const pages = blocks.pages[block]!;
      assert(this.#writer.slots + pages <= PACK_PAGES_MAX, 'a block lies in one pack');
      const slot = this.#writer.add(blocks, block, offsetBytes);
      this.#setIdentifiers(
        identifiers.subarray(page * IDENTIFIER_BYTES, (page + pages) * IDENTIFIER_BYTES),
        slot,
      );
      for (let i = 0; i < pages; i += 1) {
        const reference = references[page + i];
        if (reference !== null && reference !== undefined) this.#writer.refer(slot + i, reference);
      }
      offsetBytes += blocks.lengths[block]!;
      page += pages;
    }
    await this.#sealComplete();
  }

  /** Writes the packs that have all contents that the plan gives them. */
  async #sealComplete(): Promise<void> {
    for (;;) {
      const ordinal = this.#writer.sealed;
      const contents = this.#plan.contentsOf(ordinal);
      if (contents === null || this.#writer.slots < contents) return;
      this.#addPatterns(ordinal);
      const identifiers = this.#identifiers.slice(0, this.#writer.slots * IDENTIFIER_BYTES);
      const large = this.#plan.largeOf(ordinal);
      await this.#writer.seal((pack) =>
        this.#announce({ ...pack, capture: this.#capture, identifiers, large }, ordinal),
      );
    }
  }

  #addPatterns(ordinal: number): void {
    const patterns = this.#plan.patternsOf(ordinal);
    if (patterns.length === 0) return;
    const first = this.#writer.addPatterns(patterns.map(({ descriptor }) => descriptor));
    for (const [i, { identifier }] of patterns.entries())
      this.#setIdentifiers(identifier, first + i);
  }

  /** Notes the identifiers of slots from one on. Where there is no room, there is for a pack's from then on. */
  #setIdentifiers(identifiers: Uint8Array, slot: number): void {
    const at = slot * IDENTIFIER_BYTES;
    if (at + identifiers.length > this.#identifiers.length)
      this.#identifiers = grown(this.#identifiers, PACK_SLOTS * IDENTIFIER_BYTES);
    this.#identifiers.set(identifiers, at);
  }

  /** Writes what is left of a plan that is finished; resolves when every pack is durable and announced. */
  async finish(): Promise<void> {
    await this.#sealComplete();
    assert(this.#writer.sealed === this.#plan.count, 'every planned pack is written');
    await this.#writer.finish();
  }

  /** Whether the packs are in the store, after `finish`. */
  areThere(): Promise<boolean> {
    return this.#writer.areThere();
  }

  /** Deletes what was written of a capture that is not committed. */
  takeBack(): Promise<void> {
    return this.#writer.takeBack();
  }
}
