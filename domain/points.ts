// Points that are kept: a VM's captures, but for those that were given up and have neither a checkpoint
// nor a lease. One stream beside the VM's own says so, so that a point can be named while its VM is
// recorded, and none is named, or leased, and forgotten at once. The events of forgotten pages stay in
// the log; what only they held is released and given back by compaction.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { CheckpointLayout, EventOf, PointLeased } from './events/control.ts';
import { noteRefusal } from './values/attachment.ts';
import {
  isInRanges,
  unionOf,
  withoutCaptures,
  type CaptureRanges,
} from './values/capture-ranges.ts';
import type { Holder, LeaseKind } from './values/lease.ts';
import type { Refusal } from './values/refusals.ts';
import { isName } from './events/streams.ts';

export type PointsEvent = EventOf<
  | 'CheckpointTaken'
  | 'CheckpointLaidOut'
  | 'CheckpointDropped'
  | 'PointsForgotten'
  | 'PointLeased'
  | 'LeaseEnded'
>;

/** The kept points of one VM. */
export interface PointsState {
  /** Captures by checkpoint name. */
  readonly names: ReadonlyMap<string, number>;
  /** Captures that somebody works with, by lease. */
  readonly leases: ReadonlyMap<string, number>;
  /** Captures that nothing but a name or a lease keeps. */
  readonly givenUp: CaptureRanges;
}

export interface TakeCheckpoint {
  readonly _tag: 'TakeCheckpoint';
  readonly vm: string;
  readonly name: string;
  /** An existing capture of the VM: the point that the name shall keep. */
  readonly capture: number;
  /** What a person says of it. Absent: nothing. */
  readonly note?: string;
  /** What was copied for it, durable by now. Absent: it was not laid out. */
  readonly layout?: CheckpointLayout;
  /** Whether the VM is retired, as its own stream says. */
  readonly isRetired: boolean;
}

/** Gives a checkpoint another layout than it had. */
export interface LayOutAnew {
  readonly _tag: 'LayOutAnew';
  readonly vm: string;
  readonly name: string;
  /** The capture that was laid out: the name may mean another one by now. */
  readonly capture: number;
  /** Pages of the trace that it was laid out by. */
  readonly traced: number;
  /** What was copied for it, durable by now. */
  readonly layout: CheckpointLayout;
}

export interface DropCheckpoint {
  readonly _tag: 'DropCheckpoint';
  readonly vm: string;
  readonly name: string;
}

/** Holds a point for somebody who reads it page by page. */
export interface LeasePoint {
  readonly _tag: 'LeasePoint';
  readonly vm: string;
  /** An existing capture of the VM. */
  readonly capture: number;
  /** The VM's newest capture, as its own stream says. */
  readonly newest: number;
  /** Its name, which nobody else draws. */
  readonly lease: string;
  readonly kind: LeaseKind;
  /** The ledger that the point is held in: in a copy of it nobody holds anything. */
  readonly ledger: string;
  readonly holder: Holder;
}

/** Lets a point go. */
export interface EndLease {
  readonly _tag: 'EndLease';
  readonly vm: string;
  readonly lease: string;
  /** By its holder, by who found the holder dead, or by somebody who says so. */
  readonly why: 'released' | 'died' | 'ended';
}

/**
 * Gives captures up: those that have a checkpoint stay for as long as they have. What is leased is not
 * given up.
 */
export interface ForgetPoints {
  readonly _tag: 'ForgetPoints';
  readonly vm: string;
  readonly captures: CaptureRanges;
  /** The VM's newest capture, as its own stream says: it stays. */
  readonly newest: number;
}

/**
 * Gives all of a VM up, its checkpoints and its newest capture too. Its life has ended. What is leased
 * stays until the lease ends.
 */
export interface ForgetVm {
  readonly _tag: 'ForgetVm';
  readonly vm: string;
  readonly newest: number;
}

export type PointsCommand =
  TakeCheckpoint | LayOutAnew | DropCheckpoint | LeasePoint | EndLease | ForgetPoints | ForgetVm;

export const initialPoints: PointsState = { names: new Map(), leases: new Map(), givenUp: [] };

/** Ranges of one event: below EVENT_BYTES_MAX whatever the numbers are. */
const EVENT_RANGES_MAX = 8192;

const isAmong = (captures: ReadonlyMap<string, number>, capture: number): boolean => {
  for (const one of captures.values()) if (one === capture) return true;
  return false;
};

/** Whether nothing that was decided keeps a capture: nothing but a lease, perhaps, which ends by itself. */
export const isGivenUp = ({ givenUp, names }: PointsState, capture: number): boolean =>
  isInRanges(givenUp, capture) && !isAmong(names, capture);

/**
 * Whether a capture cannot be restored any more. O(log ranges), and O(checkpoints + leases) of one
 * given up.
 */
export const isForgotten = (state: PointsState, capture: number): boolean =>
  isGivenUp(state, capture) && !isAmong(state.leases, capture);

/** The points as they are once some leases have ended. */
export function withoutLeases(state: PointsState, ended: Iterable<string>): PointsState {
  const leases = new Map(state.leases);
  for (const lease of ended) leases.delete(lease);
  return { ...state, leases };
}

/** The kept capture nearest to one, downwards or upwards; null: there is none. */
function nearestKept(
  state: PointsState,
  { from, step, newest }: { readonly from: number; readonly step: 1 | -1; readonly newest: number },
): number | null {
  for (let capture = from + step; capture >= 1 && capture <= newest; capture += step)
    if (!isForgotten(state, capture)) return capture;
  return null;
}

/** The refusal of a capture that is forgotten. */
export const pointForgotten = (
  state: PointsState,
  {
    vm,
    capture,
    newest,
  }: { readonly vm: string; readonly capture: number; readonly newest: number },
): Refusal => ({
  _tag: 'PointForgotten',
  vm,
  capture,
  before: nearestKept(state, { from: capture, step: -1, newest }),
  after: nearestKept(state, { from: capture, step: 1, newest }),
});

function take(
  state: PointsState,
  { vm, name, capture, note: said, layout: laidOut, isRetired }: TakeCheckpoint,
): Either<Refusal, readonly PointsEvent[]> {
  if (isRetired) return either.left({ _tag: 'VmRetired', vm });
  if (!isName(name)) return either.left({ _tag: 'BadCheckpointName', name });
  const existing = state.names.get(name);
  if (existing !== undefined)
    return either.left({ _tag: 'CheckpointExists', vm, name, capture: existing });
  // The newest capture of a VM that is not retired is kept.
  const newest = Number.POSITIVE_INFINITY;
  if (isForgotten(state, capture))
    return either.left(pointForgotten(state, { vm, capture, newest }));
  const note = said ?? null;
  const refusal = noteRefusal(note);
  if (refusal !== null) return either.left(refusal);
  const layout = laidOut ?? null;
  return either.right([{ type: 'CheckpointTaken', data: { vm, name, capture, note, layout } }]);
}

function hold(
  state: PointsState,
  { _tag, newest, ...data }: LeasePoint,
): Either<Refusal, readonly PointsEvent[]> {
  const { vm, capture } = data;
  if (state.leases.has(data.lease)) return either.right([]);
  return isForgotten(state, capture)
    ? either.left(pointForgotten(state, { vm, capture, newest }))
    : either.right([{ type: 'PointLeased', data: data satisfies PointLeased }]);
}

/** The events that give captures up, as many as their size needs; none where all were before. */
function giveUp(state: PointsState, vm: string, captures: CaptureRanges): readonly PointsEvent[] {
  const isNews = captures.some(([first, last]) => {
    for (let capture = first; capture <= last; capture += 1)
      if (!isInRanges(state.givenUp, capture)) return true;
    return false;
  });
  const events: PointsEvent[] = [];
  if (!isNews) return events;
  for (let at = 0; at < captures.length; at += EVENT_RANGES_MAX) {
    const some = captures.slice(at, at + EVENT_RANGES_MAX);
    events.push({ type: 'PointsForgotten', data: { vm, captures: some } });
  }
  return events;
}

/** What naming a point, giving a name up or forgetting brings about: nothing where it is done, or why not. */
export const decidePoints =
  (state: PointsState) =>
  (command: PointsCommand): Either<Refusal, readonly PointsEvent[]> => {
    const { vm } = command;
    switch (command._tag) {
      case 'TakeCheckpoint':
        return take(state, command);
      case 'LayOutAnew': {
        const { _tag, ...data } = command;
        return state.names.get(data.name) === data.capture
          ? either.right([{ type: 'CheckpointLaidOut', data }])
          : either.left({ _tag: 'CheckpointUnknown', vm, name: data.name });
      }
      case 'DropCheckpoint': {
        const { name } = command;
        return state.names.has(name)
          ? either.right([{ type: 'CheckpointDropped', data: { vm, name } }])
          : either.left({ _tag: 'CheckpointUnknown', vm, name });
      }
      case 'LeasePoint':
        return hold(state, command);
      case 'EndLease': {
        const { lease: id, why } = command;
        return state.leases.has(id)
          ? either.right([{ type: 'LeaseEnded', data: { vm, lease: id, why } }])
          : either.left({ _tag: 'LeaseUnknown', lease: id });
      }
      case 'ForgetPoints': {
        const { captures, newest: capture } = command;
        if (captures.length > 0 && captures.at(-1)![1] >= capture)
          return either.left({ _tag: 'NewestKept', vm, capture });
        return either.right(giveUp(state, vm, withoutCaptures(captures, state.leases.values())));
      }
      case 'ForgetVm': {
        const names = [...state.names.keys()];
        const dropped = names.map((name): PointsEvent => ({
          type: 'CheckpointDropped',
          data: { vm, name },
        }));
        const captures: CaptureRanges = command.newest === 0 ? [] : [[1, command.newest]];
        return either.right([...dropped, ...giveUp(state, vm, captures)]);
      }
      default:
        return command satisfies never;
    }
  };

/** The kept points after an event. */
export function evolvePoints(state: PointsState, event: PointsEvent): PointsState {
  switch (event.type) {
    case 'CheckpointTaken':
      return { ...state, names: new Map(state.names).set(event.data.name, event.data.capture) };
    case 'CheckpointLaidOut':
      return state;
    case 'CheckpointDropped': {
      const names = new Map(state.names);
      names.delete(event.data.name);
      return { ...state, names };
    }
    case 'PointLeased': {
      const { lease: id, capture } = event.data;
      return { ...state, leases: new Map(state.leases).set(id, capture) };
    }
    case 'LeaseEnded':
      return withoutLeases(state, [event.data.lease]);
    case 'PointsForgotten':
      return { ...state, givenUp: unionOf(state.givenUp, event.data.captures) };
    default:
      return event satisfies never;
  }
}
