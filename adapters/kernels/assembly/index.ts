// The kernels' surface: batches of pages in, columns out. The caller owns the memory from
// arenaBase() up and passes addresses; nothing here allocates, traps on content or keeps a pointer.
// Addresses are multiples of 16 where pages or keys lie, of 8 for columns.

export { classify } from './classify';
export { changedRows } from './compare';
export { fingerprint } from './fingerprint';
export { identify } from './identify';
export { packPages, unpackPages } from './pack-pages';
export { pageWrites } from './page-writes';
export { patch } from './patch';
export { similarity } from './similarity';

/** The first address that the caller may use. */
export function arenaBase(): usize {
  return (__heap_base + 63) & ~63;
}
