import { describe, expect, test } from '@jest/globals';
import { lastValueFrom, scan, type Subscription } from 'rxjs';
import { markOf, type EventLog } from '../../domain/ports/event-log.ts';
import type { AssemblerState, Change } from '../../projections/commits.ts';
import {
  changes$,
  liveChanges,
  observed,
  replayCommits,
  type Arrival,
} from '../../projections/observable.ts';
import { vmStream } from '../../domain/events/streams.ts';
import { HandMadeLedger, planCapture } from '../support/hand-made-captures.ts';

const START: AssemblerState = { next: 0n, last: null, pending: [] };

const lineOf = (change: Change): string => {
  if (change._tag === 'capture') return `${change.committed.vm}@${change.committed.capture}`;
  return change._tag === 'control' ? change.event.type : 'damage';
};

/** A live subscription that notes what it folded and where it stands. */
class Listener {
  readonly lines: string[] = [];
  state: AssemblerState;
  readonly #abort = new AbortController();
  readonly #subscription: Subscription;
  readonly ended: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(log: EventLog, from: AssemblerState) {
    this.state = from;
    const arrivals = observed<Arrival>({
      signal: this.#abort.signal,
      open: async function* open(signal) {
        for await (const arrival of liveChanges(log, { from, signal })) yield [arrival];
      },
      handle: async ({ changes }) => {
        await Promise.resolve();
        for (const change of changes) this.lines.push(lineOf(change));
      },
    });
    let end: { resolve: () => void; reject: (failure: unknown) => void };
    this.ended = new Promise((resolve, reject) => {
      end = { resolve, reject };
    });
    this.#subscription = arrivals.subscribe({
      next: ({ state, _tag }) => {
        this.state = state;
        if (_tag === 'caughtUp') this.lines.push('caught up');
        this.#wake();
      },
      error: (failure) => end.reject(failure),
      complete: () => end.resolve(),
    });
  }

  /** Resolves when a line was seen and a mark came after it. */
  async see(line: string): Promise<void> {
    while (!this.lines.includes(line))
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  abort(): void {
    this.#abort.abort();
  }

  unsubscribe(): void {
    this.#subscription.unsubscribe();
  }
}

describe('a subscription to commits', () => {
  test('replays, says that it caught up, and goes on live', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [1, 2] });
    const listener = new Listener(ledger.log, START);
    await listener.see('caught up');
    await ledger.record({ vm: 'a', pages: [1, 3] });
    await listener.see('a@2');
    listener.abort();
    await listener.ended;
    expect(listener.lines).toEqual(['VmRegistered', 'a@1', 'caught up', 'a@2']);
  });

  test('goes on from a mark, also inside a capture', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [1, 2] });
    const open = await planCapture(ledger.state, { vm: 'b', pages: [3] });
    await ledger.append(vmStream('b'), open.batches);
    const first = new Listener(ledger.log, START);
    await first.see('caught up');
    first.abort();
    await first.ended;
    expect(first.state.pending).toEqual([{ stream: 'vm-b', revision: 0, position: 4n }]);
    await ledger.commit(open);
    const second = new Listener(ledger.log, first.state);
    await second.see('caught up');
    second.abort();
    await second.ended;
    expect(second.lines).toEqual(['VmRegistered', 'b@1', 'caught up']);
  });

  test('lets go of the log when nobody listens any more', async () => {
    const ledger = new HandMadeLedger();
    const listener = new Listener(ledger.log, START);
    await listener.see('caught up');
    await turn();
    expect(ledger.store.listenerCount).toBe(1);
    listener.unsubscribe();
    await turn();
    expect(ledger.store.listenerCount).toBe(0);
    await ledger.record({ vm: 'a', pages: [1] });
    await turn();
    expect(listener.lines).toEqual(['caught up']);
  });

  test('ends with what ended the reading', async () => {
    const ledger = new HandMadeLedger();
    await ledger.log.close();
    const listener = new Listener(ledger.log, START);
    await expect(listener.ended).rejects.toMatchObject({ code: 'LEDGER_CLOSED' });
  });
});

/** Lets everything that is ready run. */
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

describe('a replay', () => {
  test('waits for who folds before it hands on the next change', async () => {
    const ledger = new HandMadeLedger();
    for (let capture = 0; capture < 4; capture += 1)
      await ledger.record({ vm: 'a', pages: [capture] });
    let folding = 0;
    let most = 0;
    let folded = 0;
    const state = await replayCommits(ledger.log, START, async () => {
      folding += 1;
      most = Math.max(most, folding);
      await Promise.resolve();
      folding -= 1;
      folded += 1;
    });
    expect({ most, folded }).toEqual({ most: 1, folded: 5 });
    expect(state).toEqual({
      next: BigInt(ledger.store.events.length),
      last: markOf(ledger.store.events.at(-1)!),
      pending: [],
    });
  });
});

describe('the changes of a log', () => {
  test('are replayed to its end, each a value of its own, for whatever is folded over them', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [1, 2] });
    await ledger.record({ vm: 'b', pages: [2] });
    const folded = changes$(ledger.log).pipe(
      scan((lines, change) => [...lines, lineOf(change)], new Array<string>()),
    );
    expect(await lastValueFrom(folded)).toEqual(['VmRegistered', 'a@1', 'VmRegistered', 'b@1']);
  });

  test('go on live until aborted, after what was seen before', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [1] });
    const from = await replayCommits(ledger.log, START, () => Promise.resolve());
    const abort = new AbortController();
    const lines: string[] = [];
    const ended = changes$(ledger.log, { from, signal: abort.signal }).forEach((change) => {
      lines.push(lineOf(change));
      if (lines.length === 2) abort.abort();
    });
    await ledger.record({ vm: 'a', pages: [2] });
    await ledger.record({ vm: 'a', pages: [3] });
    await ended;
    expect(lines).toEqual(['a@2', 'a@3']);
  });
});
