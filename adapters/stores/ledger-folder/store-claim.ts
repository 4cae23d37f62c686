// Whose packs lie in a place that is not a ledger's own folder (docs/format.md, "Page store"): a small
// text under the name `pageledger` beside the packs, with the ledger's id. Two ledgers in one place
// would take each other's packs for leftovers.
//
//   pageledger packs
//   id 3f2504e0-4f89-41d3-9a0c-0305e82c3301
//   crc 89abcdef

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { openLines, sealLines } from '../../files/checksummed-text.ts';

/** The name of the claim, beside the packs. */
export const CLAIM_NAME = 'pageledger';
/** Far more than a claim has; a longer one is not read. */
export const CLAIM_BYTES_MAX = 4096;

const TITLE = 'pageledger packs';
const ID = 'id ';

/** The bytes of a ledger's claim. */
export const claimBytes = (id: string): Uint8Array =>
  new TextEncoder().encode(sealLines([TITLE, ID + id]));

/** Refuses a place whose claim is not the ledger's: STORE_TAKEN. */
export function checkClaim(
  claim: Uint8Array,
  { id, where }: { readonly id: string; readonly where: string },
): void {
  const lines = openLines(new TextDecoder().decode(claim));
  const isClaim = lines?.length === 2 && lines[0] === TITLE && lines[1]!.startsWith(ID);
  const owner = isClaim ? lines[1]!.slice(ID.length) : null;
  if (owner === id) return;
  const found = owner === null ? 'something that pageledger did not write' : `ledger ${owner}`;
  throw new LedgerError(
    'STORE_TAKEN',
    `the place for packs ${where} was expected to be free or ledger ${id}'s, and its file ` +
      `'${CLAIM_NAME}' holds ${found}; nothing in it was touched: give another place, or remove that ` +
      'file if nobody uses the packs there',
    { where, found, expected: id },
  );
}
