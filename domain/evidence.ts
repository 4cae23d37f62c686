// What a commit is known by: the digest that it bears of its batches, so that no other batches pass for
// them, and the digest of the commit itself, so that no other commit passes for it (docs/format.md, "The
// digest of a commit").

import { toHex } from './values/identifier.ts';
import type { Position, StoredEvent } from './ports/event-log.ts';

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

/** The digest of a commit: the first 64 bits of SHA-256 over its facts. */
export function commitDigest(sha256: Sha256, commit: CommitFacts): bigint {
  const digest = sha256(new TextEncoder().encode(textOf(commit)));
  return new DataView(digest.buffer, digest.byteOffset).getBigUint64(0, true);
}

/** What somebody can write down of a log, to prove later that what was there then is there still. */
export interface LogHead {
  /** Events, each a leaf of the tree. */
  readonly size: number;
  /** Root of the tree, in hex. */
  readonly root: string;
}

const HEAD = /^(0|[1-9]\d{0,14}):([0-9a-f]{64})$/u;

export const headText = ({ size, root }: LogHead): string => `${size}:${root}`;

/** The head in a text; null: it is none. */
export function headOf(text: string): LogHead | null {
  const [, size, root] = HEAD.exec(text) ?? [];
  return size === undefined || root === undefined ? null : { size: Number(size), root };
}

/**
 * The leaf of an event: a line of JSON with all that it says, and nothing of where a store keeps it. A
 * leaf is an event and not an append, because a log on a server does not say where appends ended.
 */
export function leafOf(sha256: Sha256, event: Omit<StoredEvent, 'position'>): Uint8Array {
  const { stream, revision, id, type, schema, timeMs, data } = event;
  const facts = [stream, revision, toHex(id), type, schema, String(timeMs), toHex(sha256(data))];
  return new TextEncoder().encode(`pageledger event 1 ${JSON.stringify(facts)}\n`);
}
