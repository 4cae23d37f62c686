// The projections that come with the ledger say what its commands say, at every position.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sharingReport } from '../../../projections/questions/sharing-at.ts';
import { sharingAt } from '../../support/ledgers/sharing-counts.ts';
import {
  projectionNamed,
  projectionNames,
  registerProjection,
} from '../../../projections/subscriptions/registered.ts';
import { states } from '../../../projections/subscriptions/subscribe.ts';
import {
  type FollowedLedger,
  type StateMessage,
} from '../../../projections/subscriptions/messages.ts';
import { followed, makeEventfulLedger, seenOf } from '../../support/ledgers/followed-ledgers.ts';
import { HandMadeLedger } from '../../support/hand-made-captures.ts';
import { MapStateFiles } from '../../support/disks/map-state-files.ts';
import { triesOf } from '../../support/long-run.ts';

interface Seen {
  readonly position: bigint;
  readonly view: unknown;
}

async function viewsOf(ledger: FollowedLedger, projection: string): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const message of states(ledger, { projection }) as AsyncIterable<
    StateMessage<unknown>
  >) {
    if (message._tag === 'caughtUp') break;
    if (message._tag === 'state')
      seen.push({ position: message.position, view: structuredClone(message.view()) });
  }
  return seen;
}

describe('the projection sharing', () => {
  test('counts as the command does, after every change', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const hand = await makeEventfulLedger(seed);
        const { state } = hand;
        await state.catchUp({ heavy: true });
        const seen = await viewsOf(followed(hand), 'sharing');
        expect(seen.length).toBeGreaterThan(12);
        for (const { position, view } of seen)
          expect(view).toEqual({
            ...(await sharingAt(state, { position, vm: null })),
            unknown: 0,
            heldLarge: 0,
          });
      }),
      { numRuns: triesOf(8) },
    );
  }, 300_000);

  test('counts the same with its state kept after any change', async () => {
    const hand = await makeEventfulLedger(3);
    const whole = await viewsOf(followed(hand), 'sharing');
    const files = new MapStateFiles();
    const resumed: Seen[] = [];
    for (let run = 0; run < whole.length; run += 1) {
      let count = 0;
      for await (const message of states(followed(hand, files), { projection: 'sharing' })) {
        count += 1;
        if (message._tag !== 'state' || (run > 0 && count === 1)) continue;
        resumed.push({ position: message.position, view: message.view() });
        break;
      }
    }
    expect(resumed).toEqual(whole);
  });

  test('counts pages that are held large, with its state kept after any change', async () => {
    const hand = new HandMadeLedger();
    const isLarge = (gfn: number): boolean => gfn < 3;
    const all = { isLarge, isToBeSmall: () => false, mayStayLarge: isLarge };
    await hand.record({ vm: 'a', pages: [1, 2, 2, 4], large: all });
    await hand.record({ vm: 'b', pages: [2, 4, 0, 0] });
    await hand.record({ vm: 'a', pages: [1, 7, 2, 4], large: all });
    const { state } = hand;
    await state.catchUp({ heavy: true });
    const files = new MapStateFiles();
    for (const from of [files, files, new MapStateFiles()]) {
      const seen = await viewsOf(followed(hand, from), 'sharing');
      expect(seen.length).toBeGreaterThan(0);
      for (const { position, view } of seen) {
        const { heldLarge, unique } = await sharingReport(state, { position, vm: null });
        expect(view).toMatchObject({ heldLarge, unique });
      }
      expect(seen.at(-1)!.view).toMatchObject({ heldLarge: 3 });
    }
  });

  test('knows nothing of pages whose events were lost, and counts them apart', async () => {
    const hand = new HandMadeLedger();
    await hand.record({ vm: 'a', pages: [1, 2, 3], rowsMax: 2, packPagesMax: 8 });
    await hand.record({ vm: 'a', pages: [1, 4, 0] });
    const lost = hand.store.events.findIndex(({ type }) => type === 'PagesWritten');
    const { data } = hand.store.events[lost]!;
    data.fill(0xff);
    const seen = await viewsOf(followed(hand), 'sharing');
    const views = seen.map(({ view }) => view as Record<string, number>);
    expect(views.at(-1)).toMatchObject({ vms: 1, pages: 3, zero: 1, unique: 1, unknown: 1 });
    for (const { pages, zero, pattern, unique, mergedIntra, mergedInter, unknown } of views)
      expect(zero! + pattern! + unique! + mergedIntra! + mergedInter! + unknown!).toBe(pages);
  });
});

test('the projection writes counts page events as the fold shows them', async () => {
  const hand = await makeEventfulLedger(4);
  const counted = new Map<string, Record<string, unknown>>();
  for (const { vm, type, facts } of await seenOf(followed(hand), { pages: true })) {
    if (vm === null || facts['gfn'] === undefined) continue;
    const none = {
      vm,
      PageStored: 0,
      PageMerged: 0,
      PatternPageShared: 0,
      PageUnknown: 0,
      SharingBroken: 0,
    };
    const counts: Record<string, unknown> = counted.get(vm) ?? none;
    counts[type] = Number(counts[type]) + 1;
    counted.set(vm, counts);
  }
  const { view } = (await viewsOf(followed(hand), 'writes')).at(-1)!;
  expect(view).toEqual({ vms: ['red', 'green', 'blue'].map((vm) => counted.get(vm)) });
  expect((view as { vms: unknown[] }).vms).toHaveLength(3);
});

test('the projection vms knows each VM, its newest capture and its end, whatever it is named', async () => {
  const hand = new HandMadeLedger();
  await hand.record({ vm: 'constructor', pages: [1, 2], timeMs: 1000 });
  const position = await hand.record({ vm: 'constructor', pages: [1, 3], timeMs: 2000 });
  const files = new MapStateFiles();
  await viewsOf(followed(hand, files), 'vms');
  await hand.retire('constructor');
  expect((await viewsOf(followed(hand, files), 'vms')).at(-1)!.view).toEqual({
    vms: [
      {
        vm: 'constructor',
        captures: 2,
        written: 3,
        capture: 2,
        position: String(position),
        timeMs: 2000,
        isRetired: true,
      },
    ],
  });
});

describe('projections by name', () => {
  test('are those of the ledger and those that a user registers, each name once', async () => {
    expect(projectionNames()).toEqual(['sharing', 'vms', 'writes']);
    const commits = {
      name: 'commits',
      version: 1,
      initial: () => ({ count: 0 }),
      apply: (state: { count: number }, change: { readonly _tag: string }) => {
        if (change._tag === 'capture') state.count += 1;
      },
    };
    registerProjection(commits);
    expect(projectionNamed('commits')).toBe(commits);
    const hand = await makeEventfulLedger();
    expect((await viewsOf(followed(hand), 'commits')).at(-1)!.view).toEqual({ count: 11 });
    expect(() => registerProjection({ ...commits })).toThrow('broken invariant');
  });

  test('are refused where there is none of that name', () => {
    expect(() => projectionNamed('nothing')).toThrow('those that are: sharing, vms, writes');
  });
});
