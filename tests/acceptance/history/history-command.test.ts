// `forget --history` as it is said: what goes, what holds it back, and what is answered from then on.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openLedger, takeCheckpoint } from '../../../index.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { recordTable } from '../../support/ledgers/compaction-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
const PAGES = 8;

describe('forgetting history, as it is said', () => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let position: string;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const url = join(folder.path, 'said');
    commands = new LedgerCommands(url);
    const ledger = await openLedger({ url, mode: 'create', threads: 0 });
    for (let i = 0; i < 6; i += 1)
      for (const vm of ['web', 'db']) {
        const table = Array.from({ length: PAGES }, (_, gfn) => (gfn === i ? 16 + i : 32));
        await recordTable(ledger, { vm, group: null, table, folder: folder.path });
      }
    await takeCheckpoint(ledger, { vm: 'db', name: 'booted', capture: 2 });
    await ledger.close();
  }, LONG_MS);
  afterAll(() => folder.remove());

  test(
    'a dry run says what would go, and which kept capture holds history back',
    async () => {
      const rows = await commands.json('forget', '--keep-last', '2', '--history', '--dry-run');
      expect(rows.at(-1)).toMatchObject({
        dryRun: true,
        history: {
          cuts: [
            { vm: 'web', capture: 4 },
            { vm: 'db', capture: 1 },
          ],
          held: [{ vm: 'db', capture: 2, checkpoints: ['booted'] }],
          position: null,
        },
      });
    },
    LONG_MS,
  );

  test(
    'from then on history begins later, and kept points are as they were',
    async () => {
      const rows = await commands.json('forget', '--keep-last', '2', '--history');
      const { history } = rows.at(-1) as { history: { position: string } };
      ({ position } = history);
      expect(await commands.errorOf('log', '--from', '0')).toEqual([5, 'HISTORY_FORGOTTEN']);
      expect(await commands.errorOf('sharing', '--at', 'pos:5')).toEqual([5, 'HISTORY_FORGOTTEN']);
      expect(await commands.errorOf('diff', '--vm', 'web', '@2', '@5')).toEqual([
        5,
        'HISTORY_FORGOTTEN',
      ]);
      expect(await commands.errorOf('subscribe', '--from', '7')).toEqual([5, 'HISTORY_FORGOTTEN']);
      const target = join(folder.path, 'back');
      const restore = ['restore', '--vm', 'web', '--to', target, '--at'];
      expect(await commands.errorOf(...restore, '@2')).toEqual([5, 'POINT_FORGOTTEN']);
      expect((await commands.run([...restore, '@5'])).exitCode).toBe(0);
      expect((await commands.run(['verify'])).exitCode).toBe(0);
      const captures = await commands.json('captures', '--vm', 'web');
      expect(captures.map(({ capture }) => capture)).toEqual([5, 6]);
      const log = await commands.json('log');
      const early = log.filter((row) => BigInt(String(row['position'])) <= BigInt(position));
      expect(early).toEqual([]);
      const subscriber = commands.start(['subscribe', '--type', 'baseline']);
      await subscriber.until((command) => command.rows().length > 0);
      subscriber.signal('SIGTERM');
      const vms = [
        { vm: 'web', capture: 4, isRetired: false },
        { vm: 'db', capture: 3, isRetired: false },
      ];
      expect(subscriber.rows()).toMatchObject([{ type: 'baseline', position, vms }]);
      expect((await subscriber.ended).exitCode).toBe(0);
    },
    LONG_MS,
  );

  test(
    'where nothing more can go is done, and says where history begins',
    async () => {
      const [row] = await commands.json('forget', '--history');
      expect(row).toMatchObject({ captures: 0, history: { cuts: [], position } });
    },
    LONG_MS,
  );
});
