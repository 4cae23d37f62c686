import { describe, expect, test } from '@jest/globals';
import {
  decideCheckpoint,
  evolveCheckpoints,
  initialCheckpoints,
  type DropCheckpoint,
  type TakeCheckpoint,
} from '../../domain/points.ts';
import type { ControlEvent } from '../../domain/events/control.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';

const given = specify({
  initial: initialCheckpoints,
  decide: decideCheckpoint,
  evolve: evolveCheckpoints,
});

const take = (name: string, capture: number): TakeCheckpoint => ({
  _tag: 'TakeCheckpoint',
  vm: 'web',
  name,
  capture,
});
const taken = (name: string, capture: number): ControlEvent => ({
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

  test('takes no notice of the events of other concepts', () => {
    expect(given({ type: 'VmRetired', data: { vm: 'web' } }).when(take('booted', 1))).toEqual(
      events(taken('booted', 1)),
    );
  });
});

describe('dropping a checkpoint', () => {
  const drop = (name: string): DropCheckpoint => ({ _tag: 'DropCheckpoint', vm: 'web', name });
  const dropped = (name: string): ControlEvent => ({
    type: 'CheckpointDropped',
    data: { vm: 'web', name },
  });

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
  const forgotten = (before: number): ControlEvent => ({
    type: 'PointsForgotten',
    data: { vm: 'web', before },
  });

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
