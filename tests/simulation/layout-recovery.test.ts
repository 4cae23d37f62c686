// A crash after every file operation of naming a point that is laid out, on a disk that may lose whatever
// was not synced: every point is byte-equal, `verify` is clean, and the point can be named after it.
//
// PAGELEDGER_SEED, PAGELEDGER_STEP: as in compaction-recovery.test.ts.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pointReader } from '../../adapters/wiring/checkpoint-layout.ts';
import { compact, isLedgerError, takeCheckpoint, verify, type Ledger } from '../../index.ts';
import { memoryOf, openWorld, recordTable, WorldModel } from '../support/compaction-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { crashKinds, faultsAtEveryCrash } from './crashes.ts';
import { LossyFiles } from './lossy-files.ts';

const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_266);
const STEP = Number(process.env['PAGELEDGER_STEP'] ?? 1);
/** The capture that is named. */
const NAMED = 4;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

/** Names the point, which is laid out. */
async function name(ledger: Ledger, as: string): Promise<void> {
  const taken = await takeCheckpoint(ledger, { vm: 'a', name: as, capture: NAMED });
  if (isLedgerError(taken)) throw taken;
  expect(taken.layout.packs).toHaveLength(1);
  expect(taken.reads).toBeLessThan(taken.readsBefore);
}

interface Series {
  readonly files: LossyFiles;
  readonly model: WorldModel;
  /** Operations before the point was named. */
  readonly before: number;
}

async function namedSeries(): Promise<Series> {
  const files = new LossyFiles(['/', '/disk']);
  const model = new WorldModel();
  let ledger = await openWorld(files);
  const record = async (vm: string, table: readonly number[]): Promise<void> => {
    await recordTable(ledger, { vm, group: null, table, folder: folder.path });
    model.vm(vm).captures.push(table);
  };
  // Pages, patches of them, a pattern that is kept, and a link to a page of another VM.
  await record('a', [32, 48, 1, 64, 80, 96]);
  await record('b', [160, 0, 2, 3, 0, 0]);
  await record('a', [33, 48, 5, 65, 80, 96]);
  await record('a', [33, 160, 4, 65, 112, 96]);
  await record('a', [33, 160, 4, 66, 112, 128]);
  await ledger.close();
  const before = files.operations.length;
  ledger = await openWorld(files);
  await name(ledger, 'first');
  await ledger.close();
  return { files, model, before };
}

/** What is wrong with the point as its checkpoint's map gives it. */
async function pointFaults(ledger: Ledger, { model }: Series): Promise<string[]> {
  const entry = ledger.vm('a');
  const row = ledger.resolve(entry, `@${NAMED}`);
  const { tables, contents } = ledger.state;
  const table = await tables.at(entry, contents, row);
  const reader = await pointReader(ledger, { entry, row });
  const pages = await reader.read(table, new Uint8Array(table.length * 4096));
  const isEqual = Buffer.from(pages).equals(memoryOf(model.vm('a').captures[NAMED - 1]!));
  return isEqual ? [] : ['the point is other memory, read by its map'];
}

/** What is wrong with the ledger that a crash left, and after the point was named anew. */
async function faultsAfter(series: Series, files: LossyFiles): Promise<string[]> {
  const { model } = series;
  const ledger = await openWorld(files);
  try {
    await ledger.state.catchUp({ heavy: true });
    const faults = await model.faults(ledger);
    faults.push(...(await pointFaults(ledger, series)));
    const { findings } = await verify(ledger, () => undefined);
    await name(ledger, 'second');
    faults.push(...(await pointFaults(ledger, series)));
    await compact(ledger, { graceMs: 0, isDryRun: false });
    faults.push(...(await pointFaults(ledger, series)));
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
const seriesOnce = async (): Promise<Series> => (series ??= await namedSeries());

test.each(crashKinds(SEED))(
  'a crash after any file operation of naming a point that %s loses nothing',
  async (_name, first, keptAt) => {
    const of = await seriesOnce();
    const { files, before } = of;
    const faultsThen = (left: LossyFiles): Promise<string[]> => faultsAfter(of, left);
    const at = { files, from: before + (first % STEP), step: STEP, keptAt };
    expect(await faultsAtEveryCrash({ ...at, faultsAfter: faultsThen })).toEqual([]);
  },
  300_000,
);
