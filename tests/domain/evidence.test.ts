import { describe, expect, test } from '@jest/globals';
import { hash } from 'node:crypto';
import { commitDigest, type CommitFacts } from '../../domain/evidence.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');

const COMMIT: CommitFacts = {
  ledger: '6f1c9e0a-0000-4000-8000-000000000001',
  vm: 'web',
  capture: 3,
  position: 81_920n,
  revision: 12,
  timeMs: 1_795_900_000_000,
  hash: 'ab'.repeat(32),
};

describe('the digest of a commit', () => {
  test('is of the line that docs/format.md describes', () => {
    const line = `6f1c9e0a-0000-4000-8000-000000000001 web 3 81920 12 1795900000000 ${'ab'.repeat(32)}`;
    const first = sha256(new TextEncoder().encode(line)).subarray(0, 8);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, commitDigest(sha256, COMMIT), true);
    expect(bytes).toEqual(Uint8Array.from(first));
  });

  test.each<readonly [string, Partial<CommitFacts>]>([
    ['ledger', { ledger: null }],
    ['VM', { vm: 'db' }],
    ['capture', { capture: 4 }],
    ['position', { position: 81_921n }],
    ['revision', { revision: 13 }],
    ['time', { timeMs: 0 }],
    ['batches', { hash: 'cd'.repeat(32) }],
  ])('is another for another %s', (_, change) => {
    const other = { ...COMMIT, ...change };
    expect(commitDigest(sha256, other)).not.toBe(commitDigest(sha256, COMMIT));
  });
});
