// Checkpoints: points with names, kept. They have a stream of their own beside the VM's, which also
// bears what of the VM was forgotten (forgetting.ts), so that no point is named and forgotten at once.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js';
import type { ControlEvent } from './events/control.ts';
import type { Refusal } from './values/refusals.ts';
import { isName } from './events/streams.ts';

/** The kept points of one VM. */
export interface CheckpointState {
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
}

export interface DropCheckpoint {
  readonly _tag: 'DropCheckpoint';
  readonly vm: string;
  readonly name: string;
}

export const initialCheckpoints: CheckpointState = { names: new Map(), firstKept: 1 };

/** Whether a capture cannot be restored any more. O(checkpoints) for one before the first kept. */
export function isForgotten({ names, firstKept }: CheckpointState, capture: number): boolean {
  if (capture >= firstKept) return false;
  for (const named of names.values()) if (named === capture) return false;
  return true;
}

/** What naming a point, or giving its name up, brings about, or why not. */
export const decideCheckpoint =
  (state: CheckpointState) =>
  (command: TakeCheckpoint | DropCheckpoint): Either<Refusal, NonEmptyArray<ControlEvent>> => {
    const { vm, name } = command;
    const existing = state.names.get(name);
    if (command._tag === 'DropCheckpoint')
      return existing === undefined
        ? either.left({ _tag: 'CheckpointUnknown', vm, name })
        : either.right([{ type: 'CheckpointDropped', data: { vm, name } }]);
    const { capture } = command;
    if (!isName(name)) return either.left({ _tag: 'BadCheckpointName', name });
    if (existing !== undefined)
      return either.left({ _tag: 'CheckpointExists', vm, name, capture: existing });
    if (isForgotten(state, capture)) {
      const { firstKept } = state;
      return either.left({ _tag: 'PointForgotten', vm, capture, firstKept });
    }
    return either.right([{ type: 'CheckpointTaken', data: { vm, name, capture } }]);
  };

/** The kept points after an event; events of other concepts leave them as they are. */
export function evolveCheckpoints(state: CheckpointState, event: ControlEvent): CheckpointState {
  if (event.type === 'CheckpointTaken')
    return { ...state, names: new Map(state.names).set(event.data.name, event.data.capture) };
  if (event.type === 'PointsForgotten')
    return { ...state, firstKept: Math.max(state.firstKept, event.data.before) };
  if (event.type !== 'CheckpointDropped') return state;
  const names = new Map(state.names);
  names.delete(event.data.name);
  return { ...state, names };
}
