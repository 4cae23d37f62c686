// States of projections: replay, then live, and what of it is kept between runs.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Change } from '../../../projections/commits.ts';
import type { Projection } from '../../../projections/projection.ts';
import { states } from '../../../projections/subscriptions/subscribe.ts';
import { type FollowedLedger } from '../../../projections/subscriptions/messages.ts';
import { followed, makeEventfulLedger } from '../../support/ledgers/followed-ledgers.ts';
import { HandMadeLedger } from '../../support/hand-made-captures.ts';
import { MapStateFiles } from '../../support/disks/map-state-files.ts';
import { triesOf } from '../../support/long-run.ts';

/** A user's own, as docs/events.md shows one. */
const slowest: Projection<Record<string, number>> = {
  name: 'slowest',
  version: 1,
  initial: () => ({}),
  apply(state, change) {
    if (change._tag !== 'capture') return;
    const { vm, written } = change.committed;
    state[vm] = Math.max(state[vm] ?? 0, written);
  },
};

/** Notes what it folds, as a new state each time. */
const noting = (version = 1): Projection<readonly string[]> => ({
  name: 'noting',
  version,
  initial: () => [],
  apply: (state, change) => [...state, lineOf(change)],
});

const lineOf = (change: Change): string => {
  const what =
    change._tag === 'control'
      ? change.event.type
      : change._tag === 'capture'
        ? `${change.committed.vm}@${change.committed.capture}`
        : 'damage';
  return `${change.position} ${what}`;
};

/** What a subscriber has when it has caught up: each state it was given, as it was then. */
async function statesOf<S>(
  ledger: FollowedLedger,
  projection: Projection<S>,
): Promise<{ position: bigint; state: S }[]> {
  const seen: { position: bigint; state: S }[] = [];
  for await (const message of states(ledger, { projection })) {
    if (message._tag === 'caughtUp') break;
    if (message._tag !== 'state') continue;
    const { position } = message;
    seen.push({ position, state: structuredClone(message.state) });
  }
  return seen;
}

const lastOf = async <S>(ledger: FollowedLedger, projection: Projection<S>): Promise<S> =>
  (await statesOf(ledger, projection)).at(-1)!.state;

const keptName = (version: number): string => `projected/noting/${version}`;

describe('a projection', () => {
  test('gives its state after each change, replayed and then live', async () => {
    const hand = new HandMadeLedger();
    await hand.record({ vm: 'a', pages: [1, 2] });
    const ledger = followed(hand);
    const seen: string[] = [];
    for await (const message of states(ledger, { projection: noting() })) {
      if (message._tag === 'state') seen.push(message.state.at(-1)!);
      else seen.push(message._tag);
      if (message._tag === 'caughtUp') await hand.record({ vm: 'a', pages: [3, 2] });
      if (seen.at(-1)?.includes('a@2') === true) break;
    }
    expect(seen).toEqual(['2 VmRegistered', '3 a@1', 'caughtUp', '6 a@2']);
  });

  test('may change its state in place, and is JSON where it says nothing else', async () => {
    const hand = await makeEventfulLedger();
    const files = new MapStateFiles();
    const state = await lastOf(followed(hand, files), slowest);
    expect(Object.keys(state).toSorted()).toEqual(['blue', 'green', 'red']);
    const again = await statesOf(followed(hand, files), slowest);
    expect(again.map((seen) => seen.state)).toEqual([state]);
  });

  test('goes on from its kept state: it folds each change once, over any number of runs', async () => {
    const hand = new HandMadeLedger();
    const files = new MapStateFiles();
    for (let run = 0; run < 4; run += 1) {
      await hand.record({ vm: 'a', pages: [run, 2, 3] });
      const seen = await statesOf(followed(hand, files), noting());
      // The kept state first, then one for each change that is new to it.
      expect(seen).toHaveLength(2);
      expect(seen.at(-1)!.state).toHaveLength(run + 2);
    }
    const anew = await lastOf(followed(hand), noting());
    expect(await lastOf(followed(hand, files), noting())).toEqual(anew);
  });

  test('that is left anywhere, also inside a chunk, folds no change twice', async () => {
    const hand = await makeEventfulLedger();
    const expected = await lastOf(followed(hand), noting());
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 6 }), { maxLength: 12 }), async (leaves) => {
        const files = new MapStateFiles();
        for (const leave of leaves) {
          let left = leave;
          for await (const message of states(followed(hand, files), { projection: noting() })) {
            if (message._tag === 'caughtUp' || left === 0) break;
            left -= 1;
          }
        }
        expect(await lastOf(followed(hand, files), noting())).toEqual(expected);
      }),
      { numRuns: triesOf(25) },
    );
  }, 300_000);

  test('of another version folds the log anew, and neither version disturbs the other', async () => {
    const hand = await makeEventfulLedger();
    const files = new MapStateFiles();
    const first = await statesOf(followed(hand, files), noting(1));
    const second = await statesOf(followed(hand, files), noting(2));
    expect(first.length).toBeGreaterThan(10);
    expect(second).toEqual(first);
    for (const version of [1, 2])
      expect(await statesOf(followed(hand, files), noting(version))).toHaveLength(1);
    expect([...files.kept.keys()].filter((name) => name.startsWith('projected/'))).toEqual([
      keptName(1),
      keptName(2),
    ]);
  });

  test('that fails ends the subscription with its failure, and what it left is not kept', async () => {
    const hand = await makeEventfulLedger();
    const files = new MapStateFiles();
    const failing: Projection<readonly string[]> = {
      ...noting(),
      apply: (state, change) => {
        if (state.length === 5) throw new TypeError('cannot fold this');
        return [...state, lineOf(change)];
      },
    };
    await expect(statesOf(followed(hand, files), failing)).rejects.toThrow('cannot fold this');
    expect(files.kept.has(keptName(1))).toBe(false);
  });

  test.each([
    { name: '', version: 1 },
    { name: '../keys', version: 1 },
    { name: 'a', version: -1 },
    { name: 'a', version: 1.5 },
  ])('has a plain name and a whole version, not %j', async (not) => {
    const hand = new HandMadeLedger();
    const projection = { ...noting(), ...not };
    await expect(statesOf(followed(hand), projection)).rejects.toThrow('broken invariant');
  });
});

describe('a kept state', () => {
  /** The lines that a run folds, kept ones left out. */
  async function foldedLines(hand: HandMadeLedger, files: MapStateFiles): Promise<number> {
    let folds = 0;
    const counting: Projection<readonly string[]> = {
      ...noting(),
      apply: (state, change) => {
        folds += 1;
        return [...state, lineOf(change)];
      },
    };
    await statesOf(followed(hand, files), counting);
    return folds;
  }

  test('is folded anew where it is damaged, cut short or foreign', async () => {
    const hand = await makeEventfulLedger();
    const files = new MapStateFiles();
    const all = (await statesOf(followed(hand, files), noting())).length;
    const whole = files.kept.get(keptName(1))!;
    expect(await foldedLines(hand, files)).toBe(0);
    const cuts = Array.from({ length: 40 }, (_, i) => Math.floor((i * whole.length) / 40));
    const texts = ['{', '{"next":"x"}', '[]'].map((text) => new TextEncoder().encode(text));
    for (const bytes of [...cuts.map((cut) => whole.slice(0, cut)), ...texts]) {
      files.kept.set(keptName(1), bytes);
      expect(await foldedLines(hand, files)).toBe(all);
    }
    expect(await foldedLines(hand, files)).toBe(0);
  });

  test('is folded anew where the projection itself refuses it', async () => {
    const hand = await makeEventfulLedger();
    const files = new MapStateFiles();
    const strict: Projection<number> = {
      name: 'noting',
      version: 1,
      initial: () => 0,
      apply: (count) => count + 1,
      save: (count) => Uint8Array.of(count),
      load: (bytes) => {
        if (bytes.length !== 1) throw new RangeError('one byte was expected');
        return bytes[0]!;
      },
    };
    const all = await lastOf(followed(hand, files), noting());
    expect(await lastOf(followed(hand, files), strict)).toBe(all.length);
    expect(await statesOf(followed(hand, files), strict)).toHaveLength(1);
  });

  test('of another ledger is folded anew', async () => {
    const files = new MapStateFiles();
    await statesOf(followed(await makeEventfulLedger(1), files), noting());
    const other = await makeEventfulLedger(1, '00000000-0000-4000-8000-000000000000');
    const all = (await statesOf(followed(other), noting())).length;
    expect(await foldedLines(other, files)).toBe(all);
  });

  test('of a log that was longer is folded anew', async () => {
    const hand = await makeEventfulLedger();
    const files = new MapStateFiles();
    const all = await lastOf(followed(hand, files), noting());
    hand.store.events.pop();
    expect(await foldedLines(hand, files)).toBe(all.length - 1);
  });

  test('that may hold numbers of contents is folded anew where a pack was lost since', async () => {
    const hand = new HandMadeLedger();
    await hand.record({ vm: 'a', pages: [1, 2] });
    await hand.record({ vm: 'b', pages: [3, 4] });
    const files = new MapStateFiles();
    const all = (await statesOf(followed(hand, files), noting())).length;
    const lost = hand.store.events.findIndex(({ type }) => type === 'PackWritten');
    hand.store.events[lost]!.data.fill(0xff);
    const fresh = new MapStateFiles();
    fresh.kept.set(keptName(1), files.kept.get(keptName(1))!);
    expect(await foldedLines(hand, fresh)).toBe(all);
  });

  test('is not there for a ledger whose name is lost', async () => {
    const hand = new HandMadeLedger();
    await hand.record({ vm: 'a', pages: [1] });
    const files = new MapStateFiles();
    await statesOf({ ...followed(hand, files), id: null }, noting());
    expect([...files.kept.keys()].filter((name) => name.startsWith('projected/'))).toEqual([]);
  });

  test('of another past of the same log is folded anew', async () => {
    const files = new MapStateFiles();
    const first = new HandMadeLedger();
    const second = new HandMadeLedger();
    for (const hand of [first, second]) {
      await hand.record({ vm: 'a', pages: [1, 2] });
      await hand.record({ vm: 'a', pages: [1, 3] });
    }
    await second.record({ vm: 'a', pages: [4, 3] });
    await statesOf(followed(first, files), noting());
    const own = new MapStateFiles();
    own.kept.set(keptName(1), files.kept.get(keptName(1))!);
    // Same ledger, same numbers, other commits: as after a copy was put back and recorded on.
    expect(await foldedLines(second, own)).toBe(4);
  });
});
