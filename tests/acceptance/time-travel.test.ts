// What was, at the command line: of a kernel that was put together, with
// a value that changes, on the way to which a page table changes too.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LedgerCommands } from '../support/command-line.ts';
import { imageAddress, madeKernel } from '../support/guest/made-kernel.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const LONG_MS = 300_000;
/** A word of the kernel's that is written: in the frame of its processes. */
const WORD = imageAddress(12, 0xe00);
const hex = (address: bigint): string => address.toString(16);

/** What the word is at captures 1 to 6; before capture 4 another word of its page is written too. */
const WORDS = [1n, 1n, 5n, 5n, 9n, 9n];

let folder: TemporaryFolder;
let commands: LedgerCommands;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  await commands.run(['init']);
  const made = madeKernel();
  for (const [i, word] of WORDS.entries()) {
    made.u64(12, 0xe00, word);
    if (i === 3) made.u64(12, 0xe08, 77n);
    if (i === 5) made.text(18, 0x10, 'written by process 7');
    const path = join(folder.path, 'image');
    writeFileSync(path, made.bytes);
    await commands.json('record', 'image', '--format', 'raw', '--vm', 'made', path);
  }
}, LONG_MS);
afterAll(() => folder.remove());

describe('at the command line', () => {
  const valuesOf = async (...more: string[]): Promise<unknown[]> => {
    const rows = await commands.json('values', '--vm', 'made', ...more);
    return rows.map(({ capture, value }) => [capture, value]);
  };

  test(
    'values are told from the capture on that has them',
    async () => {
      const at = `0x${hex(WORD)}`;
      expect(await valuesOf('--virtual', at)).toEqual([
        [1, '1'],
        [3, '5'],
        [5, '9'],
      ]);
      expect(await valuesOf('--address', String(12 * 4096 + 0xe00), '--type', 'u8')).toEqual([
        [1, 1],
        [3, 5],
        [5, 9],
      ]);
      expect(
        await valuesOf('--virtual', at, '--from', '@2', '--to', '@4', '--type', 's32'),
      ).toEqual([
        [2, 1],
        [3, 5],
      ]);
      expect(
        await valuesOf('--symbol', 'init_task+0x600', '--type', 'hex', '--length', '2'),
      ).toHaveLength(1);
      expect(await valuesOf('--virtual', '0x10', '--pid', '99')).toEqual([[1, null]]);
    },
    LONG_MS,
  );

  test(
    'what cannot be asked is said',
    async () => {
      const codeOf = async (...more: string[]): Promise<unknown> => {
        const { exitCode, stderr } = await commands.run([
          '--json',
          'values',
          '--vm',
          'made',
          ...more,
        ]);
        const { error } = JSON.parse(stderr) as { error: { code: string } };
        return [exitCode, error.code];
      };
      expect(await codeOf('--symbol', 'absent')).toEqual([5, 'SYMBOL_UNKNOWN']);
      expect(await codeOf()).toEqual([2, 'BAD_USAGE']);
      expect(await codeOf('--address', '0', '--pid', '7')).toEqual([2, 'BAD_USAGE']);
      expect(await codeOf('--address', '0', '--type', 'u8', '--length', '7')).toEqual([
        2,
        'BAD_USAGE',
      ]);
      expect(await codeOf('--address', '0', '--to', '@9')).toEqual([5, 'NO_CAPTURE']);
    },
    LONG_MS,
  );
});
