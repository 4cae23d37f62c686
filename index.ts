// pageledger's public API.

export { run, sha256, Ledger, type LedgerMode } from './ledger.ts';
export { openLedger, type OpenLedgerOptions } from './open-ledger.ts';
export * from './recording.ts';
export * from './restoring.ts';
export * from './auditing.ts';
export * from './tracing.ts';
export * from './subscribing.ts';
export {
  projectionNamed,
  projectionNames,
  registerProjection,
  type AnyProjection,
} from './projections/registered.ts';
export * from './grouping.ts';
export * from './patterning.ts';
export * from './copying.ts';
export * from './compacting.ts';
export * from './demonstration.ts';
export { LedgerError, isLedgerError, LEDGER_ERROR_CODES } from './domain/ledger-error.ts';
export { isEventType, type SharePolicy } from './domain/events.ts';
export { Refused, isRefused } from './domain/refused.ts';
export { isDamage } from './projections/audit/verify.ts';
export type { CaptureRow, CheckpointRow, VmEntry } from './projections/catalogue.ts';
export type { EventRow } from './projections/audit/event-rows.ts';
export { patternClassName, patternCounts } from './projections/audit/pattern-classes.ts';
export type { PageVersion } from './projections/audit/history.ts';
export type { SharingCounts, SharingReport } from './projections/audit/sharing-at.ts';
export type { Holder } from './projections/audit/who.ts';
export type { PageDifference } from './projections/audit/diff.ts';
export type { WhatIf } from './projections/audit/what-if.ts';
export { addressOfGfn, gfnOfAddress, pageCountOf } from './domain/memory-map.ts';
export { durationMs } from './domain/point.ts';
export { PAGE_BYTES } from './domain/page.ts';
