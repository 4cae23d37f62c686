// Where history begins, nothing is told of what was let go of behind that place and is not there any more:
// as if it had been let go of before. What somebody may want still is told of.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { compact, forgetHistory, forgetPoints, verify, type Ledger } from '../../index.ts';
import { FIRST_CONTENT, type Holding } from '../../domain/values/holding.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import {
  freshDisk,
  memoryOf,
  openWorld,
  placesIn,
  recordTable,
  tableAt,
} from '../support/ledgers/compaction-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';

/** The first content that was recorded, of which the second capture holds nothing. */
const FIRST: Holding = FIRST_CONTENT;
const HOUR_MS = 3_600_000;

let folder: TemporaryFolder;
let ledger: Ledger;
/** The newest captures, which stay. */
let kept: Map<string, { readonly capture: number; readonly table: readonly number[] }>;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());
beforeEach(async () => {
  ledger = await openWorld(freshDisk());
  kept = new Map();
});

async function record(vm: string, table: readonly number[]): Promise<void> {
  await recordTable(ledger, { vm, group: null, table, folder: folder.path });
  kept.set(vm, { capture: (kept.get(vm)?.capture ?? 0) + 1, table });
}

/** Lets history go, and says whether it tells of the first content's pack. */
async function isTold(): Promise<boolean> {
  await forgetHistory(ledger, { isDryRun: false });
  await ledger.state.catchUp({ heavy: true });
  return ledger.state.contents.homePackOf(FIRST) !== null;
}

async function expectKept(): Promise<void> {
  for (const [vm, { capture, table }] of kept)
    expect(await tableAt(ledger, { vm, capture })).toEqual(memoryOf(table));
}

/** Everything is as it must be, in a fold from where history begins too, and after more of the same. */
async function expectWhole(): Promise<void> {
  await expectKept();
  const before = placesIn(ledger);
  await ledger.state.rebuild();
  expect(placesIn(ledger)).toEqual(before);
  await record('b', [16, 96]);
  await compact(ledger, { graceMs: 0, isDryRun: false });
  await expectKept();
  expect((await verify(ledger, () => undefined)).findings).toEqual([]);
  await ledger.close();
}

describe('what was let go of behind the place where history begins', () => {
  beforeEach(async () => {
    await record('a', [16, 32]);
    await record('a', [48, 80]);
    await record('a', [64, 96]);
    await forgetPoints(ledger, { vm: 'a', before: '@3' });
  });

  test('is told of no more, once it is not there any more', async () => {
    await compact(ledger, { graceMs: 0, isDryRun: false });
    expect(ledger.state.contents.isReleased(FIRST)).toBe(true);
    expect(await isTold()).toBe(false);
    await expectWhole();
  });

  test('is told of while its pack is there', async () => {
    await compact(ledger, { graceMs: HOUR_MS, isDryRun: false });
    expect(ledger.state.contents.isReleased(FIRST)).toBe(true);
    expect(await isTold()).toBe(true);
    await expectWhole();
  });

  test('is told of where nobody says which packs are there', async () => {
    await compact(ledger, { graceMs: 0, isDryRun: false });
    const list = ledger.store.list.bind(ledger.store);
    ledger.store.list = () => {
      throw new LedgerError('STORE_UNREACHABLE', 'the store is away', {});
    };
    expect(await isTold()).toBe(true);
    ledger.store.list = list;
    await expectWhole();
  });
});

test('what is referred to behind that place is told of, also by what is forgotten', async () => {
  await record('a', [16, 32]);
  await record('b', [128, 144]);
  await record('a', [48, 80]);
  await record('b', [16, 144]);
  await record('b', [160, 144]);
  await record('a', [64, 96]);
  await forgetPoints(ledger, { vm: 'a', before: '@3' });
  await forgetPoints(ledger, { vm: 'b', at: ['@2'] });
  await compact(ledger, { graceMs: 0, isDryRun: false });
  expect(ledger.state.contents.isReleased(FIRST)).toBe(true);
  expect(await isTold()).toBe(true);
  await expectWhole();
});
