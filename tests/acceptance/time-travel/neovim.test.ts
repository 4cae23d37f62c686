// A recorded guest debugged from Neovim with nvim-dap, by the configuration in examples. Runs where nvim
// is installed and PAGELEDGER_NVIM_DAP says where nvim-dap lies.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import { COMMAND_LINE, LedgerCommands } from '../../support/command-line.ts';
import { imageAddress, madeKernel } from '../../support/guest/made-kernel.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
/** A word of the kernel's that is written at captures 3 and 5; and what it is at captures 1 to 6. */
const WORD = `0x${imageAddress(12, 0xe00).toString(16)}`;
const WORDS = [1n, 1n, 5n, 5n, 9n, 9n];

const plugin = process.env['PAGELEDGER_NVIM_DAP'];
const nvim = programPath('nvim');
const describeWithNeovim = plugin === undefined || nvim === null ? describe.skip : describe;

describeWithNeovim('Neovim with nvim-dap', () => {
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

  test(
    'attaches, watches, goes back and forward, and shows where it is',
    () => {
      const seen = join(folder.path, 'seen');
      const script = join(sourceRoot(), 'tests/support/clients/nvim-dap-session.lua');
      const { stderr } = spawnSync(nvim!, ['--headless', '--clean', '-S', script], {
        encoding: 'utf8',
        env: {
          ...process.env,
          HOME: folder.path,
          EXAMPLE: join(sourceRoot(), 'examples/nvim-dap'),
          NODE: process.execPath,
          COMMAND_LINE,
          LEDGER: commands.ledger,
          PLACE: WORD,
          SEEN: seen,
        },
      });
      const lines = readFileSync(seen, 'utf8').trim().split('\n');
      const told = lines.map((line) =>
        (JSON.parse(line) as unknown[]).map((word) =>
          typeof word === 'string' ? word.replace(/(@\d of \d).*/u, '$1') : word,
        ),
      );
      expect([stderr, told]).toEqual([
        expect.anything(),
        [
          ['attach', 'entry', 'attached: @6 of 6'],
          ['watch', true],
          ['reverse_continue', 'data breakpoint', `${WORD} is another: @4 of 6`],
          ['value', '5'],
          ['reverse_continue', 'data breakpoint', `${WORD} is another: @2 of 6`],
          ['value', '1'],
          ['reverse_continue', 'step', 'the oldest capture that is kept: @1 of 6'],
          ['value', '1'],
          ['continue', 'data breakpoint', `${WORD} is another: @3 of 6`],
          ['value', '5'],
          ['step_back', 'step', 'a capture: @2 of 6'],
          ['value', '1'],
          ['step_over', 'step', 'a capture: @3 of 6'],
          ['value', '5'],
          ['frame', 'no registers (@3 of 6', 'Moment', 'Registers'],
          ['shown', expect.stringMatching(/^@3 20.* pages written, no registers$/u)],
        ],
      ]);
    },
    LONG_MS,
  );
});
