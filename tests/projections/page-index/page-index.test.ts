import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FIRST_CONTENT, ZERO } from '../../../domain/values/holding.ts';
import { pageHistory } from '../../../projections/questions/history.ts';
import { contentNamed, holdersOf, type Holder } from '../../../projections/questions/who.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import { MemoryIdentifierColumn } from '../../../projections/models/identifier-index.ts';
import { PageIndex } from '../../../projections/page-index/page-index.ts';
import { replayCommits } from '../../../projections/observable.ts';
import { HandMadeLedger, identifierOf } from '../../support/hand-made-captures.ts';
import { MapBlockFiles } from '../../support/packs/map-block-files.ts';
import { MapStateFiles } from '../../support/disks/map-state-files.ts';
import type { NaiveCapture, NaiveLedger } from '../../support/ledgers/naive-ledger.ts';
import {
  HISTORY_CONTENTS,
  HISTORY_PAGES_MAX,
  HISTORY_VMS,
  RandomHistory,
  rounds,
} from '../../support/ledgers/random-histories.ts';
import { triesOf } from '../../support/long-run.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const IDENTIFIERS = Array.from({ length: HISTORY_CONTENTS }, (_, content) =>
  hex(identifierOf(content)),
);

interface Opened {
  readonly state: LedgerState;
  readonly index: PageIndex;
  readonly blocks: MapBlockFiles;
}

/** An index over a ledger, as a process has one, which writes a segment after so few page events. */
function openIndex(
  ledger: HandMadeLedger,
  options: {
    state?: LedgerState;
    blocks?: MapBlockFiles;
    segmentRows?: number;
    segmentCaptures?: number;
    onChange?: () => void;
  } = {},
): Opened {
  const { state = ledger.state, segmentRows = 20, segmentCaptures, onChange } = options;
  const { files } = ledger;
  const blocks = options.blocks ?? new MapBlockFiles(files);
  const index = new PageIndex({
    state,
    replay: (from, consume) =>
      replayCommits(ledger.log, from, (change) => {
        onChange?.();
        return consume(change);
      }),
    column: new MemoryIdentifierColumn(),
    files,
    blocks,
    ledger: 'hand-made',
    segmentRows,
    ...(segmentCaptures === undefined ? {} : { segmentCaptures }),
  });
  return { state, index, blocks };
}

/** Pages that hold a content right after a position, in the model. */
function holdersIn(naive: NaiveLedger, content: number, position: bigint): Set<string> {
  const latest = new Map<string, NaiveCapture>();
  for (const capture of naive.captures)
    if (capture.position <= position) latest.set(capture.vm, capture);
  const held = new Set<string>();
  for (const [vm, { table }] of latest) {
    const retired = naive.retired.get(vm);
    if (retired !== undefined && retired <= position) continue;
    for (const [gfn, holding] of table.entries()) if (holding === content) held.add(`${vm}/${gfn}`);
  }
  return held;
}

async function expectHistories({ state, index }: Opened, naive: NaiveLedger): Promise<void> {
  const end = naive.captures.at(-1)!.position + 1_000_000n;
  for (const vm of HISTORY_VMS) {
    const entry = state.catalogue.vms.get(vm);
    if (entry === undefined) continue;
    for (let gfn = 0; gfn < HISTORY_PAGES_MAX; gfn += 7) {
      const expected = naive.captures
        .filter((capture) => capture.vm === vm)
        .flatMap(({ capture, position, events }) =>
          events
            .filter((event) => event.gfn === gfn && event.type !== 'SharingBroken')
            .map(({ type, content }) => {
              const then = holdersIn(naive, content, position);
              const now = holdersIn(naive, content, end);
              now.delete(`${vm}/${gfn}`);
              const outcomes = {
                PageStored: 'stored',
                PageMerged: 'merged',
                PatternPageShared: 'pattern',
                PageUnknown: 'unknown',
              } as const;
              return {
                capture,
                position,
                gfn,
                outcome: outcomes[type as 'PageStored'],
                sharers: content <= 0 ? 0 : then.size - 1,
                sharersNow: content <= 0 ? 0 : now.size,
              };
            }),
        );
      const found = await pageHistory({ state, index }, { entry, gfn });
      expect(
        found.map(({ capture, position, gfn: of, outcome, sharers, sharersNow }) => ({
          capture,
          position,
          gfn: of,
          outcome,
          sharers,
          sharersNow,
        })),
      ).toEqual(expected);
    }
  }
}

/** Every holding of a content in the model: from which capture until which. */
function spansIn(naive: NaiveLedger, content: number): string[] {
  const spans: string[] = [];
  for (const vm of HISTORY_VMS) {
    const captures = naive.captures.filter((capture) => capture.vm === vm);
    for (let gfn = 0; gfn < HISTORY_PAGES_MAX; gfn += 1) {
      let from = 0;
      for (const { capture, table } of captures) {
        if (table[gfn] === content && from === 0) from = capture;
        if (table[gfn] !== content && from > 0) {
          spans.push(`${vm}/${gfn} ${from} ${capture}`);
          from = 0;
        }
      }
      if (from > 0) spans.push(`${vm}/${gfn} ${from} ${naive.retired.has(vm) ? 'retired' : null}`);
    }
  }
  return spans.toSorted();
}

async function expectHolders(opened: Opened, naive: NaiveLedger): Promise<void> {
  const ports = { ...opened, column: opened.state.sharing.column };
  const zeros = await holdersOf(ports, [ZERO], null);
  const ofContent = await holdersOf(ports, [FIRST_CONTENT], null);
  const spanOf = ({ vm, gfn, from, to, retiredAt }: Holder): string =>
    `${vm}/${gfn} ${from} ${retiredAt === null ? to : 'retired'}`;
  expect(zeros.map(spanOf).toSorted()).toEqual(spansIn(naive, 0));
  // Both asked at once, which are not equal.
  const both = await opened.index.holders([ZERO, FIRST_CONTENT]);
  expect([both.get(ZERO)!.length, both.get(FIRST_CONTENT)!.length]).toEqual([
    zeros.length,
    ofContent.length,
  ]);
  for (let content = 1; content < HISTORY_CONTENTS; content += 1) {
    const named = await contentNamed(ports, IDENTIFIERS[content]!);
    const expected = spansIn(naive, content);
    const isKnown = naive.captures.some(({ table }) => table.includes(content));
    expect(named._tag === 'Left' ? named.left._tag : null).toBe(
      isKnown ? null : 'IdentifierUnknown',
    );
    if (named._tag === 'Left') continue;
    const { holdings } = named.right;
    const found = await holdersOf(ports, holdings, null);
    expect(found.map(spanOf).toSorted()).toEqual(expected);
    for (const { position } of naive.captures) {
      const there = await holdersOf(ports, holdings, { position });
      expect(new Set(there.map(({ vm, gfn }) => `${vm}/${gfn}`))).toEqual(
        holdersIn(naive, content, position),
      );
    }
  }
}

describe('the page index says what a naive model says', () => {
  test('of histories and holders, at every step, kept up or derived anew', async () => {
    await fc.assert(
      fc.asyncProperty(rounds, fc.integer({ min: 1, max: 90 }), async (played, segmentRows) => {
        const { ledger, naive, history } = await begin(played.slice(0, -1));
        const kept = openIndex(ledger, { segmentRows });
        await kept.state.catchUp({ heavy: true });
        if (naive.captures.length > 0) await expectHistories(kept, naive);
        for (const round of played.slice(-1)) await history.play(round);
        await kept.state.catchUp({ heavy: true });
        const { blocks } = kept;
        // Another process goes on with what this one kept; a third begins with nothing.
        const next = openIndex(ledger, { segmentRows, blocks });
        const fresh = openIndex(withoutState(ledger), { state: ledger.state, segmentRows });
        for (const opened of [kept, next, fresh]) {
          await expectHistories(opened, naive);
          await expectHolders(opened, naive);
        }
        expect(blocks.openFiles).toBe(0);
      }),
      { numRuns: triesOf(12) },
    );
  }, 300_000);

  test('of pages that nobody tells of and that ended a sharing', async () => {
    const round = { changes: 40, retires: null, grows: 0, vms: ['c'] };
    const { ledger, naive } = await begin(
      [5_282_063, 567_137_543].map((seed) => ({ ...round, seed })),
    );
    const opened = openIndex(ledger, { segmentRows: 1 });
    await opened.state.catchUp({ heavy: true });
    const broken = naive.captures[1]!.events.filter(({ type }) => type === 'SharingBroken');
    const untold = naive.captures[1]!.events.filter(({ type }) => type === 'PageUnknown');
    expect(untold.filter(({ gfn }) => broken.some((other) => other.gfn === gfn))).not.toEqual([]);
    await expectHistories(opened, naive);
    await expectHolders(opened, naive);
  });
});

/** The same log with state files of its own. */
function withoutState(ledger: HandMadeLedger): HandMadeLedger {
  return Object.assign(Object.create(Object.getPrototypeOf(ledger)) as HandMadeLedger, ledger, {
    files: new MapStateFiles(),
  });
}

async function begin(played: Parameters<RandomHistory['play']>[0][]) {
  const history = new RandomHistory();
  for (const round of played) await history.play(round);
  return { history, ledger: history.ledger, naive: history.naive };
}

/** A ledger of a VM whose pages are written again and again. */
async function makeBusyLedger(captures: number): Promise<HandMadeLedger> {
  const ledger = new HandMadeLedger();
  for (let capture = 1; capture <= captures; capture += 1) {
    const pages = Array.from({ length: 16 }, (_, gfn) => 1 + ((gfn * capture) % 23));
    await ledger.record({ vm: 'a', pages });
  }
  await ledger.state.catchUp({ heavy: true });
  return ledger;
}

describe('the page index', () => {
  test('has few segments of a long history, and reads few blocks', async () => {
    const ledger = await makeBusyLedger(150);
    const { index, blocks } = openIndex(ledger, { segmentRows: 16 });
    const versions = await index.versions('a', 3);
    const held = Array.from({ length: 150 }, (_, i) => 1 + ((3 * (i + 1)) % 23));
    expect(versions.map(({ capture }) => capture)).toEqual(
      held.flatMap((content, i) => (i === 0 || content !== held[i - 1] ? [i + 1] : [])),
    );
    expect(index.segments.length).toBeLessThanOrEqual(3 * 7);
    expect(index.segments.map(({ level }) => level)).toEqual(
      index.segments.map(({ level }) => level).toSorted((a, b) => b - a),
    );
    const before = blocks.blocksRead;
    await index.versions('a', 3);
    expect(blocks.blocksRead - before).toBeLessThanOrEqual(4 * index.segments.length);
  });

  test('does not read captures again and again, however small they are', async () => {
    const ledger = await makeBusyLedger(50);
    let changes = 0;
    const onChange = (): void => void (changes += 1);
    const few = { segmentRows: 2 ** 18, segmentCaptures: 50, onChange };
    const { index, blocks } = openIndex(ledger, few);
    const versions = await index.versions('a', 3);
    expect(changes).toBeGreaterThanOrEqual(50);
    expect(index.segments).toHaveLength(1);
    changes = 0;
    const pages = Array.from({ length: 16 }, (_, gfn) => (gfn === 0 ? 22 : 1 + ((gfn * 50) % 23)));
    await ledger.record({ vm: 'a', pages });
    await ledger.state.catchUp({ heavy: true });
    const again = openIndex(ledger, { ...few, blocks }).index;
    expect(await again.versions('a', 3)).toEqual(versions);
    expect(changes).toBe(1);
    expect(again.segments).toHaveLength(1);
  });

  test('is derived anew where any block of it is damaged', async () => {
    const ledger = await makeBusyLedger(40);
    const { blocks } = openIndex(ledger);
    const whole = openIndex(ledger, { blocks, segmentRows: 64 });
    const versions = await whole.index.versions('a', 5);
    const holders = await whole.index.holders([FIRST_CONTENT + 2]);
    expect(blocks.kept.size).toBeGreaterThan(0);
    for (const [name, of] of new Map(blocks.kept))
      for (const number of of.keys()) {
        blocks.spoilt.clear();
        blocks.spoilt.add(`${name}/${number}`);
        const { index } = openIndex(ledger, { blocks, segmentRows: 64 });
        expect(await index.versions('a', 5)).toEqual(versions);
        expect(await index.holders([FIRST_CONTENT + 2])).toEqual(holders);
        expect(blocks.openFiles).toBe(0);
      }
  });

  test('is kept up by several processes that ask at once', async () => {
    const ledger = await makeBusyLedger(10);
    const blocks = new MapBlockFiles(ledger.files);
    const processes = [1, 2, 3].map(() => openIndex(ledger, { blocks, segmentRows: 16 }).index);
    for (let round = 0; round < 12; round += 1) {
      for (let i = 0; i < 12; i += 1) {
        const pages = Array.from({ length: 16 }, (_, gfn) => 1 + ((gfn * (round + i + 5)) % 29));
        await ledger.record({ vm: i % 3 === 0 ? 'b' : 'a', pages });
      }
      await ledger.state.catchUp({ heavy: true });
      const alone = openIndex(withoutState(ledger), { segmentRows: 1000 }).index;
      const expected = [await alone.versions('a', 5), await alone.holders([FIRST_CONTENT + 3])];
      const answers = await Promise.all(
        processes.map((index) =>
          Promise.all([index.versions('a', 5), index.holders([FIRST_CONTENT + 3])]),
        ),
      );
      for (const answer of answers) expect(answer).toEqual(expected);
    }
    expect(blocks.openFiles).toBe(0);
  });

  test('answers where none of its files can be kept', async () => {
    const ledger = await makeBusyLedger(30);
    const versions = await openIndex(ledger).index.versions('a', 5);
    const blocks = new MapBlockFiles(ledger.files);
    blocks.savesLeft = 0;
    ledger.files.kept.delete('page-index/list');
    const { index } = openIndex(ledger, { blocks });
    expect(await index.versions('a', 5)).toEqual(versions);
    expect(index.segments).toEqual([]);
  });

  test('of another ledger is not believed', async () => {
    const one = await makeBusyLedger(20);
    const { blocks } = openIndex(one);
    const { index } = openIndex(one, { blocks });
    await index.versions('a', 5);
    const other = new HandMadeLedger();
    await other.record({ vm: 'a', pages: [1, 2, 3] });
    for (const [name, bytes] of one.files.kept)
      if (name.startsWith('page-index/')) other.files.kept.set(name, bytes);
    const { index: there } = openIndex(other, { blocks });
    expect((await there.versions('a', 2)).map(({ capture }) => capture)).toEqual([1]);
    expect(await there.versions('a', 9)).toEqual([]);
  });

  test('ends what a VM held where events before a capture were lost', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [5, 6] });
    await ledger.record({ vm: 'b', pages: [5, 0] });
    await ledger.record({ vm: 'a', pages: [5, 7] });
    const lost = ledger.store.events.filter(({ type }) => type === 'PagesWritten').at(-1)!;
    Object.assign(lost, { data: new Uint8Array(3) });
    const state = ledger.open(new MapStateFiles());
    await state.catchUp({ heavy: true });
    const { index } = openIndex(ledger, { state, segmentRows: 1 });
    const held = (await index.holders([FIRST_CONTENT])).get(FIRST_CONTENT);
    expect(held).toEqual([
      { vm: 'a', gfn: 0, from: 1, to: 2 },
      { vm: 'b', gfn: 0, from: 1, to: null },
    ]);
    // What came before the loss may be kept; what came with it or after is in memory.
    expect(index.segments.every(({ to }) => to < state.next)).toBe(true);
    expect(index.segments).toHaveLength(2);
  });
});
