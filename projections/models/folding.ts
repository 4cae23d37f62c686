// What the ledger's own models see while a change is folded: each other, and what was decided of it.

import type { ToldEvent } from '../../domain/events/control.ts';
import type { StateBytes } from '../../domain/ports/derived-files.ts';
import { rowsOf, type Change, type ControlChange } from '../commits.ts';
import type { Projection } from '../projection.ts';
import type { Baseline } from './baseline.ts';
import type { Catalogue, FoldedCounts } from './catalogue.ts';
import type { Contents } from './contents.ts';
import type { CurrentTables } from './current-tables.ts';
import type { Losses } from './losses.ts';
import type { Sharing } from './sharing.ts';
import type { StateWriter } from './state-bytes.ts';

/** What sharing decides of a capture, where it differs from what was recorded. */
export interface Outcome extends FoldedCounts {
  /** Items whose SharingBroken the recorder saw otherwise. */
  readonly toggles: readonly number[];
}

export const AS_RECORDED: Outcome = { overridden: 0, broken: 0, toggles: [] };

export interface Folding {
  readonly catalogue: Catalogue;
  readonly contents: Contents;
  readonly sharing: Sharing;
  readonly losses: Losses;
  readonly tables: CurrentTables;
  /** Whether the light models are at the change: they may have come past it before. */
  readonly isNew: boolean;
  /** Set by sharing, for the models behind it. */
  outcome: Outcome;
}

/** A read model of the ledger itself. */
export interface Model<S, Name extends string = string> extends Projection<
  S,
  Folding,
  Promise<void>
> {
  readonly name: Name;
  /** The state where history begins. */
  begin(baseline: Baseline): S;
  /** In place of `save`, where the state is large: parts of it may be read while it is being kept. */
  write?(state: S): StateWriter;
  /** In place of `load`: it may leave parts where they lie. */
  read?(bytes: StateBytes): S;
}

/** Page events, or slots, that a change has the heavy models look at. */
export function weightOf(change: Change): number {
  if (change._tag === 'capture') return rowsOf(change);
  const isRelease = change._tag === 'control' && change.event.type === 'ContentReleased';
  return isRelease ? change.event.data.packs.length : 0;
}

/** Of control events, whether one tells nobody but models of the light half, and not the contents. */
const LIGHT: Readonly<Record<ToldEvent['type'], boolean>> = {
  LedgerCreated: true,
  GroupCreated: true,
  PatternAdded: true,
  VmRegistered: true,
  MemoryMapChanged: true,
  CommandLineObserved: true,
  CheckpointTaken: true,
  CheckpointLaidOut: true,
  CheckpointDropped: true,
  CheckpointRestored: true,
  PageRequested: true,
  LargePageSampled: true,
  LargePageSplit: true,
  LargePageRestored: true,
  PointsForgotten: true,
  PointLeased: true,
  LeaseEnded: true,
  MasterPublished: true,
  CloneStarted: true,
  PageFetched: true,
  PageEvicted: true,
  CloneEnded: true,
  CloneParked: true,
  CloneWoken: true,
  HostJoined: true,
  ContentsAdvertised: true,
  HostLeft: true,
  CandidatesRanked: true,
  MigrationStarted: true,
  RegionsMoved: true,
  GuestHandedOver: true,
  MigrationCompleted: true,
  MigrationFailed: true,
  CaptureCommitted: false,
  VmRetired: false,
  ContentReleased: false,
  ContentLost: false,
  ContentFound: false,
  HistoryForgotten: false,
};

/** Whether a change is one that only those have to see. */
export const isLight = (change: Change): change is ControlChange =>
  change._tag === 'control' && LIGHT[change.event.type];
