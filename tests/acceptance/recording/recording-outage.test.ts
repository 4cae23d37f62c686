// A live guest is recorded into a ledger whose log's server goes away meanwhile: it is waited for, captures
// of that time are skipped, which is said, and what was told is there. The guest is QEMU with nothing to boot.

import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { startEventStoreDouble } from '../../support/eventstoredb-double/eventstoredb-double.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { IS_LONG } from '../../support/long-run.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';

const QEMU = 'qemu-system-x86_64';
/** In the long run more than any other command waits for a server that it is not told to wait for. */
const AWAY_MS = IS_LONG ? 35_000 : 1_000;
jest.setTimeout(120_000);

describeWithPrograms('a guest that is recorded while servers go away', [QEMU], () => {
  let folder: TemporaryFolder;
  let guest: ChildProcess;
  let qmp: string;
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    qmp = join(folder.path, 'web.qmp');
    const words = ['-m', '16', '-display', 'none', '-serial', 'none', '-net', 'none'];
    guest = spawn(QEMU, [...words, '-qmp', `unix:${qmp},server=on,wait=off`], { stdio: 'ignore' });
  });
  afterAll(async () => {
    guest.kill('SIGKILL');
    await folder.remove();
  });

  test('is recorded on when they are back, unless patience was short', async () => {
    const double = await startEventStoreDouble();
    const url = new URL(double.url);
    url.searchParams.set('ledger', 'outage');
    const commands = new LedgerCommands(url.href);
    const store = ['--page-store', join(folder.path, 'packs')];
    const environment = { XDG_STATE_HOME: join(folder.path, 'state') };
    const record = (...words: string[]) =>
      commands.start(
        [...store, '--json', ...words, 'record', 'qemu', '--all', folder.path, '--every', '100ms'],
        { environment },
      );
    const taken = async (): Promise<unknown[]> => {
      const listed = commands.run(['--json', ...store, 'captures', '--vm', 'web'], { environment });
      const rows = (await listed).stdout.toString('utf8').trim().split('\n');
      return rows.map((row) => (JSON.parse(row) as { capture?: unknown }).capture).filter(Boolean);
    };

    const patient = record();
    await patient.until((command) => command.rows().length >= 2);
    await double.stop();
    await patient.until(({ stderr }) => stderr.includes('found no answer from'));
    await sleep(AWAY_MS);
    const before = patient.rows().length;
    await double.start();
    await patient.until((command) => command.rows().length >= before + 3);
    patient.signal('SIGTERM');
    const { exitCode, stderr } = await patient.ended;
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('answers again after')]);
    expect(stderr).toMatch(/ticks? of --every 100ms went by/u);
    const told = patient.rows().map((row) => row['capture']);
    expect(await taken()).toEqual(told);

    const impatient = record('--patience', '300ms');
    await impatient.until((command) => command.rows().length >= 1);
    await double.stop();
    const ended = await impatient.ended;
    expect([ended.exitCode, ended.stderr]).toEqual([6, expect.stringContaining('LOG_UNREACHABLE')]);
    await double.start();
    const all = [...told, ...impatient.rows().map((row) => row['capture'])];
    // One more may be committed whose answer was lost.
    expect((await taken()).slice(0, all.length)).toEqual(all);
    await double.stop();
  });
});
