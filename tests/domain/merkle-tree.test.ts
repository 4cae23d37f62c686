// The tree of RFC 6962: against its definition, and against roots that others computed.

import { hash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { MerkleTree, subtreesOf } from '../../domain/merkle-tree.ts';
import { toHex } from '../../domain/values/identifier.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => Uint8Array.from(hash('sha256', bytes, 'buffer'));

/** The leaves of Certificate Transparency's own tests, and the roots of the trees they make. */
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));
const ROOTS: Readonly<Record<number, string>> = {
  0: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  1: '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  2: 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  3: 'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  8: '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
};

/** The root as the definition says it. */
function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256(new Uint8Array(0));
  if (leaves.length === 1) return sha256(Buffer.concat([Buffer.of(0), leaves[0]!]));
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const parts = [leaves.slice(0, split), leaves.slice(split)].map(rootOf);
  return sha256(Buffer.concat([Buffer.of(1), ...parts]));
}

const treeOf = (leaves: readonly Uint8Array[]): MerkleTree => {
  const tree = new MerkleTree(sha256);
  for (const leaf of leaves) tree.add(leaf);
  return tree;
};

describe('a tree', () => {
  test.each(Object.entries(ROOTS))(
    'of %s leaves has the root that others computed',
    (size, root) => {
      expect(toHex(treeOf(LEAVES.slice(0, Number(size))).root())).toBe(root);
    },
  );

  test('of any size has the root of its definition, also when it was kept between', () => {
    const leaves = Array.from({ length: 70 }, (_, i) => Uint8Array.of(i, 7, i));
    for (let size = 0; size <= leaves.length; size += 1) {
      const tree = treeOf(leaves.slice(0, size));
      expect(tree.subtrees).toHaveLength(subtreesOf(size));
      expect(toHex(tree.root())).toBe(toHex(rootOf(leaves.slice(0, size))));
      const kept = new MerkleTree(sha256, tree);
      for (const leaf of leaves.slice(size)) kept.add(leaf);
      expect(toHex(kept.root())).toBe(toHex(rootOf(leaves)));
    }
  });
});
