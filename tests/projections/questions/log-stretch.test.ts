import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { EventLog } from '../../../domain/ports/event-log.ts';
import { streamOf, type ControlEvent } from '../../../domain/events/control.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { changesIn, type Stretch } from '../../../projections/questions/log-stretch.ts';
import type { Change } from '../../../projections/commits.ts';
import { replayCommits } from '../../../projections/observable.ts';
import {
  controlEvents,
  planCapture,
  type HandMadeLedger,
} from '../../support/hand-made-captures.ts';
import { HISTORY_VMS, RandomHistory, rounds } from '../../support/ledgers/random-histories.ts';
import { triesOf } from '../../support/long-run.ts';

/** What a change says, without where its batches were found. */
const told = (change: Change): unknown => {
  const { position } = change;
  if (change._tag === 'damage') return { position };
  if (change._tag === 'control') return { position, event: change.event };
  if (change._tag !== 'capture') return { position };
  const { committed, batches, damage } = change;
  return { position, committed, rows: batches.map(({ gfns }) => [...gfns]), damage };
};

const vmOf = (change: Change): string | null => {
  if (change._tag === 'capture') return change.committed.vm;
  return change._tag === 'control' && 'vm' in change.event.data ? change.event.data.vm : null;
};

async function allOf(ledger: HandMadeLedger): Promise<Change[]> {
  const changes: Change[] = [];
  await replayCommits(ledger.log, { next: 0n, last: null, pending: [] }, async (change) => {
    changes.push(change);
  });
  return changes;
}

/** The changes of a stretch that belong to it. */
async function changesOf(ledger: HandMadeLedger, stretch: Stretch, log = ledger.log) {
  const found: Change[] = [];
  for await (const change of changesIn({ log, state: ledger.state }, stretch))
    if (isIn(stretch, change)) found.push(change);
  return found.map(told);
}

const isIn = ({ vm, from, to }: Stretch, change: Change): boolean =>
  (vm === null || vmOf(change) === vm) &&
  (from === null || change.position >= from) &&
  (to === null || change.position <= to);

const JUDGED = { since: 1, source: 'history', measure: 'written', threshold: null, regions: [] };

/** What is told of a VM in a round beside its captures: of one kind in each, or nothing. */
function besideIn(vm: string, round: number): readonly ControlEvent[] {
  const capture = 1;
  const restored = { vm, capture, how: 'file', to: null } as const;
  const events: readonly ControlEvent[] = [
    { type: 'CheckpointRestored', data: restored },
    { type: 'MigrationFailed', data: { vm, migration: 'fedcba9876543210', why: 'broke-off' } },
    { type: 'LargePageSplit', data: { vm, capture, ...JUDGED } },
  ];
  return events.slice(round % 4, (round % 4) + 1);
}

/** A log that counts the events that were read of it. */
function counted(log: EventLog): { readonly log: EventLog; readonly read: () => number } {
  let events = 0;
  const counting: EventLog = {
    append: (request) => log.append(request),
    head: () => log.head(),
    streamRevision: (stream) => log.streamRevision(stream),
    last: (stream) => log.last(stream),
    cut: (firstKept) => log.cut(firstKept),
    subscribe: (request) => log.subscribe(request),
    close: () => log.close(),
    async *read(range) {
      for await (const chunk of log.read(range)) {
        events += chunk.items.length;
        yield chunk;
      }
    },
    async *readStream(range) {
      for await (const chunk of log.readStream(range)) {
        events += chunk.length;
        yield chunk;
      }
    },
  };
  return { log: counting, read: () => events };
}

describe('a stretch of the log', () => {
  test('has the changes that the whole log has there, of one VM or all', async () => {
    await fc.assert(
      fc.asyncProperty(rounds, fc.nat(20), fc.nat(20), async (played, first, length) => {
        const history = new RandomHistory();
        const { ledger } = history;
        for (const [i, round] of played.entries()) {
          await history.play(round);
          const [vm] = round.vms;
          if (i % 2 === 0 && vm !== undefined && !history.naive.retired.has(vm))
            await ledger.checkpoint(vm, `cp${i}`, 1);
          for (const event of vm === undefined ? [] : besideIn(vm, i))
            await ledger.append(streamOf(event), controlEvents(event));
          // A recorder that dies leaves batches without a commit.
          const pages = Array.from({ length: 60 }, (_, gfn) => gfn % (i + 3));
          if (i % 3 !== 1 || vm === undefined || history.naive.retired.has(vm)) continue;
          const plan = await planCapture(ledger.state, { vm, pages });
          await ledger.append(vmStream(vm), plan.batches);
        }
        await ledger.state.catchUp({ heavy: true });
        const all = await allOf(ledger);
        const from = all[first % all.length]!.position;
        const to = all[Math.min(all.length - 1, (first % all.length) + length)]!.position;
        for (const vm of [null, ...HISTORY_VMS])
          for (const bounds of [
            { from: null, to: null },
            { from, to: null },
            { from: null, to },
            { from, to },
            { from: from + 1n, to: to - 1n },
          ]) {
            const stretch = { vm, ...bounds };
            expect(await changesOf(ledger, stretch)).toEqual(
              all.filter((change) => isIn(stretch, change)).map(told),
            );
          }
      }),
      { numRuns: triesOf(25) },
    );
  }, 300_000);

  test('reads little more than what it has', async () => {
    const history = new RandomHistory();
    const { ledger } = history;
    for (let i = 0; i < 30; i += 1)
      await history.play({
        seed: i,
        vms: i % 10 === 4 ? ['b'] : ['a'],
        changes: 40,
        retires: null,
        grows: 0,
      });
    await ledger.state.catchUp({ heavy: true });
    const whole = (await allOf(ledger)).length;
    expect(whole).toBeGreaterThan(30);
    const ofB = counted(ledger.log);
    expect(await changesOf(ledger, { vm: 'b', from: null, to: null }, ofB.log)).toHaveLength(4);
    const events = ledger.store.events.filter(({ stream }) => stream === vmStream('b'));
    expect(ofB.read()).toBeLessThanOrEqual(events.length + 3);
    const positions = (await allOf(ledger)).map(({ position }) => position);
    const few = counted(ledger.log);
    await changesOf(ledger, { vm: null, from: positions[12]!, to: positions[13]! }, few.log);
    expect(few.read()).toBeLessThan(ledger.store.events.length / 6);
  });

  test('of a VM whose events were damaged since has all that can be read', async () => {
    const history = new RandomHistory();
    const { ledger } = history;
    for (let i = 0; i < 6; i += 1)
      await history.play({ seed: i, vms: ['a', 'b'], changes: 5, retires: null, grows: 0 });
    await ledger.state.catchUp({ heavy: true });
    const whole = await changesOf(ledger, { vm: 'b', from: null, to: null });
    const { log } = counted(ledger.log);
    let left = 2;
    const damaged: EventLog = {
      ...log,
      async *readStream(range) {
        for await (const chunk of log.readStream(range))
          for (const event of chunk) {
            left -= 1;
            if (left === -1) throw new LedgerError('LOG_DAMAGED', 'an event is missing');
            yield [event];
          }
      },
    };
    for (let events = 0; events < 16; events += 1) {
      left = events;
      const found = await changesOf(ledger, { vm: 'b', from: null, to: null }, damaged);
      expect(found).toEqual(whole);
      expect(left).toBeLessThan(0);
    }
  });
});
