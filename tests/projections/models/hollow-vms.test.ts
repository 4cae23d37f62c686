// A VM that was registered with far more pages than its first capture tells of, as no recorder of ours
// does: it takes no memory that its events do not account for, and closes nobody but itself.

import { expect, test } from '@jest/globals';
import { flatMap, tablePages } from '../../../domain/values/memory-map.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { damagedCaptures } from '../../../projections/questions/affected-points.ts';
import { replayCommits } from '../../../projections/observable.ts';
import { LOG_START } from '../../../projections/commits.ts';
import { sharingCounts } from '../../../projections/subscriptions/builtin/sharing-counts.ts';
import { foldedKinds } from '../../../projections/models/folded-kinds.ts';
import { holdingsOf } from '../../../projections/table.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import { controlEvents, HandMadeLedger, planCapture } from '../../support/hand-made-captures.ts';
import { MapStateFiles } from '../../support/disks/map-state-files.ts';

const HUGE = 2 ** 28;
const ROOM_BYTES = 64 * 2 ** 20;

/** VM a, and between its captures VM b with a memory that nobody has. */
async function makeLedger(): Promise<HandMadeLedger> {
  const ledger = new HandMadeLedger();
  await ledger.record({ vm: 'a', pages: [1, 2, 3] });
  const plan = await planCapture(ledger.state, { vm: 'b', pages: [1, 9, 0] });
  await ledger.append(vmStream('b'), plan.batches);
  const commit = plan.commit(0).at(-1)!;
  const registered = {
    type: 'VmRegistered',
    data: { vm: 'b', group: 'default', share: 'group', memoryMap: flatMap(HUGE), parent: null },
  } as const;
  await ledger.append(vmStream('b'), [...controlEvents(registered), commit]);
  await ledger.record({ vm: 'a', pages: [1, 9, 4] });
  await ledger.state.catchUp({ heavy: true });
  return ledger;
}

const tableOf = async (state: LedgerState, vm: string, capture: number): Promise<number[]> => {
  const entry = state.catalogue.vms.get(vm)!;
  return [...(await state.tables.at(entry, state.contents, entry.capture(capture)!))];
};

test.each([
  [{ before: 0, claimed: 2 ** 16, told: 0 }, 2 ** 16],
  [{ before: 0, claimed: 2 ** 28, told: 0 }, 2 ** 16],
  [{ before: 0, claimed: 2 ** 20, told: 2 ** 16 }, 2 ** 20],
  [{ before: 0, claimed: 2 ** 20, told: 2 ** 16 - 1 }, 2 ** 20 - 16],
  [{ before: 2 ** 20, claimed: 2 ** 28, told: 1 }, 2 ** 20 + 16],
  [{ before: 2 ** 20, claimed: 2 ** 20, told: 0 }, 2 ** 20],
])('a table has as many pages as something stands behind: %j', (of, pages) => {
  expect(tablePages(of)).toBe(pages);
});

test('takes no memory, and no point of another VM', async () => {
  const before = process.memoryUsage().arrayBuffers;
  const ledger = await makeLedger();
  const { state, log } = ledger;
  const replay = (from: typeof LOG_START, consume: Parameters<typeof replayCommits>[2]) =>
    replayCommits(log, from, consume);
  await state.save();
  const kept = ledger.open();
  await kept.load();
  for (const each of [state, kept, ledger.open(new MapStateFiles())]) {
    await each.catchUp({ heavy: true });
    expect(await tableOf(each, 'a', 2)).toEqual([...(await tableOf(state, 'a', 2))]);
    const entry = each.catalogue.vms.get('b')!;
    expect(await each.currentTable(entry)).toHaveLength(2 ** 16);
    expect(await tableOf(each, 'b', 1)).toHaveLength(2 ** 16);
    const row = entry.capture(1)!;
    expect(() => memoryMapOf({ entry, row })).toThrow(/claims more than its captures tell of/u);
    const damaged = await damagedCaptures({ state: each, replay });
    expect([...damaged].map(([vm, of]) => [vm, [...of]])).toEqual([['b', [1]]]);
  }
  const tally = sharingCounts.initial();
  await replayCommits(log, LOG_START, async (change) => {
    sharingCounts.apply(tally, change, {
      kinds: (of, columns) => foldedKinds(state, of, columns),
      rewritten: () => new Uint32Array(0),
      holdings: (columns) => holdingsOf(state.contents, columns),
      isHeldLarge: (holding) => state.contents.held.isLarge(holding),
    });
  });
  expect(sharingCounts.view!(tally)).toMatchObject({ pages: 3 + 2 ** 16, unknown: 2 ** 16 - 3 });
  await ledger.retire('b');
  await state.catchUp({ heavy: true });
  expect(await tableOf(state, 'a', 1)).toHaveLength(3);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(ROOM_BYTES);
});
