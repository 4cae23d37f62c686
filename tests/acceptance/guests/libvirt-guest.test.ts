// A guest whose monitor libvirt holds is recorded through virsh, and guarded through it as well. The
// virsh is a stand-in (support/guest/virsh-stand-in.ts) in front of a real QEMU.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath, QEMU_PROGRAM } from '../../../adapters/guests/demo-guest/tools.ts';
import { delay } from '../../../adapters/guests/qemu/migration-control.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { BootSectorGuest } from '../../support/guest/ticking-guest.ts';
import { putVirsh } from '../../support/guest/virsh-stand-in.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { testLong } from '../../support/test-long.ts';

const QEMU = programPath(QEMU_PROGRAM);

(QEMU === null ? describe.skip : describe)('a guest of libvirt', () => {
  let folder: TemporaryFolder;
  let guest: BootSectorGuest;
  let commands: LedgerCommands;
  let environment: Record<string, string>;
  let sockets: string;
  let before: unknown;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const inside = (name: string): string => join(folder.path, name);
    const events = inside('events.qmp');
    const extra = ['-qmp', `unix:${events},server=on,wait=off`];
    const where = { qemu: QEMU ?? '', folder: folder.path };
    guest = new BootSectorGuest({ ...where, sector: 'ticking', memoryMib: 128, extra });
    const domain = { folder: folder.path, domain: 'web', commands: guest.qmpPath, events };
    sockets = inside('t');
    mkdirSync(sockets);
    mkdirSync(inside('libvirt/qemu/run'), { recursive: true });
    writeFileSync(inside('libvirt/qemu/run/web.pid'), `${guest.process.pid}`);
    environment = { ...putVirsh(domain), XDG_RUNTIME_DIR: folder.path, TMPDIR: sockets };
    commands = new LedgerCommands(inside('ledger'));
    await guest.ticksOn(5);
    before = await guest.settings();
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    if (QEMU !== null) await guest.kill();
    await folder.remove();
  });

  const record = (...words: string[]): RunningCommand =>
    commands.start(['--json', 'record', 'qemu', '--vm', 'guest', ...words], { environment });

  async function leftBehind(): Promise<unknown> {
    await guest.ticksOn();
    return [await guest.runState(), await guest.settings(), readdirSync(sockets)];
  }
  const nothing = (): unknown => ['running', before, []];

  test(
    'is captured, and what QEMU tells of its pause is kept',
    async () => {
      const recorder = record('--libvirt', 'web', '--every', '10ms', '--count', '2');
      const outcome = await recorder.ended;
      expect([outcome.exitCode, recorder.rows().length]).toEqual([0, 2]);
      for (const row of recorder.rows()) {
        expect(row).toMatchObject({ deviceState: true, source: 'libvirt:web' });
        expect(Number(row['pauseMs'])).toBeGreaterThan(0);
      }
      const [vm] = await commands.json('vms');
      expect(vm!['commandLine']).toEqual(expect.arrayContaining(['-m', '128']));
      expect(await leftBehind()).toEqual(nothing());
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'runs on when its recorder is killed',
    async () => {
      const isSending = (): boolean =>
        readdirSync(sockets).some((name) => existsSync(join(sockets, name, 'migration.sock')));
      const recorder = record('--libvirt', 'web', '--count', '1');
      while (!isSending()) await delay(1);
      await delay(150);
      recorder.signal('SIGKILL');
      await recorder.ended;
      await guest.ticksOn();
      // The guard ends when all is as it was.
      while (readdirSync(sockets).length > 0) await delay(10);
      expect(await leftBehind()).toEqual(nothing());
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'has its settings back when a command comes that a killed recorder had asked for',
    async () => {
      const late = join(folder.path, 'late');
      const words = [
        '--json',
        'record',
        'qemu',
        '--vm',
        'guest',
        '--libvirt',
        'web',
        '--count',
        '1',
      ];
      const recorder = commands.start(words, {
        environment: { ...environment, VIRSH_LATE: late },
      });
      while (!existsSync(late)) await delay(1);
      recorder.signal('SIGKILL');
      await recorder.ended;
      while (readdirSync(sockets).length > 0) await delay(10);
      expect(await leftBehind()).toEqual(nothing());
    },
    GUEST_TIMEOUT_MS,
  );

  test.each([
    [6, ['--libvirt', 'nope'], /QMP_UNREACHABLE.*failed to get domain 'nope'.*virsh list/u],
    [2, ['--libvirt', 'web', '--qmp', 'x'], /either --qmp SOCKET or --libvirt DOMAIN/u],
    [2, [], /either --qmp SOCKET or --libvirt DOMAIN/u],
    [2, ['--libvirt', 'web', '--stream', 'exec'], /--stream exec is not known/u],
  ])('fails with exit code %d for %j', async (exitCode, words, said) => {
    const outcome = await record(...words, '--count', '1').ended;
    expect([outcome.exitCode, outcome.stderr]).toEqual([exitCode, expect.stringMatching(said)]);
  });

  test('is out of reach without virsh, and that is said', async () => {
    const words = ['record', 'qemu', '--vm', 'guest', '--libvirt', 'web'];
    const nowhere = { environment: { ...environment, PATH: sockets } };
    const { exitCode, stderr } = await commands.start(words, nowhere).ended;
    expect([exitCode, stderr]).toEqual([6, expect.stringMatching(/no virsh.*libvirt-clients/u)]);
  });
});
