import { describe, expect, test } from '@jest/globals';
import { evolveCheckpoints, initialCheckpoints, isForgotten } from '../../domain/points.ts';
import type { ControlEvent } from '../../domain/events/control.ts';
import { decideForgetting, type ForgetPoints } from '../../domain/forgetting.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';

const given = specify({
  initial: initialCheckpoints,
  decide: decideForgetting,
  evolve: evolveCheckpoints,
});

const forget = (before: number): ForgetPoints => ({ _tag: 'ForgetPoints', vm: 'web', before });
const forgotten = (before: number): ControlEvent => ({
  type: 'PointsForgotten',
  data: { vm: 'web', before },
});
const taken = (name: string, capture: number): ControlEvent => ({
  type: 'CheckpointTaken',
  data: { vm: 'web', name, capture },
});
const dropped = (name: string): ControlEvent => ({
  type: 'CheckpointDropped',
  data: { vm: 'web', name },
});
const nothing = (before: number) =>
  refusal({ _tag: 'NothingToForget', vm: 'web', before } as const);

describe('forgetting points', () => {
  test('gives up the captures before one', () => {
    expect(given().when(forget(4))).toEqual(events(forgotten(4)));
  });

  test('goes on from what was given up before', () => {
    expect(given(forgotten(4)).when(forget(6))).toEqual(events(forgotten(6)));
  });

  test('is refused where nothing would go', () => {
    expect(given().when(forget(1))).toEqual(nothing(1));
    expect(given(forgotten(4)).when(forget(4))).toEqual(nothing(4));
    expect(given(forgotten(4)).when(forget(2))).toEqual(nothing(2));
  });

  test('is refused where checkpoints keep all that would go', () => {
    const kept = [taken('a', 1), taken('b', 2), taken('again', 2)];
    expect(given(...kept).when(forget(3))).toEqual(nothing(3));
    expect(given(...kept).when(forget(4))).toEqual(events(forgotten(4)));
  });
});

test('a capture is forgotten when it lies before the first kept and no checkpoint names it', () => {
  const past = [
    taken('a', 2),
    taken('b', 2),
    taken('c', 3),
    forgotten(5),
    dropped('a'),
    dropped('c'),
  ];
  const state = past.reduce(evolveCheckpoints, initialCheckpoints);
  expect([1, 2, 3, 4, 5, 6].filter((capture) => isForgotten(state, capture))).toEqual([1, 3, 4]);
});
