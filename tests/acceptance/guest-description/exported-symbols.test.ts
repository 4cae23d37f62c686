// Symbols and types of a real kernel out of its memory alone, in a file that debuggers read beside a core of
// it or beside the guest itself: no debug package is there.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { drgnAnswers } from '../../support/guest/drgn-questions.ts';
import { elfSymbols } from '../../support/guest/elf-sections.ts';
import { madeKernel } from '../../support/guest/made-kernel.ts';
import { startProcGuest } from '../../support/guest/proc-guest.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';

const LONG_MS = 300_000;
const PYTHON = '/usr/bin/python3';
const MEBIBYTES = 192;

let folder: TemporaryFolder;
let commands: LedgerCommands;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  await commands.run(['init']);
});
afterAll(() => folder.remove());

const at = (name: string): string => join(folder.path, name);

describe('symbols of a kernel that was put together', () => {
  const words = (to: string): readonly string[] => [
    'export',
    'symbols',
    '--vm',
    'made',
    '--to',
    to,
  ];

  beforeAll(async () => {
    await commands.recordRaw('made', madeKernel().bytes);
  }, LONG_MS);

  test(
    'are in a file of its owner alone, which is not replaced unasked',
    async () => {
      const [row] = await commands.json(...words(at('made')));
      expect(row).toMatchObject({
        summary: 'export symbols',
        vm: 'made',
        capture: 1,
        addresses: 'run',
        release: '6.1.0-made',
        kernelOffset: '0x400000',
        symbols: 7,
        types: 11,
        variables: 1,
        functions: 0,
        callers: 0,
        bytes: statSync(at('made')).size,
      });
      expect(statSync(at('made')).mode & 0o777).toBe(0o600);
      const again = await commands.run([...words(at('made'))]);
      expect([again.exitCode, again.stderr.includes('--force')]).toEqual([1, true]);
      await commands.json(...words(at('made')), '--force', '--addresses', 'link');
      const init = elfSymbols(readFileSync(at('made'))).find(({ name }) => name === 'init_task');
      expect(init!.address).toBe(0xffff_ffff_8140_c000n - 0x40_0000n);
    },
    LONG_MS,
  );
});

const ASKED = `
import sys
from drgn import Program
from drgn.helpers.linux import cmdline, for_each_task
program = Program()
program.set_core_dump(sys.argv[1])
program.load_debug_info([sys.argv[2]])
for task in for_each_task(program):
    print(task.pid.value_(), task.comm.string_().decode())
print(cmdline([task for task in for_each_task(program) if task.pid == 1][0])[0].decode())
print(program['init_uts_ns'].name.release.string_().decode())
`;
import { testLong } from '../../support/test-long.ts';

describeWithQemu('symbols of a real kernel', await findTools(), (tools) => {
  let guest: DemoGuest;
  let release: string;
  let told: JsonRow;
  let processes: string[];

  beforeAll(async () => {
    guest = await startProcGuest({
      tools,
      folder: folder.path,
      name: 'guest',
      mebibytes: MEBIBYTES,
    });
    await guest.waitForLine(/^DONE 1$/u, { timeoutMs: GUEST_TIMEOUT_MS });
    const ofVm = ['--vm', 'guest'];
    await commands.json('record', 'qemu', ...ofVm, '--qmp', guest.qmpPath, '--count', '1');
    await commands.json('restore', ...ofVm, '--format', 'elf', '--to', at('core'));
    for (const addresses of ['run', 'link']) {
      const to = ['--addresses', addresses, '--to', at(addresses)];
      const [row] = await commands.json('export', 'symbols', ...ofVm, ...to);
      release = String(row!['release']);
      told = row!;
    }
    const rows = await commands.json('ps', ...ofVm);
    processes = rows.map(({ pid, command }) => `${String(pid)} ${String(command)}`);
  }, GUEST_TIMEOUT_MS);
  afterAll(() => guest.kill());

  test('are as many as a kernel has', () => {
    for (const what of ['symbols', 'types', 'functions', 'callers'])
      expect(Number(told[what])).toBeGreaterThan(20_000);
  });

  describeWithPrograms('gdb', ['gdb'], () => {
    test('lists what a task has, and reads the first one out of a core', () => {
      const asked = [
        'ptype struct task_struct',
        'p init_task.comm',
        'p init_uts_ns.name.release',
        'ptype vfs_read',
        'info symbol $rip',
      ];
      const words = [`core-file ${at('core')}`, ...asked].flatMap((word) => ['-ex', word]);
      const { stdout } = spawnSync('gdb', ['-nx', '-batch', ...words, at('run')], {
        encoding: 'utf8',
      });
      expect(stdout).toMatch(/struct list_head tasks;/u);
      expect(stdout).toContain('"swapper/0');
      expect(stdout).toContain(`"${release}"`);
      expect(stdout).toMatch(
        /type = ssize_t \(struct file \*, char \*, size_t, loff_t \*\)|type = long \(struct file \*, char \*, size_t, loff_t \*\)/u,
      );
      expect(stdout).toMatch(/ in section \.text$/mu);
    });
  });

  describeWithPrograms('drgn', ['drgn', PYTHON], () => {
    test('walks the tasks of a core, which are those of ps', () => {
      const words = ['-c', ASKED, at('core'), at('link')];
      const { stdout, stderr } = spawnSync(PYTHON, words, { encoding: 'utf8' });
      expect(stderr).toBe('');
      const shown = stdout.trimEnd().split('\n');
      expect(shown.slice(-2)).toEqual(['/bin/sh', release]);
      const pids = (lines: readonly string[]) => lines.map((line) => line.split(' ')[0]);
      expect(pids(shown.slice(0, -2))).toEqual(pids(processes));
      expect(shown).toEqual(
        expect.arrayContaining(processes.filter((line) => / (?:init|awk|sleep)$/u.test(line))),
      );
    });

    testLong(
      'has as many pages of each process and owner, and symbols where ours are',
      async () => {
        const frames = MEBIBYTES * 256;
        const files = { core: at('core'), symbols: at('link') };
        const answers = await drgnAnswers({ python: PYTHON, frames, ...files });
        const ofVm = ['--vm', 'guest'];
        const resident = (await commands.json('ps', ...ofVm)).map(({ pid, pages }) => [pid, pages]);
        expect(answers.resident).toEqual(Object.fromEntries(resident));
        const owners: Record<string, number> = {};
        for (const { owner, pages } of await commands.json('owners', ...ofVm))
          // What has no description is no RAM.
          if (owner !== 'unknown')
            owners[String(owner)] = (owners[String(owner)] ?? 0) + Number(pages);
        expect(answers.owners).toEqual(owners);
        const lines = (await commands.json('symbols', ...ofVm))
          .map(({ address, name }) => `${String(address).slice(2)} ${String(name)}`)
          .filter((line) => line >= 'ffffffff80000000');
        const listed = [...new Set(lines)].toSorted();
        expect(answers.symbols).toBe(listed.length);
        expect(answers.digest).toBe(createHash('sha256').update(listed.join('\n')).digest('hex'));
      },
      LONG_MS,
    );
  });
});
