// What a guest says of itself, asked at the command line: of a kernel that was put together, of memory
// that is no Linux, and of real kernels, held against what they told themselves.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { COMMAND_LINE, LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { otherKernel } from '../../support/guest/debian-packages.ts';
import { earlierKernel } from '../../support/guest/debian-releases.ts';
import {
  imageAddress,
  MADE_NOTE,
  MADE_SYMBOLS,
  madeKernel,
  type MadeMemory,
} from '../../support/guest/made-kernel.ts';
import {
  startProcGuest,
  toldAnonymous,
  toldProcesses,
  toldSymbols,
  toldTables,
  type ToldProcess,
} from '../../support/guest/proc-guest.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { makeImage } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';
import { IS_LONG, sampleOf } from '../../support/long-run.ts';

const LONG_MS = 300_000;
const hex = (address: bigint): string => `0x${address.toString(16)}`;

let folder: TemporaryFolder;
let commands: LedgerCommands;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  await commands.run(['init']);
});
afterAll(() => folder.remove());

describe('a kernel that was put together', () => {
  beforeAll(async () => {
    const made = madeKernel();
    await commands.recordRaw('made', made.bytes);
    // The next capture is of the same kernel, and of its symbols nothing is left.
    made.bytes.fill(0, 8 * 4096, 9 * 4096);
    made.text(18, 0x10, 'changed by process 7');
    await commands.recordRaw('made', made.bytes);
  }, LONG_MS);

  test(
    'has its processes and symbols',
    async () => {
      const at = ['--vm', 'made', '--at', '@1'];
      expect(await commands.json('ps', ...at)).toMatchObject([
        {
          vm: 'made',
          capture: 1,
          pid: 2,
          command: 'kthreadd',
          state: 'I',
          pages: 0,
          kernelThread: true,
        },
        { pid: 7, command: 'worker', state: 'S', pages: 5, kernelThread: false },
      ]);
      expect(await commands.json('symbols', ...at)).toMatchObject(
        MADE_SYMBOLS.map(([kind, name, address]) => ({
          vm: 'made',
          capture: 1,
          name,
          address: hex(address),
          kind,
          offset: 0,
        })),
      );
      expect(await commands.json('symbols', ...at, hex(imageAddress(0, 0x84)))).toMatchObject([
        { name: 'helper', address: hex(imageAddress(0, 0x80)), kind: 't', offset: 4 },
      ]);
      expect(await commands.json('symbols', ...at, 'helper')).toHaveLength(2);
      const last = MADE_SYMBOLS.slice(-2).map(([, name]) => name);
      const symbols = await commands.json('symbols', ...at, '--last', '2', '--reverse');
      expect(symbols.map(({ name }) => name)).toEqual(last.toReversed());
      expect(await commands.json('ps', ...at, '--last', '1')).toMatchObject([{ pid: 7 }]);
      expect(await commands.errorOf('symbols', ...at, 'absent')).toEqual([5, 'SYMBOL_UNKNOWN']);
    },
    LONG_MS,
  );

  test(
    'says who owns each page, and what it has told',
    async () => {
      const at = ['--vm', 'made', '--at', '@1'];
      const nobody = { pid: null, command: null };
      expect(await commands.json('owners', ...at)).toMatchObject([
        { vm: 'made', capture: 1, owner: 'free', ...nobody, pages: 2 },
        { owner: 'anonymous', pid: 7, command: 'worker', pages: 2 },
        { owner: 'file', ...nobody, pages: 1 },
        { owner: 'slab', ...nobody, pages: 3 },
        { owner: 'pageTables', ...nobody, pages: 9 },
        { owner: 'kernel', ...nobody, pages: 6 },
        { owner: 'reserved', ...nobody, pages: 1 },
      ]);
      const owners = await commands.json('owners', ...at, '--last', '2', '--reverse');
      expect(owners.map(({ owner }) => owner)).toEqual(['reserved', 'kernel']);
      expect(await commands.json('dmesg', ...at)).toMatchObject([
        { vm: 'made', capture: 1, number: 5, seconds: 2.5, text: 'first' },
        { number: 7, seconds: 3.5, text: 'wrapped!' },
      ]);
      expect(await commands.json('dmesg', ...at, '--last', '1')).toMatchObject([{ number: 7 }]);
      const newest = await commands.json('dmesg', ...at, '--reverse');
      expect(newest.map(({ number }) => number)).toEqual([7, 5]);
      const { stdout } = await commands.run(['dmesg', ...at]);
      expect(stdout.toString()).toBe('[    2.500000] first\n[    3.500000] wrapped!\n');
    },
    LONG_MS,
  );

  test(
    'is known from one capture to the next, and read anew where what is kept is gone',
    async () => {
      await commands.json('symbols', '--vm', 'made', '--at', '@1', '_stext');
      expect(await commands.json('symbols', '--vm', 'made', '--at', '@2', '_stext')).toHaveLength(
        1,
      );
      const kept = join(folder.path, 'ledger', 'projections', 'guests');
      // Nothing new was found in what changed: it is not looked through again all the same.
      const notes = readFileSync(join(kept, 'made', 'notes'), 'latin1');
      for (const capture of [1, 2]) expect(notes).toContain(`"capture":${capture},`);
      rmSync(kept, { recursive: true });
      expect(await commands.errorOf('symbols', '--vm', 'made', '--at', '@2')).toEqual([
        1,
        'GUEST_INVALID',
      ]);
    },
    LONG_MS,
  );

  test(
    'is read by page, by address, by its own addresses and by those of a process',
    async () => {
      const read = (...words: string[]): Promise<JsonRow[]> =>
        commands.json('read', '--vm', 'made', '--at', '@1', ...words);
      const text = Buffer.from('kept by').toString('hex');
      const places = [
        ['--address', '0x12010'],
        ['--virtual', hex(imageAddress(18, 0x10))],
        ['--virtual', '0x405010', '--pid', '7'],
      ];
      for (const place of places)
        expect(await read(...place, '--length', '7')).toMatchObject([
          { address: '0x12010', gfn: 18, bytes: text },
        ]);
      expect(await read('--page', '18', '--length', '8192')).toMatchObject([
        { address: '0x12000', gfn: 18, virtual: null },
        { address: '0x13000', gfn: 19, virtual: null },
      ]);
      expect(await read('--symbol', 'init_task', '--length', '4')).toMatchObject([
        { virtual: hex(imageAddress(12)), gfn: 12 },
      ]);
    },
    LONG_MS,
  );

  test(
    'is shown in lines of sixteen bytes, or as the bytes themselves',
    async () => {
      const place = ['read', '--vm', 'made', '--address', '0x12010', '--length', '18'];
      const { stdout } = await commands.run(place);
      expect(stdout.toString().split('\n')).toEqual([
        '00012010  63 68 61 6e 67 65 64 20 62 79 20 70 72 6f 63 65  |changed by proce|',
        '00012020  73 73                                            |ss|',
        '',
      ]);
      const raw = await commands.run([...place, '--raw']);
      expect(raw.stdout.toString()).toBe('changed by process');
    },
    LONG_MS,
  );

  test(
    'has no bytes where nothing is',
    async () => {
      const at = ['read', '--vm', 'made', '--at', '@1'];
      expect(await commands.errorOf(...at, '--page', '24')).toEqual([5, 'GFN_OUT_OF_RANGE']);
      expect(await commands.errorOf(...at, '--address', '0x18000')).toEqual([
        5,
        'ADDRESS_UNMAPPED',
      ]);
      expect(await commands.errorOf(...at, '--virtual', '0x1000')).toEqual([5, 'VIRTUAL_UNMAPPED']);
      const inProcess = ['--virtual', '0x401000', '--pid'];
      expect(await commands.errorOf(...at, ...inProcess, '7')).toEqual([5, 'VIRTUAL_UNMAPPED']);
      expect(await commands.errorOf(...at, ...inProcess, '8')).toEqual([5, 'PROCESS_UNKNOWN']);
      expect(await commands.errorOf(...at)).toEqual([2, 'BAD_USAGE']);
    },
    LONG_MS,
  );

  describeWithPrograms('restored to a raw image at a terminal', ['script'], () => {
    test(
      'says how crash opens it, and nowhere else',
      async () => {
        const to = join(folder.path, 'restored.raw');
        const words = ['restore', '--vm', 'made', '--at', '@1', '--force', '--to', to];
        const command = [process.execPath, COMMAND_LINE, '--ledger', commands.ledger, ...words];
        const { stdout } = spawnSync('script', ['-qec', command.join(' '), '/dev/null'], {
          encoding: 'utf8',
        });
        expect(stdout).toContain(
          `crash --machdep phys_base=0xfffffffffec00000 --kaslr=0x400000 vmlinux ${to}@0`,
        );
        const plain = await commands.run(words);
        expect(plain.stdout.toString()).not.toContain('crash');
      },
      LONG_MS,
    );
  });

  test(
    'beside another one is chosen by its number',
    async () => {
      const made: MadeMemory = madeKernel();
      const page = made.bytes.subarray(MADE_NOTE * 4096, (MADE_NOTE + 1) * 4096);
      // A kernel that is ready to be dumped keeps its page twice, and is one all the same.
      made.put(0, 0, page);
      await commands.recordRaw('twice', made.bytes);
      expect(await commands.json('ps', '--vm', 'twice')).toHaveLength(2);
      // Another one has page tables of its own.
      made.put(22, 0, made.bytes.subarray(4096, 2 * 4096));
      const text = new TextDecoder().decode(page.subarray(0, page.indexOf(0)));
      const tables = /(?<=SYMBOL\(swapper_pg_dir\)=)[0-9a-f]+/u;
      made.text(0, 0, text.replace(tables, imageAddress(22).toString(16)));
      await commands.recordRaw('two', made.bytes);
      const { stderr } = await commands.run(['ps', '--vm', 'two']);
      expect(stderr).toMatch(/1: Linux 6\.1\.0-made \(VMCOREINFO at 0x0\); 2: Linux/u);
      expect(await commands.json('ps', '--vm', 'two', '--kernel', '2')).toHaveLength(2);
      expect(await commands.errorOf('ps', '--vm', 'two', '--kernel', '3')).toEqual([
        5,
        'KERNEL_UNKNOWN',
      ]);
    },
    LONG_MS,
  );
});

test(
  'memory that is no Linux says so, and is read by page',
  async () => {
    await commands.recordRaw('other', makeImage({ seed: 3, pages: 20 }));
    expect(await commands.errorOf('ps', '--vm', 'other')).toEqual([5, 'GUEST_UNDESCRIBED']);
    for (const question of ['symbols', 'owners', 'dmesg'])
      expect(await commands.errorOf(question, '--vm', 'other')).toEqual([5, 'GUEST_UNDESCRIBED']);
    expect(await commands.json('read', '--vm', 'other', '--page', '3')).toHaveLength(1);
  },
  LONG_MS,
);

/** A kernel thread's name without what it does just now. */
const stableName = (name: string): string => name.replace(/^(kworker\/[^+-]+)[+-].*$/u, '$1');

/** What is the same for as long as a process does nothing: of the kernel's own threads the name. */
const settled = (processes: readonly ToldProcess[]): unknown[] =>
  processes.map(({ pid, command, state, pages }) =>
    // The shell that tells runs while it does.
    pages > 0 && pid !== 1
      ? { pid, command, state, pages }
      : { pid, command: stableName(command), pages },
  );

const found = await findTools();
/** Another kernel than the tools' own, or why there is none. */
const second =
  found.tools === null
    ? { tree: null, reason: found.reason }
    : await otherKernel(found.tools.kernel);

/** A kernel from before Linux 6.0, asked in the long run. */
const earlier = IS_LONG
  ? await earlierKernel()
  : { tree: null, reason: 'the long run alone fetches one' };

describeWithQemu('a real kernel', found, (tools) => {
  /** Records a guest between two rounds that tell the same; what it told, and what `ps` says. */
  async function toldAndFound(guest: DemoGuest, vm: string, files: readonly string[]) {
    await guest.waitForLine(/^DONE 2$/u, { timeoutMs: GUEST_TIMEOUT_MS });
    const words = ['record', 'qemu', '--vm', vm, '--qmp', guest.qmpPath, '--count', '1'];
    for (let capture = 1; ; capture += 1) {
      const before = guest.lines().filter((line) => line.startsWith('DONE')).length;
      await commands.json(...words);
      const after = guest.lines().filter((line) => line.startsWith('ROUND')).length + 1;
      await guest.waitForLine(new RegExp(`^DONE ${after}$`, 'u'));
      const rounds = [before, after].map((round) => toldProcesses(guest.lines(), round)!);
      const [told, later] = rounds.map((processes) => settled(processes));
      if (JSON.stringify(told) !== JSON.stringify(later) && capture < 5) continue;
      const processes = await commands.json('ps', '--vm', vm, ...files);
      return { told, found: settled(processes as unknown as ToldProcess[]) };
    }
  }

  /** Its pages have owners, and the process that holds an array has it. */
  async function expectOwners(guest: DemoGuest, vm: string, files: readonly string[]) {
    const owners = await commands.json('owners', '--vm', vm, ...files);
    const [captured] = (await commands.json('captures', '--vm', vm)).slice(-1);
    const pages = Number(captured!['written']) + Number(captured!['unchanged']);
    expect(owners.reduce((sum, row) => sum + Number(row['pages']), 0)).toBe(pages);
    const awk = owners.find(({ command }) => command === 'awk')!;
    const told = toldAnonymous(guest.lines(), Number(awk['pid']));
    // Pages that it has from the shell which started it, and did not write to, are the shell's.
    expect(Number(awk['pages'])).toBeLessThanOrEqual(told);
    expect(Number(awk['pages'])).toBeGreaterThan(told - 40);
    const tables = Number(owners.find(({ owner }) => owner === 'pageTables')!['pages']);
    expect(Math.abs(tables - toldTables(guest.lines()))).toBeLessThan(8);
    const [first] = await commands.json('dmesg', '--vm', vm);
    expect(first!['text']).toMatch(/^Linux version \d/u);
  }

  /** A list of its symbols, of a kernel that does not say where they are. */
  async function filesOf(guest: DemoGuest, name: string): Promise<readonly string[]> {
    if (name !== 'earlier') return [];
    await guest.waitForLine(/^TOLD/u, { timeoutMs: GUEST_TIMEOUT_MS });
    const path = join(folder.path, 'kallsyms');
    writeFileSync(path, toldSymbols(guest.lines()));
    return ['--kallsyms', path];
  }

  const guests = [
    { name: 'own', title: 'of Debian', cpu: 'qemu64', kernel: tools.kernel },
    {
      name: 'five',
      title: 'with page tables of five levels',
      cpu: 'qemu64,+la57',
      kernel: tools.kernel,
    },
    { name: 'second', title: 'of another version', cpu: 'qemu64', kernel: second.tree },
    { name: 'earlier', title: 'from before Linux 6.0', cpu: 'qemu64', kernel: earlier.tree },
  ];
  for (const { name, title, cpu, kernel } of sampleOf(guests, guests.length)) {
    const suite = kernel === null ? describe.skip : describe;
    const why = kernel === null ? ` (skipped: ${second.reason ?? earlier.reason})` : '';
    suite(`${title}${why}`, () => {
      test(
        'has the processes that its /proc has',
        async () => {
          const own = { ...tools, kernel: kernel! };
          const tellsSymbols = name === 'earlier';
          const request = { tools: own, folder: folder.path, name, cpu, tellsSymbols };
          const guest = await startProcGuest(request);
          try {
            const files = await filesOf(guest, name);
            const outcome = await toldAndFound(guest, name, files);
            expect(outcome.found.length).toBeGreaterThan(10);
            expect(outcome.found).toEqual(outcome.told);
            await expectOwners(guest, name, files);
          } finally {
            await guest.kill();
          }
        },
        GUEST_TIMEOUT_MS,
      );
    });
  }
});
