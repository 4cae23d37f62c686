// Difference Engine's own way to share and patch (OSDI 2008), over whole images: the yardstick for what
// a ledger makes of the same pages. Its detector is HashSimilarityDetector(2,1): a page is indexed by
// the hashes of two 64-byte blocks at two fixed random places, one candidate each, and becomes a patch
// of the better one where the patch takes at most half a page. A reference is never itself a patch.
//
// A patch is the XOR of page and reference, packed by zstd, where the paper has xdelta; a page that
// nothing shares and nothing is similar to takes a page, for the paper's table leaves compression out.

import { createHash } from 'node:crypto';
import { compress } from '@cloudpss/zstd/wasm';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

const BLOCK_BYTES = 64;
/** Of one draw; a page's first and last block are as good as any other. */
const PLACES = [1216, 2944];
const PATCH_BYTES_MAX = PAGE_BYTES / 2;
const PATCH_LEVEL = 1;

/** The paper's columns, in pages. */
export interface PaperTable {
  readonly pages: number;
  readonly zero: number;
  /** Not zero, and in more than one place; and the contents of these. */
  readonly sharable: number;
  readonly sharableContents: number;
  readonly single: number;
  readonly references: number;
  readonly patched: number;
  readonly patchBytes: number;
}

const digestOf = (page: Uint8Array): string => createHash('sha256').update(page).digest('base64');

/** Distinct pages that are not zero, and in how many places each is. */
function distinctPages(images: readonly Buffer[]) {
  const zero = Buffer.alloc(PAGE_BYTES);
  const places = new Map<string, { readonly page: Buffer; count: number }>();
  const counts = { pages: 0, zero: 0 };
  for (const image of images)
    for (let at = 0; at < image.length; at += PAGE_BYTES) {
      const page = image.subarray(at, at + PAGE_BYTES);
      counts.pages += 1;
      if (page.equals(zero)) {
        counts.zero += 1;
        continue;
      }
      const digest = digestOf(page);
      const known = places.get(digest);
      if (known === undefined) places.set(digest, { page, count: 1 });
      else known.count += 1;
    }
  return { ...counts, distinct: [...places.values()] };
}

const mask = Buffer.alloc(PAGE_BYTES);

/** Writes the XOR of two pages into `mask`; gives the bytes that differ. */
function differ(page: Buffer, reference: Buffer): number {
  let count = 0;
  for (let i = 0; i < PAGE_BYTES; i += 1) {
    const difference = page[i]! ^ reference[i]!;
    mask[i] = difference;
    if (difference !== 0) count += 1;
  }
  return count;
}

/** Bytes of a page as a patch of the nearest of its candidates; null: it has none that pays. */
function patchBytesOf(page: Buffer, candidates: readonly Buffer[]): number | null {
  const [nearest] = candidates
    .map((reference) => ({ reference, bytes: differ(page, reference) }))
    .toSorted((a, b) => a.bytes - b.bytes);
  if (nearest === undefined || nearest.bytes >= PATCH_BYTES_MAX) return null;
  differ(page, nearest.reference);
  const { byteLength } = compress(mask, PATCH_LEVEL);
  return byteLength <= PATCH_BYTES_MAX ? byteLength : null;
}

/** What Difference Engine makes of some memories. */
export function differenceEngine(images: readonly Buffer[]): PaperTable {
  const { pages, zero, distinct } = distinctPages(images);
  const index = new Map<string, Buffer>();
  let sharable = 0;
  let sharableContents = 0;
  let patched = 0;
  let patchBytes = 0;
  for (const { page, count } of distinct) {
    if (count > 1) {
      sharable += count;
      sharableContents += 1;
    }
    const keys = PLACES.map((at, i) => i + page.toString('latin1', at, at + BLOCK_BYTES));
    const found = keys.map((key) => index.get(key)).filter((known) => known !== undefined);
    const bytes = patchBytesOf(page, [...new Set(found)]);
    if (bytes === null) for (const key of keys) index.set(key, page);
    else {
      patched += 1;
      patchBytes += bytes;
    }
  }
  const references = distinct.length - patched;
  const single = distinct.length - sharableContents;
  return { pages, zero, sharable, sharableContents, single, references, patched, patchBytes };
}

/** Pages left after sharing, and after patching. */
export const leftAfter = ({ references, patched, patchBytes }: PaperTable) => ({
  sharing: references + patched,
  patching: references + patchBytes / PAGE_BYTES,
});
