import { describe, expect, test } from '@jest/globals';
import {
  decideMigrations,
  evolveMigrations,
  initialMigrations,
  endOf,
  runnerOf,
  type FailMigration,
  type MigrationsCommand,
  type MigrationsEvent,
} from '../../domain/migrations.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';

const given = specify({
  initial: initialMigrations,
  decide: decideMigrations,
  evolve: evolveMigrations,
});

const A = 'a'.repeat(16);
const B = 'b'.repeat(16);
const of = (migration: string) => ({ vm: 'web', migration, capture: 4 });
const start = (migration = A) => ({
  _tag: 'StartMigration' as const,
  ...of(migration),
  from: 'one',
  to: 'two',
  kind: 'live',
});
const started = (migration = A): MigrationsEvent => ({
  type: 'MigrationStarted',
  data: { ...of(migration), from: 'one', to: 'two', kind: 'live' },
});
const handOver = { _tag: 'HandOver' as const, ...of(A), capture: 7 };
const handedOver: MigrationsEvent = { type: 'GuestHandedOver', data: { ...of(A), capture: 7 } };
const complete: MigrationsCommand = { _tag: 'CompleteMigration', ...of(A), downtimeMs: 9 };
const completed: MigrationsEvent = {
  type: 'MigrationCompleted',
  data: { ...of(A), downtimeMs: 9 },
};
const fail = (by: FailMigration['by'], migration = A): MigrationsCommand => ({
  _tag: 'FailMigration',
  vm: 'web',
  migration,
  why: 'source-gone',
  by,
});
const failed = (migration = A): MigrationsEvent => ({
  type: 'MigrationFailed',
  data: { vm: 'web', migration, why: 'source-gone' },
});
const over = refusal({ _tag: 'MigrationOver', vm: 'web', migration: A });

const runner = (...happened: readonly MigrationsEvent[]) =>
  runnerOf(happened.reduce(evolveMigrations, initialMigrations));

describe('a migration', () => {
  test('goes from start over handing over to its end, each once', () => {
    expect(given().when(start())).toEqual(events(started()));
    expect(given(started()).when(start())).toEqual(events());
    expect(given(started()).when(handOver)).toEqual(events(handedOver));
    expect(given(started(), handedOver).when(handOver)).toEqual(events());
    expect(given(started(), handedOver).when(complete)).toEqual(events(completed));
    expect(given(started(), handedOver, completed).when(complete)).toEqual(events());
  });

  test('is the only one of its VM, until it is over', () => {
    const busy = refusal({ _tag: 'MigrationUnderWay', vm: 'web', migration: A });
    expect(given(started()).when(start(B))).toEqual(busy);
    expect(given(started(), handedOver).when(start(B))).toEqual(busy);
    expect(given(started(), failed()).when(start(B))).toEqual(events(started(B)));
    const back = { from: 'two', to: 'one' };
    expect(given(started(), handedOver, completed).when({ ...start(B), ...back })).toEqual(
      events({ type: 'MigrationStarted', data: { ...of(B), ...back, kind: 'live' } }),
    );
  });

  test('begins where the guest is', () => {
    expect(given(started(), handedOver, completed).when(start(B))).toEqual(
      refusal({ _tag: 'GuestElsewhere', vm: 'web', host: 'two' }),
    );
  });

  test('comes back by way of a host with a log of its own, but not to where the guest is', () => {
    const moved = given(started(), handedOver, completed);
    const from = (to: string) => ({ ...start(B), from: 'three', to });
    const elsewhere = refusal({ _tag: 'GuestElsewhere', vm: 'web', host: 'two' });
    expect(moved.when(from('one'))).toEqual(elsewhere);
    expect(moved.when({ ...from('one'), isOfOtherLog: true })).toEqual(
      events({
        type: 'MigrationStarted',
        data: { ...of(B), from: 'three', to: 'one', kind: 'live' },
      }),
    );
    expect(moved.when({ ...from('two'), isOfOtherLog: true })).toEqual(elsewhere);
  });

  test('is known to have ended when others came after it', () => {
    const later = [started(), handedOver, completed, started(B)];
    const state = later.reduce(evolveMigrations, initialMigrations);
    expect([endOf(state, A), endOf(state, B), endOf(state, 'x')]).toEqual([
      'completed',
      null,
      null,
    ]);
    expect(given(...later).when(fail('person'))).toEqual(over);
    expect(given(started(), failed(), started(B)).when(start())).toEqual(over);
  });

  test('does not begin again once it is over, nor towards the host that it is on', () => {
    expect(given(started(), failed()).when(start())).toEqual(over);
    const to = { ...start(), to: 'one' };
    expect(given().when(to)).toEqual(
      refusal({ _tag: 'MigrationToItself', vm: 'web', host: 'one' }),
    );
  });

  test('is not completed before the guest was handed over', () => {
    expect(given(started()).when(complete)).toEqual(
      refusal({ _tag: 'NotHandedOver', vm: 'web', migration: A }),
    );
  });

  test.each([
    ['failed', [failed()]],
    ['handed over and failed', [handedOver, failed()]],
  ])('that %s is neither handed over nor completed any more', (_how, ended) => {
    expect(given(started(), ...ended).when(handOver)).toEqual(over);
    expect(given(started(), ...ended).when(complete)).toEqual(over);
  });

  test('may fail as long as the guest was not handed over', () => {
    expect(given(started()).when(fail('nothing'))).toEqual(events(failed()));
    expect(given(started(), failed()).when(fail('nothing'))).toEqual(events());
  });

  test('fails afterwards only where it is known that the target has not got the guest', () => {
    const state = given(started(), handedOver);
    expect(state.when(fail('nothing'))).toEqual(
      refusal({ _tag: 'MigrationInDoubt', vm: 'web', migration: A }),
    );
    for (const by of ['log', 'target', 'person'] as const)
      expect(state.when(fail(by))).toEqual(events(failed()));
    expect(given(started(), handedOver, completed).when(fail('person'))).toEqual(over);
  });

  test('that is asked after where it never began will not begin there', () => {
    expect(given().when(fail('nothing'))).toEqual(events(failed()));
    expect(given(failed()).when(start())).toEqual(over);
    // Also while another is under way, which goes on.
    expect(given(started(B)).when(fail('nothing'))).toEqual(events(failed()));
    expect(given(started(B), failed()).when(start())).toEqual(over);
    expect(given(started(B), failed()).when({ ...handOver, ...of(B) })).toEqual(
      events({ type: 'GuestHandedOver', data: of(B) }),
    );
  });

  test('says what it moved while it is under way', () => {
    const data = { ...of(A), regions: 1, pages: 2, bytes: 3, held: 4, stale: 0, patched: 1 };
    const moved: MigrationsCommand = { _tag: 'NoteMoved', ...data };
    expect(given(started()).when(moved)).toEqual(events({ type: 'RegionsMoved', data }));
    expect(given(started(), failed()).when(moved)).toEqual(over);
    expect(given().when(moved)).toEqual(over);
  });
});

test('the source runs the guest until it hands it over, then nobody, then the target', () => {
  expect(runner()).toBe('source');
  expect(runner(started())).toBe('source');
  expect(runner(started(), handedOver)).toBeNull();
  expect(runner(started(), handedOver, completed)).toBe('target');
  expect(runner(started(), handedOver, failed())).toBe('source');
});
