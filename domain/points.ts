// Points that are kept (brief, section 4, Forgetting): a VM's captures from one on, and before it those
// that checkpoints name. One stream beside the VM's own says so, so that a point can be named while its
// VM is recorded, and none is named and forgotten at once. The events of forgotten pages stay in the
// log; what only they held is released and given back by compaction.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js';
import type { EventOf } from './events/control.ts';
import type { Refusal } from './values/refusals.ts';
import { isName } from './events/streams.ts';

export type PointsEvent = EventOf<'CheckpointTaken' | 'CheckpointDropped' | 'PointsForgotten'>;

/** The kept points of one VM. */
export interface PointsState {
  /** Captures by checkpoint name. */
  readonly names: ReadonlyMap<string, number>;
  /** Captures from this one on are kept, whether they have names or not. */
  readonly firstKept: number;
}

export interface TakeCheckpoint {
  readonly _tag: 'TakeCheckpoint';
  readonly vm: string;
  readonly name: string;
  /** An existing capture of the VM: the point that the name shall keep. */
  readonly capture: number;
  /** Whether the VM is retired, as its own stream says. */
  readonly isRetired: boolean;
}

export interface DropCheckpoint {
  readonly _tag: 'DropCheckpoint';
  readonly vm: string;
  readonly name: string;
}

export interface ForgetPoints {
  readonly _tag: 'ForgetPoints';
  readonly vm: string;
  /** An existing capture of the VM: the first that is kept. */
  readonly before: number;
}

export type PointsCommand = TakeCheckpoint | DropCheckpoint | ForgetPoints;

export const initialPoints: PointsState = { names: new Map(), firstKept: 1 };

/** Whether a capture cannot be restored any more. O(checkpoints) for one before the first kept. */
export function isForgotten({ names, firstKept }: PointsState, capture: number): boolean {
  if (capture >= firstKept) return false;
  for (const named of names.values()) if (named === capture) return false;
  return true;
}

/** How many captures before one would be given up. */
function forgottenCount({ names, firstKept }: PointsState, before: number): number {
  const kept = new Set([...names.values()].filter((capture) => capture >= firstKept));
  const keptBefore = [...kept].filter((capture) => capture < before).length;
  return Math.max(0, before - firstKept - keptBefore);
}

function take(
  state: PointsState,
  { vm, name, capture, isRetired }: TakeCheckpoint,
): Either<Refusal, NonEmptyArray<PointsEvent>> {
  if (isRetired) return either.left({ _tag: 'VmRetired', vm });
  if (!isName(name)) return either.left({ _tag: 'BadCheckpointName', name });
  const existing = state.names.get(name);
  if (existing !== undefined)
    return either.left({ _tag: 'CheckpointExists', vm, name, capture: existing });
  if (isForgotten(state, capture)) {
    const { firstKept } = state;
    return either.left({ _tag: 'PointForgotten', vm, capture, firstKept });
  }
  return either.right([{ type: 'CheckpointTaken', data: { vm, name, capture } }]);
}

/** What naming a point, giving a name up or forgetting brings about, or why not. */
export const decidePoints =
  (state: PointsState) =>
  (command: PointsCommand): Either<Refusal, NonEmptyArray<PointsEvent>> => {
    const { vm } = command;
    switch (command._tag) {
      case 'TakeCheckpoint':
        return take(state, command);
      case 'DropCheckpoint': {
        const { name } = command;
        return state.names.has(name)
          ? either.right([{ type: 'CheckpointDropped', data: { vm, name } }])
          : either.left({ _tag: 'CheckpointUnknown', vm, name });
      }
      case 'ForgetPoints': {
        const { before } = command;
        return forgottenCount(state, before) === 0
          ? either.left({ _tag: 'NothingToForget', vm, before })
          : either.right([{ type: 'PointsForgotten', data: { vm, before } }]);
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
    case 'CheckpointDropped': {
      const names = new Map(state.names);
      names.delete(event.data.name);
      return { ...state, names };
    }
    case 'PointsForgotten':
      return { ...state, firstKept: Math.max(state.firstKept, event.data.before) };
    default:
      return event satisfies never;
  }
}
