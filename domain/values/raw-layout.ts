// How a raw image of a VM's memory is laid out: `packed`, all blocks of RAM one
// after the other, or `physical`, RAM at its guest-physical addresses with holes between. What is no
// RAM has no place in a raw image, and is named.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { ZERO, type Holding } from './holding.ts';
import { kindOfBlock, type MemoryBlock, type MemoryMap } from './memory-map.ts';
import { PAGE_BYTES } from './page.ts';
import type { Refusal } from './refusals.ts';

export const RAW_LAYOUTS = ['packed', 'physical'] as const;
export type RawLayoutName = (typeof RAW_LAYOUTS)[number];

/** What is said of how a raw file that is recorded holds a guest's memory. */
export interface ToldLayout {
  readonly layout: RawLayoutName;
  /** The guest's machine type, as QEMU names it (`pc`, `q35`, `microvm`); null: it is not known. */
  readonly machine: string | null;
}

/** Consecutive pages of the VM that are consecutive in the image. */
export interface Piece {
  readonly gfn: number;
  /** The page of the image. */
  readonly page: number;
  readonly pages: number;
}

/** Where an image has which pages of a VM. */
export interface ImageLayout {
  readonly pieces: readonly Piece[];
  /** Pages of the image, those of its holes too. */
  readonly pages: number;
}

export interface RawLayout extends ImageLayout {
  readonly name: RawLayoutName;
  /** Names of blocks that are not in the image, or not wholly. */
  readonly leftOut: readonly string[];
}

interface PlacedBlock extends MemoryBlock {
  readonly first: number;
}

/** A physical image may be four times the RAM and 16 GiB: beyond that it would be holes alone. */
const physicalPagesMax = (ram: readonly MemoryBlock[]): number => 4 * pagesOf(ram) + 2 ** 22;

const placed = (map: MemoryMap): readonly PlacedBlock[] => {
  let first = 0;
  return map.blocks.map((block) => {
    const at = { ...block, first };
    first += block.pages;
    return at;
  });
};

/** Main RAM is RAM whatever it is called. */
const isRam = (block: MemoryBlock, index: number): boolean =>
  index === 0 || kindOfBlock(block) === 'ram';

function packed(ram: readonly PlacedBlock[]): readonly Piece[] {
  let page = 0;
  return ram.map(({ first: gfn, pages }) => {
    const piece = { gfn, page, pages };
    page += pages;
    return piece;
  });
}

/**
 * Where a block lies. Between two ranges of it that continue each other other memory may be seen, as
 * firmware and video memory are below 1 MiB: the block lies there all the same.
 */
function physical(map: MemoryMap, { name, first, pages }: PlacedBlock): readonly Piece[] {
  const pieces: Piece[] = [];
  const ranges = map.ranges
    .filter(
      ({ block, address, offset, length }) =>
        block === name && [address, offset, length].every((bytes) => bytes % PAGE_BYTES === 0),
    )
    .toSorted((a, b) => a.offset - b.offset);
  for (const range of ranges) {
    const [page, from] = [range.address / PAGE_BYTES, range.offset / PAGE_BYTES];
    const end = Math.min(pages, from + range.length / PAGE_BYTES);
    const last = pieces.at(-1);
    const done = last === undefined ? 0 : last.gfn - first + last.pages;
    if (end <= done) continue;
    if (last !== undefined && last.page + (from - (last.gfn - first)) === page)
      pieces[pieces.length - 1] = { ...last, pages: end - (last.gfn - first) };
    else if (from >= done) pieces.push({ gfn: first + from, page, pages: end - from });
  }
  return pieces;
}

/** The RAM of a VM as far as it is known at which guest-physical addresses it lies. */
export interface AddressedRam {
  /** In the order of the VM's pages; each at the page that begins at its address. */
  readonly pieces: readonly Piece[];
  /** Names of blocks of RAM of which that is not known, or not of all. */
  readonly lost: readonly string[];
  /** Names of blocks that are no RAM. */
  readonly others: readonly string[];
}

/** Where the RAM of a VM lies. */
export function addressedRam(map: MemoryMap): AddressedRam {
  const blocks = placed(map);
  const ram = blocks.filter(isRam);
  const atRanges = ram.map((block) => physical(map, block));
  return {
    pieces: atRanges.flat(),
    lost: ram.filter((block, i) => pagesOf(atRanges[i]!) < block.pages).map(({ name }) => name),
    others: blocks.filter((block) => !ram.includes(block)).map(({ name }) => name),
  };
}

const pagesOf = (parts: readonly { readonly pages: number }[]): number =>
  parts.reduce((sum, { pages }) => sum + pages, 0);
const endOf = (pieces: readonly Piece[]): number =>
  pieces.reduce((end, { page, pages }) => Math.max(end, page + pages), 0);
const isSame = (a: readonly Piece[], b: readonly Piece[]): boolean =>
  a.length === b.length && a.every((piece, i) => piece.page === b[i]!.page);

/**
 * The layout of a raw image; null asks for the one that tools expect: physical where it is known where
 * all RAM lies, and that is another one. Refused where physical is asked for and nothing is known.
 */
export function rawLayoutOf(
  map: MemoryMap,
  asked: RawLayoutName | null,
): Either<Refusal, RawLayout> {
  const ram = placed(map).filter(isRam);
  const inOrder = packed(ram);
  const { pieces, lost, others } = addressedRam(map);
  const layout = (name: RawLayoutName, parts: readonly Piece[], left: readonly string[]) =>
    either.right({ name, pieces: parts, pages: endOf(parts), leftOut: [...left, ...others] });
  const isUsable = pieces.length > 0 && endOf(pieces) <= physicalPagesMax(ram);
  if (asked === 'physical' && !isUsable) return either.left({ _tag: 'RangesUnknown' });
  const isBetter = isUsable && lost.length === 0 && !isSame(pieces, inOrder);
  return asked === 'physical' || (asked === null && isBetter)
    ? layout('physical', pieces, lost)
    : layout('packed', inOrder, []);
}

/** PCs have memory from address 0 on as far at least, before a hole. */
const LOW_PAGES = (2.75 * 2 ** 30) / PAGE_BYTES;

/** Whether each byte of an image lies where its guest-physical address says, as tools for raw RAM expect. */
export function isAtAddresses(layout: RawLayout, map: MemoryMap): boolean {
  const { pieces, lost } = addressedRam(map);
  if (layout.name === 'physical') return true;
  if (map.ranges.length > 0) return lost.length === 0 && isSame(pieces, layout.pieces);
  return layout.pieces.length === 1 && layout.pages <= LOW_PAGES;
}

/** One block of memory by its name, as a VMM maps it. Refused where the VM has none of it. */
export function blockLayoutOf(
  map: MemoryMap,
  of: { readonly vm: string; readonly block: string },
): Either<Refusal, ImageLayout> {
  const found = placed(map).find(({ name }) => name === of.block);
  if (found === undefined)
    return either.left({ _tag: 'BlockUnknown', ...of, known: map.blocks.map(({ name }) => name) });
  const { first: gfn, pages } = found;
  return either.right({ pieces: [{ gfn, page: 0, pages }], pages });
}

/** What the pages of the image hold, of what the VM's do. */
export function layOut(layout: ImageLayout, table: Uint32Array): Uint32Array {
  const [only] = layout.pieces;
  if (layout.pieces.length === 1 && only!.page === 0)
    return table.subarray(only!.gfn, only!.gfn + only!.pages);
  const hole: Holding = ZERO;
  const laid = new Uint32Array(layout.pages).fill(hole);
  for (const { gfn, page, pages } of layout.pieces)
    laid.set(table.subarray(gfn, gfn + pages), page);
  return laid;
}
