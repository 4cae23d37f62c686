// A small ledger to which something is done on a disk that may lose whatever was not synced, and what is
// wrong with it after a crash at each file operation of that.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verify, type Ledger } from '../../index.ts';
import { openWorld, recordTable, WorldModel } from '../support/ledgers/compaction-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';
import { crashKinds, faultsAtEveryCrash } from './crashes.ts';
import { LossyFiles } from './lossy-files.ts';

/** Records a capture of these contents, in the ledger and in the model. */
type RecordCapture = (vm: string, table: readonly number[]) => Promise<void>;

/** What is done, and with what. */
interface Work {
  readonly ledger: Ledger;
  readonly model: WorldModel;
}

/** A ledger to which the work was done. */
interface Series {
  readonly files: LossyFiles;
  readonly model: WorldModel;
  /** Operations before the work began. */
  readonly before: number;
}

export interface CrashedWork {
  /** What messages call the work. */
  readonly title: string;
  /** Which of the unsynced bytes and names a crash keeps. */
  readonly seed: number;
  /** Only every so many operations are looked at. */
  readonly step: number;
  /** Makes what the work finds. */
  readonly prepare: (of: Work & { readonly record: RecordCapture }) => Promise<void>;
  /** What is looked at for crashes, in an opening of its own. */
  readonly work: (of: Work) => Promise<void>;
  /**
   * Does the work again in the ledger that a crash left, which is verified before; what is wrong with it
   * beside what the model finds.
   */
  readonly again: (of: Work) => Promise<readonly string[]>;
}

async function seriesOf({ prepare, work }: CrashedWork, folder: string): Promise<Series> {
  const files = new LossyFiles(['/', '/disk']);
  const model = new WorldModel();
  let ledger = await openWorld(files);
  const record: RecordCapture = async (vm, table) => {
    await recordTable(ledger, { vm, group: null, table, folder });
    model.vm(vm).captures.push(table);
  };
  await prepare({ ledger, model, record });
  await ledger.close();
  const before = files.operations.length;
  ledger = await openWorld(files);
  await work({ ledger, model });
  await ledger.close();
  return { files, model, before };
}

/** What is wrong with the ledger that a crash left, and after the work was done again. */
async function faultsAfter(
  { again }: CrashedWork,
  { model }: Series,
  files: LossyFiles,
): Promise<string[]> {
  const ledger = await openWorld(files);
  try {
    await ledger.state.catchUp({ heavy: true });
    const faults = await model.faults(ledger);
    const { findings } = await verify(ledger, () => undefined);
    faults.push(...(await again({ ledger, model })));
    return [
      ...faults,
      ...findings.map(({ kind, where, reason }) => `verify: ${kind} ${where} ${reason}`),
      ...(await model.faults(ledger)),
    ];
  } finally {
    await ledger.close();
  }
}

/** The tests that a crash at any operation of the work loses nothing; gives the series that they look at. */
export function testCrashes(of: CrashedWork): () => Promise<Series> {
  let folder: TemporaryFolder;
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
  });
  afterAll(() => folder.remove());

  let series: Series | null = null;
  const once = async (): Promise<Series> => (series ??= await seriesOf(of, folder.path));

  test.each(crashKinds(of.seed))(
    `a crash after any file operation of ${of.title} that %s loses nothing that is kept`,
    async (_name, first, keptAt) => {
      const made = await once();
      const { files, before } = made;
      const faultsThen = (left: LossyFiles): Promise<string[]> => faultsAfter(of, made, left);
      const at = { files, from: before + (first % of.step), step: of.step, keptAt };
      expect(await faultsAtEveryCrash({ ...at, faultsAfter: faultsThen })).toEqual([]);
    },
    300_000,
  );
  return once;
}
