// A crash after every file operation of a compaction, on a disk that may lose whatever was not synced:
// every kept point is byte-equal, `verify` is clean, and the next compaction ends the work.
//
// PAGELEDGER_SEED: which of the unsynced bytes and names a crash keeps. PAGELEDGER_STEP: only every so
// many operations, another third of them for each kind of crash; 1: every one.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compact, forgetPoints, takeCheckpoint, verify } from '../../index.ts';
import { openWorld, recordTable, WorldModel } from '../support/compaction-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { crashKinds, faultsAtEveryCrash } from './crashes.ts';
import { LossyFiles } from './lossy-files.ts';

const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_265);
const STEP = Number(process.env['PAGELEDGER_STEP'] ?? 5);

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

interface Series {
  readonly files: LossyFiles;
  readonly model: WorldModel;
  /** Operations before the compaction began. */
  readonly before: number;
}

async function compactedSeries(): Promise<Series> {
  const files = new LossyFiles(['/', '/disk']);
  const model = new WorldModel();
  let ledger = await openWorld(files);
  const record = async (vm: string, table: readonly number[]): Promise<void> => {
    await recordTable(ledger, { vm, group: null, table, folder: folder.path });
    model.vm(vm).captures.push(table);
  };
  await record('a', [32, 48, 1, 64]);
  await record('b', [32, 80, 2, 3]);
  await record('a', [33, 48, 1, 65]);
  await takeCheckpoint(ledger, { vm: 'a', name: 'named', capture: 1 });
  model.vm('a').checkpoints.set('named', 1);
  await record('a', [96, 112, 4, 65]);
  await record('a', [97, 128, 0, 66]);
  await forgetPoints(ledger, { vm: 'a', before: '@4' });
  model.forgetBefore('a', 4);
  await ledger.close();
  const before = files.operations.length;
  ledger = await openWorld(files);
  const { rewritten, released, deleted } = await compact(ledger, { graceMs: 0, isDryRun: false });
  expect(rewritten.packs).toBe(5);
  expect(released).toBeGreaterThan(2);
  expect(deleted.packs).toBe(5);
  await ledger.close();
  return { files, model, before };
}

/** What is wrong with the ledger that a crash left, and after it was compacted again. */
async function faultsAfter({ model }: Series, files: LossyFiles): Promise<string[]> {
  const ledger = await openWorld(files);
  try {
    await ledger.state.catchUp({ heavy: true });
    const faults = await model.faults(ledger);
    const { findings } = await verify(ledger, () => undefined);
    await compact(ledger, { graceMs: 0, isDryRun: false });
    const again = await compact(ledger, { graceMs: 0, isDryRun: false });
    if (again.rewritten.packs > 0 || again.deleted.packs > 0)
      faults.push('a second compaction finds more to do');
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
const seriesOnce = async (): Promise<Series> => (series ??= await compactedSeries());

test('compaction syncs what it says, over many operations', async () => {
  const { files, before } = await seriesOnce();
  expect(files.operations.length - before).toBeGreaterThan(20);
});

test.each(crashKinds(SEED))(
  'a crash after any file operation that %s loses nothing that is kept',
  async (_name, first, keptAt) => {
    const of = await seriesOnce();
    const { files, before } = of;
    const faultsThen = (left: LossyFiles): Promise<string[]> => faultsAfter(of, left);
    const at = { files, from: before + (first % STEP), step: STEP, keptAt };
    expect(await faultsAtEveryCrash({ ...at, faultsAfter: faultsThen })).toEqual([]);
  },
  300_000,
);
