// A guest that moves from one host to another, and who runs it meanwhile. At most one copy ever does: the
// source until it hands the guest over, from then on nobody, until the target takes it or it is said that
// the target never will. Each side decides by its own log; where both have one, that arbitrates.
//
// Invariants: MigrationCompleted comes after GuestHandedOver only, and never with a MigrationFailed of the
// same migration in one log; one migration of a VM is under way at a time.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { EventOf } from './events/control.ts';
import type { Refusal } from './values/refusals.ts';

export type MigrationsEvent = EventOf<
  | 'CandidatesRanked'
  | 'MigrationStarted'
  | 'RegionsMoved'
  | 'GuestHandedOver'
  | 'MigrationCompleted'
  | 'MigrationFailed'
>;

/** How far a migration is. */
export type MigrationPhase = 'started' | 'handedOver' | 'completed' | 'failed';

/** The last migration of a VM. */
export interface MigrationState {
  readonly migration: string;
  readonly phase: MigrationPhase;
  /** The capture that is moved, or was last; null: it failed before it was known here. */
  readonly capture: number | null;
  /** Null: as before. */
  readonly from: string | null;
  readonly to: string | null;
  /** Earlier ones that ended so, newest last: nothing more comes of them, however late it is told. */
  readonly completed: readonly string[];
  readonly failed: readonly string[];
}

/** Earlier migrations that are kept in mind, of each kind. */
const KEPT_MAX = 64;

/** Null: the VM's guest was never moved. */
export type MigrationsState = MigrationState | null;

export const initialMigrations: MigrationsState = null;

/** Says how hosts were ranked for a VM. */
export interface RankCandidates extends EventData<'CandidatesRanked'> {
  readonly _tag: 'RankCandidates';
}
/** Begins to move a guest. */
export interface StartMigration extends EventData<'MigrationStarted'> {
  readonly _tag: 'StartMigration';
  /**
   * Whether the source has a log of its own: this one does not say how a guest went on that left its host.
   * Absent: it has not.
   */
  readonly isOfOtherLog?: boolean;
}
/** Says what was moved. */
export interface NoteMoved extends EventData<'RegionsMoved'> {
  readonly _tag: 'NoteMoved';
}
/** Gives the guest up, stopped, at a capture: the source does not run it from here on. */
export interface HandOver extends EventData<'GuestHandedOver'> {
  readonly _tag: 'HandOver';
}
/** Takes the guest: the target runs it from here on. */
export interface CompleteMigration extends EventData<'MigrationCompleted'> {
  readonly _tag: 'CompleteMigration';
}
/** Ends a migration: the source has the guest. */
export interface FailMigration extends EventData<'MigrationFailed'> {
  readonly _tag: 'FailMigration';
  /**
   * By what it is known that the target does not run the guest, once that was handed over: this log is the
   * target's as well; the target has said so, and keeps to it; or a person vouches for it. `nothing`: only
   * as long as the guest was not handed over.
   */
  readonly by: 'nothing' | 'log' | 'target' | 'person';
}

export type MigrationsCommand =
  RankCandidates | StartMigration | NoteMoved | HandOver | CompleteMigration | FailMigration;

type EventData<T extends MigrationsEvent['type']> = EventOf<T>['data'];
type Decided = Either<Refusal, readonly MigrationsEvent[]>;

const NOTHING: Decided = either.right([]);

/** Whether a migration goes on. */
export const isUnderWay = (state: MigrationsState): state is MigrationState =>
  state !== null && (state.phase === 'started' || state.phase === 'handedOver');

/** How a migration ended; null: it has not, or is not known. */
export function endOf(state: MigrationsState, migration: string): 'completed' | 'failed' | null {
  if (state === null) return null;
  const { phase } = state;
  if (state.migration === migration)
    return phase === 'completed' || phase === 'failed' ? phase : null;
  if (state.completed.includes(migration)) return 'completed';
  return state.failed.includes(migration) ? 'failed' : null;
}

/** Which side may run a guest; null: neither, until it is known who. Never migrated, it is the source. */
export function runnerOf(state: MigrationsState): 'source' | 'target' | null {
  if (state === null || state.phase === 'started' || state.phase === 'failed') return 'source';
  return state.phase === 'completed' ? 'target' : null;
}

/** Refused: the migration is another than the last one, or over. */
const notUnderWay = ({ vm, migration }: { readonly vm: string; readonly migration: string }) =>
  either.left<Refusal>({ _tag: 'MigrationOver', vm, migration });

function start(
  state: MigrationsState,
  { _tag, isOfOtherLog: mayHaveGoneOn = false, ...data }: StartMigration,
): Decided {
  const { vm, migration, from, to } = data;
  if (from === to) return either.left({ _tag: 'MigrationToItself', vm, host: to });
  if (state?.migration === migration && state.phase === 'started') return NOTHING;
  if (endOf(state, migration) !== null || state?.migration === migration) return notUnderWay(data);
  const holder = state?.phase === 'completed' ? state.to : null;
  // It may come back by way of hosts that this log does not tell of, but not to where it is.
  if (holder !== null && holder !== from && !(mayHaveGoneOn && holder !== to))
    return either.left({ _tag: 'GuestElsewhere', vm, host: holder });
  if (isUnderWay(state))
    return either.left({ _tag: 'MigrationUnderWay', vm, migration: state.migration });
  return either.right([{ type: 'MigrationStarted', data }]);
}

function handOver(state: MigrationsState, { _tag, ...data }: HandOver): Decided {
  if (state?.migration !== data.migration) return notUnderWay(data);
  if (state.phase === 'handedOver') return NOTHING;
  return state.phase === 'started'
    ? either.right([{ type: 'GuestHandedOver', data }])
    : notUnderWay(data);
}

function complete(state: MigrationsState, { _tag, ...data }: CompleteMigration): Decided {
  const { vm, migration } = data;
  if (state?.migration !== migration || state.phase === 'failed') return notUnderWay(data);
  if (state.phase === 'completed') return NOTHING;
  return state.phase === 'handedOver'
    ? either.right([{ type: 'MigrationCompleted', data }])
    : either.left({ _tag: 'NotHandedOver', vm, migration });
}

function fail(state: MigrationsState, { _tag, by, ...data }: FailMigration): Decided {
  const { vm, migration } = data;
  const failed: Decided = either.right([{ type: 'MigrationFailed', data }]);
  const end = endOf(state, migration);
  if (end !== null) return end === 'failed' ? NOTHING : notUnderWay(data);
  // One that never began here: it will not, from here on.
  if (state?.migration !== migration) return failed;
  return state.phase === 'started' || by !== 'nothing'
    ? failed
    : either.left({ _tag: 'MigrationInDoubt', vm, migration });
}

/** What a command brings about of a VM's migrations: nothing where it is so already, or why not. */
export const decideMigrations =
  (state: MigrationsState) =>
  (command: MigrationsCommand): Decided => {
    switch (command._tag) {
      case 'RankCandidates': {
        const { _tag, ...data } = command;
        return either.right([{ type: 'CandidatesRanked', data }]);
      }
      case 'StartMigration':
        return start(state, command);
      case 'NoteMoved': {
        const { _tag, ...data } = command;
        const isNews = isUnderWay(state) && state.migration === data.migration;
        return isNews ? either.right([{ type: 'RegionsMoved', data }]) : notUnderWay(data);
      }
      case 'HandOver':
        return handOver(state, command);
      case 'CompleteMigration':
        return complete(state, command);
      case 'FailMigration':
        return fail(state, command);
      default:
        return command satisfies never;
    }
  };

/** A VM's migrations after an event; what cannot follow changes nothing. */
export function evolveMigrations(state: MigrationsState, event: MigrationsEvent): MigrationsState {
  switch (event.type) {
    case 'CandidatesRanked':
      return state;
    case 'MigrationStarted': {
      const { migration, capture, from, to } = event.data;
      return { migration, phase: 'started', capture, from, to, ...endedIn(state) };
    }
    case 'RegionsMoved':
    case 'GuestHandedOver':
    case 'MigrationCompleted': {
      if (state?.migration !== event.data.migration || !isUnderWay(state)) return state;
      return { ...state, capture: event.data.capture, phase: phaseAfter(event.type, state.phase) };
    }
    case 'MigrationFailed': {
      const { migration } = event.data;
      if (state?.migration === migration)
        return state.phase === 'completed' ? state : { ...state, phase: 'failed' };
      if (state !== null) return { ...state, failed: withOne(state.failed, migration) };
      const unknown = { capture: null, from: null, to: null };
      return { migration, phase: 'failed', ...unknown, ...endedIn(null) };
    }
    default:
      return event satisfies never;
  }
}

const withOne = (kept: readonly string[], one: string): readonly string[] =>
  [...kept, one].slice(-KEPT_MAX);

/** The migrations that have ended, the last one among them. */
function endedIn(state: MigrationsState): Pick<MigrationState, 'completed' | 'failed'> {
  if (state === null) return { completed: [], failed: [] };
  const { completed, failed, migration, phase } = state;
  return phase === 'completed'
    ? { completed: withOne(completed, migration), failed }
    : { completed, failed: withOne(failed, migration) };
}

function phaseAfter(
  type: 'RegionsMoved' | 'GuestHandedOver' | 'MigrationCompleted',
  phase: MigrationPhase,
): MigrationPhase {
  if (type === 'RegionsMoved') return phase;
  return type === 'GuestHandedOver' ? 'handedOver' : 'completed';
}
