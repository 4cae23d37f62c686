// A crash after every file operation of a merge of small packs, on a disk that may lose whatever was not
// synced: every point is byte-equal, `verify` is clean, and the next merge and compaction end the work.
//
// PAGELEDGER_SEED, PAGELEDGER_STEP: as in compaction-recovery.test.ts.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PackMerger } from '../../adapters/wiring/merge.ts';
import { compact, verify, type Ledger } from '../../index.ts';
import { openWorld, recordTable, WorldModel } from '../support/compaction-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { crashKinds, faultsAtEveryCrash } from './crashes.ts';
import { LossyFiles } from './lossy-files.ts';

const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_265);
const STEP = Number(process.env['PAGELEDGER_STEP'] ?? 2);
const FAN_IN = 3;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const merge = (ledger: Ledger): Promise<void> => new PackMerger(ledger, { fanIn: FAN_IN }).merge();

/** Packs in which something lies. */
const neededPacks = ({ state: { contents } }: Ledger): number =>
  contents.all.filter((pack) => contents.isNeeded(pack)).length;

interface Series {
  readonly files: LossyFiles;
  readonly model: WorldModel;
  /** Operations before the merge began. */
  readonly before: number;
}

async function mergedSeries(): Promise<Series> {
  const files = new LossyFiles(['/', '/disk']);
  const model = new WorldModel();
  let ledger = await openWorld(files);
  const record = async (vm: string, table: readonly number[]): Promise<void> => {
    await recordTable(ledger, { vm, group: null, table, folder: folder.path });
    model.vm(vm).captures.push(table);
  };
  // Of 'a': new pages, patches of them, a pattern, a link to a page of 'b', and a page that comes back.
  await record('a', [32, 48, 1, 64]);
  await record('b', [160, 80, 2, 3]);
  await record('a', [33, 48, 5, 65]);
  await record('a', [96, 160, 4, 66]);
  await record('b', [161, 80, 2, 112]);
  await record('a', [32, 128, 0, 65]);
  expect(neededPacks(ledger)).toBe(6);
  await ledger.close();
  const before = files.operations.length;
  ledger = await openWorld(files);
  await merge(ledger);
  // Of 'a' four packs were there: three became one.
  expect(neededPacks(ledger)).toBe(4);
  expect(await model.faults(ledger)).toEqual([]);
  await ledger.close();
  return { files, model, before };
}

/** What is wrong with the ledger that a crash left, after a merge, and after a compaction. */
async function faultsAfter({ model }: Series, files: LossyFiles): Promise<string[]> {
  const ledger = await openWorld(files);
  try {
    await ledger.state.catchUp({ heavy: true });
    const faults = await model.faults(ledger);
    const { findings } = await verify(ledger, () => undefined);
    await merge(ledger);
    if (neededPacks(ledger) > 4) faults.push('a merge after it leaves small packs');
    faults.push(...(await model.faults(ledger)));
    await compact(ledger, { graceMs: 0, isDryRun: false });
    return [
      ...faults,
      ...findings.map(({ kind, where, reason }) => `verify: ${kind} ${where} ${reason}`),
      ...(await model.faults(ledger)),
    ];
  } finally {
    await ledger.close();
  }
}

let series: Series | null = null;
const seriesOnce = async (): Promise<Series> => (series ??= await mergedSeries());

test.each(crashKinds(SEED))(
  'a crash after any file operation of a merge that %s loses nothing',
  async (_name, first, keptAt) => {
    const of = await seriesOnce();
    const { files, before } = of;
    const faultsThen = (left: LossyFiles): Promise<string[]> => faultsAfter(of, left);
    const at = { files, from: before + (first % STEP), step: STEP, keptAt };
    expect(await faultsAtEveryCrash({ ...at, faultsAfter: faultsThen })).toEqual([]);
  },
  300_000,
);
