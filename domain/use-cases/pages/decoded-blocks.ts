// Few pages out of packs: only the blocks that hold them are decoded, on the spot, and kept for a while
// in bounded memory, as pages that are asked for together lie together, and the same references are
// asked for again and again.

import { packLabel, sliceBlocks, blockStarts, type BlockStarts } from '../../values/pack.ts';
import { slotAt } from '../../values/place.ts';
import { PACK_SLOTS, PAGE_BYTES } from '../../values/page.ts';
import type { PageEngine } from '../../ports/page-engine.ts';
import type { PageLocator, ReadPack } from '../../ports/models.ts';
import type { PageStore } from '../../ports/page-store.ts';
import { RecentMap } from '../../values/recent-map.ts';
import { blockOf, piecesOf, type BlockPiece } from './block-pieces.ts';
import { Crew } from './crew.ts';
import { useRange } from './pack-ranges.ts';

/** Packs whose blocks' starts are kept. */
const STARTS_MAX = 1024;
/** Ranges read at once. */
const READS_MAX = 4;

/** Takes the page at a place, and the number of that place among those asked for. */
export type TakePage = (index: number, page: Uint8Array) => void;

export class DecodedBlocks {
  readonly #ports: { readonly engine: PageEngine; readonly store: PageStore };
  readonly #blocks: RecentMap<string, Uint8Array>;
  readonly #starts = new RecentMap<string, BlockStarts>({ max: STARTS_MAX });

  constructor(
    ports: { readonly engine: PageEngine; readonly store: PageStore },
    { bytesMax }: { readonly bytesMax: number },
  ) {
    this.#ports = ports;
    this.#blocks = new RecentMap({ max: bytesMax, weigh: (pages) => pages.length });
  }

  /**
   * Hands on the pages at places, which ascend and may repeat, as they are stored. Blocks that are not
   * kept are read once each, neighbours together.
   */
  async each(locator: PageLocator, places: Float64Array, take: TakePage): Promise<void> {
    const missing: number[] = [];
    for (let first = 0; first < places.length;) {
      const pack = locator.packAt(places[first]!);
      const end = this.#endOf(pack, places, first);
      const block = this.#blockAt(pack, places[first]!);
      const pages = this.#blocks.get(`${pack.name}/${block}`);
      if (pages === undefined) for (let i = first; i < end; i += 1) missing.push(i);
      else this.#take({ pack, block, pages }, { places, first, end }, take);
      first = end;
    }
    if (missing.length === 0) return;
    const absent = Float64Array.from(missing, (i) => places[i]!);
    const found: TakePage = (i, page) => take(missing[i]!, page);
    const crew = new Crew(READS_MAX);
    const startsOf = (pack: ReadPack): BlockStarts => this.#startsOf(pack);
    for (const piece of piecesOf(locator, absent, { startsOf }))
      if (!(await crew.add(this.#read(piece, absent, found)))) break;
    await crew.settle();
  }

  #startsOf(pack: ReadPack): BlockStarts {
    const known = this.#starts.get(pack.name);
    if (known !== undefined) return known;
    const starts = blockStarts(pack.blocks);
    this.#starts.set(pack.name, starts);
    return starts;
  }

  #blockAt(pack: ReadPack, place: number): number {
    return blockOf(this.#startsOf(pack), slotAt(place));
  }

  /** Where the places end that are in one block with the first one. */
  #endOf(pack: ReadPack, places: Float64Array, first: number): number {
    const block = this.#blockAt(pack, places[first]!);
    const after = pack.ordinal * PACK_SLOTS + this.#startsOf(pack).slots[block + 1]!;
    let end = first + 1;
    while (end < places.length && places[end]! < after) end += 1;
    return end;
  }

  #take(
    of: { readonly pack: ReadPack; readonly block: number; readonly pages: Uint8Array },
    { places, first, end }: { places: Float64Array; first: number; end: number },
    take: TakePage,
  ): void {
    const firstSlot = this.#startsOf(of.pack).slots[of.block]!;
    for (let i = first; i < end; i += 1) {
      const at = (slotAt(places[i]!) - firstSlot) * PAGE_BYTES;
      take(i, of.pages.subarray(at, at + PAGE_BYTES));
    }
  }

  async #read(piece: BlockPiece, places: Float64Array, take: TakePage): Promise<void> {
    const { engine, store } = this.#ports;
    const { pack, offsetBytes, lengthBytes } = piece;
    const { offsets } = this.#startsOf(pack);
    const label = packLabel(pack.name);
    const decoded = new Map<number, Uint8Array>();
    await useRange(store, { name: pack.name, offsetBytes, lengthBytes }, (bytes) => {
      for (let first = piece.first; first < piece.end;) {
        const block = this.#blockAt(pack, places[first]!);
        const at = offsets[block]! - offsetBytes;
        const stored = bytes.subarray(at, at + pack.blocks.lengths[block]!);
        const blocks = sliceBlocks(pack.blocks, block, block + 1);
        decoded.set(block, engine.decode({ bytes: stored, blocks, label }));
        first = this.#endOf(pack, places, first);
      }
    });
    for (let first = piece.first; first < piece.end;) {
      const block = this.#blockAt(pack, places[first]!);
      const end = this.#endOf(pack, places, first);
      const pages = decoded.get(block)!;
      this.#take({ pack, block, pages }, { places, first, end }, take);
      this.#blocks.set(`${pack.name}/${block}`, pages);
      first = end;
    }
  }
}
