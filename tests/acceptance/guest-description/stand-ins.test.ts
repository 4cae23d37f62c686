// A guest whose kernel hides what it says of itself, asked with files that stand in for it.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LedgerCommands } from '../../support/command-line.ts';
import { madeBtf } from '../../support/guest/made-btf.ts';
import {
  imageAddress,
  MADE_NOTE,
  MADE_SYMBOLS,
  MADE_TYPES,
  madeKernel,
} from '../../support/guest/made-kernel.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

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

describe('a kernel that hides what it says of itself', () => {
  const files = ['kallsyms', 'btf', 'vmcoreinfo'].map((name) => [`--${name}`, name] as const);
  const pathOf = (name: string): string => join(folder.path, `its-${name}`);
  const standIns = (...names: string[]): string[] =>
    files.flatMap(([option, name]) => (names.includes(name) ? [option, pathOf(name)] : []));

  beforeAll(async () => {
    const made = madeKernel();
    const page = made.bytes.subarray(MADE_NOTE * 4096, (MADE_NOTE + 1) * 4096);
    const text = new TextDecoder().decode(page.subarray(0, page.indexOf(0)));
    writeFileSync(pathOf('vmcoreinfo'), text);
    writeFileSync(pathOf('btf'), madeBtf(MADE_TYPES));
    // As another boot of the same kernel lists them.
    const lines = MADE_SYMBOLS.map(([kind, name, address]) => {
      const moved = (address + 0x60_0000n).toString(16);
      return `${moved} ${kind} ${name}`;
    });
    writeFileSync(pathOf('kallsyms'), `${lines.join('\n')}\n`);
    // Before 6.0 VMCOREINFO does not say where the symbols are.
    const early = madeKernel();
    page.fill(0);
    early.put(MADE_NOTE, 0, page);
    early.text(MADE_NOTE, 0, text.replaceAll(/SYMBOL\(kallsyms.*\n/gu, ''));
    await commands.recordRaw('early', early.bytes);
    early.text(18, 0x10, 'changed by process 7');
    await commands.recordRaw('early', early.bytes);
    // Nothing of it is left, nor are its types.
    early.put(MADE_NOTE, 0, page);
    early.bytes.fill(0, 10 * 4096, 12 * 4096);
    await commands.recordRaw('silent', early.bytes);
  }, LONG_MS);

  test(
    'is asked with a list of its symbols from before Linux 6.0',
    async () => {
      const at = ['--vm', 'early'];
      expect(await commands.errorOf('ps', ...at)).toEqual([5, 'GUEST_UNDESCRIBED']);
      const processes = await commands.json('ps', ...at, ...standIns('kallsyms'));
      expect(processes.map(({ command }) => command)).toEqual(['kthreadd', 'worker']);
      const owners = await commands.json('owners', ...at, ...standIns('kallsyms'));
      expect(owners).toHaveLength(7);
      // What a file said is not taken for what the guest says.
      expect(await commands.errorOf('ps', ...at)).toEqual([5, 'GUEST_UNDESCRIBED']);
    },
    LONG_MS,
  );

  test(
    'is asked over its history with the same files',
    async () => {
      const at = ['--vm', 'early', ...standIns('kallsyms')];
      const worker = { owner: 'anonymous', pid: 7, command: 'worker' };
      expect(await commands.json('diff', ...at, '@1', '@2', '--by', 'owner')).toMatchObject([
        { ...worker, pages: 1, before: [] },
      ]);
      const versions = await commands.json('history', ...at, '--page', '18', '--owners');
      expect(versions).toMatchObject([worker, worker]);
      const [table] = await commands.json('history', '--vm', 'early', '--page', '7');
      const who = ['who', '--identifier', String(table!['identifier']), '--owners'];
      expect(await commands.json(...who, ...standIns('kallsyms'))).toContainEqual(
        expect.objectContaining({ vm: 'early', owner: 'slab' }),
      );
      expect(await commands.json('sharing', ...at, '--free')).toMatchObject([
        { freePages: 2, undescribedVms: [] },
      ]);
      const told = Buffer.from('kept by process 7').toString('hex');
      const text = ['--virtual', hex(imageAddress(18, 0x10)), '--type', 'hex', '--length', '17'];
      expect(await commands.json('values', ...at, ...text)).toMatchObject([
        { capture: 1, value: told },
        {},
      ]);
      const predicate = `bytes ${hex(imageAddress(18, 0x10))} == ${Buffer.from('changed').toString('hex')}`;
      expect(await commands.json('bisect', ...at, '--when', predicate)).toContainEqual(
        expect.objectContaining({ capture: 2, result: 'first' }),
      );
    },
    LONG_MS,
  );

  test(
    'is asked with its types and VMCOREINFO too where it has neither',
    async () => {
      const at = ['--vm', 'silent'];
      expect(await commands.errorOf('symbols', ...at)).toEqual([5, 'GUEST_UNDESCRIBED']);
      const found = standIns('kallsyms', 'vmcoreinfo');
      expect(await commands.json('symbols', ...at, ...found, 'init_task')).toMatchObject([
        { name: 'init_task', address: hex(imageAddress(12)), kind: 'D', offset: 0 },
      ]);
      expect(await commands.errorOf('ps', ...at, ...found)).toEqual([1, 'GUEST_INVALID']);
      expect(await commands.json('ps', ...at, ...found, ...standIns('btf'))).toHaveLength(2);
      expect(await commands.json('dmesg', ...at, ...standIns('vmcoreinfo'))).toHaveLength(2);
      const core = ['restore', ...at, '--format', 'elf', '--force', '--to', pathOf('core')];
      expect(await commands.json(...core)).toMatchObject([{ kernel: null }]);
      expect(
        await commands.json(...core, ...standIns('kallsyms', 'btf', 'vmcoreinfo')),
      ).toMatchObject([{ kernel: '6.1.0-made' }]);
    },
    LONG_MS,
  );

  test(
    'is not asked with a list of another kernel, nor with files that nothing asks',
    async () => {
      const list = readFileSync(pathOf('kallsyms'), 'latin1');
      writeFileSync(pathOf('other'), `${list}${imageAddress(22).toString(16)} d prb\n`);
      const at = ['--vm', 'early', '--kallsyms', pathOf('other')];
      expect(await commands.errorOf('ps', ...at)).toEqual([2, 'STAND_IN_FOREIGN']);
      const { exitCode, stderr } = await commands.run(['sharing', ...at, '--free']);
      expect([exitCode, stderr]).toEqual([0, expect.stringContaining('prb lies elsewhere')]);
      for (const words of [
        ['history', '--vm', 'early', '--page', '1'],
        ['restore', '--vm', 'early', '--to', pathOf('none')],
      ])
        expect(await commands.errorOf(...words, ...standIns('kallsyms'))).toEqual([2, 'BAD_USAGE']);
    },
    LONG_MS,
  );

  test(
    'is not asked with files that are of something else',
    async () => {
      const at = ['ps', '--vm', 'early'];
      for (const [option] of files) {
        const known = option === '--kallsyms' ? [] : standIns('kallsyms');
        const wrong = pathOf(option === '--btf' ? 'kallsyms' : 'btf');
        expect(await commands.errorOf(...at, ...known, option, wrong)).toEqual([
          2,
          'STAND_IN_UNFIT',
        ]);
      }
      const { stderr } = await commands.run([
        ...at,
        '--btf',
        pathOf('vmcoreinfo'),
        ...standIns('kallsyms'),
      ]);
      expect(stderr).toMatch(
        /its-vmcoreinfo" cannot stand in for BTF: its BTF does not begin as BTF/u,
      );
    },
    LONG_MS,
  );
});
