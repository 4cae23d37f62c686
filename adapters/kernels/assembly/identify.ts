// Identifiers: keyed BLAKE3-256 of whole pages. A page of 4,096 bytes is exactly four chunks of
// 1,024, which fill the four lanes of a vector without padding. Parents are compressed four at a
// time too, over a batch of four pages: two calls for the eight lower parents, one for the roots.

import { compress4, startChain, storeChain } from './blake3';

const PAGE_SHIFT: u32 = 12;
const CHUNK_BYTES: usize = 1024;
const BLOCK_BYTES: usize = 64;
const IDENTIFIER_BYTES: usize = 32;
/** Pages whose parents are compressed together. */
const BATCH_PAGES: u32 = 4;

const CHUNK_START: i32 = 1;
const CHUNK_END: i32 = 2;
const PARENT: i32 = 4;
const ROOT: i32 = 8;
const KEYED_HASH: i32 = 16;

/** Four chaining values in lanes. */
const CHAIN = memory.data(128, 16);
/** Chaining values of a batch's chunks: 4 pages, 4 chunks, 32 bytes. */
const CHUNKS = memory.data(512, 16);
/** Those of its lower parents: 4 pages, 2 parents, 32 bytes. */
const PARENTS = memory.data(256, 16);
const ROOTS = memory.data(128, 16);

/** Compresses four parents, 64 bytes each, back to back at `nodes`. */
function compressParents(nodes: usize, key: usize, flags: i32, out: usize): void {
  startChain(CHAIN, key);
  compress4(nodes, nodes + 64, nodes + 128, nodes + 192, CHAIN, 0, flags);
  storeChain(CHAIN, out);
}

function compressChunks(page: usize, key: usize, out: usize): void {
  startChain(CHAIN, key);
  for (let at: usize = 0; at < CHUNK_BYTES; at += BLOCK_BYTES) {
    let flags = KEYED_HASH;
    if (at == 0) flags |= CHUNK_START;
    if (at == CHUNK_BYTES - BLOCK_BYTES) flags |= CHUNK_END;
    const block = page + at;
    compress4(
      block,
      block + CHUNK_BYTES,
      block + 2 * CHUNK_BYTES,
      block + 3 * CHUNK_BYTES,
      CHAIN,
      1,
      flags,
    );
  }
  storeChain(CHAIN, out);
}

/**
 * The identifiers of `count` pages, page `list[i]` (u32, counted from address `pages`) to row i of
 * `out`. `key` holds 32 bytes.
 */
export function identify(list: usize, count: u32, pages: usize, key: usize, out: usize): void {
  for (let first: u32 = 0; first < count; first += BATCH_PAGES) {
    const batch = min(BATCH_PAGES, count - first);
    for (let i: u32 = 0; i < batch; i += 1) {
      const page = pages + ((<usize>load<u32>(list + ((<usize>(first + i)) << 2))) << PAGE_SHIFT);
      compressChunks(page, key, CHUNKS + ((<usize>i) << 7));
    }
    // A batch of fewer pages compresses what an earlier one left in the other lanes: harmless.
    compressParents(CHUNKS, key, KEYED_HASH | PARENT, PARENTS);
    if (batch > 2) compressParents(CHUNKS + 256, key, KEYED_HASH | PARENT, PARENTS + 128);
    compressParents(PARENTS, key, KEYED_HASH | PARENT | ROOT, ROOTS);
    memory.copy(out + <usize>first * IDENTIFIER_BYTES, ROOTS, <usize>batch * IDENTIFIER_BYTES);
  }
}
