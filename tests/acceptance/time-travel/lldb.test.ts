// A recorded guest under LLDB: the packets that it sends, and LLDB itself where it is installed. That of
// Debian 12 and 13 is older than `process continue --reverse`: a newer one is tried where
// PAGELEDGER_NEWER_LLDB says its path, and what 22.1 sends is held here.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { GdbClient } from '../../support/clients/gdb-client.ts';
import { imageAddress, madeKernel } from '../../support/guest/made-kernel.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
/** A word of the kernel's that is written at captures 3 and 5; and what it is at captures 1 to 6. */
const WORD = imageAddress(12, 0xe00).toString(16);
const WORDS = [1n, 1n, 5n, 5n, 9n, 9n];

let folder: TemporaryFolder;
let commands: LedgerCommands;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  await commands.run(['init']);
  const made = madeKernel();
  for (const word of WORDS) {
    made.u64(12, 0xe00, word);
    await commands.recordRaw('made', made.bytes);
  }
}, LONG_MS);
afterAll(() => folder.remove());

/** What LLDB 14 and 22.1 send when they attach, as it was logged, and what it is answered. */
const ATTACHING = [
  ['QThreadSuffixSupported', ''],
  ['QListThreadsInStopReply', ''],
  ['qHostInfo', ''],
  ['vCont?', 'vCont;c;C;s;S'],
  ['qVAttachOrWaitSupported', ''],
  ['QEnableErrorStrings', ''],
  ['qProcessInfo', ''],
  ['qOffsets', ''],
  ['qSymbol::', ''],
  ['qThreadStopInfo1', ''],
  ['qC', 'QC1'],
  ['?', 'T05thread:1;'],
  ['Hg1', 'OK'],
  // It asks so whether registers are told one by one: an error would mean that none is.
  ['p0', 'x'.repeat(16)],
  ['qStructuredDataPlugins', ''],
  ['qShlibInfoAddr', ''],
  ['x0,0', ''],
  ['qfThreadInfo', 'm1'],
  ['qsThreadInfo', 'l'],
  ['p10', '0000000000000000'],
  ['jThreadsInfo', ''],
  ['jThreadExtendedInfo:', ''],
  ['qMemoryRegionInfo:0', ''],
  ['qWatchpointSupportInfo:', ''],
] as const;

/**
 * `watchpoint set`, `process continue --reverse` until the beginning, and forward again, as LLDB 22.1 sends
 * it: it takes a watchpoint away at each stop, and asks for threads.
 */
const REVERSING = [
  [`Z2,${WORD},8`, 'OK'],
  ['bc', `T05thread:1;watch:${WORD};`],
  ['qfThreadInfo', 'm1'],
  ['qsThreadInfo', 'l'],
  ['Hg1', 'OK'],
  [`z2,${WORD},8`, 'OK'],
  [`m${WORD},8`, '0500000000000000'],
  [`Z2,${WORD},8`, 'OK'],
  ['bc', `T05thread:1;watch:${WORD};`],
  [`m${WORD},8`, '0100000000000000'],
  ['bc', 'T05thread:1;replaylog:begin;'],
  ['vCont;c', `T05thread:1;watch:${WORD};`],
  [`m${WORD},8`, '0500000000000000'],
  ['bs', 'T05thread:1;'],
  [`m${WORD},8`, '0100000000000000'],
  [`z2,${WORD},8`, 'OK'],
] as const;

test(
  'packets of LLDB are answered as it expects, those that go back too',
  async () => {
    const client = GdbClient.stdio(['--ledger', commands.ledger, 'gdb', '--vm', 'made']);
    const features = 'qSupported:xmlRegisters=i386,arm,mips,arc;multiprocess+;fork-events+';
    const supported = (await client.ask(features))!.split(';');
    expect(supported).toEqual(expect.arrayContaining(['ReverseContinue+', 'ReverseStep+']));
    for (const [packet, answer] of [...ATTACHING, ...REVERSING])
      expect([packet, await client.ask(packet)]).toEqual([packet, answer]);
    expect(await client.ask('D')).toBe('OK');
    client.end();
  },
  LONG_MS,
);

/** The words that begin a session with what a server listens at. */
async function underLldb(program: string, lines: readonly string[]): Promise<string> {
  const server = commands.start(['gdb', '--vm', 'made', '--listen', '0']);
  await server.until(({ stdout }) => stdout.includes('target remote'));
  const target = /target remote (\S+);/u.exec(server.stdout.toString())![1]!;
  const attach = [
    'settings set plugin.process.gdb-remote.packet-timeout 120',
    `gdb-remote ${target}`,
  ];
  const options = ['-b', ...[...attach, ...lines].flatMap((line) => ['-o', line])];
  const { stdout } = spawnSync(program, options, { encoding: 'utf8' });
  server.signal('SIGTERM');
  await server.ended;
  return stdout;
}

/** Counted as skipped where LLDB is not installed. */
const lldb = programPath('lldb');
const describeWithLldb = lldb === null ? describe.skip : describe;

describeWithLldb('LLDB itself', () => {
  test(
    'attaches, reads, watches, and goes back by packets',
    async () => {
      const stdout = await underLldb(lldb!, [
        'register read rip rax',
        `memory read -s8 -fx -c1 0x${WORD}`,
        'bt',
        `watchpoint set expression -w write -s 8 -- 0x${WORD}`,
        'process plugin packet send bc',
        'process plugin packet send bs',
        'continue',
        'process detach',
      ]);
      expect(stdout).toMatch(/rip = 0x0+\n/u);
      expect(stdout).toContain('rax');
      expect(stdout).toContain(`0x${WORD}: 0x0000000000000009`);
      expect(stdout).toMatch(/\* frame #0: 0x0+\n/u);
      expect(stdout).toContain('Watchpoint created');
      expect(stdout).toContain(`response: T05thread:1;watch:${WORD};`);
      expect(stdout).toContain('response: T05thread:1;\n');
      expect(stdout).toContain('stop reason = watchpoint 1');
    },
    LONG_MS,
  );
});

const newer = process.env['PAGELEDGER_NEWER_LLDB'];
const describeWithNewer = newer === undefined ? describe.skip : describe;

describeWithNewer('a newer LLDB', () => {
  test(
    'goes back by a command of its own, to the write and to the beginning',
    async () => {
      const stdout = await underLldb(newer!, [
        `watchpoint set expression -w modify -s 8 -- 0x${WORD}`,
        'process continue --reverse',
        'process continue --reverse',
        `memory read -s8 -fx -c1 0x${WORD}`,
        'process continue --reverse',
      ]);
      expect(stdout).toMatch(/old value: 9\s+new value: 5\n/u);
      expect(stdout).toMatch(/old value: 5\s+new value: 1\n/u);
      expect(stdout).toContain(`0x${WORD}: 0x0000000000000001`);
      expect(stdout).toContain('stop reason = history boundary');
    },
    LONG_MS,
  );
});
