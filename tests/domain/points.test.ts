import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import {
  decidePoints,
  evolvePoints,
  initialPoints,
  isForgotten,
  type DropCheckpoint,
  type EndLease,
  type ForgetPoints,
  type LeasePoint,
  type PointsEvent,
  type TakeCheckpoint,
} from '../../domain/points.ts';
import { encodeControl } from '../../domain/events/control.ts';
import { rangesOf, type CaptureRanges } from '../../domain/values/capture-ranges.ts';
import type { Holder } from '../../domain/values/lease.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';
import { triesOf } from '../support/long-run.ts';

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

  test('may be laid out anew, for as long as the name means that capture', () => {
    const layout = { bytes: 9, map: { name: 'ab'.repeat(32), bytes: 7 }, packs: ['cd'.repeat(32)] };
    const data = { vm: 'web', name: 'booted', capture: 3, traced: 40, layout };
    const anew = { _tag: 'LayOutAnew', ...data } as const;
    const laidOut = { type: 'CheckpointLaidOut', data } as const;
    expect(given(taken('booted', 3)).when(anew)).toEqual(events(laidOut));
    expect(given(taken('booted', 3), laidOut).when(take('booted', 3))).toMatchObject(
      refusal({ _tag: 'CheckpointExists', vm: 'web', name: 'booted', capture: 3 }),
    );
    for (const past of [[], [taken('booted', 4)], [taken('other', 3)]])
      expect(given(...past).when(anew)).toEqual(
        refusal({ _tag: 'CheckpointUnknown', vm: 'web', name: 'booted' }),
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

describe('leasing a point', () => {
  const HOLDER: Holder = {
    host: 'one',
    machine: 'm',
    boot: 'b',
    space: 's',
    process: 42,
    started: 7,
  };
  const hold = (lease: string, capture: number): LeasePoint => ({
    _tag: 'LeasePoint',
    vm: 'web',
    capture,
    newest: 9,
    lease,
    kind: 'mount',
    ledger: 'here',
    holder: HOLDER,
  });
  const held = (lease: string, capture: number): PointsEvent => ({
    type: 'PointLeased',
    data: { vm: 'web', capture, lease, kind: 'mount', ledger: 'here', holder: HOLDER },
  });
  const end = (lease: string, why: EndLease['why'] = 'released'): EndLease => ({
    _tag: 'EndLease',
    vm: 'web',
    lease,
    why,
  });
  const ended = (lease: string, why: EndLease['why'] = 'released'): PointsEvent => ({
    type: 'LeaseEnded',
    data: { vm: 'web', lease, why },
  });
  const isGone = (capture: number, ...past: readonly PointsEvent[]): boolean =>
    isForgotten(past.reduce(evolvePoints, initialPoints), capture);
  test('says who holds it, and what for', () => {
    expect(given().when(hold('a', 3))).toEqual(events(held('a', 3)));
  });

  test('twice is two leases, each ended by itself', () => {
    expect(given(held('a', 3)).when(hold('b', 3))).toEqual(events(held('b', 3)));
    const both = [held('a', 3), held('b', 3)];
    expect(given(...both).when(end('a'))).toEqual(events(ended('a')));
    expect(given(...both, ended('a')).when(forget([[1, 3]]))).toEqual(events(forgotten([1, 2])));
    expect(given(...both, ended('a'), ended('b')).when(forget([[1, 3]]))).toEqual(
      events(forgotten([1, 3])),
    );
  });

  test('by a lease that is there brings nothing about', () => {
    expect(given(held('a', 3)).when(hold('a', 3))).toEqual(events());
  });

  test('that was forgotten is refused, with the nearest that are kept', () => {
    expect(given(forgotten([2, 4])).when(hold('a', 3))).toEqual(
      refusal({ _tag: 'PointForgotten', vm: 'web', capture: 3, before: 1, after: 5 }),
    );
    expect(given(forgotten([1, 9])).when(hold('a', 3))).toEqual(
      refusal({ _tag: 'PointForgotten', vm: 'web', capture: 3, before: null, after: null }),
    );
  });

  test('keeps it from being forgotten, and it alone', () => {
    const past = [held('a', 3), held('b', 5)];
    expect(given(...past).when(forget([[1, 8]]))).toEqual(
      events(forgotten([1, 2], [4, 4], [6, 8])),
    );
    expect(given(held('a', 3)).when(forget([[3, 3]]))).toEqual(events());
    expect(isGone(3, held('a', 3), forgotten([1, 8]))).toBe(false);
  });

  test('of a VM that is dropped keeps it until the lease ends, and no longer', () => {
    const past = [held('a', 3), held('b', 9)];
    expect(given(...past).when({ _tag: 'ForgetVm', vm: 'web', newest: 9 })).toEqual(
      events(forgotten([1, 9])),
    );
    const dropping = [...past, forgotten([1, 9])];
    expect([2, 3, 4, 9].map((capture) => isGone(capture, ...dropping))).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(isGone(3, ...dropping, ended('a', 'died'))).toBe(true);
    expect(isGone(9, ...dropping, ended('a', 'died'))).toBe(false);
  });

  test('of what only a checkpoint kept keeps it when the name goes', () => {
    const past = [taken('booted', 3), forgotten([1, 8]), held('a', 3), dropped('booted')];
    expect(isGone(3, ...past)).toBe(false);
    expect(isGone(3, ...past, ended('a'))).toBe(true);
  });

  test('and naming what only a lease keeps, keeps it by its name', () => {
    const past = [held('a', 3), forgotten([1, 9])];
    expect(given(...past).when(take('booted', 3))).toEqual(events(taken('booted', 3)));
    expect(isGone(3, ...past, taken('booted', 3), ended('a'))).toBe(false);
  });

  test('ends by its name alone, once', () => {
    const unknown = refusal({ _tag: 'LeaseUnknown', lease: 'a' });
    expect(given().when(end('a'))).toEqual(unknown);
    expect(given(held('a', 3)).when(end('a', 'died'))).toEqual(events(ended('a', 'died')));
    expect(given(held('a', 3), ended('a')).when(end('a'))).toEqual(unknown);
  });

  test('holds through whatever else is decided meanwhile', () => {
    const capture = fc.integer({ min: 1, max: 9 });
    const id = fc.constantFrom('a', 'b', 'c');
    const command = fc.oneof(
      fc.tuple(id, capture).map(([lease, of]) => hold(lease, of)),
      id.map((lease) => end(lease)),
      fc.array(capture).map((of) => forget(rangesOf(of.filter((one) => one < 9)))),
      fc.tuple(id, capture).map(([name, of]) => take(name, of)),
      id.map((name): DropCheckpoint => ({ _tag: 'DropCheckpoint', vm: 'web', name })),
      fc.constant({ _tag: 'ForgetVm', vm: 'web', newest: 9 } as const),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
        let state = initialPoints;
        const holders = new Map<string, number>();
        for (const one of commands) {
          const decided = decidePoints(state)(one);
          if (either.isLeft(decided)) continue;
          const wasGone = [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((of) => isForgotten(state, of));
          state = decided.right.reduce(evolvePoints, state);
          if (one._tag === 'LeasePoint' && !holders.has(one.lease))
            holders.set(one.lease, one.capture);
          if (one._tag === 'EndLease') holders.delete(one.lease);
          for (const of of holders.values()) expect(isForgotten(state, of)).toBe(false);
          // What is forgotten does not come back.
          for (const of of wasGone) expect(isForgotten(state, of)).toBe(true);
        }
        expect(new Map(state.leases)).toEqual(holders);
      }),
      { numRuns: triesOf(500) },
    );
  });
});
