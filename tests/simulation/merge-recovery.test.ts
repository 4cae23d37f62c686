// A crash after every file operation of a merge of small packs, on a disk that may lose whatever was not
// synced: every point is byte-equal, `verify` is clean, and the next merge and compaction end the work.
//
// PAGELEDGER_SEED, PAGELEDGER_STEP: as in compaction-recovery.test.ts.

import { expect } from '@jest/globals';
import { PackMerger } from '../../adapters/wiring/record/merge.ts';
import { compact, type Ledger } from '../../index.ts';
import { testCrashes, type CrashedWork } from './crashed-worlds.ts';

const FAN_IN = 3;

const merge = (ledger: Ledger): Promise<void> => new PackMerger(ledger, { fanIn: FAN_IN }).merge();

/** Packs in which something lies. */
const neededPacks = ({ state: { contents } }: Ledger): number => contents.neededFrom(0).length;

const prepare: CrashedWork['prepare'] = async ({ ledger, record }) => {
  // Of 'a': new pages, patches of them, a pattern, a link to a page of 'b', and a page that comes back.
  await record('a', [32, 48, 1, 64]);
  await record('b', [160, 80, 2, 3]);
  await record('a', [33, 48, 5, 65]);
  await record('a', [96, 160, 4, 66]);
  await record('b', [161, 80, 2, 112]);
  await record('a', [32, 128, 0, 65]);
  expect(neededPacks(ledger)).toBe(6);
};

const work: CrashedWork['work'] = async ({ ledger, model }) => {
  await merge(ledger);
  // Of 'a' four packs were there: three became one.
  expect(neededPacks(ledger)).toBe(4);
  expect(await model.faults(ledger)).toEqual([]);
};

testCrashes({
  title: 'a merge',
  seed: Number(process.env['PAGELEDGER_SEED'] ?? 20_265),
  step: Number(process.env['PAGELEDGER_STEP'] ?? 5),
  prepare,
  work,
  again: async ({ ledger, model }) => {
    await merge(ledger);
    const faults = neededPacks(ledger) > 4 ? ['a merge after it leaves small packs'] : [];
    faults.push(...(await model.faults(ledger)));
    await compact(ledger, { graceMs: 0, isDryRun: false });
    return faults;
  },
});
