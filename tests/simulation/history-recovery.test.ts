// A crash after every file operation of letting history go, while somebody records, on a disk that may
// lose whatever was not synced: every kept point is byte-equal, no capture that was committed is lost,
// positions are as before, `verify` is clean, and the next who asks ends the work.
//
// PAGELEDGER_SEED: which of the unsynced bytes and names a crash keeps. PAGELEDGER_STEP: only every so
// many operations, another third of them for each kind of crash; 1: every one.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { forgetHistory, forgetPoints, verify, type Ledger } from '../../index.ts';
import { openWorld, recordTable, WorldModel } from '../support/ledgers/compaction-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';
import { crashKinds, faultsAtEveryCrash } from './crashes.ts';
import { LossyFiles } from './lossy-files.ts';

const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_265);
const STEP = Number(process.env['PAGELEDGER_STEP'] ?? 23);
const PAGES = 8;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

interface Series {
  readonly files: LossyFiles;
  readonly model: WorldModel;
  /** Operations before history began to go. */
  readonly before: number;
  /** After how many operations a capture was acknowledged that came meanwhile, and its table. */
  readonly meanwhile: { readonly at: number; readonly table: readonly number[] }[];
  /** Positions of what stays, by capture. */
  readonly positions: ReadonlyMap<string, bigint>;
}

const tableOf = (i: number): readonly number[] =>
  Array.from({ length: PAGES }, (_, gfn) => (gfn === i % PAGES ? 16 + i : 32 + 16 * gfn));

const positionsOf = (ledger: Ledger): Map<string, bigint> =>
  new Map(
    ledger
      .vms()
      .flatMap(({ vm, captures }) =>
        captures.map(({ capture, position }) => [`${vm}@${capture}`, position] as const),
      ),
  );

async function series(): Promise<Series> {
  const files = new LossyFiles(['/', '/disk']);
  const model = new WorldModel();
  let ledger = await openWorld(files);
  for (let i = 0; i < 6; i += 1)
    for (const vm of ['a', 'b']) {
      const table = tableOf(i + (vm === 'a' ? 0 : 3));
      await recordTable(ledger, { vm, group: null, table, folder: folder.path });
      model.vm(vm).captures.push(table);
    }
  await forgetPoints(ledger, { keep: { last: 2 } });
  for (const vm of ['a', 'b']) model.forgetBefore(vm, 5);
  await ledger.close();
  const before = files.operations.length;
  ledger = await openWorld(files);
  await ledger.state.catchUp({ heavy: false });
  const positions = positionsOf(ledger);
  const other = await openWorld(files);
  const meanwhile: Series['meanwhile'] = [];
  const recording = async (): Promise<void> => {
    for (let i = 0; i < 3; i += 1) {
      const table = tableOf(20 + i);
      await recordTable(other, { vm: 'b', group: null, table, folder: folder.path });
      meanwhile.push({ at: files.operations.length, table });
    }
  };
  const [gone] = await Promise.all([forgetHistory(ledger, { isDryRun: false }), recording()]);
  expect(gone.cuts).toHaveLength(2);
  await other.close();
  await ledger.close();
  return { files, model, before, meanwhile, positions };
}

/** What is wrong with the ledger that a crash left, and after history went again. */
async function faultsAfter(of: Series, files: LossyFiles, count: number): Promise<string[]> {
  const ledger = await openWorld(files);
  try {
    await ledger.state.catchUp({ heavy: true });
    const faults = await of.model.faults(ledger);
    const told = of.meanwhile.filter(({ at }) => at <= count).length;
    const found = (ledger.vm('b').captures.at(-1)?.capture ?? 0) - 6;
    if (found < told) faults.push(`${told} captures were acknowledged and ${found} are there`);
    for (const [name, position] of positionsOf(ledger))
      if ((of.positions.get(name) ?? position) !== position) faults.push(`${name} moved`);
    const { findings } = await verify(ledger, () => undefined);
    await forgetHistory(ledger, { isDryRun: false });
    const again = await forgetHistory(ledger, { isDryRun: false });
    if (again.cuts.length > 0 || again.logBytes > 0) faults.push('more goes the second time');
    return [
      ...faults,
      ...findings.map(({ kind, where, reason }) => `verify: ${kind} ${where} ${reason}`),
      ...(await of.model.faults(ledger)),
    ];
  } finally {
    await ledger.close();
  }
}

let made: Series | null = null;
const once = async (): Promise<Series> => (made ??= await series());

test.each(crashKinds(SEED, 2))(
  'a crash after any file operation that %s loses nothing that is kept, and no capture',
  async (_name, first, keptAt) => {
    const of = await once();
    const { files, before } = of;
    const faultsThen = (left: LossyFiles, count: number): Promise<string[]> =>
      faultsAfter(of, left, count);
    const at = { files, from: before + (first % STEP), step: STEP, keptAt };
    expect(await faultsAtEveryCrash({ ...at, faultsAfter: faultsThen })).toEqual([]);
  },
  300_000,
);
