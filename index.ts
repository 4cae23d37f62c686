// pageledger's public API.

export { run, sha256, Ledger, type LedgerMode } from './ledger.ts';
export { openLedger, type OpenLedgerOptions } from './open-ledger.ts';
export * from './recording.ts';
export * from './restoring.ts';
export * from './auditing.ts';
export * from './subscribing.ts';
export {
  projectionNamed,
  projectionNames,
  registerProjection,
  type AnyProjection,
} from './projections/registered.ts';
export * from './grouping.ts';
export * from './copying.ts';
export * from './demonstration.ts';
export { LedgerError, isLedgerError, LEDGER_ERROR_CODES } from './domain/ledger-error.ts';
export { isEventType } from './domain/events.ts';
export { Refused, isRefused } from './domain/refused.ts';
export { isDamage } from './projections/audit/verify.ts';
export type { CaptureRow, CheckpointRow, VmEntry } from './projections/catalogue.ts';
export type { EventRow } from './projections/audit/event-rows.ts';
export type { PageVersion } from './projections/audit/history.ts';
export type { SharingCounts } from './projections/audit/sharing-at.ts';
export { gfnOfAddress, pageCountOf } from './domain/memory-map.ts';
export { durationMs } from './domain/point.ts';
export { PAGE_BYTES } from './domain/page.ts';
