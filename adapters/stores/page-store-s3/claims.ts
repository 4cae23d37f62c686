// The claim of a place in a bucket: an object beside the packs that says whose they are
// (store-claim.ts). No server is trusted with a conditional PUT, so the claim is read again after it
// was written; of two ledgers that claim a place at the same moment, the one whose claim did not stay
// finds out before its next put, because every writer looks first.

import { createHash } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import {
  CLAIM_BYTES_MAX,
  CLAIM_NAME,
  checkClaim,
  claimBytes,
} from '../ledger-folder/store-claim.ts';
import { putObject, type BucketPart } from './objects.ts';

const keyOf = ({ prefix }: BucketPart): string => prefix + CLAIM_NAME;

/** The claim's bytes, those of a large object cut; null where there is none. */
const readClaim = (place: BucketPart): Promise<Uint8Array | null> =>
  place.client.send({
    method: 'GET',
    key: keyOf(place),
    operation: 'read whose packs these are',
    partOf: () => ({ skipBytes: 0, bytesMax: CLAIM_BYTES_MAX, excess: 'cut' }),
    read: ({ status, body }) => {
      if (status === 404) return either.right(null);
      return status === 200 ? either.right(body) : either.left(`status ${status} for an object`);
    },
  });

async function writeClaim(place: BucketPart, id: string): Promise<void> {
  const bytes = claimBytes(id);
  await putObject(place.client, {
    key: keyOf(place),
    operation: 'write whose packs these are',
    contentType: 'text/plain',
    body: { bytes, sha256: createHash('sha256').update(bytes).digest('hex') },
  });
}

const nobodys = (place: BucketPart, id: string): LedgerError =>
  new LedgerError(
    'STORE_TAKEN',
    `the place for packs ${place.client.address.label} was expected to be free or ledger ${id}'s, ` +
      `and it has packs but no object '${CLAIM_NAME}' that says whose; nothing in it was touched: ` +
      'give another place, or put that object back from a copy',
    { where: place.client.address.label, expected: id },
  );

/** Makes the place the ledger's, where it is nobody's. STORE_TAKEN. */
export async function claimPlace(
  place: BucketPart,
  { id, hasPacks }: { readonly id: string; readonly hasPacks: () => Promise<boolean> },
): Promise<void> {
  const where = place.client.address.label;
  let found = await readClaim(place);
  if (found === null && (await hasPacks())) {
    // Another host may have claimed it for the same ledger, and written packs, since we looked.
    found = await readClaim(place);
    if (found === null) throw nobodys(place, id);
  }
  if (found === null) {
    await writeClaim(place, id);
    found = (await readClaim(place)) ?? new Uint8Array(0);
  }
  checkClaim(found, { id, where });
}

/** Makes sure that the place is the ledger's. STORE_TAKEN, or STORE_MISSING without a claim. */
export async function checkClaimOf(place: BucketPart, id: string): Promise<void> {
  const where = place.client.address.label;
  const found = await readClaim(place);
  if (found === null)
    throw new LedgerError(
      'STORE_MISSING',
      `the place for packs ${where} was expected to be ledger ${id}'s, and it has no object ` +
        `'${CLAIM_NAME}', which says so; check the page store's URL, or put the object back from a copy`,
      { where, expected: id },
    );
  checkClaim(found, { id, where });
}

/** Whether the place is some ledger's, or has something else under the claim's name. */
export const hasClaim = async (place: BucketPart): Promise<boolean> =>
  (await readClaim(place)) !== null;
