// Few pages out of packs: only the blocks that hold them are decoded, on the spot, and kept for a while
// in bounded memory, as pages that are asked for together lie together, and the same references are
// asked for again and again.

import { sliceBlocks } from '../../values/pack.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import type { PageEngine } from '../../ports/page-engine.ts';
import type { PageStore } from '../../ports/page-store.ts';
import { RecentMap } from '../../values/recent-map.ts';
import { Spares } from '../../values/spares.ts';
import { piecesOf, spanOf, type BlockPiece } from './block-pieces.ts';
import { Crew } from './crew.ts';
import { useRange } from './pack-ranges.ts';
import type { PageBatch } from './page-batches.ts';
import { packOfBlock, type PagePlan, type PlannedPack } from './page-plan.ts';

/** Ranges read at once. */
const READS_MAX = 4;
/** Blocks of a size whose memory is kept for the next ones. */
const SPARES_MAX = 64;

/** Takes the page of a row of a batch. */
export type TakePage = (row: number, page: Uint8Array) => void;

/** A block, by its number in its pack, to be known by. */
const keyIn = (name: string, block: number): string => `${name}/${block}`;
/** The block of a plan, to be known by. */
const keyOf = ({ label, name, firstBlock }: PlannedPack, block: number): string =>
  keyIn(name ?? label, block - firstBlock);

/** Checks and decodes a block from the bytes that are its own, into memory that `room` gives for so many pages. */
export function decodeBlockOf(
  engine: PageEngine,
  { pack, block }: { readonly pack: PlannedPack; readonly block: number },
  bytes: Uint8Array,
  room?: (pages: number) => Uint8Array,
): Uint8Array {
  const at = block - pack.firstBlock;
  const blocks = sliceBlocks(pack.table, at, at + 1);
  return engine.decode({ bytes, blocks, label: pack.label }, room?.(blocks.pages[0]!));
}

export class DecodedBlocks {
  readonly #ports: { readonly engine: PageEngine; readonly store: PageStore };
  readonly #blocks: RecentMap<string, Uint8Array>;
  /**
   * By their pages: memory of blocks that are kept no longer, which the next ones of as many take. A
   * recorder decodes as many as it lets go of, and memory that lies about until it is collected is much.
   */
  readonly #spares = new Map<number, Spares<Uint8Array>>();
  /** Blocks that were read and decoded so far. */
  readCount = 0;

  constructor(
    ports: { readonly engine: PageEngine; readonly store: PageStore },
    { bytesMax }: { readonly bytesMax: number },
  ) {
    this.#ports = ports;
    this.#blocks = new RecentMap({ max: bytesMax, weigh: (pages) => pages.length });
  }

  /** The pages of a block of a pack that is kept, which counts as used now. */
  kept(name: string, block: number): Uint8Array | undefined {
    return this.#blocks.get(keyIn(name, block));
  }

  /**
   * Hands on the pages of a batch's rows, as they are stored. Blocks that are not kept are read once
   * each, neighbours together.
   */
  async each(plan: PagePlan, batch: PageBatch, take: TakePage): Promise<void> {
    const { blocks } = batch;
    const missing: number[] = [];
    for (let i = 0; i < blocks.length; i += 1) {
      const pages = this.#blocks.get(keyOf(packOfBlock(plan, blocks[i]!), blocks[i]!));
      if (pages === undefined) missing.push(i);
      else this.#take(batch, { i, pages }, take);
    }
    if (missing.length === 0) return;
    this.readCount += missing.length;
    const absent = Uint32Array.from(missing, (i) => blocks[i]!);
    const crew = new Crew(READS_MAX);
    for (const piece of piecesOf(plan, absent)) {
      const read = async (): Promise<void> => {
        const decoded = await this.#read(piece, absent);
        for (const [n, pages] of decoded.entries()) {
          const i = missing[piece.first + n]!;
          this.#take(batch, { i, pages }, take);
          this.#keep(keyOf(piece.pack, blocks[i]!), pages);
        }
      };
      if (!(await crew.add(read()))) break;
    }
    await crew.settle();
  }

  #sparesOf(pages: number): Spares<Uint8Array> {
    const known = this.#spares.get(pages);
    if (known !== undefined) return known;
    const spares = new Spares<Uint8Array>(SPARES_MAX);
    this.#spares.set(pages, spares);
    return spares;
  }

  /** Nobody holds what is kept for longer than it takes to copy it. */
  #keep(key: string, pages: Uint8Array): void {
    for (const dropped of this.#blocks.set(key, pages))
      this.#sparesOf(dropped.length / PAGE_BYTES).giveBack(dropped);
  }

  #take(
    { rowEnds, slots }: PageBatch,
    { i, pages }: { readonly i: number; readonly pages: Uint8Array },
    take: TakePage,
  ): void {
    for (let row = i === 0 ? 0 : rowEnds[i - 1]!; row < rowEnds[i]!; row += 1) {
      const at = slots[row]! * PAGE_BYTES;
      take(row, pages.subarray(at, at + PAGE_BYTES));
    }
  }

  /** The blocks of a piece, decoded. */
  async #read(piece: BlockPiece, blocks: Uint32Array): Promise<readonly Uint8Array[]> {
    const { engine, store } = this.#ports;
    const { pack, first, end, offsetBytes, lengthBytes } = piece;
    const room = (pages: number): Uint8Array =>
      this.#sparesOf(pages).take(() => new Uint8Array(pages * PAGE_BYTES));
    const decode = (bytes: Uint8Array): readonly Uint8Array[] =>
      Array.from(blocks.subarray(first, end), (block) => {
        const span = spanOf(pack, block);
        const own = bytes.subarray(span.offsetBytes - offsetBytes, span.endBytes - offsetBytes);
        return decodeBlockOf(engine, { pack, block }, own, room);
      });
    if (pack.name === null) return decode(pack.bytes!);
    return useRange(store, { name: pack.name, offsetBytes, lengthBytes }, decode);
  }
}
