// The kernels' packing of pages, over memory of which every byte outside of what a call is given has
// one known value: what a call reads beside its input changes its answer, what it writes beside its output is
// found.

import {
  loadKernels,
  PACKED_ROOM_BYTES,
  PACKING_SLACK_BYTES,
  type Kernels,
} from '../../../adapters/kernels/engine/kernels.ts';
import { PACKED_PAGES_MAX } from '../../../domain/values/pack.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

const ROOM_BYTES = 32 * PAGE_BYTES;
const SOURCE = ROOM_BYTES;
const TARGET = 3 * ROOM_BYTES;
const ARENA_BYTES = 6 * ROOM_BYTES;

export class PagePacker {
  readonly #kernels: Kernels;
  readonly #bytes: Uint8Array;
  readonly #fill: number;

  /** `fill` is what lies around everything. */
  constructor(fill = 0) {
    this.#kernels = loadKernels({ arenaBytes: ARENA_BYTES });
    this.#bytes = this.#kernels.bytes.subarray(this.#kernels.arena);
    this.#fill = fill;
    this.#bytes.fill(fill);
  }

  /** A block packed; how much coding its literals must save is told as a shift, 0 for never. */
  pack(pages: Uint8Array, literalShift: number): Uint8Array {
    const { arena } = this.#kernels;
    this.#bytes.set(pages, SOURCE);
    const source = { at: arena + SOURCE, lengthBytes: pages.length };
    const size = this.#kernels.packPages(source, arena + TARGET, literalShift);
    const packed = this.#bytes.slice(TARGET, TARGET + size);
    this.#check(TARGET, PACKED_ROOM_BYTES);
    return this.#emptied(packed);
  }

  /** A block unpacked; null where it is none of so many pages. */
  unpack(packed: Uint8Array, pages: number): Uint8Array | null {
    const { arena } = this.#kernels;
    const lengthBytes = pages * PAGE_BYTES;
    this.#bytes.set(packed, SOURCE);
    const source = { at: arena + SOURCE, lengthBytes: packed.length };
    const isWhole = this.#kernels.unpackPages(source, { at: arena + TARGET, lengthBytes });
    const content = isWhole ? this.#bytes.slice(TARGET, TARGET + lengthBytes) : null;
    this.#check(TARGET, Math.min(lengthBytes, PACKED_PAGES_MAX * PAGE_BYTES) + PACKING_SLACK_BYTES);
    return this.#emptied(content);
  }

  /** Nothing was written but `lengthBytes` from `from`, and the source, which is before it. */
  #check(from: number, lengthBytes: number): void {
    const isFill = (start: number, end: number): boolean =>
      Buffer.compare(this.#bytes.subarray(start, end), Buffer.alloc(end - start, this.#fill)) === 0;
    if (!isFill(0, SOURCE) || !isFill(from - PAGE_BYTES, from))
      throw new TypeError('something before a block was written to');
    if (!isFill(from + lengthBytes, ARENA_BYTES))
      throw new TypeError('something behind a block was written to');
  }

  #emptied<A>(result: A): A {
    this.#bytes.fill(this.#fill, SOURCE);
    return result;
  }
}
