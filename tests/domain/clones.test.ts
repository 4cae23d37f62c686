import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decideClones,
  evolveClones,
  evolveParked,
  heldInBase,
  type ClonesCommand,
  type ClonesEvent,
  type ClonesState,
  type EndHold,
  type PublishMaster,
  type StartClone,
} from '../../domain/clones.ts';
import { evolvePoints, initialPoints, isForgotten, type PointsEvent } from '../../domain/points.ts';
import { accepted } from '../../domain/ports/run.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';

type Event = PointsEvent | ClonesEvent;

const isOfClones = (event: Event): event is ClonesEvent =>
  [
    'MasterPublished',
    'CloneStarted',
    'PageEvicted',
    'CloneEnded',
    'CloneParked',
    'CloneWoken',
  ].includes(event.type);

function evolve({ points, clones, parked }: ClonesState, event: Event): ClonesState {
  if (isOfClones(event))
    return { points, clones: evolveClones(clones, event), parked: evolveParked(parked, event) };
  const after = evolvePoints(points, event);
  return {
    points: after,
    clones: event.type === 'LeaseEnded' ? evolveClones(clones, event) : clones,
    parked,
  };
}

const initial: ClonesState = { points: initialPoints, clones: new Set(), parked: new Set() };
const given = specify({ initial, decide: decideClones, evolve });

const HOLDER = { host: 'one', machine: 'm', boot: 'b', space: 's', process: 42, started: 7 };
const start = (lease: string, capture = 3): StartClone => ({
  _tag: 'StartClone',
  vm: 'web',
  capture,
  newest: 9,
  lease,
  kind: 'mapped',
  block: 'pc.ram',
  qmp: '/run/one.sock',
  ledger: 'here',
  holder: HOLDER,
});
const leased = (lease: string, capture = 3): Event => ({
  type: 'PointLeased',
  data: { vm: 'web', capture, lease, kind: 'clone', ledger: 'here', holder: HOLDER },
});
const started = (clone: string, capture = 3): Event => ({
  type: 'CloneStarted',
  data: { vm: 'web', capture, clone, kind: 'mapped', block: 'pc.ram', qmp: '/run/one.sock' },
});
const end = (
  lease: string,
  { why = 'released', privatePages = null }: Partial<EndHold> = {},
): EndHold => ({ _tag: 'EndLease', vm: 'web', lease, why, privatePages });
const unheld = (lease: string, why: EndHold['why'] = 'released'): Event => ({
  type: 'LeaseEnded',
  data: { vm: 'web', lease, why },
});
const ended = (
  clone: string,
  { why = 'released', privatePages = null }: Partial<EndHold> = {},
): Event => ({ type: 'CloneEnded', data: { vm: 'web', clone, why, privatePages } });
const forgotten: Event = { type: 'PointsForgotten', data: { vm: 'web', captures: [[2, 4]] } };
const publish: PublishMaster = {
  _tag: 'PublishMaster',
  vm: 'web',
  capture: 3,
  newest: 9,
  block: 'pc.ram',
  to: '/run/base/memory',
};

describe('publishing a master', () => {
  test('says which point, which block of it, and where', () => {
    const data = { vm: 'web', capture: 3, block: 'pc.ram', to: '/run/base/memory' };
    expect(given().when(publish)).toEqual(events({ type: 'MasterPublished', data }));
  });

  test('that was forgotten is refused', () => {
    expect(given(forgotten).when(publish)).toEqual(
      refusal({ _tag: 'PointForgotten', vm: 'web', capture: 3, before: 1, after: 5 }),
    );
  });
});

describe('a clone', () => {
  test('holds its master from the moment that it is there', () => {
    expect(given().when(start('a'))).toEqual(events(leased('a'), started('a')));
    const state = [leased('a'), started('a')].reduce(evolve, initial);
    const { points } = [forgotten].reduce(evolve, state);
    expect([2, 3, 4].map((capture) => isForgotten(points, capture))).toEqual([true, false, true]);
  });

  test('that is there already brings nothing about', () => {
    expect(given(leased('a'), started('a')).when(start('a'))).toEqual(events());
  });

  test('of a point that was forgotten is refused', () => {
    expect(given(forgotten).when(start('a'))).toEqual(
      refusal({ _tag: 'PointForgotten', vm: 'web', capture: 3, before: 1, after: 5 }),
    );
  });

  test('ends with its lease, and says what it had of its own', () => {
    const last = { privatePages: 700 };
    expect(given(leased('a'), started('a')).when(end('a', last))).toEqual(
      events(ended('a', last), unheld('a')),
    );
  });

  test('whose process died is ended by whoever finds that', () => {
    expect(given(leased('a'), started('a')).when(end('a', { why: 'died' }))).toEqual(
      events(ended('a', { why: 'died' }), unheld('a', 'died')),
    );
  });

  test('ends once, and leaves the others', () => {
    const both = [leased('a'), started('a'), leased('b'), started('b')];
    const past = [...both, ended('a'), unheld('a')];
    expect(given(...past).when(end('a'))).toEqual(refusal({ _tag: 'LeaseUnknown', lease: 'a' }));
    expect(given(...past).when(end('b'))).toEqual(events(ended('b'), unheld('b')));
  });

  test('may have pages dropped while it runs', () => {
    const note = { _tag: 'NoteEviction', vm: 'web', clone: 'a', dropped: 7 } as const;
    const { _tag, ...data } = note;
    const evicted = { type: 'PageEvicted', data: { ...data, pages: [] } } as const;
    expect(given(leased('a'), started('a')).when(note)).toEqual(events(evicted));
    expect(given(leased('a'), started('a')).when({ ...note, dropped: 0 })).toEqual(events());
    expect(given().when(note)).toEqual(events());
  });

  test('is not there any more when its lease is not', () => {
    const { clones } = [leased('a'), started('a'), unheld('a')].reduce(evolve, initial);
    expect([...clones]).toEqual([]);
  });
});

describe('a clone that is parked', () => {
  const park = { _tag: 'ParkClone', vm: 'web', clone: 'a', as: 'web-a', at: 2 } as const;
  const asParked = { vm: 'web', clone: 'a', as: 'web-a', at: 2, privatePages: 7 };
  const parked: Event = { type: 'CloneParked', data: asParked };
  const wake = { _tag: 'WakeClone', vm: 'web', clone: 'a', lease: 'b' } as const;
  const woken: Event = { type: 'CloneWoken', data: { vm: 'web', clone: 'a', lease: 'b' } };
  const running = [leased('a'), started('a')];

  test('holds its master no more, and has not ended', () => {
    const command = { ...park, privatePages: 7 };
    expect(given(...running).when(command)).toEqual(events(parked, unheld('a')));
    const after = [...running, parked, unheld('a')].reduce(evolve, initial);
    expect([[...after.clones], [...after.parked], after.points.leases.size]).toEqual([
      [],
      ['a'],
      0,
    ]);
  });

  test('is parked also where its process was found dead before that was said', () => {
    const past = [...running, ended('a', { why: 'died' }), unheld('a', 'died')];
    expect(given(...past).when({ ...park, privatePages: 7 })).toEqual(events(parked));
  });

  test('is parked once, and woken once', () => {
    const past = [...running, parked, unheld('a')];
    expect(given(...past).when({ ...park, privatePages: 9 })).toEqual(events());
    expect(given(...past).when(wake)).toEqual(events(woken));
    expect(given(...past, woken).when(wake)).toEqual(events());
    expect(given(...running).when(wake)).toEqual(events());
  });
});

describe('what a clone has from its base', () => {
  const held = (table: readonly number[], base: readonly number[]): number[] => [
    ...heldInBase({
      table: Uint32Array.from(table),
      base: Uint32Array.from(base),
      own: { gfn: 1, pages: table.length - 2 },
      theirs: { gfn: 0, pages: base.length },
    }),
  ];

  test('is what both hold at the same place of the block, zeros too', () => {
    expect(held([9, 7, 0, 5, 9], [7, 0, 5])).toEqual([0, 1, 1, 1, 0]);
  });

  test('is not what lies elsewhere, nor what is zeros in one of them', () => {
    expect(held([9, 7, 0, 5, 9], [0, 7, 5])).toEqual([0, 0, 0, 1, 0]);
    expect(held([9, 7, 0, 5, 9], [])).toEqual([0, 0, 0, 0, 0]);
  });
});

test('a lease that is of no clone ends by itself', () => {
  expect(given(leased('a')).when(end('a'))).toEqual(events(unheld('a')));
});

test('whatever is begun and ended, the clones that run are those that hold a point', () => {
  const lease = fc.constantFrom('a', 'b', 'c', 'd');
  const command: fc.Arbitrary<ClonesCommand> = fc.oneof(
    fc.tuple(lease, fc.integer({ min: 1, max: 9 })).map(([of, capture]) => start(of, capture)),
    lease.map((of) => end(of)),
    fc.constant(publish),
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
      let state = initial;
      for (const each of commands) {
        const decided = decideClones(state)(each);
        if (decided._tag === 'Right') state = accepted(decided).reduce(evolve, state);
        expect([...state.clones].toSorted()).toEqual([...state.points.leases.keys()].toSorted());
      }
    }),
  );
});
