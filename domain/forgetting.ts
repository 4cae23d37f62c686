// Forgetting (brief, section 4): a VM's captures before a point are given up, but for those that a
// checkpoint keeps. The events of their pages stay in the log; what only they held is released and
// given back by compaction.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js';
import type { CheckpointState } from './points.ts';
import type { ControlEvent } from './events/control.ts';
import type { Refusal } from './values/refusals.ts';

export interface ForgetPoints {
  readonly _tag: 'ForgetPoints';
  readonly vm: string;
  /** An existing capture of the VM: the first that is kept. */
  readonly before: number;
}

/** How many captures before one would be given up. */
function forgottenCount({ names, firstKept }: CheckpointState, before: number): number {
  const kept = new Set([...names.values()].filter((capture) => capture >= firstKept));
  const keptBefore = [...kept].filter((capture) => capture < before).length;
  return Math.max(0, before - firstKept - keptBefore);
}

/** What giving points up brings about, or why not. */
export const decideForgetting =
  (state: CheckpointState) =>
  ({ vm, before }: ForgetPoints): Either<Refusal, NonEmptyArray<ControlEvent>> =>
    forgottenCount(state, before) === 0
      ? either.left({ _tag: 'NothingToForget', vm, before })
      : either.right([{ type: 'PointsForgotten', data: { vm, before } }]);
