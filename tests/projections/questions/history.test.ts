import { describe, expect, jest, test } from '@jest/globals';
import { FIRST_CONTENT, isContent } from '../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { pageHistory } from '../../../projections/questions/history.ts';
import { MemoryIdentifierColumn } from '../../../projections/models/identifier-index.ts';
import { PageIndex } from '../../../projections/page-index/page-index.ts';
import { rowOfGfn } from '../../../projections/page-index/recent-events.ts';
import { replayCommits } from '../../../projections/observable.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { HandMadeLedger, planCapture } from '../../support/hand-made-captures.ts';
import { MapBlockFiles } from '../../support/packs/map-block-files.ts';

async function indexOf({ state, log, files }: HandMadeLedger): Promise<PageIndex> {
  await state.catchUp({ heavy: true });
  return new PageIndex({
    state,
    replay: (from, consume) => replayCommits(log, from, consume),
    column: new MemoryIdentifierColumn(),
    files,
    blocks: new MapBlockFiles(files),
    ledger: 'hand-made',
    segmentRows: 3,
  });
}

async function historyOf(ledger: HandMadeLedger, vm: string, gfn: number) {
  const { state } = ledger;
  const index = await indexOf(ledger);
  const entry = state.catalogue.vms.get(vm)!;
  const versions = await pageHistory({ state, index }, { entry, gfn });
  return versions.map(({ capture, outcome, holding, storedBytes, sharers }) => ({
    capture,
    outcome,
    content: isContent(holding) ? holding - FIRST_CONTENT : null,
    storedBytes,
    sharers,
  }));
}

describe('the history of a page', () => {
  test('has a version for each write, with those who held it right after the capture', async () => {
    const ledger = new HandMadeLedger();
    const positions = [
      await ledger.record({ vm: 'a', pages: [5, 5, 0] }),
      await ledger.record({ vm: 'b', pages: [5, 0, 0] }),
      await ledger.record({ vm: 'a', pages: [5, 6, 0] }),
      await ledger.record({ vm: 'a', pages: [0, 6, 0] }),
      await ledger.record({ vm: 'a', pages: [6, 6, 6] }),
    ];
    const stored = { outcome: 'stored', storedBytes: PAGE_BYTES };
    const merged = { outcome: 'merged', storedBytes: 0 };
    const pattern = { outcome: 'pattern', storedBytes: 0, content: null, sharers: 0 };
    expect(await historyOf(ledger, 'a', 0)).toEqual([
      { capture: 1, ...stored, content: 0, sharers: 1 },
      { capture: 3, ...pattern },
      { capture: 4, ...merged, content: 1, sharers: 2 },
    ]);
    expect(await historyOf(ledger, 'b', 0)).toEqual([
      { capture: 1, ...merged, content: 0, sharers: 2 },
    ]);
    const { state } = ledger;
    const entry = state.catalogue.vms.get('a')!;
    expect(entry.captures.map(({ position }) => position)).toEqual(
      [0, 2, 3, 4].map((i) => positions[i]),
    );
  });

  test('shows a store that came second as the merge it folds to', async () => {
    const ledger = new HandMadeLedger();
    const plans = [
      await planCapture(ledger.state, { vm: 'a', pages: [5] }),
      await planCapture(ledger.state, { vm: 'b', pages: [5] }),
    ];
    for (const plan of plans) await ledger.append(vmStream(plan.vm), plan.batches);
    for (const plan of plans) await ledger.commit(plan);
    expect(await historyOf(ledger, 'b', 0)).toEqual([
      { capture: 1, outcome: 'merged', content: 0, storedBytes: 0, sharers: 1 },
    ]);
  });

  test('calls content that is lost no pattern', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [5, 0] });
    const pack = ledger.store.events.find(({ type }) => type === 'PackWritten')!;
    Object.assign(pack, { data: new Uint8Array(3) });
    expect(await historyOf(ledger, 'a', 0)).toMatchObject([{ outcome: 'merged', content: null }]);
    expect(await historyOf(ledger, 'a', 1)).toMatchObject([{ outcome: 'pattern' }]);
  });

  test('of a page that was never written again ends with its first version', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [1, 2] });
    await ledger.record({ vm: 'a', pages: [1, 3] });
    expect((await historyOf(ledger, 'a', 0)).map(({ capture }) => capture)).toEqual([1]);
  });

  test('asks for the holders of the newest versions alone, where no more are asked for', async () => {
    const ledger = new HandMadeLedger();
    for (const content of [5, 6, 7, 8]) await ledger.record({ vm: 'a', pages: [content, 9] });
    const { state } = ledger;
    const index = await indexOf(ledger);
    const holders = jest.spyOn(index, 'holders');
    const of = { entry: state.catalogue.vms.get('a')!, gfn: 0 };
    const all = await pageHistory({ state, index }, of);
    expect(await pageHistory({ state, index }, of, { last: 2 })).toEqual(all.slice(-2));
    expect(await pageHistory({ state, index }, of, { last: 9 })).toEqual(all);
    const asked = holders.mock.calls.map(([contents]) => [...contents].length);
    expect(asked).toEqual([4, 2, 4]);
    // What is no version counts for none.
    const isNews = ({ capture }: { readonly capture: number }) => capture !== 3;
    const others = await pageHistory({ state, index }, of, { last: 2, isNews });
    expect(others.map(({ capture }) => capture)).toEqual([2, 4]);
  });
});

describe('the row of a page in a batch', () => {
  test('is found in ascending gfns, or is none', () => {
    const gfns = Uint32Array.of(0, 3, 4, 9, 2 ** 32 - 2);
    expect([...gfns].map((gfn) => rowOfGfn(gfns, gfn))).toEqual([0, 1, 2, 3, 4]);
    expect([1, 2, 5, 8, 10].map((gfn) => rowOfGfn(gfns, gfn))).toEqual([-1, -1, -1, -1, -1]);
    expect(rowOfGfn(new Uint32Array(0), 0)).toBe(-1);
  });
});
