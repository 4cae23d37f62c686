// Who runs a guest, whatever fails: two hosts with a log each, messages that are lost, come twice or late,
// and crashes between any two steps, against the one rule that no two copies run. And two hosts with one
// log, where the log alone decides.

import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import {
  decideMigrations,
  evolveMigrations,
  initialMigrations,
  endOf,
  runnerOf,
  type FailMigration,
  type MigrationsCommand,
  type MigrationsState,
} from '../../domain/migrations.ts';
import { IS_LONG } from '../support/long-run.ts';

const RUNS = IS_LONG ? 5000 : 100;
const VM = { vm: 'web', capture: 1 };
type Message = 'handOver' | 'completed' | 'failed' | 'ask';
type Step =
  | { readonly at: 'source'; readonly does: 'start' | 'handOver' | 'giveUp' | 'ask' | 'crash' }
  | { readonly at: 'target'; readonly does: 'begin' | 'giveUp' | 'crash' }
  | { readonly at: 'link'; readonly does: 'deliver' | 'repeat' | 'lose'; readonly which: number };

interface Sent {
  readonly message: Message;
  readonly migration: string;
}

/** One side: a log, and whether its guest runs. What is in the log outlives a crash, the rest does not. */
class Side {
  state: MigrationsState = initialMigrations;
  isRunning: boolean;

  constructor(isRunning: boolean) {
    this.isRunning = isRunning;
  }

  /** False: refused. */
  decide(command: MigrationsCommand): boolean {
    const decided = decideMigrations(this.state)(command);
    if (either.isLeft(decided)) return false;
    for (const event of decided.right) this.state = evolveMigrations(this.state, event);
    return true;
  }
}

class World {
  readonly source = new Side(true);
  readonly target: Side;
  readonly #isShared: boolean;
  #link: Sent[] = [];
  #drawn = 0;

  constructor(isShared: boolean) {
    this.#isShared = isShared;
    this.target = new Side(false);
    if (!isShared) return;
    const { source, target } = this;
    Object.defineProperty(target, 'state', {
      get: () => source.state,
      set: (state: MigrationsState) => {
        source.state = state;
      },
    });
  }

  #current(side: Side): string {
    return side.state?.migration ?? 'none';
  }

  #fail(side: Side, migration: string, by: FailMigration['by']): boolean {
    return side.decide({ _tag: 'FailMigration', vm: 'web', migration, why: 'test', by });
  }

  #send(message: Message, migration: string): void {
    this.#link.push({ message, migration });
  }

  step(step: Step): void {
    if (step.at === 'link') this.#deliver(step);
    else if (step.at === 'source') this.#atSource(step.does);
    else this.#atTarget(step.does);
  }

  #atSource(does: 'start' | 'handOver' | 'giveUp' | 'ask' | 'crash'): void {
    const { source } = this;
    const migration = this.#current(source);
    const of = { ...VM, migration };
    switch (does) {
      case 'start':
        if (!source.isRunning) return;
        this.#drawn += 1;
        source.decide({
          _tag: 'StartMigration',
          ...VM,
          migration: String(this.#drawn).padStart(16, '0'),
          from: 'one',
          to: 'two',
          kind: 'live',
        });
        return;
      case 'handOver':
        if (!source.isRunning) return;
        // The guest is stopped before the log says that it was given up.
        source.isRunning = false;
        if (source.decide({ _tag: 'HandOver', ...of })) this.#send('handOver', migration);
        else source.isRunning = runnerOf(source.state) === 'source';
        return;
      case 'giveUp':
        if (this.#fail(source, migration, this.#isShared ? 'log' : 'nothing'))
          source.isRunning = runnerOf(source.state) === 'source';
        return;
      case 'ask':
        if (source.state?.phase === 'handedOver') this.#send('ask', migration);
        return;
      case 'crash':
        // Whoever starts it again goes by the log.
        source.isRunning = runnerOf(source.state) === 'source';
        return;
      default:
        does satisfies never;
    }
  }

  #atTarget(does: 'begin' | 'giveUp' | 'crash'): void {
    const { source, target } = this;
    if (does === 'begin') {
      const { state } = source;
      if (state?.phase !== 'started') return;
      const { migration } = state;
      target.decide({
        _tag: 'StartMigration',
        ...VM,
        migration,
        from: 'one',
        to: 'two',
        kind: 'live',
      });
      target.decide({
        _tag: 'NoteMoved',
        ...VM,
        migration,
        regions: 0,
        pages: 0,
        bytes: 0,
        held: 0,
        stale: 0,
        patched: null,
      });
    } else if (does === 'giveUp') this.#fail(target, this.#current(target), 'log');
    else target.isRunning = runnerOf(target.state) === 'target';
  }

  #deliver({ does, which }: Step & { readonly at: 'link' }): void {
    if (this.#link.length === 0) return;
    const at = which % this.#link.length;
    const sent = this.#link[at]!;
    if (does !== 'repeat') this.#link = this.#link.filter((_, i) => i !== at);
    if (does !== 'lose') this.#take(sent);
  }

  #take({ message, migration }: Sent): void {
    const { source, target } = this;
    switch (message) {
      case 'handOver': {
        const of = { ...VM, migration };
        if (!target.decide({ _tag: 'HandOver', ...of })) return;
        if (!target.decide({ _tag: 'CompleteMigration', ...of, downtimeMs: null })) return;
        target.isRunning = true;
        this.#send('completed', migration);
        return;
      }
      case 'ask': {
        const { state } = target;
        if (endOf(state, migration) === 'completed') this.#send('completed', migration);
        else if (this.#fail(target, migration, 'log')) this.#send('failed', migration);
        return;
      }
      case 'completed':
        source.decide({ _tag: 'CompleteMigration', ...VM, migration, downtimeMs: null });
        return;
      case 'failed':
        if (this.#current(source) === migration && this.#fail(source, migration, 'target'))
          source.isRunning = runnerOf(source.state) === 'source';
        return;
      default:
        message satisfies never;
    }
  }

  /** Both ask until nothing is in doubt: what was lost is sent again. */
  settle(): void {
    this.#link = [];
    for (let round = 0; round < 3; round += 1) {
      if (this.source.state?.phase === 'started') this.#atSource('giveUp');
      if (this.source.state?.phase === 'handedOver') this.#atSource('ask');
      while (this.#link.length > 0) this.#deliver({ at: 'link', does: 'deliver', which: 0 });
    }
    this.#atSource('crash');
  }
}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    at: fc.constant('source' as const),
    does: fc.constantFrom('start', 'handOver', 'giveUp', 'ask', 'crash'),
  }),
  fc.record({
    at: fc.constant('target' as const),
    does: fc.constantFrom('begin', 'giveUp', 'crash'),
  }),
  fc.record({
    at: fc.constant('link' as const),
    does: fc.constantFrom('deliver', 'deliver', 'repeat', 'lose'),
    which: fc.nat(5),
  }),
);
const steps = fc.array(step, { maxLength: 40, size: 'max' });

/** Runs steps; how often each side has run the guest at the end of one. */
function play(isShared: boolean, list: readonly Step[]): World {
  const world = new World(isShared);
  for (const each of list) {
    world.step(each);
    expect([world.source.isRunning, world.target.isRunning]).not.toEqual([true, true]);
  }
  return world;
}

describe.each([
  ['a log each', false],
  ['one log', true],
])('hosts with %s', (_what, isShared) => {
  test('never run a guest twice', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const { source, target } = play(isShared, list);
        expect(source.isRunning && target.isRunning).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });

  test('run it once, once they could ask each other', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const world = play(isShared, list);
        world.settle();
        const { source, target } = world;
        expect([source.isRunning, target.isRunning].filter(Boolean)).toHaveLength(1);
      }),
      { numRuns: RUNS },
    );
  });
});

test('a guest does come over', () => {
  const world = play(false, [
    { at: 'source', does: 'start' },
    { at: 'target', does: 'begin' },
    { at: 'source', does: 'handOver' },
    { at: 'link', does: 'deliver', which: 0 },
  ]);
  expect([world.source.isRunning, world.target.isRunning]).toEqual([false, true]);
});
