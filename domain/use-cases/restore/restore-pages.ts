// Memory at a point into a file: each block of pages that is needed is read and decompressed once, and
// all pages of it that the point holds are written where they belong (brief, 3.4). Pages of zeros are
// left as holes of a fresh file; a public pattern is made, not read.
//
// A page that is kept as a patch is made in two passes: first its reference is written in its place
// like any page, then its mask is XORed onto it. Should a reference be a patch itself, because two
// hosts wrote at once, there are more passes.
//
// Memory is bounded by the window of pages planned at once and the reads under way.

import { isContent, isKeptPattern, UNKNOWN, ZERO, type Holding } from '../../values/holding.ts';
import { LedgerError } from '../../values/ledger-error.ts';
import { packLabel, sliceBlocks } from '../../values/pack.ts';
import { PACK_SLOTS } from '../../values/page.ts';
import type { MemoryFile } from '../../ports/guests.ts';
import type { FillRequest, PageEngine } from '../../ports/page-engine.ts';
import { publicPattern } from '../../patterns/public-patterns.ts';
import type { PageStore } from '../../ports/page-store.ts';
import type { PageLocator } from '../../ports/models.ts';
import { piecesOf, type Piece } from '../pages/block-pieces.ts';
import { useRange } from '../pages/pack-ranges.ts';

/** Pages planned at once (4 GiB of guest memory). */
const WINDOW_PAGES = 2 ** 20;
/** Pages of the blocks read and decompressed as one piece of work (2 MiB), but for the last block. */
const PIECE_PAGES = 512;
/** Patches of patches of patches: more is no ledger of ours. */
const PASSES_MAX = 8;

export interface RestorePorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  readonly locator: PageLocator;
}

export interface RestoreRequest {
  /** What every page holds, from the first one wanted on. */
  readonly table: Uint32Array;
  /** A fresh file of zeros, as long as the table's pages, from offsetBytes on. */
  readonly file: MemoryFile;
  readonly offsetBytes: number;
  /** What a message calls the point. */
  readonly label: string;
  readonly onProgress?: (progress: { readonly pages: number; readonly pageCount: number }) => void;
}

/** Raises POINT_DAMAGED where a page of the table is not known. */
export function assertWhole(table: Uint32Array, label: string): void {
  const gfn = table.indexOf(UNKNOWN);
  if (gfn < 0) return;
  throw new LedgerError(
    'POINT_DAMAGED',
    `${label} cannot be restored: what page ${gfn} held is lost, because events of this VM or of a pack it used are damaged; \`pageledger verify\` names them and the points that are whole`,
    { gfn },
  );
}

/** Where a holding lies. POINT_DAMAGED where it is gone. */
export function knownPlaceOf(locator: PageLocator, holding: Holding): number {
  const place = holding === UNKNOWN ? -1 : locator.placeOf(holding);
  if (place >= 0) return place;
  throw new LedgerError(
    'POINT_DAMAGED',
    'a page cannot be restored: what it held, or what it is a patch of, is lost or was forgotten; run `pageledger verify`',
  );
}

/** Refuses a chain of patches that no ledger of ours has: it may go round in circles. */
export function assertShort(depth: number, depthMax: number): void {
  if (depth <= depthMax) return;
  throw new LedgerError(
    'POINT_DAMAGED',
    'a page cannot be restored: it is a patch of a patch, and so on without end; run `pageledger verify`, and restore the log from a copy',
  );
}

/** What to do for a window of pages: made pages, then places to write, then masks to XOR, by pass. */
interface Plan {
  readonly publicPages: Map<number, number[]>;
  /** By pass: place * WINDOW_PAGES + page. */
  readonly passes: number[][];
}

function planWindow(
  locator: PageLocator,
  table: Uint32Array,
  { first, end }: { readonly first: number; readonly end: number },
): Plan {
  const plan: Plan = { publicPages: new Map(), passes: [[]] };
  for (let page = first; page < end; page += 1) {
    const holding = table[page]!;
    if (holding === ZERO) continue;
    if (!isContent(holding) && !isKeptPattern(holding)) {
      const pages = plan.publicPages.get(holding) ?? [];
      pages.push(page);
      plan.publicPages.set(holding, pages);
      continue;
    }
    let place = knownPlaceOf(locator, holding);
    let reference = locator.referenceAt(place);
    for (let pass = 1; reference !== null; pass += 1) {
      assertShort(pass, PASSES_MAX);
      (plan.passes[pass] ??= []).push(place * WINDOW_PAGES + (page - first));
      place = knownPlaceOf(locator, reference);
      reference = locator.referenceAt(place);
    }
    plan.passes[0]!.push(place * WINDOW_PAGES + (page - first));
  }
  return plan;
}

/** What has to be read for a pass. */
interface PassPieces {
  readonly pieces: Generator<Piece>;
  /** In the order of the places that the pieces count. */
  readonly places: Float64Array;
  readonly pages: Uint32Array;
}

function passPieces(locator: PageLocator, pass: readonly number[], first: number): PassPieces {
  const keys = Float64Array.from(pass).toSorted();
  const places = keys.map((key) => Math.floor(key / WINDOW_PAGES));
  const pages = Uint32Array.from(keys, (key) => first + (key % WINDOW_PAGES));
  return { pieces: piecesOf(locator, places, PIECE_PAGES), places, pages };
}

type Target = Pick<FillRequest, 'file' | 'offsetBytes' | 'mode'>;

async function readPiece(
  ports: RestorePorts,
  { piece, pass }: { readonly piece: Piece; readonly pass: PassPieces },
  target: Target,
): Promise<void> {
  const { pack, offsetBytes, lengthBytes, first, end, firstSlot } = piece;
  const request: Omit<FillRequest, 'bytes'> = {
    blocks: sliceBlocks(pack.blocks, piece.firstBlock, piece.endBlock),
    slots: Uint32Array.from(
      pass.places.subarray(first, end),
      (place) => (place % PACK_SLOTS) - firstSlot,
    ),
    pages: pass.pages.slice(first, end),
    ...target,
    label: packLabel(pack.name),
  };
  const range = { name: pack.name, offsetBytes, lengthBytes };
  await useRange(ports.store, range, (bytes) => ports.engine.fill({ ...request, bytes }));
}

/** Writes a public pattern to some pages. */
async function fillPublic(
  { engine }: RestorePorts,
  of: { readonly pattern: number; readonly pages: readonly number[] },
  target: Target,
): Promise<void> {
  const { bytes, ...blocks } = engine.encodePatterns([publicPattern(of.pattern)]);
  const slots = new Uint32Array(of.pages.length);
  const pages = Uint32Array.from(of.pages);
  await engine.fill({ bytes, blocks, slots, pages, ...target, label: `pattern ${of.pattern}` });
}

/** Work of which so much is under way at once; the first failure stops it. */
class Crew {
  readonly #max: number;
  readonly #underWay = new Set<Promise<void>>();
  readonly failures: unknown[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Begins a piece of work, when there is room; false: some has failed. */
  async add(work: Promise<void>): Promise<boolean> {
    const guarded: Promise<void> = work
      .catch((thrown: unknown) => {
        this.failures.push(thrown);
      })
      .finally(() => this.#underWay.delete(guarded));
    this.#underWay.add(guarded);
    if (this.#underWay.size >= this.#max) await Promise.race(this.#underWay);
    return this.failures.length === 0;
  }

  /** Everything that began has ended; the first failure is thrown. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.failures.length > 0) throw this.failures[0];
  }
}

/** Writes the pages of a table into a fresh file. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED, DISK_FULL. */
export async function restorePages(ports: RestorePorts, request: RestoreRequest): Promise<void> {
  const { table, file, offsetBytes, label, onProgress } = request;
  const { engine, locator } = ports;
  assertWhole(table, label);
  let done = 0;
  const tell = (pages: number) => (): void => {
    done += pages;
    onProgress?.({ pages: done, pageCount: table.length });
  };
  for (let first = 0; first < table.length; first += WINDOW_PAGES) {
    const end = Math.min(table.length, first + WINDOW_PAGES);
    const { publicPages, passes } = planWindow(locator, table, { first, end });
    for (const [number, pass] of passes.entries()) {
      const crew = new Crew(2 * Math.max(1, engine.threads) + 1);
      const target: Target = { file, offsetBytes, mode: number === 0 ? 'write' : 'xor' };
      if (number === 0)
        for (const [pattern, pages] of publicPages)
          await crew.add(fillPublic(ports, { pattern, pages }, target).then(tell(pages.length)));
      const planned = passPieces(locator, pass, first);
      for (const piece of planned.pieces) {
        const told = number === 0 ? piece.end - piece.first : 0;
        const work = readPiece(ports, { piece, pass: planned }, target).then(tell(told));
        if (!(await crew.add(work))) break;
      }
      await crew.settle();
    }
  }
}
