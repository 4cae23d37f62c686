import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
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
import { encodeControl } from '../../domain/events/control.ts';
import type { CaptureRanges } from '../../domain/values/capture-ranges.ts';
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
const forgotten = (...captures: CaptureRanges): PointsEvent => ({
  type: 'PointsForgotten',
  data: { vm: 'web', captures },
});
const taken = (name: string, capture: number): PointsEvent => ({
  type: 'CheckpointTaken',
  data: { vm: 'web', name, capture, note: null, layout: null },
});

describe('taking a checkpoint', () => {
  test('names a capture', () => {
    expect(given().when(take('booted', 3))).toEqual(events(taken('booted', 3)));
  });

  test('may say something of it, in so many bytes', () => {
    const note = 'before the upgrade';
    expect(given().when({ ...take('booted', 3), note })).toEqual(
      events({
        type: 'CheckpointTaken',
        data: { vm: 'web', name: 'booted', capture: 3, note, layout: null },
      }),
    );
    expect(given().when({ ...take('booted', 3), note: '' })).toEqual(
      refusal({ _tag: 'BadNote', bytes: 0, bytesMax: 1024 }),
    );
  });

  test('says what was copied for it', () => {
    const layout = { bytes: 9, map: { name: 'ab'.repeat(32), bytes: 7 }, packs: ['cd'.repeat(32)] };
    const data = { vm: 'web', name: 'booted', capture: 3, note: null, layout };
    expect(given().when({ ...take('booted', 3), layout })).toEqual(
      events({ type: 'CheckpointTaken', data }),
    );
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

const forget = (captures: CaptureRanges, newest = 9): ForgetPoints => ({
  _tag: 'ForgetPoints',
  vm: 'web',
  captures,
  newest,
});

describe('a forgotten capture', () => {
  test('is given no name, and the nearest kept ones are told', () => {
    expect(given(forgotten([1, 4])).when(take('booted', 4))).toEqual(
      refusal({ _tag: 'PointForgotten', vm: 'web', capture: 4, before: null, after: 5 }),
    );
    expect(given(forgotten([2, 2], [4, 6])).when(take('booted', 5))).toEqual(
      refusal({ _tag: 'PointForgotten', vm: 'web', capture: 5, before: 3, after: 7 }),
    );
    expect(given(forgotten([1, 4])).when(take('booted', 5))).toEqual(events(taken('booted', 5)));
  });

  test('may get a second name while a first one keeps it', () => {
    expect(given(taken('booted', 3), forgotten([1, 4])).when(take('login', 3))).toEqual(
      events(taken('login', 3)),
    );
  });
});

describe('forgetting points', () => {
  test('gives captures up, also in the middle', () => {
    expect(given().when(forget([[1, 3]]))).toEqual(events(forgotten([1, 3])));
    const some = [
      [2, 2],
      [4, 8],
    ] as const;
    expect(given().when(forget(some))).toEqual(events(forgotten(...some)));
  });

  test('goes on from what was given up before', () => {
    expect(given(forgotten([1, 3])).when(forget([[1, 5]]))).toEqual(events(forgotten([1, 5])));
  });

  test('brings nothing about where all were given up before', () => {
    expect(given().when(forget([]))).toEqual(events());
    expect(given(forgotten([1, 3])).when(forget([[1, 3]]))).toEqual(events());
    expect(given(forgotten([1, 1], [2, 5])).when(forget([[2, 4]]))).toEqual(events());
  });

  test('is refused for the newest capture', () => {
    for (const captures of [[[9, 9]], [[1, 9]], [[4, 12]]] as const)
      expect(given().when(forget(captures))).toEqual(
        refusal({ _tag: 'NewestKept', vm: 'web', capture: 9 }),
      );
  });

  test('of more ranges than an event holds is several events of one append', () => {
    const captures = Array.from({ length: 20_000 }, (_, i) => [3 * i + 1, 3 * i + 1] as const);
    const decided = given().when(forget(captures, 100_000));
    const told = either.isRight(decided) ? decided.right : [];
    expect(told.length).toBe(3);
    for (const event of told) expect(either.isRight(encodeControl(event))).toBe(true);
    const state = told.reduce(evolvePoints, initialPoints);
    expect(state.givenUp).toEqual(captures);
  });
});

test('forgetting a VM drops its checkpoints and gives up all of its captures', () => {
  const command = { _tag: 'ForgetVm', vm: 'web', newest: 9 } as const;
  expect(given(taken('a', 2), forgotten([1, 3])).when(command)).toEqual(
    events(dropped('a'), forgotten([1, 9])),
  );
  expect(given(forgotten([1, 9])).when(command)).toEqual(events());
});

test('a capture is forgotten when it was given up and no checkpoint names it', () => {
  const past = [
    taken('a', 2),
    taken('b', 2),
    taken('c', 3),
    forgotten([1, 4]),
    forgotten([6, 6]),
    dropped('a'),
    dropped('c'),
  ];
  const state = past.reduce(evolvePoints, initialPoints);
  const numbers = [1, 2, 3, 4, 5, 6, 7];
  expect(numbers.filter((capture) => isForgotten(state, capture))).toEqual([1, 3, 4, 6]);
});
