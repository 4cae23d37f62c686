// Pages in bulk, into a file or into memory: each storage block that is needed is read and decompressed
// once a window, on the engine's threads, and all pages of it that are wanted are written where they
// belong. Zeros are left as they are in the target; a public pattern is made, not read.
//
// Passes do not overlap: a mask is XORed once what it goes onto is there. Memory is bounded by the plan
// and the pieces under way.

import { assert } from '../../values/assert.ts';
import { slotAt } from '../../values/place.ts';
import { isLedgerError, type LedgerErrorCode } from '../../values/ledger-error.ts';
import { packLabel, sliceBlocks } from '../../values/pack.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { type Holding } from '../../values/holding.ts';
import type { FillRequest, PageEngine } from '../../ports/page-engine.ts';
import type { PageLocator } from '../../ports/models.ts';
import type { PageStore } from '../../ports/page-store.ts';
import { publicPattern } from '../../patterns/public-patterns.ts';
import { piecesOf, type BlockPiece } from './block-pieces.ts';
import { Crew } from './crew.ts';
import { useRange } from './pack-ranges.ts';
import { planPages, type PlannedPass } from './page-plan.ts';
import type { UrgentFirst } from './urgent-first.ts';

export interface FillerPorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  readonly locator: PageLocator;
  readonly order: UrgentFirst;
}

/** A file, or shared memory as one. */
export type FillTarget = Pick<FillRequest, 'file' | 'offsetBytes'>;

/** Pages to fill in, at most PLAN_PAGES_MAX. */
export interface FillPages {
  /** What they hold. */
  readonly holdings: Uint32Array;
  /** Where the first one goes in the target. */
  readonly firstPage: number;
  readonly target: FillTarget;
  /** Says that so many more pages are there. */
  readonly onPages?: (pages: number) => void;
}

/** Failures that are told as lost pages; null: the first failure is thrown. */
export type Losses = readonly LedgerErrorCode[] | null;

/** One filling of a window of pages. */
class Filling {
  readonly #ports: FillerPorts;
  readonly #request: FillPages;
  readonly #losses: Losses;
  /** Pages of the window that are lost. */
  readonly lost = new Set<number>();

  constructor(ports: FillerPorts, request: FillPages, losses: Losses) {
    this.#ports = ports;
    this.#request = request;
    this.#losses = losses;
  }

  async run(): Promise<void> {
    const { engine, locator } = this.#ports;
    const lost = this.#losses === null ? null : this.lost;
    const { made, passes } = planPages(locator, this.#request.holdings, lost);
    const crewMax = 2 * Math.max(1, engine.threads) + 1;
    for (const [number, planned] of passes.entries()) {
      const crew = new Crew(crewMax);
      if (number === 0)
        for (const [pattern, pages] of made) await crew.add(this.#make(pattern, pages));
      const pass = this.#still(planned);
      const mode = number === 0 ? 'write' : 'xor';
      // Where a failure is told and not thrown, no mask must be XORed again with what is tried anew.
      const isAnew = mode === 'xor' && this.#losses !== null;
      for (const piece of piecesOf(locator, pass.places, isAnew ? { pagesMax: 1 } : {}))
        if (!(await crew.add(this.#piece(pass, { piece, mode })))) break;
      await crew.settle();
    }
    if (this.lost.size > 0) await this.#clear();
  }

  /** A pass without the pages that were lost in the passes before. */
  #still({ places, pages }: PlannedPass): PlannedPass {
    if (this.lost.size === 0) return { places, pages };
    const isThere = (_: number, i: number): boolean => !this.lost.has(pages[i]!);
    return { places: places.filter(isThere), pages: pages.filter(isThere) };
  }

  #told(pages: number, mode: 'write' | 'xor'): void {
    // A page counts once, however many masks lie on it.
    if (mode === 'write') this.#request.onPages?.(pages);
  }

  /** Writes a public pattern to some pages. */
  async #make(pattern: Holding, pages: readonly number[]): Promise<void> {
    const { bytes, ...blocks } = this.#ports.engine.encodePatterns([publicPattern(pattern)]);
    await this.#copies({ bytes, blocks, label: `pattern ${pattern}` }, pages);
    this.#told(pages.length, 'write');
  }

  /** Writes the only page of a block to some pages. */
  async #copies(
    of: Pick<FillRequest, 'bytes' | 'blocks' | 'label'>,
    pages: readonly number[],
  ): Promise<void> {
    const { firstPage, target } = this.#request;
    const slots = new Uint32Array(pages.length);
    const at = Uint32Array.from(pages, (page) => firstPage + page);
    await this.#ports.order.bulk(() =>
      this.#ports.engine.fill({ ...of, slots, pages: at, ...target }),
    );
  }

  /** Reads a piece of a pass and writes its pages; where losses are told, block by block if need be. */
  async #piece(
    pass: PlannedPass,
    { piece, mode }: { readonly piece: BlockPiece; readonly mode: 'write' | 'xor' },
  ): Promise<void> {
    try {
      await this.#ports.order.bulk(() => this.#fill(pass, { piece, mode }));
      this.#told(piece.end - piece.first, mode);
    } catch (thrown) {
      if (!isLedgerError(thrown) || !(this.#losses ?? []).includes(thrown.code)) throw thrown;
      const pages = pass.pages.subarray(piece.first, piece.end);
      if (piece.endBlock - piece.firstBlock === 1) {
        for (const page of pages) this.lost.add(page);
        return;
      }
      const places = pass.places.subarray(piece.first, piece.end);
      for (const block of piecesOf(this.#ports.locator, places, { pagesMax: 1 }))
        await this.#piece({ places, pages }, { piece: block, mode });
    }
  }

  async #fill(
    pass: PlannedPass,
    { piece, mode }: { readonly piece: BlockPiece; readonly mode: 'write' | 'xor' },
  ): Promise<void> {
    const { store, engine } = this.#ports;
    const { firstPage, target } = this.#request;
    const { pack, offsetBytes, lengthBytes, first, end, firstSlot } = piece;
    const request = {
      blocks: sliceBlocks(pack.blocks, piece.firstBlock, piece.endBlock),
      slots: Uint32Array.from(
        pass.places.subarray(first, end),
        (place) => slotAt(place) - firstSlot,
      ),
      pages: pass.pages.subarray(first, end).map((page) => firstPage + page),
      ...target,
      mode,
      label: packLabel(pack.name),
    };
    const range = { name: pack.name, offsetBytes, lengthBytes };
    await useRange(store, range, (bytes) => engine.fill({ ...request, bytes }));
  }

  /** Leaves nothing in the place of what was lost: a mask that was makes no page of its reference. */
  async #clear(): Promise<void> {
    const { bytes, ...blocks } = this.#ports.engine.encode(new Uint8Array(PAGE_BYTES));
    assert(blocks.codecs.length === 1, 'a page is one block');
    await this.#copies({ bytes, blocks, label: 'a page of zeros' }, [...this.lost]);
  }
}

/**
 * Fills pages in. Those that are lost, where that is told, are zeros then: their numbers from the
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
