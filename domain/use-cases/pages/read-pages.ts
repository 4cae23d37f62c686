// Pages read back into memory, for questions about their bytes. Holdings are taken in windows; in a
// window every block is read and decoded once, whichever pages ask for it, and a patch's reference is
// read as any page is. Memory: READ_WINDOW_PAGES pages and their references.

import { packLabel, sliceBlocks } from '../../values/pack.ts';
import type { PageEngine } from '../../ports/page-engine.ts';
import { PACK_SLOTS, PAGE_BYTES } from '../../values/page.ts';
import {
  FIRST_CONTENT,
  isContent,
  isKeptPattern,
  UNKNOWN,
  ZERO,
  type Holding,
} from '../../values/holding.ts';
import { publicPattern } from '../../patterns/public-patterns.ts';
import type { PageStore } from '../../ports/page-store.ts';
import type { PageLocator } from '../../ports/models.ts';
import { piecesOf, type Piece } from './block-pieces.ts';
import { useRange } from './pack-ranges.ts';
import { assertShort, knownPlaceOf } from '../restore/restore-pages.ts';

/** Pages read at once (16 MiB, and as much again for references). */
export const READ_WINDOW_PAGES = 4096;
/** Pages of the blocks read and decoded as one (4 MiB), but for the last block. */
const PIECE_PAGES = 1024;
/** References of a patch that are patches themselves: more is no ledger of ours. */
const DEPTH_MAX = 8;

export interface ReadPagesPorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  readonly locator: PageLocator;
  /** Does the work once more where a pack was deleted meanwhile, when it is known where its pages lie now. */
  readonly withPacks: <A>(work: () => Promise<A>) => Promise<A>;
}

/** Takes the page of the holding at `index` of those asked for; it is valid during the call only. */
export type TakePage = (index: number, page: Uint8Array) => void;

interface DecodedPiece {
  readonly piece: Piece;
  readonly pages: Uint8Array;
}

async function decoded(ports: ReadPagesPorts, piece: Piece): Promise<DecodedPiece> {
  const { pack, offsetBytes, lengthBytes } = piece;
  const blocks = sliceBlocks(pack.blocks, piece.firstBlock, piece.endBlock);
  const label = packLabel(pack.name);
  const range = { name: pack.name, offsetBytes, lengthBytes };
  const pages = await useRange(ports.store, range, (bytes) =>
    ports.engine.decode({ bytes, blocks, label }),
  );
  return { piece, pages };
}

/** Pieces in order, the next one read while one is used. */
async function* decodedPieces(
  ports: ReadPagesPorts,
  places: Float64Array,
): AsyncGenerator<DecodedPiece> {
  let ahead: Promise<DecodedPiece> | null = null;
  for (const piece of piecesOf(ports.locator, places, PIECE_PAGES)) {
    const next = decoded(ports, piece);
    // Who stops before it was used does not hear of its failure.
    next.catch(() => undefined);
    if (ahead !== null) yield await ahead;
    ahead = next;
  }
  if (ahead !== null) yield await ahead;
}

/** Takes decoded pages at places, as they are stored: a patch as its mask. */
async function eachPage(
  ports: ReadPagesPorts,
  places: Float64Array,
  take: (place: number, page: Uint8Array) => void,
): Promise<void> {
  for await (const { piece, pages } of decodedPieces(ports, places))
    for (const place of places.subarray(piece.first, piece.end)) {
      const at = ((place % PACK_SLOTS) - piece.firstSlot) * PAGE_BYTES;
      take(place, pages.subarray(at, at + PAGE_BYTES));
    }
}

/** Ascending numbers without repetition. */
const distinct = (numbers: Iterable<number>): Float64Array =>
  Float64Array.from(new Set(numbers)).toSorted();

/** What the patches among places refer to. */
function referencesOf(locator: PageLocator, places: Float64Array): Map<number, number> {
  const references = new Map<number, number>();
  for (const place of places) {
    const reference = locator.referenceAt(place);
    if (reference !== null) references.set(place, knownPlaceOf(locator, reference));
  }
  return references;
}

/** Pages that patches refer to, whole, by place. */
async function referencePages(
  ports: ReadPagesPorts,
  references: ReadonlyMap<number, number>,
  depth = 1,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const pages = new Map<number, Uint8Array>();
  if (references.size === 0) return pages;
  assertShort(depth, DEPTH_MAX);
  const places = distinct(references.values());
  const further = referencesOf(ports.locator, places);
  const beneath = await referencePages(ports, further, depth + 1);
  await eachPage(ports, places, (place, page) => {
    const whole = page.slice();
    const reference = further.get(place);
    if (reference !== undefined) xorInto(whole, page, beneath.get(reference)!);
    pages.set(place, whole);
  });
  return pages;
}

function xorInto(target: Uint8Array, mask: Uint8Array, reference: Uint8Array): void {
  for (let i = 0; i < PAGE_BYTES; i += 1) target[i] = mask[i]! ^ reference[i]!;
}

/** Pages of public patterns, made as any described page is. */
function publicPage({ engine }: ReadPagesPorts, holding: Holding): Uint8Array {
  if (holding === ZERO) return new Uint8Array(PAGE_BYTES);
  const { bytes, ...blocks } = engine.encodePatterns([publicPattern(holding)]);
  return engine.decode({ bytes, blocks, label: `public pattern ${holding}` }).slice();
}

/** A window's holdings by where they lie: the indexes of each place. */
function placesIn(
  ports: ReadPagesPorts,
  holdings: Uint32Array,
  window: { readonly first: number; readonly end: number },
): Map<number, number[]> {
  const indexes = new Map<number, number[]>();
  for (let index = window.first; index < window.end; index += 1) {
    const holding = holdings[index]!;
    if (!isContent(holding) && !isKeptPattern(holding) && holding !== UNKNOWN) continue;
    const place = knownPlaceOf(ports.locator, holding);
    const of = indexes.get(place);
    if (of === undefined) indexes.set(place, [index]);
    else of.push(index);
  }
  return indexes;
}

async function readWindow(
  ports: ReadPagesPorts,
  holdings: Uint32Array,
  window: { readonly first: number; readonly end: number },
  take: TakePage,
): Promise<void> {
  const made = new Map<Holding, Uint8Array>();
  for (let index = window.first; index < window.end; index += 1) {
    const holding = holdings[index]!;
    if (holding >= FIRST_CONTENT) continue;
    const page = made.get(holding) ?? publicPage(ports, holding);
    made.set(holding, page);
    take(index, page);
  }
  const indexes = placesIn(ports, holdings, window);
  const places = distinct(indexes.keys());
  const references = referencesOf(ports.locator, places);
  const pages = await referencePages(ports, references);
  const whole = new Uint8Array(PAGE_BYTES);
  await eachPage(ports, places, (place, page) => {
    const reference = references.get(place);
    if (reference !== undefined) xorInto(whole, page, pages.get(reference)!);
    for (const index of indexes.get(place)!) take(index, reference === undefined ? page : whole);
  });
}

/**
 * Hands on the pages that holdings stand for: those of a window in the order in which they are stored,
 * windows in order. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED.
 */
export async function readPages(
  ports: ReadPagesPorts,
  holdings: Uint32Array,
  take: TakePage,
): Promise<void> {
  for (let first = 0; first < holdings.length; first += READ_WINDOW_PAGES) {
    const end = Math.min(holdings.length, first + READ_WINDOW_PAGES);
    await ports.withPacks(() => readWindow(ports, holdings, { first, end }, take));
  }
}
