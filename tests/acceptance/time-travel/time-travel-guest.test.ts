// A real guest debugged over its recorded past: registers, memory and page tables held against QEMU's own
// debugger of the same moment, and the write that spoiled a variable found by GDB in one command.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import { connectQmp } from '../../../adapters/guests/qemu/qmp-client.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { DapClient } from '../../support/clients/dap-client.ts';
import { GdbClient } from '../../support/clients/gdb-client.ts';
import { startShellGuest } from '../../support/guest/proc-guest.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../support/long-run.ts';

/** Every so many lines of QEMU's page tables are looked at; the long run looks at all of them. */
const LINES_STEP = Number(process.env['PAGELEDGER_STEP'] ?? 9);
/** A name that the kernel keeps in a variable, until the workload writes another there. */
const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
mkfifo /fifo
exec 3<>/fifo >/dev/console 2>&1
echo intact > /proc/sys/kernel/hostname
n=0
while :; do
  n=$((n + 1))
  echo "TICK $n"
  if [ $n = 8 ]; then echo spoiled > /proc/sys/kernel/hostname; fi
  read -t 1 x <&3
done
`;
const NAME = 'init_uts_ns.name.nodename';
/** Their numbers: each of those before them has 8 bytes. */
const RSP = 7;
const RIP = 16;
/** Digits of registers up to efer, of the stack's and the vectors', as they follow each other in QEMU. */
const CORE_DIGITS = 2 * (16 * 8 + 8 + 4 + 6 * 4 + 9 * 8);
const REGISTER_DIGITS = CORE_DIGITS + 2 * (8 * 10 + 8 * 4 + 16 * 16 + 4);
/** Behind fctrl and fstat: of tags, and of what follows up to fop, QEMU says nothing. */
const UNTOLD = [CORE_DIGITS + 2 * (80 + 2 * 4), CORE_DIGITS + 2 * (80 + 8 * 4)] as const;

/** Levels of page tables, and a CPU with them. */
const CPUS = [
  [5, 'max'],
  [4, 'qemu64'],
] as const;
/** CPUs of each guest. */
const COUNT = 2;

const found = await findTools();
/** Debuggers that are tried: this system's, and a newer one where its path is told. */
const DEBUGGERS = ['gdb', process.env['PAGELEDGER_NEWER_GDB'] ?? ''].filter(Boolean);
/** Counted as skipped where GDB is not installed. */
const describeWithGdb = programPath('gdb') === null ? describe.skip : describe;

describeWithQemu('a guest with a variable that is spoiled', found, (tools) => {
  for (const [levels, cpu] of sampleOf(CPUS, 2))
    describe(`with page tables of ${levels} levels`, () => {
      let folder: TemporaryFolder;
      let commands: LedgerCommands;
      let guest: DemoGuest;
      let words: readonly string[];

      /** What QEMU's monitor answers. */
      const asked = async (line: string): Promise<string> => {
        const qmp = await connectQmp({ path: guest.qmpPath });
        try {
          return String(await qmp.execute('human-monitor-command', { 'command-line': line }));
        } finally {
          qmp.close();
        }
      };
      const record = (): Promise<unknown> =>
        commands.json('record', 'qemu', '--vm', 'g', '--qmp', guest.qmpPath, '--count', '1');

      beforeAll(async () => {
        folder = await makeTemporaryFolder();
        commands = new LedgerCommands(join(folder.path, 'ledger'));
        words = ['--ledger', join(folder.path, 'ledger'), 'gdb', '--vm', 'g'];
        await commands.run(['init']);
        guest = await startShellGuest(
          { tools, folder: folder.path, name: 'g', cpu, cpus: COUNT, mebibytes: 128 },
          { init: INIT, programs: [] },
        );
        await guest.waitForLine(/^TICK 3/u, { timeoutMs: GUEST_TIMEOUT_MS });
        await asked('stop');
        await record();
      }, GUEST_TIMEOUT_MS);
      afterAll(async () => {
        await guest.kill();
        await folder.remove();
      });

      test(
        "is as QEMU's own debugger has it at the same moment",
        async () => {
          const tables = (await asked('info tlb')).split('\n');
          const path = join(folder.path, 'qemu.gdb');
          await asked(`gdbserver unix:${path},server=on,wait=off`);
          const [own, ours] = [GdbClient.socket(path), GdbClient.stdio([...words, '--at', '@1'])];
          try {
            const registers = async (client: GdbClient): Promise<string> => {
              const digits = (await client.ask('g'))!.slice(0, REGISTER_DIGITS);
              return digits.slice(0, UNTOLD[0]) + digits.slice(UNTOLD[1]);
            };
            expect(await ours.ask('qfThreadInfo')).toBe('m1,2');
            const places: string[] = [];
            for (let thread = COUNT; thread > 0; thread -= 1) {
              for (const client of [own, ours]) expect(await client.ask(`Hg${thread}`)).toBe('OK');
              const expected = await registers(own);
              expect(expected).toMatch(/^[0-9a-f]{1000,}$/u);
              expect(await registers(ours)).toBe(expected);
              const valueOf = (register: number): bigint =>
                Buffer.from(
                  expected.slice(16 * register, 16 * register + 16),
                  'hex',
                ).readBigUInt64LE();
              for (const register of [RSP, RIP]) {
                const ask = `m${valueOf(register).toString(16)},40`;
                expect(await ours.ask(ask)).toBe(await own.ask(ask));
              }
              places.unshift(`0x${valueOf(RIP).toString(16).padStart(16, '0')}`);
            }
            expect(await placesInEditor(words[1]!)).toEqual(places);
            const lines = tables.flatMap((line) => {
              const [, virtual, physical] = /^([0-9a-f]{16}): ([0-9a-f]{16})/u.exec(line) ?? [];
              return virtual === undefined ? [] : [[virtual, physical!] as const];
            });
            expect(lines.length).toBeGreaterThan(1000);
            const wrong: string[] = [];
            for (let i = 0; i < lines.length; i += LINES_STEP) {
              const [virtual, physical] = lines[i]!;
              const said = await ours.monitor(`translate 0x${virtual}`);
              // What leads to no memory (devices) is not recorded.
              const isOther = said !== `0x${BigInt(`0x${physical}`).toString(16)}\n`;
              if (isOther && said !== 'not mapped\n') wrong.push(`${virtual} ${physical} ${said}`);
              else if (isOther && BigInt(`0x${physical}`) < 120n * 2n ** 20n && !isHole(physical))
                wrong.push(`${virtual} ${physical} ${said}`);
            }
            expect(wrong).toEqual([]);
          } finally {
            own.end();
            ours.end();
            await asked('gdbserver none');
            await asked('cont');
          }
        },
        GUEST_TIMEOUT_MS,
      );

      test(
        'has the spoiled variable, and what was before, while it is recorded further',
        async () => {
          await guest.waitForLine(/^TICK 9/u, { timeoutMs: GUEST_TIMEOUT_MS });
          await record();
          await record();
          const values = await commands.json(
            'values',
            '--vm',
            'g',
            '--symbol',
            'init_uts_ns',
            '--type',
            'hex',
            '--length',
            '256',
          );
          expect(values.map(({ capture }) => capture)).toEqual([1, 2]);
          const client = GdbClient.stdio(words);
          try {
            expect(await client.monitor('where')).toContain('@3 of 3');
            await record();
            expect(await client.ask('s')).toMatch(/^T05/u);
            expect(await client.monitor('where')).toContain('@4 of 4');
          } finally {
            client.end();
          }
        },
        GUEST_TIMEOUT_MS,
      );

      describeWithGdb('under GDB', () => {
        test.each(DEBUGGERS)(
          'shows %s in one command which capture spoiled it',
          async (program) => {
            const lines = [
              `watch *(char(*)[8])${NAME}`,
              'reverse-continue',
              'p $seq',
              'reverse-continue',
              'continue',
              'p $seq',
              'continue',
              `last-change &${NAME} 8`,
              'x/s &init_task.comm',
              'info registers xmm1 mxcsr',
              `who-wrote &${NAME} 8`,
              'diff 1 2',
              "find-bytes 'intact'",
              'attach 1',
              'where-in-history',
              'attach cpu',
              'captures',
              `history &${NAME} 8`,
              'goto 1',
              'info threads',
              `when bytes init_uts_ns+65 == ${Buffer.from('spoiled').toString('hex')}`,
              'set $seq = 3',
              'p $seq',
              'guest-ps',
              'thread apply all backtrace',
            ];
            const options = ['-batch', ...lines.flatMap((line) => ['-ex', line])];
            const shown = await commands.run([
              ...words.slice(2),
              '--gdb',
              program,
              '--',
              ...options,
            ]);
            const stdout = shown.stdout.toString();
            expect(stdout).toMatch(/Old value = "spoiled"\s+New value = "intact\\000"/u);
            expect(stdout).toMatch(/\$1 = 1\n/u);
            expect(stdout).toMatch(/Old value = "intact\\000"\s+New value = "spoiled"/u);
            expect(stdout).toMatch(/\$2 = 2\n/u);
            expect(
              stdout.match(/No more reverse-execution|end of recorded history/gu),
            ).toHaveLength(2);
            expect(stdout).toMatch(/changed in @2 of 4/u);
            expect(stdout).toContain('"swapper/0"');
            expect(stdout).toMatch(/xmm1 +\{v4_float = /u);
            expect(stdout).toMatch(/mxcsr +0x1f80/u);
            expect(stdout).toMatch(/page at 0x[0-9a-f]+: reserved\nCPU 0 then: /u);
            expect(stdout).toMatch(/\n[1-9]\d* pages differ\n0x/u);
            expect(stdout).toMatch(/from @1 .*, (?:until @2|held)\n/u);
            expect(stdout).toContain('addresses: of process 1');
            expect(stdout).toMatch(/^=> @4 .*: \d+ pages written$/mu);
            expect(stdout).toMatch(
              /^@1 of 4, .*: 696e746163740000\n@2 of 4, .*: 73706f696c656400$/mu,
            );
            expect(stdout).toMatch(/Thread 2 \(CPU 1, registers of @1\)/u);
            expect(stdout).toMatch(/^holds from @2 of 4/mu);
            expect(stdout).toMatch(/\$3 = 3\n/u);
            expect(stdout).toMatch(/^ +1 \S +\d+ {2}init$/mu);
            // Who idles was called by what a kernel begins with, through all that lies between.
            expect(stdout).toMatch(
              /#0 .*\n(?:#\d .* in do_idle .*\n|#\d.*\n)+#\d+ .* in secondary_startup_64/u,
            );
          },
          GUEST_TIMEOUT_MS,
        );
      });
    });
});

/** Where the CPUs are at the first capture, as an editor shows them. */
async function placesInEditor(ledger: string): Promise<string[]> {
  const editor = new DapClient(['--ledger', ledger, 'dap', '--stdio']);
  await editor.ask('attach', { vm: 'g', at: '@1' });
  await editor.ask('configurationDone');
  const { threads } = (await editor.ask('threads')).body;
  const places: string[] = [];
  for (const { id } of threads) {
    const { stackFrames } = (await editor.ask('stackTrace', { threadId: id })).body;
    const { scopes } = (await editor.ask('scopes', { frameId: stackFrames[0].id })).body;
    const { variables } = (await editor.ask('variables', scopes[1])).body;
    const { value } = variables.find(({ name }: { name: string }) => name === 'rip');
    const { content } = (await editor.ask('source', stackFrames[0].source)).body;
    expect(content.split('\n')[stackFrames[0].line - 1]).toMatch(/^@1 .* pages written$/u);
    places.push(value);
  }
  await editor.ask('disconnect');
  await editor.ended;
  return places;
}

/** Addresses of a PC below 1 MiB at which no RAM lies. */
const isHole = (physical: string): boolean => {
  const address = BigInt(`0x${physical}`);
  return address >= 0xa_0000n && address < 0xc_0000n;
};
