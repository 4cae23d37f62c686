// How a core holds a VM's RAM: one piece after the other, in the order of their guest-physical
// addresses, which its table of segments tells. Holes take no room, however wide they are.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { MemoryMap, PhysicalRange } from './memory-map.ts';
import { PAGE_BYTES } from './page.ts';
import { addressedRam, type ImageLayout, type Piece } from './raw-layout.ts';
import type { Refusal } from './refusals.ts';

/** What a core calls all the RAM in it. */
const BLOCK = 'ram';

export interface CoreLayout extends ImageLayout {
  /** One block with a range for each piece. */
  readonly memoryMap: MemoryMap;
  /** Names of blocks that are not in the core, or not wholly. */
  readonly leftOut: readonly string[];
}

/** The layout of a core. Refused where it is not known of any RAM at which addresses it lies. */
export function coreLayoutOf(map: MemoryMap): Either<Refusal, CoreLayout> {
  const { pieces: found, lost, others } = addressedRam(map);
  if (found.length === 0) return either.left({ _tag: 'RangesUnknown' });
  const pieces: Piece[] = [];
  const ranges: PhysicalRange[] = [];
  let pages = 0;
  for (const piece of found.toSorted((a, b) => a.page - b.page)) {
    pieces.push({ ...piece, page: pages });
    ranges.push({
      address: piece.page * PAGE_BYTES,
      block: BLOCK,
      offset: pages * PAGE_BYTES,
      length: piece.pages * PAGE_BYTES,
    });
    pages += piece.pages;
  }
  const memoryMap = { blocks: [{ name: BLOCK, pages }], ranges };
  return either.right({ pieces, pages, memoryMap, leftOut: [...lost, ...others] });
}
