import { describe, expect, test } from '@jest/globals';
import {
  decidePoints,
  evolvePoints,
  initialPoints,
  isForgotten,
  type DropCheckpoint,
  type ForgetPoints,
  type PointsEvent,
  type TakeCheckpoint,
} from '../../domain/points.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';

const given = specify({
  initial: initialPoints,
  decide: decidePoints,
  evolve: evolvePoints,
});

const take = (name: string, capture: number): TakeCheckpoint => ({
  _tag: 'TakeCheckpoint',
  vm: 'web',
  name,
  capture,
  isRetired: false,
});
const dropped = (name: string): PointsEvent => ({
  type: 'CheckpointDropped',
  data: { vm: 'web', name },
});
const forgotten = (before: number): PointsEvent => ({
  type: 'PointsForgotten',
  data: { vm: 'web', before },
});
const taken = (name: string, capture: number): PointsEvent => ({
  type: 'CheckpointTaken',
  data: { vm: 'web', name, capture },
});

describe('taking a checkpoint', () => {
  test('names a capture', () => {
    expect(given().when(take('booted', 3))).toEqual(events(taken('booted', 3)));
  });

  test('may give one capture several names', () => {
    expect(given(taken('booted', 3)).when(take('login', 3))).toEqual(events(taken('login', 3)));
  });

  test('under a name that is taken is refused, and says which capture has it', () => {
    expect(given(taken('booted', 3)).when(take('booted', 4))).toEqual(
      refusal({ _tag: 'CheckpointExists', vm: 'web', name: 'booted', capture: 3 }),
    );
  });

  test.each(['', '.hidden', 'a/b', 'a b', '@1'])('under the name %j is refused', (name) => {
    expect(given().when(take(name, 1))).toEqual(refusal({ _tag: 'BadCheckpointName', name }));
  });

  test('of a retired VM is refused, whatever the name', () => {
    const retired = refusal({ _tag: 'VmRetired', vm: 'web' });
    expect(given().when({ ...take('booted', 1), isRetired: true })).toEqual(retired);
    expect(given().when({ ...take('a b', 1), isRetired: true })).toEqual(retired);
  });
});

describe('dropping a checkpoint', () => {
  const drop = (name: string): DropCheckpoint => ({ _tag: 'DropCheckpoint', vm: 'web', name });

  test('gives its name up', () => {
    expect(given(taken('booted', 3)).when(drop('booted'))).toEqual(events(dropped('booted')));
  });

  test('of a name that is not there is refused', () => {
    const unknown = refusal({ _tag: 'CheckpointUnknown', vm: 'web', name: 'booted' });
    expect(given().when(drop('booted'))).toEqual(unknown);
    expect(given(taken('booted', 3), dropped('booted')).when(drop('booted'))).toEqual(unknown);
  });

  test('frees the name for another capture', () => {
    expect(given(taken('booted', 3), dropped('booted')).when(take('booted', 5))).toEqual(
      events(taken('booted', 5)),
    );
  });
});

describe('a forgotten capture', () => {
  test('is given no name', () => {
    expect(given(forgotten(5)).when(take('booted', 4))).toEqual(
      refusal({ _tag: 'PointForgotten', vm: 'web', capture: 4, firstKept: 5 }),
    );
    expect(given(forgotten(5)).when(take('booted', 5))).toEqual(events(taken('booted', 5)));
  });

  test('may get a second name while a first one keeps it', () => {
    expect(given(taken('booted', 3), forgotten(5)).when(take('login', 3))).toEqual(
      events(taken('login', 3)),
    );
  });
});

const forget = (before: number): ForgetPoints => ({ _tag: 'ForgetPoints', vm: 'web', before });
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
  const state = past.reduce(evolvePoints, initialPoints);
  expect([1, 2, 3, 4, 5, 6].filter((capture) => isForgotten(state, capture))).toEqual([1, 3, 4]);
});
