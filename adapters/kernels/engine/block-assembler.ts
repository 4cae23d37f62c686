// Puts the pages of a block side by side, each plain or as a patch: the page XOR a reference, where
// few enough bytes differ (domain/events/patches.ts). Works in an area of the kernels' memory that the
// caller sets aside: room for one block, and for one reference behind it.

import { assert } from '../../../domain/values/assert.ts';
import type { PatchReferences } from '../../../domain/ports/page-engine.ts';
import { BLOCK_PAGES_MAX, PAGE_BYTES } from '../../../domain/values/page.ts';
import { PATCH_BYTES_MAX } from '../../../domain/events/patches.ts';
import type { Kernels } from './kernels.ts';

const REFERENCE = BLOCK_PAGES_MAX * PAGE_BYTES;
/** Bytes of the area that an assembler works in. */
export const ASSEMBLER_BYTES = REFERENCE + PAGE_BYTES;

/** Which pages of a request a block holds, and what is said of them. */
export interface BlockRows {
  /** The first page's row in the request. */
  readonly first: number;
  readonly references: PatchReferences | null;
  /** A row a page of the request; set to 1 where a patch is kept. */
  readonly patched: Uint8Array;
}

/** Raises InvariantError unless each of `rows` pages has a reference that is there, or none. */
export function checkReferences({ pages, of }: PatchReferences, rows: number): void {
  assert(pages.byteLength % PAGE_BYTES === 0, 'references are whole pages');
  assert(of.length === rows, 'each page asked for says whether it has a reference');
  const count = pages.byteLength / PAGE_BYTES;
  assert(
    of.every((reference) => reference >= -1 && reference < count),
    'a reference is one of those at hand',
  );
}

export class BlockAssembler {
  readonly #kernels: Kernels;
  readonly #area: number;

  /** `area` is the address of ASSEMBLER_BYTES, a multiple of PAGE_BYTES. */
  constructor({ kernels, area }: { readonly kernels: Kernels; readonly area: number }) {
    this.#kernels = kernels;
    this.#area = area;
  }

  /** The block of pages that lie at these addresses: a view, valid until the next block. */
  gather(addresses: readonly number[], rows: BlockRows): Uint8Array {
    const { bytes } = this.#kernels;
    const lengthBytes = addresses.length * PAGE_BYTES;
    const start = addresses[0]!;
    const isPlain = !hasReference(rows, addresses.length);
    if (isPlain && addresses.every((address, i) => address === start + i * PAGE_BYTES))
      return bytes.subarray(start, start + lengthBytes);
    for (const [i, address] of addresses.entries()) this.#put(i, address, rows);
    return bytes.subarray(this.#area, this.#area + lengthBytes);
  }

  /** The block of pages at hand outside the kernels' memory: as `gather`, or the pages themselves. */
  copy(pages: Uint8Array, rows: BlockRows): Uint8Array {
    const count = pages.byteLength / PAGE_BYTES;
    if (!hasReference(rows, count)) return pages;
    this.#kernels.bytes.set(pages, this.#area);
    return this.gather(
      Array.from({ length: count }, (_, i) => this.#area + i * PAGE_BYTES),
      rows,
    );
  }

  /** Puts the page at `address` into place `i` of the block. */
  #put(i: number, address: number, { first, references, patched }: BlockRows): void {
    const { bytes } = this.#kernels;
    const out = this.#area + i * PAGE_BYTES;
    const number = references === null ? -1 : references.of[first + i]!;
    if (number < 0) {
      if (address !== out) bytes.copyWithin(out, address, address + PAGE_BYTES);
      return;
    }
    const reference = this.#area + REFERENCE;
    const from = number * PAGE_BYTES;
    bytes.set(references!.pages.subarray(from, from + PAGE_BYTES), reference);
    const differing = this.#kernels.patch({ page: address, reference }, out);
    if (differing < PATCH_BYTES_MAX) patched[first + i] = 1;
    // The mask of the mask is the page again.
    else this.#kernels.patch({ page: out, reference }, out);
  }
}

function hasReference({ first, references }: BlockRows, count: number): boolean {
  if (references === null) return false;
  for (let row = first; row < first + count; row += 1) if (references.of[row]! >= 0) return true;
  return false;
}
