// The format of a ledger, raised when it is needed: an old one is written as it was until then.

import { LEDGER_STREAM } from '../../../domain/events/streams.ts';
import { decideLedger, hasFormat } from '../../../domain/ledger.ts';
import { run } from '../../../domain/ports/run.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import type { LedgerDecide, LedgerLog } from './ledger-parts.ts';

/** What the log of a raised ledger is written in, where it lies in files. */
const LOG_FORMAT = 2;

/**
 * Before the first event of a kind that releases of an earlier format do not know: an event that they
 * refuse, so that none of them records or deletes by what it cannot read.
 */
export async function raiseFormat(
  {
    log,
    state,
    decide,
  }: { readonly log: LedgerLog; readonly state: LedgerState; readonly decide: LedgerDecide },
  format: number,
): Promise<void> {
  if (format === 1) return;
  const command = { _tag: 'RaiseFormat', format } as const;
  if (!hasFormat(state.catalogue.facts, format))
    await decide(LEDGER_STREAM, () => decideLedger(state.catalogue.facts)(command));
  if (log.format === undefined || log.seal === undefined) return;
  if ((await run(log.format())) < LOG_FORMAT) await run(log.seal());
}
