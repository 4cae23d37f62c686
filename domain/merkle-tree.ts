// A Merkle tree as of RFC 6962: leaves are hashed after a byte 0, nodes after a byte 1, and a tree is
// split at the largest power of two below its size. It only grows, so it is kept as the hashes of the
// whole subtrees that its size is the sum of, the largest first.

import { assert } from './values/assert.ts';

/** SHA-256. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

export const TREE_HASH_BYTES = 32;
const LEAF = 0;
const NODE = 1;

/** The hash of two subtrees of one size. */
export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + 2 * TREE_HASH_BYTES);
  bytes[0] = NODE;
  bytes.set(left, 1);
  bytes.set(right, 1 + TREE_HASH_BYTES);
  return sha256(bytes);
}

/** The hash of a leaf. */
export function leafHash(sha256: Sha256, leaf: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + leaf.length);
  bytes[0] = LEAF;
  bytes.set(leaf, 1);
  return sha256(bytes);
}

/** How many subtrees a tree of this size is the sum of: the ones in its binary form. */
export function subtreesOf(size: number): number {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}

/** A tree that leaves are added to. */
export class MerkleTree {
  readonly #sha256: Sha256;
  readonly #subtrees: Uint8Array[];
  #size: number;

  /** Of a tree that was kept: its size and its subtrees. */
  constructor(
    sha256: Sha256,
    kept: { readonly size: number; readonly subtrees: readonly Uint8Array[] } = {
      size: 0,
      subtrees: [],
    },
  ) {
    assert(kept.subtrees.length === subtreesOf(kept.size), 'a tree is the sum of its subtrees');
    this.#sha256 = sha256;
    this.#size = kept.size;
    this.#subtrees = [...kept.subtrees];
  }

  get size(): number {
    return this.#size;
  }

  get subtrees(): readonly Uint8Array[] {
    return this.#subtrees;
  }

  add(leaf: Uint8Array): void {
    this.addSubtree(0, leafHash(this.#sha256, leaf));
  }

  /** Adds 2^level leaves by the hash of the subtree that they are. */
  addSubtree(level: number, subtree: Uint8Array): void {
    const leaves = 2 ** level;
    assert(this.#size % leaves === 0, 'a subtree begins at a multiple of its size');
    let hash = subtree;
    // As many ones as the size ends with, so many subtrees become one.
    for (let rest = this.#size / leaves; rest % 2 === 1; rest = Math.floor(rest / 2))
      hash = nodeHash(this.#sha256, this.#subtrees.pop()!, hash);
    this.#subtrees.push(hash);
    this.#size += leaves;
  }

  /** The hash that stands for the whole tree. */
  root(): Uint8Array {
    const last = this.#subtrees.at(-1);
    if (last === undefined) return this.#sha256(new Uint8Array(0));
    return this.#subtrees
      .slice(0, -1)
      .reduceRight((right, left) => nodeHash(this.#sha256, left, right), last);
  }
}
