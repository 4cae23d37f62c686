// A recorder that runs for long, while others let history go: it records on, whatever became of the files
// of the log that it has read.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  forgetHistory,
  forgetPoints,
  openLedger,
  type Ledger,
  type OpenLedgerOptions,
} from '../../../index.ts';
import { openEventLog } from '../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { memoryOf, recordTable, tableAt } from '../../support/ledgers/compaction-world.ts';
import { valueOf } from '../../support/outcomes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

/** More than a log keeps open. */
const SEGMENTS = 40;
const PAGES = 4;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const tableOf = (i: number): readonly number[] =>
  Array.from({ length: PAGES }, (_, gfn) => (gfn === i % PAGES ? 16 + 16 * i : 32 + 16 * gfn));

const record = (ledger: Ledger, i: number) =>
  recordTable(ledger, { vm: 'web', group: null, table: tableOf(i), folder: folder.path });

/** Ends the segment that is appended to. */
async function seal(url: string): Promise<void> {
  const log = await valueOf(openEventLog({ folder: join(url, 'log'), files: nodeFiles }));
  await valueOf(log.seal());
  await log.close();
}

test('a recorder goes on though the log has many files, of which some are cut and some are gone', async () => {
  const url = join(folder.path, 'ledger');
  const options: OpenLedgerOptions = { url, mode: 'create', threads: 0 };
  const recorder = await openLedger(options);
  let captures = 0;
  for (; captures < SEGMENTS; captures += 1) {
    await record(recorder, captures);
    await seal(url);
  }
  for (let round = 0; round < 3; round += 1) {
    const other = await openLedger(options);
    await forgetPoints(other, { keep: { last: 30 - round } });
    const { cuts } = await forgetHistory(other, { isDryRun: false });
    expect(cuts).toHaveLength(1);
    await other.close();
    await record(recorder, captures);
    captures += 1;
    for (const capture of [captures - 20, captures])
      expect(await tableAt(recorder, { vm: 'web', capture })).toEqual(
        memoryOf(tableOf(capture - 1)),
      );
  }
  expect(recorder.state.pasts).toBe(0);
  await recorder.close();
});
