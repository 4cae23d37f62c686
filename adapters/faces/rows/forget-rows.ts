// What becomes of a capture, as `forget` says it.

import type { ForgetRow } from '../../wiring/forget/forget.ts';
import type { HistoryForgotten } from '../../wiring/forget/history.ts';
import type { Row } from './row.ts';

export const forgetRow = ({ vm, capture, isKept, reason, bytes }: ForgetRow): Row => ({
  vm,
  capture,
  keep: isKept,
  reason,
  bytes,
});

/** What of the history went: captures of VMs, up to these, and what holds back others. */
export const historyRow = ({ cuts, held, begins, logBytes }: HistoryForgotten): Row => ({
  cuts: cuts.map(({ vm, capture }) => ({ vm, capture })),
  held: held.map(({ vm, capture, checkpoints, leases }) => ({
    vm,
    capture,
    checkpoints,
    leases,
  })),
  position: begins === null ? null : String(begins),
  logBytes,
});
