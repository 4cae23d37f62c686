// What somebody can write down of a ledger's log, and the check that it is there still, joined.

import type { LogHead } from '../../../domain/evidence.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { headFinding, logHead } from '../../../projections/questions/log-head.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** A head, and the ledger that it is of. */
export interface LedgerHead extends LogHead {
  readonly ledger: string | null;
}

/** The head of the ledger's log now. */
export async function headOfLedger(ledger: Ledger): Promise<LedgerHead> {
  const { log, stateFiles: files, state, id } = ledger;
  const head = await logHead({ log, files, sha256 });
  return { ...head, ledger: state.catalogue.facts.ledger?.id ?? id };
}

/** What has become of what a head was of; null: it is there as it was. */
export const checkHead = ({ log }: Ledger, since: LogHead): Promise<Finding | null> =>
  headFinding({ log, sha256 }, since);

/** The head of a log that can be read whole; null where it cannot. */
export async function headUnlessDamaged(ledger: Ledger): Promise<LedgerHead | null> {
  try {
    return await headOfLedger(ledger);
  } catch (thrown) {
    if (isLedgerError(thrown) && thrown.code === 'LOG_DAMAGED') return null;
    throw thrown;
  }
}
