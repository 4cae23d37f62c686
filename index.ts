// pageledger's public API. What each export promises is said where it is defined.

// A ledger, opened.
export { openLedger } from './adapters/wiring/open-ledger.ts';
export type { OpenLedgerOptions } from './adapters/wiring/options.ts';
export type { LedgerMode } from './adapters/wiring/ledger-parts.ts';
export type { Actor } from './domain/events/actor.ts';
export { Ledger } from './adapters/wiring/ledger.ts';

// Recording.
export { openRecorder, type BesideRequest, type VmRecorder } from './adapters/wiring/record.ts';
export {
  recordImages,
  type ImageRequest,
  type RecordedImages,
} from './adapters/wiring/record-images.ts';
export {
  recordGuest,
  type GuestListener,
  type GuestRequest,
} from './adapters/wiring/record-guest.ts';
export {
  attachmentOfBytes,
  type Attachment,
  type AttachmentEntry,
} from './domain/values/attachment.ts';
export type { ToldLayout } from './domain/values/raw-layout.ts';
export type { SharePolicy } from './domain/events/control-codecs.ts';
export { retireVm, takeCheckpoint } from './adapters/wiring/vm-life.ts';

// Memory at a point.
export {
  deviceStateOf,
  restoreToFile,
  restoreToStream,
  resumePoint,
  type RestoreFormat,
  type RestoreRequest,
  type ResumePointRequest,
} from './adapters/wiring/restore.ts';
export type { VmPoint } from './adapters/wiring/vm-point.ts';
export { coreKernelOf } from './adapters/wiring/core-kernel.ts';
export type { GuestKernel } from './domain/ports/guests.ts';
export {
  attachmentOfFile,
  attachmentsOf,
  readyAttachments,
  type ReadyFiles,
} from './adapters/wiring/attachments.ts';
export { classesAt, readPages, type PageClasses } from './adapters/wiring/memory.ts';
export { addressOfGfn, gfnOfAddress, pageCountOf } from './domain/values/memory-map.ts';
export { PAGE_BYTES } from './domain/values/page.ts';

// Questions.
export type { CaptureRow } from './projections/models/capture-rows.ts';
export type { CheckpointRow, VmEntry } from './projections/models/vm-entry.ts';
export {
  followEvents,
  identifierOf,
  listEvents,
  type LogBound,
  type LogFilter,
} from './adapters/wiring/events.ts';
export type { EventRow } from './projections/questions/event-rows.ts';
export { isEventType } from './domain/events/control.ts';
export {
  addressHistoryOf,
  diffOf,
  historyOf,
  pageIndexOf,
  sharersOf,
  sharingOf,
  whatIfOf,
  whoHolds,
  type PageSharers,
  type ShownVersion,
} from './adapters/wiring/pages.ts';
export type { PageDifference } from './projections/questions/diff.ts';
export type { PageVersion } from './projections/questions/history.ts';
export { patternClassName, patternCounts } from './projections/questions/pattern-classes.ts';
export type { SharingCounts, SharingReport } from './projections/questions/sharing-at.ts';
export type { WhatIf } from './projections/questions/what-if.ts';
export type { Holder } from './projections/questions/who.ts';
export { momentOf } from './adapters/wiring/moments.ts';
export { durationMs } from './domain/values/instant.ts';

// Following a ledger, and projections of one's own.
export { rows, states, subscribe } from './projections/subscriptions/subscribe.ts';
export type {
  AnyStatesRequest,
  Control,
  Damaged,
  FollowedLedger,
  From,
  Handling,
  NamedStatesRequest,
  ObservedNamedStates,
  ObservedRequest,
  ObservedRows,
  ObservedStates,
  RowMessage,
  RowsRequest,
  StateMessage,
  StatesRequest,
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

// Keeping a ledger: verified, compared, copied, forgotten, compacted.
export { verify } from './adapters/wiring/verify.ts';
export { isDamage } from './projections/questions/verify.ts';
export { ledgerCosts, type CostRow, type LedgerCosts } from './adapters/wiring/costs.ts';
export { fingerprint } from './adapters/wiring/fingerprint.ts';
export { copyLedger, type Copied, type CopyProgress } from './adapters/wiring/copy.ts';
export {
  dropCheckpoint,
  dropVm,
  forgetPoints,
  type ForgetRequest,
  type ForgetRow,
  type Forgotten,
} from './adapters/wiring/forget.ts';
export {
  forgetHistory,
  type ForgetHistoryRequest,
  type HistoryForgotten,
} from './adapters/wiring/history.ts';
export type { HeldHistory, HistoryCut } from './domain/history.ts';
export type { KeepRules } from './domain/retention.ts';
export {
  endDeadLeases,
  endLease,
  holdPoint,
  leasesOf,
  type HeldPoint,
  type Lease,
} from './adapters/wiring/leases.ts';
export {
  clonesOf,
  endClone,
  mappedBlockOf,
  publishMaster,
  startClone,
  type Clone,
  type CloneBase,
  type StartedClone,
} from './adapters/wiring/clones.ts';
export type { LeaseKind } from './domain/values/lease.ts';
export { recordRestored, type Restored } from './adapters/wiring/restored.ts';
export { compact, graceMsOf } from './adapters/wiring/compact.ts';
export type { Compacted, CompactRequest } from './domain/use-cases/compact/compact.ts';

// Sharing groups and patterns.
export {
  exportGroup,
  exportGroupToFile,
  importGroup,
  importGroupFromFile,
  listGroups,
  type GroupRow,
} from './adapters/wiring/groups.ts';
export { addPattern, listPatterns, type PatternRow } from './adapters/wiring/patterns.ts';

// What is thrown, and how a TaskEither of a port is awaited.
export { isLedgerError, LEDGER_ERRORS, LedgerError } from './domain/values/ledger-error.ts';
export { isRefused, Refused } from './domain/values/refused.ts';
export { run } from './domain/ports/run.ts';
export { sha256 } from './adapters/wiring/digest.ts';

// The demonstration.
export {
  demoFolder,
  demoTools,
  makeImages,
  secondGuest,
  startDemoGuest,
  ticksOf,
} from './adapters/wiring/demo.ts';
