// Single pages out of packs, as their VM had them: patterns made, patches put onto their references.
// Blocks that were decoded are kept for a while, in bounded memory, as pages that are asked for
// together lie together, and the same references are asked for again and again.

import { assert } from '../../values/assert.ts';
import { isContent, isKeptPattern, UNKNOWN, ZERO, type Holding } from '../../values/holding.ts';
import { isLedgerError } from '../../values/ledger-error.ts';
import { blockStarts, packLabel, sliceBlocks } from '../../values/pack.ts';
import { PACK_SLOTS, PAGE_BYTES } from '../../values/page.ts';
import type { PageEngine } from '../../ports/page-engine.ts';
import { publicPattern } from '../../patterns/public-patterns.ts';
import type { PageStore } from '../../ports/page-store.ts';
import type { PageLocator, ReadPack } from '../../ports/models.ts';
import { lastWhere } from '../../values/sorted-search.ts';
import { useRange } from './pack-ranges.ts';
import { assertShort, knownPlaceOf } from '../restore/restore-pages.ts';

const CACHE_BYTES = 64 * 1024 * 1024;
/** Unneeded bytes between two needed blocks that are read rather than skipped. */
const GAP_BYTES_MAX = 64 * 1024;
/** Blocks read and decoded as one. */
const RUN_BLOCKS_MAX = 64;
/** References of a patch that are patches themselves: more is no ledger of ours. */
const DEPTH_MAX = 8;

export interface PageReaderPorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  readonly locator: () => PageLocator;
  /** Learns where content lies now; absent: nothing moves. */
  readonly catchUp?: () => Promise<void>;
}

/** A block's number in its pack, and the pack. */
interface BlockPlace {
  readonly key: string;
  readonly pack: ReadPack;
  readonly block: number;
}

interface Starts {
  readonly slots: Uint32Array;
  readonly offsets: Uint32Array;
}

/** The block that a slot lies in. O(log blocks). */
const blockOf = ({ slots }: Starts, slot: number): number =>
  lastWhere(slots.length - 1, (block) => slots[block]! <= slot);

export class PageReader {
  readonly #ports: PageReaderPorts;
  readonly #cacheBytesMax: number;
  /** Decoded blocks, the one used longest ago first. */
  readonly #blocks = new Map<string, Uint8Array>();
  #blockBytes = 0;
  readonly #starts = new Map<string, Starts>();

  constructor(ports: PageReaderPorts, cacheBytesMax = CACHE_BYTES) {
    this.#ports = ports;
    this.#cacheBytesMax = cacheBytesMax;
  }

  /**
   * The pages of holdings, PAGE_BYTES each, in their order, into `into`. Blocks that are not kept are
   * read once each. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED.
   */
  async read(holdings: ArrayLike<Holding>, into: Uint8Array): Promise<Uint8Array> {
    assert(into.length >= holdings.length * PAGE_BYTES, 'there is room for every page');
    try {
      return await this.#read(holdings, into);
    } catch (thrown) {
      const { catchUp } = this.#ports;
      const isGone = isLedgerError(thrown) && thrown.code === 'PACK_MISSING';
      if (!isGone || catchUp === undefined) throw thrown;
      // Compaction deletes packs once it has said where their content lies now.
      await catchUp();
      return this.#read(holdings, into);
    }
  }

  async #read(holdings: ArrayLike<Holding>, into: Uint8Array): Promise<Uint8Array> {
    const locator = this.#ports.locator();
    // What is XORed together for each page: places, or public patterns at the end.
    const needed = new Map<string, BlockPlace>();
    const blocks = new Map<string, Uint8Array>();
    const chains: number[][] = [];
    for (let i = 0; i < holdings.length; i += 1) {
      const chain = this.#chainOf(locator, holdings[i]!);
      chains.push(chain);
      for (const place of chain) {
        const at = this.#blockAt(locator, place);
        const kept = this.#use(at.key);
        if (kept === undefined) needed.set(at.key, at);
        else blocks.set(at.key, kept);
      }
    }
    const fresh = await this.#load([...needed.values()]);
    for (const [key, pages] of fresh) blocks.set(key, pages);
    for (const [i, chain] of chains.entries()) {
      const page = into.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      this.#compose(locator, { holding: holdings[i]!, chain, blocks }, page);
    }
    this.#keep(fresh);
    return into;
  }

  /** Places whose pages, XORed, are the page; none for zeros and public patterns. */
  #chainOf(locator: PageLocator, holding: Holding): number[] {
    const chain: number[] = [];
    let next: Holding | null = holding;
    // What a patch refers to may be lost.
    while (next !== null && (next === UNKNOWN || isContent(next) || isKeptPattern(next))) {
      assertShort(chain.length, DEPTH_MAX);
      const place = knownPlaceOf(locator, next);
      chain.push(place);
      next = locator.referenceAt(place);
    }
    return chain;
  }

  #startsOf(pack: ReadPack): Starts {
    let starts = this.#starts.get(pack.name);
    if (starts === undefined) {
      if (this.#starts.size > 1024) this.#starts.clear();
      starts = blockStarts(pack.blocks);
      this.#starts.set(pack.name, starts);
    }
    return starts;
  }

  #blockAt(locator: PageLocator, place: number): BlockPlace {
    const pack = locator.packAt(place);
    const block = blockOf(this.#startsOf(pack), place % PACK_SLOTS);
    return { key: `${pack.name}/${block}`, pack, block };
  }

  #compose(
    locator: PageLocator,
    of: {
      readonly holding: Holding;
      readonly chain: readonly number[];
      readonly blocks: ReadonlyMap<string, Uint8Array>;
    },
    page: Uint8Array,
  ): void {
    const { holding, chain, blocks } = of;
    if (chain.length === 0) {
      if (holding === ZERO) page.fill(0);
      else page.set(this.#publicPage(holding));
      return;
    }
    for (const [depth, place] of chain.entries()) {
      const { key, pack, block } = this.#blockAt(locator, place);
      const pages = blocks.get(key);
      assert(pages !== undefined, 'a block that is needed was decoded');
      const at = ((place % PACK_SLOTS) - this.#startsOf(pack).slots[block]!) * PAGE_BYTES;
      const part = pages.subarray(at, at + PAGE_BYTES);
      if (depth === 0) page.set(part);
      else for (let i = 0; i < PAGE_BYTES; i += 1) page[i]! ^= part[i]!;
    }
  }

  #publicPage(pattern: Holding): Uint8Array {
    const { engine } = this.#ports;
    const { bytes, ...blocks } = engine.encodePatterns([publicPattern(pattern)]);
    return engine.decode({ bytes, blocks, label: `pattern ${pattern}` });
  }

  #use(key: string): Uint8Array | undefined {
    const pages = this.#blocks.get(key);
    if (pages === undefined) return undefined;
    this.#blocks.delete(key);
    this.#blocks.set(key, pages);
    return pages;
  }

  /** Reads and decodes blocks; neighbours together. */
  async #load(places: readonly BlockPlace[]): Promise<Map<string, Uint8Array>> {
    const sorted = places.toSorted((a, b) => a.pack.ordinal - b.pack.ordinal || a.block - b.block);
    const decoded = new Map<string, Uint8Array>();
    for (let first = 0; first < sorted.length;) {
      let end = first + 1;
      while (end < sorted.length && this.#isNear(sorted, { first, end })) end += 1;
      await this.#loadRun(sorted.slice(first, end), decoded);
      first = end;
    }
    return decoded;
  }

  #isNear(
    sorted: readonly BlockPlace[],
    { first, end }: { readonly first: number; readonly end: number },
  ): boolean {
    const [start, before, next] = [sorted[first]!, sorted[end - 1]!, sorted[end]!];
    if (next.pack !== start.pack || next.block - start.block >= RUN_BLOCKS_MAX) return false;
    const { offsets } = this.#startsOf(next.pack);
    return offsets[next.block]! - offsets[before.block + 1]! <= GAP_BYTES_MAX;
  }

  async #loadRun(run: readonly BlockPlace[], decoded: Map<string, Uint8Array>): Promise<void> {
    const { engine, store } = this.#ports;
    const { pack, block: firstBlock } = run[0]!;
    const { offsets } = this.#startsOf(pack);
    const offsetBytes = offsets[firstBlock]!;
    const lengthBytes = offsets[run.at(-1)!.block + 1]! - offsetBytes;
    const range = { name: pack.name, offsetBytes, lengthBytes };
    const label = packLabel(pack.name);
    await useRange(store, range, (bytes) => {
      for (const { key, block } of run) {
        const at = offsets[block]! - offsetBytes;
        const stored = bytes.subarray(at, at + pack.blocks.lengths[block]!);
        const blocks = sliceBlocks(pack.blocks, block, block + 1);
        decoded.set(key, engine.decode({ bytes: stored, blocks, label }));
      }
    });
  }

  #keep(fresh: ReadonlyMap<string, Uint8Array>): void {
    for (const [key, pages] of fresh) {
      this.#blockBytes += pages.length - (this.#blocks.get(key)?.length ?? 0);
      this.#blocks.set(key, pages);
    }
    for (const [key, pages] of this.#blocks) {
      if (this.#blockBytes <= this.#cacheBytesMax) break;
      this.#blocks.delete(key);
      this.#blockBytes -= pages.length;
    }
  }
}
