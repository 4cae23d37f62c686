// Checkpoints: points with names, kept. They have a stream of their own beside the VM's.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js';
import type { ControlEvent } from './events.ts';
import type { Refusal } from './refusals.ts';
import { isName } from './stream-names.ts';

/** Captures by checkpoint name, of one VM. */
export type CheckpointState = ReadonlyMap<string, number>;

export interface TakeCheckpoint {
  readonly _tag: 'TakeCheckpoint';
  readonly vm: string;
  readonly name: string;
  /** An existing capture of the VM: the point that the name shall keep. */
  readonly capture: number;
}

export const initialCheckpoints: CheckpointState = new Map();

/** What naming a point brings about, or why not. */
export const decideCheckpoint =
  (state: CheckpointState) =>
  (command: TakeCheckpoint): Either<Refusal, NonEmptyArray<ControlEvent>> => {
    const { vm, name, capture } = command;
    if (!isName(name)) return either.left({ _tag: 'BadCheckpointName', name });
    const existing = state.get(name);
    return existing === undefined
      ? either.right([{ type: 'CheckpointTaken', data: { vm, name, capture } }])
      : either.left({ _tag: 'CheckpointExists', vm, name, capture: existing });
  };

export const evolveCheckpoints = (state: CheckpointState, event: ControlEvent): CheckpointState =>
  event.type === 'CheckpointTaken'
    ? new Map(state).set(event.data.name, event.data.capture)
    : state;
