// Why what was derived is no good, or not enough, as a fold goes on from it (ledger-state.ts).

import { isLedgerError } from '../../domain/values/ledger-error.ts';
import { IndexUnfit } from './identifier-index.ts';
import { StateUnfit } from './state-bytes.ts';

/** What was derived is of another past than the log. */
export class OtherPast extends IndexUnfit {}

/** Raised where history begins later than what was folded: all is folded anew from there. */
export class HistoryLater extends IndexUnfit {}

/** Raised where something else came than what the light half alone has to see. */
export class NotLight extends Error {}

/** Whether what was derived contradicts itself, as may be found out when a part of it is asked for. */
export const isUnfit = (thrown: unknown): boolean =>
  thrown instanceof IndexUnfit || thrown instanceof StateUnfit;

/** Whether the log is not the one that was read before. */
export const isReplaced = (thrown: unknown): boolean =>
  isLedgerError(thrown) && thrown.code === 'LOG_REPLACED';
