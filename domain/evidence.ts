// What a commit says of its batches, so that no other batches pass for them.

import { toHex } from './values/identifier.ts';

/** The digest that a commit bears of its batches: SHA-256 over the SHA-256 of each one's data. */
export function batchesHash(
  sha256: (bytes: Uint8Array) => Uint8Array,
  digests: readonly Uint8Array[],
): string {
  const all = new Uint8Array(digests.length * 32);
  for (const [i, digest] of digests.entries()) all.set(digest, i * 32);
  return toHex(sha256(all));
}
