// Letting history go, killed at random moments while a recorder of another process appends: no capture
// that was acknowledged is lost, what is kept is as it was, and the next who asks ends the work.
//
// PAGELEDGER_KILLS: how many times (`npm run test:long`: 200). PAGELEDGER_SEED: the seed of the moments.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openLedger, verify } from '../../../index.ts';
import { memoryOf, recordTable, tableAt } from '../../support/ledgers/compaction-world.ts';
import { jsonRows, LedgerCommands, withoutSummary } from '../../support/command-line.ts';
import { seededRandom } from '../../support/images.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const KILLS = Number(process.env['PAGELEDGER_KILLS'] ?? 3);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? Date.now() % 1_000_000);
const PAGES = 16;
const CAPTURES = 6;
/** From its start to its end the command takes about so long where little else runs. */
const LATEST_MS = 900;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const tableOf = (i: number): readonly number[] =>
  Array.from({ length: PAGES }, (_, gfn) => (gfn === i % PAGES ? 16 + i : 32 + 16 * gfn));

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Records one image after another in a process of its own; gives the captures that it told of. */
function recording(url: string, images: readonly string[]): Promise<readonly number[]> {
  const words = ['--json', 'record', 'image', '--vm', 'busy', ...images];
  return new LedgerCommands(url)
    .start(words)
    .ended.then(({ stdout }) =>
      withoutSummary(jsonRows(stdout)).map((row) => Number(row['capture'])),
    );
}

test(`history that goes, killed ${KILLS} times, takes nothing along that stays`, async () => {
  const random = seededRandom(SEED);
  const url = join(folder.path, 'ledger');
  const tables = Array.from({ length: CAPTURES }, (_, i) => tableOf(i));
  const images = writeImages({
    folder: folder.path,
    name: 'busy',
    images: tables.map((table) => memoryOf(table)),
  });
  let told = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const ledger = await openLedger({ url, mode: 'create', threads: 0 });
    for (const table of tables)
      await recordTable(ledger, { vm: 'idle', group: null, table, folder: folder.path });
    await ledger.close();
    const recorded = recording(url, images);
    const words = ['forget', '--vm', 'idle', '--vm', 'busy', '--keep-last', '2', '--history'];
    const command = new LedgerCommands(url).start(words);
    await sleep(random(LATEST_MS));
    command.signal('SIGKILL');
    await command.ended;
    const captures = await recorded;
    told = Math.max(told, ...captures);
    const after = await openLedger({ url, mode: 'write', threads: 0 });
    const busy = after.vm('busy');
    expect(busy.captures.at(-1)?.capture).toBe(told);
    for (const entry of after.vms())
      for (const { capture } of entry.captures) {
        if (entry.isForgotten(capture)) continue;
        const found = await tableAt(after, { vm: entry.vm, capture });
        const expected = memoryOf(tables[(capture - 1) % CAPTURES]!);
        expect(Buffer.from(expected).equals(Buffer.from(found))).toBe(true);
      }
    expect((await verify(after, () => undefined)).findings).toEqual([]);
    await after.close();
  }
  const rows = await new LedgerCommands(url).json('forget', '--keep-last', '2', '--history');
  expect(rows.at(-1)).toMatchObject({ summary: 'forget', history: { held: [] } });
  expect(readFileSync(join(url, 'format'), 'utf8')).toContain('pageledger ledger');
}, 3_600_000);
