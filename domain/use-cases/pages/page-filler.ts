// Pages in bulk, into a file or into memory: batches of a plan, each made as one on one of the engine's
// threads, which reads packs that lie in files itself. Zeros are left as they are in the target.
//
// A block that a thread could not read or found damaged is read once more here, past all caches: only
// then it is lost, or thrown. Until then nothing of its batch is written, so it can be made again.

import { isLedgerError, type LedgerErrorCode } from '../../values/ledger-error.ts';
import { type Holding } from '../../values/holding.ts';
import { FILL_PAGES_MAX, type FillPiece, type FillRequest } from '../../ports/page-engine.ts';
import type { PageEngine } from '../../ports/page-engine.ts';
import type { PageLocator, ReadPack } from '../../ports/models.ts';
import type { PageStore } from '../../ports/page-store.ts';
import type { BlockStarts, BlockTable } from '../../values/pack.ts';
import { run } from '../../ports/run.ts';
import { publicPattern } from '../../patterns/public-patterns.ts';
import { FILE_READS, piecesOf, RANGES, spanOf, type BlockPiece } from './block-pieces.ts';
import { Crew } from './crew.ts';
import { decodeBlockOf } from './decoded-blocks.ts';
import { useRange } from './pack-ranges.ts';
import { ASK_STORE_US, batchesOf, OPEN_FILE_US, type PageBatch } from './page-batches.ts';
import { packOfBlock, planPages, type PagePlan, type PlannedPack } from './page-plan.ts';
import type { UrgentFirst } from './urgent-first.ts';

/** Ranges read at once for a batch. */
const READS_MAX = 4;

export interface FillerPorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  readonly locator: PageLocator;
  readonly order: UrgentFirst;
  readonly startsOf: (pack: ReadPack) => BlockStarts;
}

/** A file, or shared memory as one. */
export type FillTarget = Pick<FillRequest, 'file' | 'offsetBytes'>;

/** Pages to fill in, at most PLAN_PAGES_MAX. */
export interface FillPages {
  /** What they hold; ZERO where nothing is to be done. */
  readonly holdings: Uint32Array;
  /** Where the first one goes in the target. */
  readonly firstPage: number;
  readonly target: FillTarget;
  /** Says which pages are there, from the first one on. */
  readonly onPages?: (pages: Uint32Array) => void;
}

/** Failures that are told as lost pages; null: the first failure is thrown. */
export type Losses = readonly LedgerErrorCode[] | null;

/** What the engine makes the blocks of a public pattern of. */
export const patternBlockOf =
  (engine: PageEngine) =>
  (pattern: Holding): ReturnType<PageEngine['encodePatterns']> =>
    engine.encodePatterns([publicPattern(pattern)]);

/** The bytes of a piece, or the file that they are read from; null: they could not be had. */
type Source = FillPiece['from'] | null;

/** The rows of a table for these blocks, which lie in several packs. */
function tableOf(plan: PagePlan, blocks: Uint32Array): BlockTable {
  const columns = {
    codecs: new Uint8Array(blocks.length),
    pages: new Uint8Array(blocks.length),
    lengths: new Uint32Array(blocks.length),
    checksums: new Uint32Array(blocks.length),
  };
  let pack: PlannedPack | null = null;
  let end = 0;
  for (let i = 0; i < blocks.length; i += 1) {
    if (pack === null || blocks[i]! >= end) {
      pack = packOfBlock(plan, blocks[i]!);
      end = pack.firstBlock + pack.table.lengths.length;
    }
    const at = blocks[i]! - pack.firstBlock;
    columns.codecs[i] = pack.table.codecs[at]!;
    columns.pages[i] = pack.table.pages[at]!;
    columns.lengths[i] = pack.table.lengths[at]!;
    columns.checksums[i] = pack.table.checksums[at]!;
  }
  return columns;
}

/** The batch without its pages in these rooms, and without the blocks that only they needed. */
function without(batch: PageBatch, lost: ReadonlySet<number>): PageBatch {
  if (lost.size === 0) return batch;
  const roomOf = new Int32Array(batch.pages.length);
  const pages: number[] = [];
  for (const [room, page] of batch.pages.entries())
    roomOf[room] = lost.has(room) ? -1 : pages.push(page) - 1;
  const kept = { blocks: [] as number[], ends: [] as number[], slots: [] as number[] };
  const rooms: number[] = [];
  let row = 0;
  for (const [i, block] of batch.blocks.entries()) {
    const before = rooms.length;
    for (; row < batch.rowEnds[i]!; row += 1) {
      const room = roomOf[batch.rooms[row]!]!;
      if (room < 0) continue;
      rooms.push(room);
      kept.slots.push(batch.slots[row]!);
    }
    if (rooms.length === before) continue;
    kept.blocks.push(block);
    kept.ends.push(rooms.length);
  }
  return {
    pages: Uint32Array.from(pages),
    blocks: Uint32Array.from(kept.blocks),
    rowEnds: Uint32Array.from(kept.ends),
    slots: Uint8Array.from(kept.slots),
    rooms: Uint32Array.from(rooms),
  };
}

/** One filling of a window of pages. */
class Filling {
  readonly #ports: FillerPorts;
  readonly #request: FillPages;
  readonly #losses: Losses;
  /** Pages of the window that are lost. */
  readonly lost = new Set<number>();
  #plan: PagePlan | null = null;

  constructor(ports: FillerPorts, request: FillPages, losses: Losses) {
    this.#ports = ports;
    this.#request = request;
    this.#losses = losses;
  }

  async run(): Promise<void> {
    const { engine, store, locator, startsOf } = this.#ports;
    const ports = { locator, startsOf, patternBlock: patternBlockOf(engine) };
    const lost = this.#losses === null ? null : this.lost;
    const plan = planPages(ports, this.#request.holdings, lost);
    this.#plan = plan;
    const openUs = store.fileOf === undefined ? ASK_STORE_US : OPEN_FILE_US;
    const limits = { pagesMax: FILL_PAGES_MAX, openUs };
    let following = plan.pages.length;
    const crew = new Crew(2 * Math.max(1, engine.threads) + 1);
    for (const batch of batchesOf(plan, limits)) {
      following -= batch.pages.length;
      if (!(await crew.add(this.#batch(batch, following)))) break;
    }
    await crew.settle();
  }

  /** Makes a batch; blocks that cannot be had take their pages along where losses are told. */
  async #batch(batch: PageBatch, following: number): Promise<void> {
    /** By number of a block: its bytes, read again and found sound. */
    const again = new Map<number, Uint8Array>();
    const lostRooms = new Set<number>();
    for (;;) {
      const wanted = without(batch, lostRooms);
      const failed = await this.#attempt(wanted, { again, following });
      if (failed.length === 0) {
        for (const room of lostRooms) this.lost.add(batch.pages[room]!);
        this.#request.onPages?.(wanted.pages);
        return;
      }
      for (const block of failed) {
        const bytes = await this.#readAgain(block);
        if (bytes === null) this.#lose(batch, block, lostRooms);
        else again.set(block, bytes);
      }
    }
  }

  /** The pages in whose rows a block is are lost. */
  #lose({ blocks, rowEnds, rooms }: PageBatch, block: number, lostRooms: Set<number>): void {
    const i = blocks.indexOf(block);
    for (let row = i === 0 ? 0 : rowEnds[i - 1]!; row < rowEnds[i]!; row += 1)
      lostRooms.add(rooms[row]!);
  }

  /** A block's bytes, sound; null: they are lost, and that is told. */
  async #readAgain(block: number): Promise<Uint8Array | null> {
    const { engine, store } = this.#ports;
    const pack = packOfBlock(this.#plan!, block);
    const { offsetBytes, endBytes } = spanOf(pack, block);
    const checked = (bytes: Uint8Array): Uint8Array => {
      decodeBlockOf(engine, { pack, block }, bytes);
      return bytes;
    };
    try {
      if (pack.name === null) return checked(pack.bytes!);
      const lengthBytes = endBytes - offsetBytes;
      return await useRange(store, { name: pack.name, offsetBytes, lengthBytes }, checked);
    } catch (thrown) {
      if (isLedgerError(thrown) && (this.#losses ?? []).includes(thrown.code)) return null;
      throw thrown;
    }
  }

  /** Makes pages and writes them, or none of them: the blocks that it could not be done for. */
  async #attempt(
    batch: PageBatch,
    how: { readonly again: ReadonlyMap<number, Uint8Array>; readonly following: number },
  ): Promise<readonly number[]> {
    const { engine, order } = this.#ports;
    if (batch.pages.length === 0) return [];
    const pieces = this.#pieces(batch, how.again);
    const sources: Source[] = pieces.map(() => null);
    const crew = new Crew(READS_MAX);
    for (const [i, piece] of pieces.entries()) {
      const known = this.#sourceAtHand(piece, how.again.get(batch.blocks[piece.first]!));
      if (known !== null) sources[i] = known;
      else if (!(await crew.add(this.#got(piece, (bytes) => (sources[i] = bytes))))) break;
    }
    await crew.settle();
    const unread = pieces.filter((_, i) => sources[i] === null);
    if (unread.length > 0)
      return unread.flatMap(({ first, end }) => [...batch.blocks.subarray(first, end)]);
    const request = this.#fillOf(batch, { pieces, sources, ...how });
    const failed = await order.bulk(() => engine.fill(request));
    return Array.from(failed, (i) => batch.blocks[i]!);
  }

  /** What is read as one; a block that was read again stands alone. */
  #pieces({ blocks }: PageBatch, again: ReadonlyMap<number, Uint8Array>): readonly BlockPiece[] {
    const limits = this.#ports.store.fileOf === undefined ? RANGES : FILE_READS;
    const pieces = piecesOf(this.#plan!, blocks, limits);
    if (again.size === 0) return pieces;
    return pieces.flatMap((piece) => this.#parted(piece, blocks, again));
  }

  #parted(
    piece: BlockPiece,
    blocks: Uint32Array,
    again: ReadonlyMap<number, Uint8Array>,
  ): readonly BlockPiece[] {
    const { pack } = piece;
    const parts: BlockPiece[] = [];
    let isOpen = false;
    for (let i = piece.first; i < piece.end; i += 1) {
      const { offsetBytes, endBytes } = spanOf(pack, blocks[i]!);
      const last = parts.at(-1);
      const isAgain = again.has(blocks[i]!);
      if (isOpen && !isAgain && last !== undefined)
        parts[parts.length - 1] = { ...last, end: i + 1, lengthBytes: endBytes - last.offsetBytes };
      else
        parts.push({
          pack,
          first: i,
          end: i + 1,
          offsetBytes,
          lengthBytes: endBytes - offsetBytes,
        });
      isOpen = !isAgain;
    }
    return parts;
  }

  /** Where a piece is read from that nobody need be asked for; null: it is got. */
  #sourceAtHand({ pack }: BlockPiece, again: Uint8Array | undefined): Source {
    const { store } = this.#ports;
    return pack.bytes ?? again ?? (pack.name === null ? null : (store.fileOf?.(pack.name) ?? null));
  }

  /** Gets the bytes of a piece, if they can be had. */
  async #got(
    { pack, offsetBytes, lengthBytes }: BlockPiece,
    take: (bytes: Uint8Array) => void,
  ): Promise<void> {
    const { store, order } = this.#ports;
    const range = { name: pack.name!, offsetBytes, lengthBytes };
    try {
      take(await order.bulk(() => run(store.get(range))));
    } catch (thrown) {
      // Why they cannot is asked when they are read again.
      if (!isLedgerError(thrown)) throw thrown;
    }
  }

  #fillOf(
    batch: PageBatch,
    from: {
      readonly pieces: readonly BlockPiece[];
      readonly sources: readonly Source[];
      readonly following: number;
    },
  ): FillRequest {
    const { firstPage, target } = this.#request;
    const { blocks, rowEnds, slots, rooms } = batch;
    const starts = new Uint32Array(blocks.length);
    const pieces = from.pieces.map((piece, i): FillPiece => {
      const { pack, first, end, offsetBytes, lengthBytes } = piece;
      for (let at = first; at < end; at += 1)
        starts[at] = spanOf(pack, blocks[at]!).offsetBytes - offsetBytes;
      const source = from.sources[i]!;
      return { from: source, offsetBytes, lengthBytes, endBlock: end, label: pack.label };
    });
    return {
      pieces,
      blocks: tableOf(this.#plan!, blocks),
      starts,
      rowEnds,
      slots,
      rooms,
      pages: batch.pages.map((page) => firstPage + page),
      following: from.following,
      ...target,
    };
  }
}

/**
 * Fills pages in. Those that are lost, where that is told, are left as they are: their numbers from the
 * first page on, ascending. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED, DISK_FULL.
 */
export async function fillPages(
  ports: FillerPorts,
  request: FillPages,
  losses: Losses,
): Promise<Uint32Array> {
  const filling = new Filling(ports, request, losses);
  await filling.run();
  return Uint32Array.from(filling.lost).toSorted();
}
