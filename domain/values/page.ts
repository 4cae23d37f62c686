// Sizes and numbers of guest pages. A page is 4 KiB; a guest frame number (gfn) is
// a page's place in its VM, counted through the memory map's blocks, main RAM first.

/** A page's number in its VM. */
export type Gfn = number & { readonly _brand?: 'gfn' };

/** Bytes in a page. */
export const PAGE_BYTES = 4096;
/** log2 of PAGE_BYTES. */
export const PAGE_SHIFT = 12;
/** Pages in a block of pages that recording writes: what is compressed, and decompressed, as one. */
export const BLOCK_PAGES = 4;
/** Bytes in such a block before compression. */
export const BLOCK_BYTES = BLOCK_PAGES * PAGE_BYTES;
/** Most pages in a block of pages: compaction makes larger ones than recording. */
export const BLOCK_PAGES_MAX = 64;
/** Most contents in a pack. */
export const PACK_PAGES_MAX = 4096;
/** Most patterns in a pack: their slots follow those of its contents. */
export const PACK_PATTERNS_MAX = 1024;
/** Every slot of a pack is below this number. */
export const PACK_SLOTS = 8192;
/** Pages of a large page: 2 MiB. */
export const REGION_PAGES = 512;
/** Most pages of a VM (16 TiB): the largest gfn still fits an unsigned 32-bit number. */
export const VM_PAGES_MAX = 2 ** 32 - 1;
/** The largest number of a large page. */
export const REGION_MAX = Math.floor(VM_PAGES_MAX / REGION_PAGES);
/** Most page events in one batch. */
export const BATCH_ROWS_MAX = 16_384;
/** Most bytes in one event. */
export const EVENT_BYTES_MAX = 256 * 1024;
/**
 * Most bytes of events' data in one append. Servers that nobody configured take 1 MiB, some of them
 * counting what is about the data as well.
 */
export const APPEND_BYTES_MAX = 960 * 1024;

/** Pages that hold `bytes` bytes, the last one perhaps in part. */
export const pagesOf = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES);

/** Whole pages of some bytes, with zeros after their end. */
export function wholePages(bytes: Uint8Array): Uint8Array {
  const length = pagesOf(bytes.length) * PAGE_BYTES;
  if (length === bytes.length) return bytes;
  const pages = new Uint8Array(length);
  pages.set(bytes);
  return pages;
}
