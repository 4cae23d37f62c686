// What a host holds, told to one that has an earlier advertisement of it: as what has changed since,
// deflated.

import { deflateRawSync, inflateRawSync } from 'node:zlib';
import * as either from 'fp-ts/lib/Either.js';
import { decodeAdvertisement, encodeAdvertisement } from '../../../domain/events/advertisement.ts';
import { decodeChange, encodeChange } from '../../../domain/events/advertisement-change.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { sha256 } from '../ledger/digest.ts';
import { linkInvalid } from './arrival.ts';
import { TOLD_BYTES_MAX } from './contents.ts';

/** The digest of what a host told; null: it told nothing. */
export const digestTold = (bytes: Uint8Array): string | null =>
  bytes.length === 0 ? null : toHex(sha256(bytes));

/** Advertisements that peers may have: the last ones that this process saw. */
export class EarlierTold {
  readonly #bytes = new Map<string, Uint8Array>();

  keep(bytes: Uint8Array): void {
    const digest = toHex(sha256(bytes));
    this.#bytes.delete(digest);
    this.#bytes.set(digest, bytes);
    const [oldest] = this.#bytes.keys();
    if (this.#bytes.size > EARLIER_MAX && oldest !== undefined) this.#bytes.delete(oldest);
  }

  get(digest: string): Uint8Array | undefined {
    return this.#bytes.get(digest);
  }
}
const EARLIER_MAX = 4;

/**
 * What has changed since the advertisement of a digest, of no bytes where nothing has; null: that one is
 * not at hand, or a change is no shorter, so that all is told.
 */
export function changeSince(
  digest: string | null,
  bytes: Uint8Array,
  earlier: EarlierTold,
): Uint8Array | null {
  if (digest === null) return null;
  if (digest === digestTold(bytes)) return new Uint8Array(0);
  const known = earlier.get(digest);
  if (known === undefined) return null;
  const [before, after] = [decodeAdvertisement(known), decodeAdvertisement(bytes)];
  if (either.isLeft(before) || either.isLeft(after)) return null;
  const change = deflateRawSync(encodeChange(before.right, after.right));
  return change.length < bytes.length ? change : null;
}

function inflated(change: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(change, { maxOutputLength: TOLD_BYTES_MAX });
  } catch {
    throw linkInvalid(
      'what has changed of what it holds cannot be inflated, or is more than can be',
    );
  }
}

/** What a host holds after a change of what it told before; of no bytes: that still. LINK_INVALID. */
export function toldAfter(host: string, told: Uint8Array, change: Uint8Array): Uint8Array {
  const before = decodeAdvertisement(told);
  if (either.isLeft(before))
    throw linkInvalid(`host ${host} tells what has changed of nothing that it told`);
  if (change.length === 0) return told;
  const after = decodeChange(before.right, inflated(change));
  if (either.isLeft(after))
    throw linkInvalid(`host ${host} tells what has changed in ${after.left}`);
  return encodeAdvertisement(after.right);
}
