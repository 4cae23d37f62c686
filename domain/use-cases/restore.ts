// Memory at a point into a file: each storage block that is needed is read and decompressed once, and
// all pages of it that the point holds are written where they belong (brief, 3.4). Pages of zeros are
// left as holes of a fresh file.
//
// Memory is bounded by the window of pages planned at once and the reads under way.

import { isContent, FIRST_CONTENT, UNKNOWN } from '../page-writes.ts';
import { LedgerError } from '../ledger-error.ts';
import { blockStarts, packLabel, sliceBlocks } from '../pack.ts';
import { STORAGE_BLOCK_BLOCKS } from '../page.ts';
import type { FillRequest, PageEngine } from '../page-engine.ts';
import type { PageStore } from '../ports.ts';
import type { PackOf, ReadPack } from '../read-models.ts';
import { useRange } from './pack-ranges.ts';

/** Pages planned at once (4 GiB of guest memory). */
const WINDOW_PAGES = 2 ** 20;
/** Blocks read and decompressed as one piece of work: eight storage blocks, 2 MiB of pages. */
const PIECE_BLOCKS = 8 * STORAGE_BLOCK_BLOCKS;
/** Unneeded bytes between two needed blocks that are read rather than skipped. */
const GAP_BYTES_MAX = 64 * 1024;

export interface RestorePorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  readonly packOf: PackOf;
}

export interface RestoreRequest {
  /** What every page holds, from the first one wanted on. */
  readonly table: Uint32Array;
  /** A fresh file of zeros, as long as the table's pages, from offsetBytes on. */
  readonly fd: number;
  readonly offsetBytes: number;
  /** What a message calls the point. */
  readonly label: string;
  readonly onProgress?: (progress: { readonly pages: number; readonly pageCount: number }) => void;
}

/** A run of a pack's blocks to read, and which page of it goes where. */
interface Piece {
  readonly pack: ReadPack;
  readonly firstBlock: number;
  endBlock: number;
  readonly firstSlot: number;
  readonly offsetBytes: number;
  lengthBytes: number;
  readonly slots: number[];
  readonly pages: number[];
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

/** Pages of a window that hold a content, as content * window + page, ascending. */
function sortedContents(table: Uint32Array, first: number, end: number): Float64Array {
  const keys = new Float64Array(end - first);
  let count = 0;
  for (let page = first; page < end; page += 1) {
    const holding = table[page]!;
    if (!isContent(holding)) continue;
    keys[count] = (holding - FIRST_CONTENT) * WINDOW_PAGES + (page - first);
    count += 1;
  }
  return keys.subarray(0, count).toSorted();
}

/** What has to be read for a window, in content order. */
function* plan(ports: RestorePorts, table: Uint32Array, first: number): Generator<Piece> {
  const keys = sortedContents(table, first, Math.min(table.length, first + WINDOW_PAGES));
  let pack: ReadPack | null = null;
  let starts: { slots: Uint32Array; offsets: Uint32Array } = {
    slots: new Uint32Array(0),
    offsets: new Uint32Array(0),
  };
  let block = 0;
  let piece: Piece | null = null;
  for (const key of keys) {
    const content = Math.floor(key / WINDOW_PAGES);
    const page = first + (key % WINDOW_PAGES);
    if (pack === null || content >= pack.firstContent + pack.pages) {
      if (piece !== null) yield piece;
      piece = null;
      pack = ports.packOf(content);
      starts = blockStarts(pack.blocks);
      block = 0;
    }
    const slot = content - pack.firstContent;
    while (slot >= starts.slots[block + 1]!) block += 1;
    const isFar =
      piece !== null &&
      (block - piece.firstBlock >= PIECE_BLOCKS ||
        starts.offsets[block]! - (piece.offsetBytes + piece.lengthBytes) > GAP_BYTES_MAX);
    if (piece !== null && isFar) {
      yield piece;
      piece = null;
    }
    piece ??= {
      pack,
      firstBlock: block,
      endBlock: block,
      firstSlot: starts.slots[block]!,
      offsetBytes: starts.offsets[block]!,
      lengthBytes: 0,
      slots: [],
      pages: [],
    };
    piece.endBlock = block + 1;
    piece.lengthBytes = starts.offsets[block + 1]! - piece.offsetBytes;
    piece.slots.push(slot - piece.firstSlot);
    piece.pages.push(page);
  }
  if (piece !== null) yield piece;
}

async function readPiece(
  ports: RestorePorts,
  piece: Piece,
  file: { fd: number; offsetBytes: number },
): Promise<void> {
  const { pack, offsetBytes, lengthBytes } = piece;
  const request: Omit<FillRequest, 'bytes'> = {
    blocks: sliceBlocks(pack.blocks, piece.firstBlock, piece.endBlock),
    slots: Uint32Array.from(piece.slots),
    pages: Uint32Array.from(piece.pages),
    ...file,
    label: packLabel(pack.name),
  };
  const range = { name: pack.name, offsetBytes, lengthBytes };
  await useRange(ports.store, range, (bytes) => ports.engine.fill({ ...request, bytes }));
}

/** Writes the pages of a table into a fresh file. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED, DISK_FULL. */
export async function restorePages(ports: RestorePorts, request: RestoreRequest): Promise<void> {
  const { table, fd, offsetBytes, label, onProgress } = request;
  assertWhole(table, label);
  const underWayMax = 2 * Math.max(1, ports.engine.threads) + 1;
  const underWay = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let done = 0;
  for (let first = 0; first < table.length && failures.length === 0; first += WINDOW_PAGES) {
    for (const piece of plan(ports, table, first)) {
      const work: Promise<void> = readPiece(ports, piece, { fd, offsetBytes })
        .then(() => {
          done += piece.pages.length;
          return onProgress?.({ pages: done, pageCount: table.length });
        })
        .catch((thrown: unknown) => {
          failures.push(thrown);
        })
        .finally(() => underWay.delete(work));
      underWay.add(work);
      if (underWay.size >= underWayMax) await Promise.race(underWay);
      if (failures.length > 0) break;
    }
  }
  await Promise.all(underWay);
  if (failures.length > 0) throw failures[0];
}
