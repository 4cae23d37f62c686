// A guest that moves from one host to another, and who runs it meanwhile. At most one copy ever does: the
// source until it hands the guest over, from then on nobody, until the target takes it or it is said that
// the target never will. Each side decides by its own log; where both have one, that arbitrates.
//
// Invariants: MigrationCompleted comes after GuestHandedOver only, and never with a MigrationFailed of the
// same migration in one log; one migration of a VM is under way at a time.

import type { EventOf } from './events/control.ts';

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
}

/** Null: the VM's guest was never moved. */
export type MigrationsState = MigrationState | null;

export const initialMigrations: MigrationsState = null;

/** Whether a migration goes on. */
const isUnderWay = (state: MigrationsState): state is MigrationState =>
  state !== null && (state.phase === 'started' || state.phase === 'handedOver');

/** A VM's migrations after an event; what cannot follow changes nothing. */
export function evolveMigrations(state: MigrationsState, event: MigrationsEvent): MigrationsState {
  switch (event.type) {
    case 'CandidatesRanked':
      return state;
    case 'MigrationStarted': {
      const { migration, capture, from, to } = event.data;
      return { migration, phase: 'started', capture, from, to };
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
      return { migration, phase: 'failed', capture: null, from: null, to: null };
    }
    default:
      return event satisfies never;
  }
}

function phaseAfter(
  type: 'RegionsMoved' | 'GuestHandedOver' | 'MigrationCompleted',
  phase: MigrationPhase,
): MigrationPhase {
  if (type === 'RegionsMoved') return phase;
  return type === 'GuestHandedOver' ? 'handedOver' : 'completed';
}
