// pageledger's public API.

export { run } from './domain/ports/run.ts';
export { sha256 } from './adapters/wiring/digest.ts';
export { Ledger } from './adapters/wiring/ledger.ts';
export type { LedgerMode } from './adapters/wiring/ledger-parts.ts';
export { openLedger } from './adapters/wiring/open-ledger.ts';
export { type OpenLedgerOptions } from './adapters/wiring/options.ts';
export {
  openRecorder,
  recordImages,
  recordGuest,
  type VmRecorder,
  type ImageRequest,
  type GuestRequest,
  type GuestListener,
} from './adapters/wiring/record.ts';
export {
  deviceStateOf,
  restoreToFile,
  restoreToStream,
  resumePoint,
  type RestoreFormat,
  type VmPoint,
  type RestoreRequest,
  type ResumePointRequest,
} from './adapters/wiring/restore.ts';
export {
  identifierOf,
  listEvents,
  followEvents,
  takeCheckpoint,
  retireVm,
  verify,
  fingerprint,
  momentOf,
  type LogFilter,
  type LogBound,
} from './adapters/wiring/audit.ts';
export {
  pageIndexOf,
  historyOf,
  whoHolds,
  diffOf,
  sharingOf,
  sharersOf,
  whatIfOf,
  type PageSharers,
} from './adapters/wiring/pages.ts';
export { classesAt, readPages, type PageClasses } from './adapters/wiring/memory.ts';
export { rows, states, subscribe } from './projections/subscriptions/subscribe.ts';
export type {
  FollowedLedger,
  From,
  RowsRequest,
  StatesRequest,
  NamedStatesRequest,
  AnyStatesRequest,
  Control,
  Damaged,
  RowMessage,
  StateMessage,
  Handling,
  ObservedRows,
  ObservedStates,
  ObservedNamedStates,
  ObservedRequest,
} from './projections/subscriptions/messages.ts';
export type { AssemblerState, CaptureChange, Change } from './projections/commits.ts';
export type { ChangesRequest } from './projections/observable.ts';
export type { Folded, Projection } from './projections/projection.ts';
export {
  projectionNamed,
  projectionNames,
  registerProjection,
  type AnyProjection,
} from './projections/subscriptions/registered.ts';
export {
  listGroups,
  exportGroup,
  exportGroupToFile,
  importGroup,
  importGroupFromFile,
  type GroupRow,
} from './adapters/wiring/groups.ts';
export { listPatterns, addPattern, type PatternRow } from './adapters/wiring/patterns.ts';
export { copyLedger, type Copied, type CopyProgress } from './adapters/wiring/copy.ts';
export {
  forgetPoints,
  dropCheckpoint,
  graceMsOf,
  compact,
  type Forgotten,
} from './adapters/wiring/compact.ts';
export type { Compacted, CompactRequest } from './domain/use-cases/compact/compact.ts';
export {
  demoTools,
  demoFolder,
  startDemoGuest,
  secondGuest,
  ticksOf,
  makeImages,
} from './adapters/wiring/demo.ts';
export { LedgerError, isLedgerError, LEDGER_ERRORS } from './domain/values/ledger-error.ts';
export { isEventType, type SharePolicy } from './domain/events/control.ts';
export { Refused, isRefused } from './domain/values/refused.ts';
export { isDamage } from './projections/questions/verify.ts';
export type { CaptureRow, CheckpointRow, VmEntry } from './projections/models/catalogue.ts';
export type { EventRow } from './projections/questions/event-rows.ts';
export { patternClassName, patternCounts } from './projections/questions/pattern-classes.ts';
export type { PageVersion } from './projections/questions/history.ts';
export type { SharingCounts, SharingReport } from './projections/questions/sharing-at.ts';
export type { Holder } from './projections/questions/who.ts';
export type { PageDifference } from './projections/questions/diff.ts';
export type { WhatIf } from './projections/questions/what-if.ts';
export { addressOfGfn, gfnOfAddress, pageCountOf } from './domain/values/memory-map.ts';
export { durationMs } from './domain/values/instant.ts';
export { PAGE_BYTES } from './domain/values/page.ts';
