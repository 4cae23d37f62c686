// A recorded guest debugged from an editor: driven as the configuration for Neovim starts it, by a script
// that speaks the Debug Adapter Protocol.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openLedger, recordImages } from '../../../index.ts';
import { DapClient } from '../../support/clients/dap-client.ts';
import { imageAddress, madeKernel } from '../../support/guest/made-kernel.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 120_000;
/** A word of the kernel's that is written at captures 3 and 5; and what it is at captures 1 to 6. */
const WORD = imageAddress(12, 0xe00);
const WORDS = [1n, 1n, 5n, 5n, 9n, 9n];
const hex = (address: bigint): string => `0x${address.toString(16)}`;

let folder: TemporaryFolder;
let url: string;

/** As the configuration for Neovim starts it. */
function started(): DapClient {
  const lua = readFileSync(join(sourceRoot(), 'examples/nvim-dap/pageledger.lua'), 'utf8');
  const words = /args = \{([^}]*)\}/u.exec(lua)![1]!.matchAll(/'([^']+)'/gu);
  return new DapClient(['--ledger', url, ...Array.from(words, ([, word]) => word!)]);
}

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  const ledger = await openLedger({ url, mode: 'create', threads: 0 });
  const made = madeKernel();
  for (const [i, word] of WORDS.entries()) {
    made.u64(12, 0xe00, word);
    const path = join(folder.path, `image-${i}`);
    writeFileSync(path, made.bytes);
    const request = { files: [path], format: 'raw', timeMs: null } as const;
    await recordImages(ledger, { vm: 'made', group: null }, request, () => undefined);
  }
  await ledger.close();
}, LONG_MS);
afterAll(() => folder.remove());

describe('an editor', () => {
  test(
    'goes back to before a write, and forward behind it',
    async () => {
      const editor = started();
      const { body } = await editor.ask('initialize', { adapterID: 'pageledger' });
      expect(body).toMatchObject({ supportsStepBack: true, supportsDataBreakpointBytes: true });
      expect(await editor.ask('threads')).toMatchObject({
        success: false,
        message: 'no VM is debugged yet: attach comes first',
      });
      expect(await editor.ask('attach', { vm: 'absent' })).toMatchObject({ success: false });
      expect(await editor.ask('attach', {})).toMatchObject({ success: false });
      await editor.ask('attach', { vm: 'made' });
      await editor.event('initialized');
      const info = await editor.ask('dataBreakpointInfo', {
        name: hex(WORD),
        asAddress: true,
        bytes: 8,
      });
      const { dataId } = info.body;
      expect(
        (await editor.ask('setDataBreakpoints', { breakpoints: [{ dataId }, { dataId: 'x' }] }))
          .body.breakpoints,
      ).toEqual([
        { id: 1, verified: true },
        { id: 2, verified: false, message: expect.anything() },
      ]);
      await editor.ask('configurationDone');
      expect((await editor.event('stopped')).body).toMatchObject({ reason: 'entry' });
      const word = async (): Promise<bigint> => {
        const read = await editor.ask('readMemory', { memoryReference: hex(WORD), count: 8 });
        return Buffer.from(read.body.data, 'base64').readBigUInt64LE();
      };
      const at = (capture: number) => expect.stringContaining(`@${capture} of 6`);
      expect(await editor.stopAfter('reverseContinue')).toEqual(['data breakpoint', at(4)]);
      expect(await word()).toBe(5n);
      expect(await editor.stopAfter('reverseContinue')).toEqual(['data breakpoint', at(2)]);
      expect(await editor.stopAfter('reverseContinue')).toEqual(['step', at(1)]);
      expect(await editor.stopAfter('continue')).toEqual(['data breakpoint', at(3)]);
      expect(await word()).toBe(5n);
      expect(await editor.stopAfter('next')).toEqual(['step', at(4)]);
      expect(await editor.stopAfter('stepBack')).toEqual(['step', at(3)]);
      await editor.ask('disconnect');
      expect([await editor.ended, editor.stderr]).toEqual([0, '']);
    },
    LONG_MS,
  );

  test(
    'sees where it is, and asks',
    async () => {
      const editor = started();
      await editor.ask('launch', { vm: 'made', at: '@3' });
      await editor.ask('configurationDone');
      await editor.event('stopped');
      expect((await editor.ask('threads')).body.threads).toEqual([
        { id: 1, name: 'CPU 0, no registers' },
      ]);
      const { stackFrames } = (await editor.ask('stackTrace', { threadId: 1 })).body;
      const [frame] = stackFrames;
      expect([frame.name, frame.line]).toEqual([expect.stringContaining('@3 of 6'), 3]);
      const { content } = (await editor.ask('source', frame.source)).body;
      expect(content.split('\n')).toEqual(
        WORDS.map((_, i) =>
          expect.stringMatching(new RegExp(`^@${i + 1} 20.*, no registers$`, 'u')),
        ),
      );
      const breakpoints = { source: frame.source, breakpoints: [{ line: 1 }, { line: 2 }] };
      expect((await editor.ask('setBreakpoints', breakpoints)).body.breakpoints).toEqual(
        [1, 2].map(() => expect.objectContaining({ verified: false })),
      );
      const { scopes } = (await editor.ask('scopes', { frameId: 1 })).body;
      const registers = scopes.find(({ name }: { name: string }) => name === 'Registers');
      const { variables } = (await editor.ask('variables', registers)).body;
      expect(variables[0]).toEqual({ name: 'rax', value: 'not recorded', variablesReference: 0 });
      const evaluate = async (expression: string, context = 'watch') =>
        (await editor.ask('evaluate', { expression, context })).body.result;
      expect(await evaluate(`u64 ${hex(WORD)}`)).toBe('5');
      expect(await evaluate(`u64 ${hex(WORD)} > 5`)).toBe('false');
      expect(await evaluate('u64 0x10')).toBe('not mapped');
      expect(await evaluate(`last-change ${hex(WORD)}`, 'repl')).toContain('changed in @3 of 6');
      expect(await evaluate('goto @6', 'repl')).toContain('@6 of 6');
      expect((await editor.event('stopped')).body.reason).toBe('goto');
      expect(await evaluate(`u64 ${hex(WORD)}`)).toBe('9');
      for (const [command, of] of [
        ['evaluate', { expression: 'captures' }],
        ['evaluate', { expression: 'u64 absent' }],
        ['evaluate', {}],
        ['variables', { variablesReference: 7 }],
        ['source', { sourceReference: 99 }],
        ['source', {}],
        ['setBreakpoints', { breakpoints: 7 }],
        ['setBreakpoints', { breakpoints: Array.from({ length: 1025 }, () => ({ line: 1 })) }],
        ['scopes', { frameId: 'x' }],
        ['readMemory', { memoryReference: 'nowhere at all', count: 1 }],
        ['readMemory', { memoryReference: '0x10', count: -1 }],
        ['dataBreakpointInfo', { name: hex(WORD), bytes: 2 ** 22 }],
        [
          'setDataBreakpoints',
          { breakpoints: Array.from({ length: 65 }, () => ({ dataId: 'x' })) },
        ],
        ['attach', { vm: 'made' }],
        ['writeMemory', { memoryReference: hex(WORD), data: 'AA==' }],
        ['__proto__', {}],
        ['toString', {}],
      ] as const)
        expect([command, (await editor.ask(command, of)).success]).toEqual([command, false]);
      const { body } = await editor.ask('readMemory', { memoryReference: '0x10', count: 2 ** 40 });
      expect(body).toEqual({ address: '0x10', data: '', unreadableBytes: expect.any(Number) });
      expect(
        (await editor.ask('readMemory', { memoryReference: hex(WORD), count: 0 })).success,
      ).toBe(true);
      editor.kill();
    },
    LONG_MS,
  );

  test(
    'that does not speak the protocol is let go, and told why',
    async () => {
      const editor = started();
      editor.send(Buffer.from('Content-Length: 99999999\r\n\r\n'));
      expect([await editor.ended, editor.stderr]).toEqual([
        2,
        expect.stringMatching(/longer than/u),
      ]);
      const floods = started();
      await floods.ask('attach', { vm: 'made' });
      for (let i = 0; i < 2000; i += 1) floods.request('threads');
      expect([await floods.ended, floods.stderr]).toEqual([2, expect.stringMatching(/wait for/u)]);
    },
    LONG_MS,
  );
});
