// Writes rewritten packs: takes contents in the order to store them in, reads their pages and what they
// are patches of, has them compressed on the engine's threads, and puts the packs. A pack is durable
// before its event is appended, so whoever stops at any instant leaves a ledger that is whole.
//
// Packs do not depend on the timing of threads. Memory: twice the engine's threads of chunks, their
// references, and a pack.

import { assert } from '../../values/assert.ts';
import { CHUNK_PAGES, type PageEngine, type PatchedBlocks } from '../../ports/page-engine.ts';
import { PACK_PATTERNS_MAX, PAGE_BYTES } from '../../values/page.ts';
import type { Holding } from '../../values/holding.ts';
import type { PackRewritten } from '../../events/pack-rewritten.ts';
import type { PageReader } from '../pages/page-reader.ts';
import type { KeptDescriptor } from './kept-patterns.ts';
import type { ContentPlaces } from './models.ts';
import { PackWriter, type PackWriterPorts } from '../pages/pack-writer.ts';
import { PackLimits } from './pack-limits.ts';
import { cutsOf, REWRITE_LEVEL } from './policy.ts';
import { sourceColumns, type RewrittenSlot, type SourceOf } from './slot-sources.ts';

export interface RewritePorts extends PackWriterPorts {
  readonly engine: PageEngine;
  readonly pages: Pick<PageReader, 'read'>;
  readonly places: Pick<ContentPlaces, 'source'>;
  /** Appends the event of a pack that is durable. */
  readonly append: (pack: PackRewritten) => Promise<void>;
}

interface PackedChunk {
  readonly blocks: PatchedBlocks;
  readonly slots: readonly RewrittenSlot[];
}

/** A chunk that is being packed, and whether the pack ends with it. */
interface Packing {
  readonly chunk: Promise<PackedChunk>;
  endsPack: boolean;
}

/** Memory that threads see as well. */
const sharedPages = (count: number): Uint8Array =>
  new Uint8Array(new SharedArrayBuffer(count * PAGE_BYTES));

export class PackRewriter {
  readonly #ports: RewritePorts;
  readonly #onPages: (pages: number) => void;
  readonly #chunksMax: number;
  readonly #sourceOf: SourceOf;
  readonly #limits: PackLimits;
  /** Of the block under way. */
  #slots: RewrittenSlot[] = [];
  readonly #packing: Packing[] = [];
  readonly #writer: PackWriter;
  /** Of the pack under way, as far as it is written. */
  #written: RewrittenSlot[] = [];

  constructor(
    ports: RewritePorts,
    of: { readonly group: string; readonly onPages: (pages: number) => void },
  ) {
    this.#ports = ports;
    this.#sourceOf = (holding) => ports.places.source(holding);
    this.#limits = new PackLimits(this.#sourceOf);
    this.#writer = new PackWriter(ports, of);
    this.#onPages = of.onPages;
    this.#chunksMax = 2 * Math.max(1, ports.engine.threads);
  }

  /** Takes a content in, and what it becomes a patch of. */
  async add(holding: Holding, reference: Holding | null): Promise<void> {
    const slot: RewrittenSlot = { holding, reference };
    const added = { slots: [slot], isOfPatterns: false };
    if (!this.#limits.hasRoom(added)) await this.#endPack();
    this.#limits.add(added);
    this.#slots.push(slot);
    if (this.#slots.length === CHUNK_PAGES) await this.endBlock();
  }

  async #endPack(): Promise<void> {
    await this.endBlock();
    this.#limits.begin();
    const last = this.#packing.at(-1);
    if (last === undefined) await this.#seal();
    else last.endsPack = true;
  }

  /** What comes next is in another block than what came last. */
  async endBlock(): Promise<void> {
    const slots = this.#slots;
    this.#slots = [];
    if (slots.length === 0) return;
    if (this.#packing.length >= this.#chunksMax) await this.#takePacked();
    const chunk = this.#pack(slots);
    chunk.catch(() => undefined);
    this.#packing.push({ chunk, endsPack: false });
  }

  async #pack(slots: readonly RewrittenSlot[]): Promise<PackedChunk> {
    const { engine, pages: reader } = this.#ports;
    const pages = sharedPages(slots.length);
    await reader.read(
      slots.map(({ holding }) => holding),
      pages,
    );
    const numbers = new Map<Holding, number>();
    const of = Int32Array.from(slots, ({ reference }) => {
      if (reference === null) return -1;
      if (!numbers.has(reference)) numbers.set(reference, numbers.size);
      return numbers.get(reference)!;
    });
    const referencePages = sharedPages(numbers.size);
    await reader.read([...numbers.keys()], referencePages);
    const blocks = await engine.pack({
      pages,
      cuts: cutsOf(slots.length),
      level: REWRITE_LEVEL,
      references: numbers.size === 0 ? null : { pages: referencePages, of },
    });
    const kept = slots.map(({ holding, reference }, i) => ({
      holding,
      reference: blocks.patched[i] === 1 ? reference : null,
    }));
    return { blocks, slots: kept };
  }

  /** Puts the oldest chunk under way into its pack. */
  async #takePacked(): Promise<void> {
    const packing = this.#packing.shift()!;
    const { blocks, slots } = await packing.chunk;
    const first = this.#writer.addAll(blocks);
    assert(
      this.#writer.slots - first === slots.length,
      'every page of a rewritten block is a slot',
    );
    this.#written.push(...slots);
    this.#onPages(slots.length);
    if (packing.endsPack) await this.#seal();
  }

  /** Puts the pack, and then names it. */
  async #seal(): Promise<void> {
    if (this.#writer.slots === 0) return;
    const slots = this.#written;
    this.#written = [];
    await this.#writer.seal((pack) =>
      this.#ports.append({
        ...pack,
        ...sourceColumns(slots, this.#sourceOf),
        isCopied: false,
      }),
    );
    await this.#writer.finish();
  }

  /** Writes what is left; the patterns go into the last packs. */
  async finish(patterns: readonly KeptDescriptor[]): Promise<void> {
    await this.endBlock();
    while (this.#packing.length > 0) await this.#takePacked();
    for (let first = 0; first < patterns.length; first += PACK_PATTERNS_MAX) {
      const some = patterns.slice(first, first + PACK_PATTERNS_MAX);
      const slots = some.map(({ holding }) => ({ holding, reference: null }));
      if (!this.#limits.hasRoom({ slots, isOfPatterns: true })) await this.#seal();
      this.#writer.addPatterns(some.map(({ descriptor }) => descriptor));
      this.#written.push(...slots);
      await this.#seal();
      this.#limits.begin();
    }
    await this.#seal();
  }

  /** Waits for what is under way, and writes nothing more of it. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#packing.map(({ chunk }) => chunk));
  }
}
