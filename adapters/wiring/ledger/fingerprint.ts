// The fingerprint of a ledger: what two recordings are compared by.

import { ledgerFingerprint } from '../../../projections/questions/ledger-digest.ts';
import { sha256 } from './digest.ts';
import type { Ledger } from './ledger.ts';

/** A digest over (VM, capture, gfn, content) and checkpoints: equal for equal recordings. */
export async function fingerprint(ledger: Ledger): Promise<string> {
  const { state, replay } = ledger;
  return ledgerFingerprint({ state, replay, pages: await ledger.pageReader(), sha256 });
}
