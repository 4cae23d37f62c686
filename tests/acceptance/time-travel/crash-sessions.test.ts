// crash over points of a real guest: over a core, and over a raw image by the command that `restore` says
// at a terminal. It runs where crash and the kernel's debug information are: $PAGELEDGER_CRASH, else `crash`;
// $PAGELEDGER_VMLINUX, else where Debian's package has it.

import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { COMMAND_LINE, LedgerCommands } from '../../support/command-line.ts';
import { startShellGuest } from '../../support/guest/proc-guest.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';

const CRASH = process.env['PAGELEDGER_CRASH'] ?? 'crash';
const IDLE = 1;
const BUSY = 2;

/** Its only processor idles for a while, and then never again. */
const INIT = `#!/bin/sh
mount -t proc proc /proc
mkfifo /fifo
exec 3<>/fifo >/dev/console 2>&1
echo IDLE
read -t 30 x <&3
echo BUSY
while :; do n=$((n+1)); done
`;

let folder: TemporaryFolder;
let commands: LedgerCommands;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  await commands.run(['init']);
});
afterAll(() => folder.remove());

/** Version of the crash that is here, as a number: 8.0.6 is 80006; 0: there is none. */
function versionOfCrash(): number {
  const { stdout } = spawnSync(CRASH, ['--version'], { encoding: 'utf8' });
  const [, ...parts] = /^crash (\d+)\.(\d+)\.(\d+)/mu.exec(stdout ?? '') ?? [];
  return parts.reduce((version, part) => version * 100 + Number(part), 0);
}

const PROCESS = /^>? +(\d+) +\d+ +\d+ +[0-9a-f]{16} /gmu;

/** What a session shows of processes: their numbers. Those that idle have none. */
function pidsShown(command: string): readonly number[] {
  const { stdout } = spawnSync(command, {
    shell: true,
    input: 'ps\nquit\n',
    encoding: 'utf8',
    timeout: 300_000,
  });
  const pids = [...stdout.matchAll(PROCESS)].map((match) => Number(match[1]));
  return pids.filter((pid) => pid > 0).toSorted((a, b) => a - b);
}

describeWithQemu('points of a real guest', await findTools(), (tools) => {
  const release = basename(tools.kernel).replace('vmlinuz-', '');
  const vmlinux = process.env['PAGELEDGER_VMLINUX'] ?? `/usr/lib/debug/boot/vmlinux-${release}`;

  describeWithPrograms('to crash', [CRASH, vmlinux, 'script'], () => {
    const version = versionOfCrash();
    // Before 8.0.4 it loses tasks of kernels whose `struct pid` ends otherwise. Up to 8.0.6 it ends where
    // an idle processor's kernel has no stack for machine checks, as Debian's for clouds.
    const points = version > 80_006 ? [IDLE, BUSY] : [BUSY];

    beforeAll(async () => {
      const request = { tools, folder: folder.path, name: 'guest' };
      const guest = await startShellGuest(request, { init: INIT, programs: [] });
      try {
        for (const line of ['IDLE', 'BUSY']) {
          await guest.waitForLine(new RegExp(`^${line}$`, 'u'), { timeoutMs: GUEST_TIMEOUT_MS });
          const words = ['--vm', 'guest', '--qmp', guest.qmpPath, '--count', '1'];
          await commands.json('record', 'qemu', ...words);
        }
      } finally {
        await guest.kill();
      }
    }, GUEST_TIMEOUT_MS);

    const pidsAt = async (point: number): Promise<readonly number[]> =>
      (await commands.json('ps', '--vm', 'guest', '--at', `@${point}`)).map(({ pid }) =>
        Number(pid),
      );

    /** What of the processes at a point is to be shown, and what is. */
    async function toldAndShown(shown: readonly number[], point: number) {
      const pids = await pidsAt(point);
      const isWhole = version >= 80_004;
      return { shown, told: isWhole ? pids : pids.filter((pid) => shown.includes(pid)) };
    }

    test(
      'have their processes in a core',
      async () => {
        const to = join(folder.path, 'core');
        for (const point of points) {
          const at = ['--vm', 'guest', '--at', `@${point}`];
          await commands.json('restore', ...at, '--format', 'elf', '--force', '--to', to);
          const shown = pidsShown(`${CRASH} -s ${vmlinux} ${to}`);
          const session = await toldAndShown(shown, point);
          expect(session.shown).toEqual(session.told);
        }
      },
      GUEST_TIMEOUT_MS,
    );

    test(
      'have their processes in a raw image, by the command that is said',
      async () => {
        const to = join(folder.path, 'raw');
        for (const point of points) {
          const at = ['--vm', 'guest', '--at', `@${point}`];
          const words = ['--ledger', commands.ledger, 'restore', ...at, '--force', '--to', to];
          const restore = [process.execPath, COMMAND_LINE, ...words].join(' ');
          const { stdout } = spawnSync('script', ['-qec', restore, '/dev/null'], {
            encoding: 'utf8',
          });
          const said = /is opened by: crash (.*) vmlinux (\S+)/u.exec(stdout);
          const command = `${CRASH} -s ${said?.[1] ?? ''} ${vmlinux} ${said?.[2] ?? ''}`;
          const session = await toldAndShown(pidsShown(command), point);
          expect(session.shown).toEqual(session.told);
        }
      },
      GUEST_TIMEOUT_MS,
    );
  });
});
