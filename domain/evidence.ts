// What a commit is known by: the digest that it bears of its batches, so that no other batches pass for
// them, and the digest of the commit itself, so that no other commit passes for it (docs/format.md, "The
// digest of a commit").

import { toHex } from './values/identifier.ts';
import type { Position } from './ports/event-log.ts';

type Sha256 = (bytes: Uint8Array) => Uint8Array;

/** The digest that a commit bears of its batches: SHA-256 over the SHA-256 of each one's data. */
export function batchesHash(sha256: Sha256, digests: readonly Uint8Array[]): string {
  const all = new Uint8Array(digests.length * 32);
  for (const [i, digest] of digests.entries()) all.set(digest, i * 32);
  return toHex(sha256(all));
}

/**
 * What tells a commit from any other, also of another ledger or of another past of this one: numbers
 * and positions repeat, and what it says of its batches does not.
 */
export interface CommitFacts {
  /** The ledger's identity; null where what says so is damaged. */
  readonly ledger: string | null;
  readonly vm: string;
  readonly capture: number;
  readonly position: Position;
  readonly revision: number;
  readonly timeMs: number;
  /** Of its batches. */
  readonly hash: string;
}

const textOf = ({ ledger, vm, capture, position, revision, timeMs, hash }: CommitFacts): string =>
  [ledger, vm, capture, position, revision, timeMs, hash].join(' ');

/** Whether two commits are one. */
export const isSameCommit = (one: CommitFacts, other: CommitFacts): boolean =>
  textOf(one) === textOf(other);

/** The digest of a commit: the first 64 bits of SHA-256 over its facts. */
export function commitDigest(sha256: Sha256, commit: CommitFacts): bigint {
  const digest = sha256(new TextEncoder().encode(textOf(commit)));
  return new DataView(digest.buffer, digest.byteOffset).getBigUint64(0, true);
}
