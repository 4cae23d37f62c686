// Which page of a VM each frame of its guest is: a memory map says at which guest-physical addresses
// blocks lie.

import {
  mainPagesOf,
  type MemoryMap,
  type PhysicalRange,
} from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** Frames one after the other that are pages one after the other. */
interface Piece {
  readonly frame: number;
  readonly frames: number;
  readonly gfn: number;
}

/** Where no addresses are known, main RAM begins at 0, as it does on every PC. */
function rangesOf(map: MemoryMap): readonly PhysicalRange[] {
  const [main] = map.blocks;
  if (map.ranges.length > 0 || main === undefined) return map.ranges;
  const length = mainPagesOf(map) * PAGE_BYTES;
  return [{ address: 0, block: main.name, offset: 0, length }];
}

function piecesOf(map: MemoryMap): readonly Piece[] {
  const firsts = new Map<string, number>();
  let first = 0;
  for (const { name, pages } of map.blocks) {
    if (!firsts.has(name)) firsts.set(name, first);
    first += pages;
  }
  return rangesOf(map).flatMap(({ address, block, offset, length }) => {
    const gfn = firsts.get(block);
    const isWhole = [address, offset, length].every((bytes) => bytes % PAGE_BYTES === 0);
    if (gfn === undefined || !isWhole) return [];
    const [frame, frames] = [address / PAGE_BYTES, length / PAGE_BYTES];
    return [{ frame, frames, gfn: gfn + offset / PAGE_BYTES }];
  });
}

/** Which page each frame is by a memory map. */
export class FrameMap {
  readonly #pieces: readonly Piece[];
  /** One past the last frame that may be memory. */
  readonly frames: number;

  constructor(map: MemoryMap) {
    this.#pieces = piecesOf(map);
    this.frames = this.#pieces.reduce((end, { frame, frames }) => Math.max(end, frame + frames), 0);
  }

  /** The page that a frame is; null: it is none. */
  gfnOf(frame: number): number | null {
    for (const piece of this.#pieces)
      if (frame >= piece.frame && frame < piece.frame + piece.frames)
        return piece.gfn + frame - piece.frame;
    return null;
  }

  /** The frame that a page is; null: no address leads to it. */
  frameOf(gfn: number): number | null {
    const piece = this.#pieces.find((each) => gfn >= each.gfn && gfn < each.gfn + each.frames);
    return piece === undefined ? null : piece.frame + gfn - piece.gfn;
  }
}
