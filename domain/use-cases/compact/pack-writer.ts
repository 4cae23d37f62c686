// Writes rewritten packs: takes contents in the order to store them in, reads their pages and what they
// are patches of, has them compressed on the engine's threads, and puts the packs. A pack is durable
// before its event is appended, so whoever stops at any instant leaves a ledger that is whole.
//
// Packs do not depend on the timing of threads. Memory: twice the engine's threads of chunks, their
// references, and a pack.

import { CHUNK_PAGES, type PageEngine, type PatchedBlocks } from '../../ports/page-engine.ts';
import { PACK_PATTERNS_MAX, PAGE_BYTES } from '../../values/page.ts';
import type { Holding } from '../../values/holding.ts';
import type { PageStore } from '../../ports/page-store.ts';
import type { PackRewritten } from '../../events/pack-rewritten.ts';
import type { PageReader } from '../pages/page-reader.ts';
import type { KeptDescriptor } from './kept-patterns.ts';
import type { ContentPlaces } from './models.ts';
import { PackBuilder, type RewrittenSlot } from './pack-builder.ts';
import { PackLimits } from './pack-limits.ts';
import { cutsOf, REWRITE_LEVEL } from './policy.ts';

export interface RewritePorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  readonly pages: PageReader;
  readonly places: ContentPlaces;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly randomBytes: (count: number) => Uint8Array;
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

export class PackWriter {
  readonly #ports: RewritePorts;
  readonly #group: string;
  readonly #onPages: (pages: number) => void;
  readonly #chunksMax: number;
  readonly #limits = new PackLimits();
  #holdings: Holding[] = [];
  #references: (Holding | null)[] = [];
  #slots: RewrittenSlot[] = [];
  readonly #packing: Packing[] = [];
  #builder: PackBuilder | null = null;

  constructor(
    ports: RewritePorts,
    of: { readonly group: string; readonly onPages: (pages: number) => void },
  ) {
    this.#ports = ports;
    this.#group = of.group;
    this.#onPages = of.onPages;
    this.#chunksMax = 2 * Math.max(1, ports.engine.threads);
  }

  /** Takes a content in, and what it becomes a patch of. */
  async add(holding: Holding, reference: Holding | null): Promise<void> {
    const { places } = this.#ports;
    const slot: RewrittenSlot = {
      home: places.reference(holding),
      reference: reference === null ? null : places.reference(reference),
    };
    if (!this.#limits.hasRoom(slot)) await this.#endPack();
    this.#limits.add(slot);
    this.#holdings.push(holding);
    this.#references.push(reference);
    this.#slots.push(slot);
    if (this.#holdings.length === CHUNK_PAGES) await this.endBlock();
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
    const gathered = { holdings: this.#holdings, references: this.#references, slots: this.#slots };
    this.#holdings = [];
    this.#references = [];
    this.#slots = [];
    if (gathered.holdings.length === 0) return;
    if (this.#packing.length >= this.#chunksMax) await this.#takePacked();
    const chunk = this.#pack(gathered);
    chunk.catch(() => undefined);
    this.#packing.push({ chunk, endsPack: false });
  }

  async #pack(gathered: {
    readonly holdings: readonly Holding[];
    readonly references: readonly (Holding | null)[];
    readonly slots: readonly RewrittenSlot[];
  }): Promise<PackedChunk> {
    const { holdings, references, slots } = gathered;
    const { engine, pages: reader } = this.#ports;
    const pages = sharedPages(holdings.length);
    await reader.read(holdings, pages);
    const numbers = new Map<Holding, number>();
    const of = Int32Array.from(references, (reference) => {
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
    const kept = slots.map(({ home, reference }, i) => ({
      home,
      reference: blocks.patched[i] === 1 ? reference : null,
    }));
    return { blocks, slots: kept };
  }

  /** Puts the oldest chunk under way into its pack. */
  async #takePacked(): Promise<void> {
    const packing = this.#packing.shift()!;
    const { blocks, slots } = await packing.chunk;
    this.#open().add(blocks, slots);
    this.#onPages(slots.length);
    if (packing.endsPack) await this.#seal();
  }

  #open(): PackBuilder {
    const random = this.#ports.randomBytes(16);
    return (this.#builder ??= new PackBuilder({ group: this.#group, random }));
  }

  /** Puts the pack, and then names it. */
  async #seal(): Promise<void> {
    const builder = this.#builder;
    this.#builder = null;
    if (builder === null) return;
    const { store, sha256, append } = this.#ports;
    const { bytes, pack } = builder.build(sha256);
    const put = await store.put({ name: pack.name, bytes })();
    if (put._tag === 'Left') throw put.left;
    await append(pack);
  }

  /** Writes what is left; the patterns go into the last packs. */
  async finish(patterns: readonly KeptDescriptor[]): Promise<void> {
    await this.endBlock();
    while (this.#packing.length > 0) await this.#takePacked();
    const { engine } = this.#ports;
    for (let first = 0; first < patterns.length; first += PACK_PATTERNS_MAX) {
      const some = patterns.slice(first, first + PACK_PATTERNS_MAX);
      if (!this.#open().hasHomes(some.length)) await this.#seal();
      const blocks = engine.encodePatterns(some.map(({ descriptor }) => descriptor));
      this.#open().add(
        blocks,
        some.map(({ home }) => ({ home, reference: null })),
      );
      await this.#seal();
    }
    await this.#seal();
  }

  /** Waits for what is under way, and writes nothing more of it. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#packing.map(({ chunk }) => chunk));
  }
}
