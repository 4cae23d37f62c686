// Clones: guests that were started from one point and live on from it, each its own life. A clone holds
// its master's point for as long as it runs, by the lease that it is named by: both are said in one append
// of the stream where forgetting is decided, and both end in one, whoever ends them.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { pipe } from 'fp-ts/lib/function.js';
import type { EventOf } from './events/control.ts';
import {
  decidePoints,
  isForgotten,
  pointForgotten,
  type EndLease,
  type LeasePoint,
  type PointsEvent,
  type PointsState,
} from './points.ts';
import type { Refusal } from './values/refusals.ts';

/**
 * How a clone came by its memory: woken ones map it too, one of `postcopy` is sent it as it touches it. Another
 * word of a later release is read as well.
 */
export type CloneKind = 'mapped' | 'woken' | 'postcopy';

export type ClonesEvent = EventOf<
  'MasterPublished' | 'CloneStarted' | 'PageEvicted' | 'CloneEnded' | 'CloneParked' | 'CloneWoken'
>;

/** The clones that run, by the leases that they hold. */
export type RunningClones = ReadonlySet<string>;

/** Clones that wait to be woken, by the leases that they held while they ran. */
export type ParkedClones = ReadonlySet<string>;

/** What is decided by: who holds points of a VM, which of them are clones, and which of these are parked. */
export interface ClonesState {
  readonly points: PointsState;
  readonly clones: RunningClones;
  readonly parked: ParkedClones;
}

/** Gives a point out for clones to be started over. */
export interface PublishMaster {
  readonly _tag: 'PublishMaster';
  readonly vm: string;
  /** An existing capture of the VM. */
  readonly capture: number;
  /** The VM's newest capture, as its own stream says. */
  readonly newest: number;
  /** The block of memory that clones map. */
  readonly block: string;
  /** Where it lies for them. */
  readonly to: string;
}

/** Says that a guest runs which was started from a point; its process holds that. */
export interface StartClone extends Omit<LeasePoint, '_tag' | 'kind'> {
  readonly _tag: 'StartClone';
  readonly kind: CloneKind;
  /** The block of memory that it maps; null: none. */
  readonly block: string | null;
  /** Where it is controlled. */
  readonly qmp: string;
}

/** Says that pages of a clone left its host's memory. */
export interface NoteEviction {
  readonly _tag: 'NoteEviction';
  readonly vm: string;
  readonly clone: string;
  /** Those that were dropped, as they can be read again. */
  readonly dropped: number;
}

/** Ends a lease, and the clone that it is of. */
export interface EndHold extends EndLease {
  /** Pages that the clone had of its own when it was seen last; null: it was not looked at. */
  readonly privatePages: number | null;
}

/** Says that a clone stands still for good, and all that it had is in a capture; it holds nothing any more. */
export interface ParkClone {
  readonly _tag: 'ParkClone';
  readonly vm: string;
  readonly clone: string;
  /** The VM that it is recorded as, and the capture. */
  readonly as: string;
  readonly at: number;
  /** Pages that it had of its own. */
  readonly privatePages: number;
}

/** Says that a parked clone goes on, by another lease. */
export interface WakeClone {
  readonly _tag: 'WakeClone';
  readonly vm: string;
  readonly clone: string;
  readonly lease: string;
}

export type ClonesCommand =
  PublishMaster | StartClone | NoteEviction | EndHold | ParkClone | WakeClone;

function publish(
  { points }: ClonesState,
  { _tag, newest, ...data }: PublishMaster,
): Either<Refusal, readonly ClonesEvent[]> {
  const { vm, capture } = data;
  return isForgotten(points, capture)
    ? either.left(pointForgotten(points, { vm, capture, newest }))
    : either.right([{ type: 'MasterPublished', data }]);
}

function start(
  { points }: ClonesState,
  { kind, block, qmp, ...held }: StartClone,
): Either<Refusal, readonly (PointsEvent | ClonesEvent)[]> {
  const { vm, capture, lease: clone } = held;
  return pipe(
    decidePoints(points)({ ...held, _tag: 'LeasePoint', kind: 'clone' }),
    either.map((leased) =>
      leased.length === 0
        ? []
        : [...leased, { type: 'CloneStarted', data: { vm, capture, clone, kind, block, qmp } }],
    ),
  );
}

function end(
  { points, clones }: ClonesState,
  { privatePages, ...command }: EndHold,
): Either<Refusal, readonly (PointsEvent | ClonesEvent)[]> {
  const { vm, lease: clone, why } = command;
  const ended: readonly ClonesEvent[] = clones.has(clone)
    ? [{ type: 'CloneEnded', data: { vm, clone, why, privatePages } }]
    : [];
  return pipe(
    decidePoints(points)(command),
    either.map((events) => [...ended, ...events]),
  );
}

function park(
  { points, clones, parked }: ClonesState,
  { _tag, ...data }: ParkClone,
): Either<Refusal, readonly (PointsEvent | ClonesEvent)[]> {
  const { vm, clone: lease } = data;
  if (parked.has(lease)) return either.right([]);
  const isRunning = clones.has(lease);
  // Whoever met its process dead has said so before: it waits to be woken all the same.
  const unheld = isRunning
    ? decidePoints(points)({ _tag: 'EndLease', vm, lease, why: 'released' })
    : either.right([]);
  return pipe(
    unheld,
    either.map((ended) => [{ type: 'CloneParked', data }, ...ended]),
  );
}

/** What publishing a point, or a clone's beginning or end, brings about: nothing where it is done, or why not. */
export const decideClones =
  (state: ClonesState) =>
  (command: ClonesCommand): Either<Refusal, readonly (PointsEvent | ClonesEvent)[]> => {
    switch (command._tag) {
      case 'PublishMaster':
        return publish(state, command);
      case 'StartClone':
        return start(state, command);
      case 'NoteEviction': {
        const { _tag, ...told } = command;
        // Which pages went is said by who looks at them (host-memory.ts).
        const data = { ...told, pages: [] };
        const isNews = state.clones.has(data.clone) && data.dropped > 0;
        return either.right(isNews ? [{ type: 'PageEvicted', data }] : []);
      }
      case 'EndLease':
        return end(state, command);
      case 'ParkClone':
        return park(state, command);
      case 'WakeClone': {
        const { _tag, ...data } = command;
        const isParked = state.parked.has(data.clone);
        return either.right(isParked ? [{ type: 'CloneWoken', data }] : []);
      }
      default:
        return command satisfies never;
    }
  };

/** Consecutive pages of a VM: a block of its memory. */
interface BlockPages {
  readonly gfn: number;
  readonly pages: number;
}

/**
 * By page of all memory of a point, 1 where a clone has it from its base: where the block of both holds
 * the same content at the same place. What is not is sent, zeros too. One pass over the block.
 */
export function heldInBase(of: {
  readonly table: Uint32Array;
  readonly own: BlockPages;
  readonly base: Uint32Array;
  readonly theirs: BlockPages;
}): Uint8Array {
  const { table, own, base, theirs } = of;
  const held = new Uint8Array(table.length);
  for (let page = 0; page < own.pages && page < theirs.pages; page += 1)
    if (table[own.gfn + page] === base[theirs.gfn + page]) held[own.gfn + page] = 1;
  return held;
}

/** The clones that run after an event. One whose point nobody holds any more has ended. */
export function evolveClones(
  clones: RunningClones,
  event: ClonesEvent | EventOf<'LeaseEnded'>,
): RunningClones {
  switch (event.type) {
    case 'MasterPublished':
    case 'PageEvicted':
    case 'CloneWoken':
      return clones;
    case 'CloneStarted':
      return new Set(clones).add(event.data.clone);
    case 'CloneEnded':
    case 'CloneParked':
    case 'LeaseEnded': {
      const ended = event.type === 'LeaseEnded' ? event.data.lease : event.data.clone;
      return clones.has(ended) ? new Set([...clones].filter((clone) => clone !== ended)) : clones;
    }
    default:
      return event satisfies never;
  }
}

/** The clones that are parked after an event. */
export function evolveParked(parked: ParkedClones, event: ClonesEvent): ParkedClones {
  if (event.type === 'CloneParked') return new Set(parked).add(event.data.clone);
  if (event.type !== 'CloneWoken') return parked;
  const { clone: woken } = event.data;
  return parked.has(woken) ? new Set([...parked].filter((clone) => clone !== woken)) : parked;
}
