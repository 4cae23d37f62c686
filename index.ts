// pageledger's public API. What each export promises is said where it is defined.

// A ledger, opened.
export { openLedger } from './adapters/wiring/opening/open-ledger.ts';
export type { OpenLedgerOptions } from './adapters/wiring/opening/options.ts';
export type { LedgerMode } from './adapters/wiring/ledger/ledger-parts.ts';
export type { Actor } from './domain/events/actor.ts';
export { Ledger } from './adapters/wiring/ledger/ledger.ts';

// Reading, in few calls.
export {
  LedgerReader,
  openReader,
  type BytesAt,
  type CaptureSummary,
  type ChangeRow,
  type ChangesAfter,
  type PageClass,
  type VmSummary,
} from './adapters/wiring/questions/ledger-reader.ts';

// Recording.
export {
  openRecorder,
  type BesideRequest,
  type VmRecorder,
} from './adapters/wiring/record/record.ts';
export {
  recordImages,
  type ImageRequest,
  type FileTurn,
  type RecordedImages,
} from './adapters/wiring/record/record-images.ts';
export { recordGuest } from './adapters/wiring/record/record-guest.ts';
export { recordFolder, type FolderRequest } from './adapters/wiring/record/record-folder.ts';
export type { GuestListener, GuestRequest } from './adapters/wiring/record/guest-captures.ts';
export {
  attachmentOfBytes,
  type Attachment,
  type AttachmentEntry,
} from './domain/values/attachment.ts';
export type { ToldLayout } from './domain/values/raw-layout.ts';
export type { SharePolicy } from './domain/events/control-codecs.ts';
export type { LargeHolding } from './domain/use-cases/record/wanted-regions.ts';
export { retireVm, takeCheckpoint } from './adapters/wiring/points/vm-life.ts';

// Memory at a point.
export {
  deviceStateOf,
  restoreToFile,
  restoreToStream,
  resumePoint,
  type RestoreFormat,
  type RestoreRequest,
  type ResumePointRequest,
} from './adapters/wiring/restore/restore.ts';
export type { VmPoint } from './adapters/wiring/ledger/vm-point.ts';
export {
  attachmentOfFile,
  attachmentsOf,
  readyAttachments,
  type ReadyFiles,
} from './adapters/wiring/record/attachments.ts';
export { classesAt, readPages, type PageClasses } from './adapters/wiring/questions/memory.ts';
export { addressOfGfn, gfnOfAddress, pageCountOf } from './domain/values/memory-map.ts';
export { PAGE_BYTES } from './domain/values/page.ts';

// Questions, whose rows are JSON by `JSON.stringify(row, jsonValue)`.
export { jsonValue } from './domain/values/json-value.ts';
export type { CaptureRow } from './projections/models/capture-rows.ts';
export type { CheckpointRow, VmEntry } from './projections/models/vm-entry.ts';
export {
  followEvents,
  identifierOf,
  listEvents,
  type LogBound,
  type LogFilter,
} from './adapters/wiring/questions/events.ts';
export type { EventRow } from './projections/questions/event-rows.ts';
export {
  rawEvents,
  type RawEvent,
  type RawFilter,
} from './adapters/wiring/questions/raw-events.ts';
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
} from './adapters/wiring/questions/pages.ts';
export type { PageDifference, PageRange } from './projections/questions/diff.ts';
export {
  decideLarge,
  largePagesOf,
  replayLargeOf,
  type AskedBits,
  type DecideRequest,
  type LargePagesDecided,
  type LargePagesReport,
} from './adapters/wiring/questions/large-pages.ts';
export type { RankedRegion, SharedEstimate } from './projections/questions/large-pages.ts';
export type { LargeOutcome, ReplayRequest } from './projections/questions/large-replay.ts';
export type { PageVersion } from './projections/questions/history.ts';
export { patternClassName, patternCounts } from './projections/questions/pattern-classes.ts';
export type { SharingCounts, SharingReport } from './projections/questions/sharing-at.ts';
export type { WhatIf } from './projections/questions/what-if.ts';
export type { Holder } from './projections/questions/who.ts';
export { momentOf } from './adapters/wiring/questions/moments.ts';
export { durationMs } from './domain/values/instant.ts';

// What a Linux guest says of itself (docs/guests.md).
export {
  messagesOf,
  processesOf,
  symbolsOf,
  type FoundSymbol,
  type GuestPoint,
  type VirtualPlace,
} from './adapters/wiring/guest/guest.ts';
export { regionBits } from './adapters/wiring/guest/region-bits.ts';
export type { AccessBits } from './domain/guest/accessed-pages.ts';
export type { KernelChoice, StandIns } from './adapters/wiring/guest/stand-ins.ts';
export type { KernelMessage } from './domain/guest/kernel-log.ts';
export type { Task } from './domain/guest/tasks.ts';
export {
  differenceByOwner,
  ownersOf,
  processesSince,
  type ChangedTask,
  type OwnedDifference,
} from './adapters/wiring/guest/guest-owners.ts';
export {
  ownersOfVersions,
  type OwnersOfVersions,
  type VersionPlace,
} from './adapters/wiring/guest/owners-of-versions.ts';
export { freePagesAt, whatIfOfFree } from './adapters/wiring/guest/free-pages.ts';
export type { FreeReport } from './projections/questions/free-pages.ts';
export type { ChangedPages } from './domain/guest/owner-changes.ts';
export type { OwnedPages, PageOwner } from './domain/guest/owner-table.ts';
export { readStretches, type ReadPlace, type ReadStretch } from './adapters/wiring/guest/read.ts';
export {
  exportSymbols,
  type ExportedSymbols,
  type SymbolAddresses,
} from './adapters/wiring/guest/kernel-symbols.ts';
export { coreKernelOf } from './adapters/wiring/guest/core-kernel.ts';
export type { GuestKernel } from './domain/ports/guests.ts';

// A guest over its history (docs/time-travel.md).
export {
  valuesOver,
  type ValueAt,
  type ValuePlace,
  type ValuesRequest,
  type ValueType,
} from './adapters/wiring/time-travel/values.ts';
export type { NumberType } from './domain/use-cases/travel/numbers.ts';
export {
  findBytes,
  type FindRequest,
  type Found,
  type TimedPlace,
} from './adapters/wiring/time-travel/find.ts';
export {
  DebuggedVm,
  type RecordedCpus,
  type WatchedBytes,
} from './adapters/wiring/time-travel/debugged-vm.ts';
export type { AddressSpace } from './adapters/wiring/time-travel/address-space.ts';
export type { Bytes, Stretch, WatchWays } from './adapters/wiring/time-travel/vm-over-time.ts';
export type { Changed, Seen } from './domain/use-cases/travel/changes.ts';

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
export { verify } from './adapters/wiring/verify/verify.ts';
export { isDamage } from './projections/questions/verify.ts';
export { ledgerCosts, type CostRow, type LedgerCosts } from './adapters/wiring/questions/costs.ts';
export { fingerprint } from './adapters/wiring/ledger/fingerprint.ts';
export { copyLedger, type Copied, type CopyProgress } from './adapters/wiring/copy/copy.ts';
export {
  dropCheckpoint,
  dropVm,
  forgetPoints,
  type ForgetRequest,
  type ForgetRow,
  type Forgotten,
} from './adapters/wiring/forget/forget.ts';
export {
  forgetHistory,
  type ForgetHistoryRequest,
  type HistoryForgotten,
} from './adapters/wiring/forget/history.ts';
export type { HeldHistory, HistoryCut } from './domain/history.ts';
export type { KeepRules } from './domain/retention.ts';
export {
  endDeadLeases,
  endLease,
  holdPoint,
  leasesOf,
  type HeldPoint,
  type Lease,
} from './adapters/wiring/points/leases.ts';
export {
  clonesOf,
  endClone,
  publishMaster,
  startClone,
  type Clone,
  type StartedClone,
} from './adapters/wiring/clones/clones.ts';
export { baseFor, mappedBlockOf, type CloneBase } from './adapters/wiring/clones/clone-base.ts';
export type { LeaseKind } from './domain/values/lease.ts';
export {
  hostsOf,
  joinHost,
  leaveHost,
  type Host,
  type JoinRequest,
} from './adapters/wiring/hosts/hosts.ts';
export { recordRestored, type Restored } from './adapters/wiring/restore/restored.ts';
export { compact, graceMsOf } from './adapters/wiring/forget/compact.ts';
export type { Compacted, CompactRequest } from './domain/use-cases/compact/compact.ts';

// Sharing groups and patterns.
export {
  exportGroup,
  exportGroupToFile,
  importGroup,
  importGroupFromFile,
  listGroups,
  type GroupRow,
} from './adapters/wiring/ledger/groups.ts';
export { addPattern, listPatterns, type PatternRow } from './adapters/wiring/ledger/patterns.ts';

// What is thrown, and how a TaskEither of a port is awaited.
export { isLedgerError, LEDGER_ERRORS, LedgerError } from './domain/values/ledger-error.ts';
export { isRefused, Refused } from './domain/values/refused.ts';
export { run } from './domain/ports/run.ts';
export { sha256 } from './adapters/wiring/ledger/digest.ts';

// The demonstration.
export {
  demoFolder,
  demoTools,
  makeImages,
  secondGuest,
  startDemoGuest,
  ticksOf,
} from './adapters/wiring/demo.ts';
