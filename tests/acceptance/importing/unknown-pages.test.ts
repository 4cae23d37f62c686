// Points of which a dump left pages out, as disks, as files and under a debugger: of a kernel that was put
// together, dumped whole, and then without the pages of its process and some free ones.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { uriOf } from '../../../adapters/faces/nbd/uri.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { GdbClient } from '../../support/clients/gdb-client.ts';
import { imageAddress, MADE_FRAMES, madeKernel } from '../../support/guest/made-kernel.ts';
import { kdump } from '../../support/guest/kdump-bytes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms, printedBy } from '../../support/tools.ts';

const LONG_MS = 300_000;
/** Of the process, and a free one. */
const LEFT_OUT = [17, 18, 22];
const PROCESS_FRAME = 18;
const WORD_FRAME = 12;
/** All below 1 MiB counts as memory. */
const PAGES = 256;

let folder: TemporaryFolder;
let commands: LedgerCommands;
/** As it was, and with zeros for what was left out. */
let whole: Buffer;
let zeroed: Buffer;
const at = (name: string): string => join(folder.path, name);

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(at('ledger'));
  const made = madeKernel();
  for (const frame of LEFT_OUT) made.text(frame, 0x10, `of frame ${frame}`);
  made.u64(WORD_FRAME, 0xe00, 7n);
  const runs = [{ address: 0, bytes: made.bytes.slice() }];
  writeFileSync(at('whole'), kdump({ runs }));
  writeFileSync(
    at('filtered'),
    // Zeros are in it, as the kernel needs its own.
    kdump({ runs, level: 30, isFiltered: (page) => LEFT_OUT.includes(page) }),
  );
  for (const name of ['whole', 'filtered'])
    await commands.json('record', 'image', '--vm', 'made', at(name));
  whole = Buffer.concat([made.bytes, Buffer.alloc((PAGES - MADE_FRAMES) * PAGE_BYTES)]);
  zeroed = Buffer.from(whole);
  for (const frame of LEFT_OUT) zeroed.fill(0, frame * PAGE_BYTES, (frame + 1) * PAGE_BYTES);
}, LONG_MS);
afterAll(() => folder.remove());

test(
  'what was left out is counted, and no other page',
  async () => {
    const rows = await commands.json('captures', '--vm', 'made');
    const { length } = LEFT_OUT;
    expect(rows[1]).toMatchObject({ written: length, stored: 0, pattern: 0, unknown: length });
    const [sharing] = await commands.json('sharing', '--vm', 'made');
    expect(sharing).toMatchObject({ pages: PAGES, unknown: length });
  },
  LONG_MS,
);

describeWithPrograms('as a disk', ['nbdinfo', 'nbdcopy'], () => {
  const served = async (name: string, ...words: readonly string[]): Promise<RunningCommand> => {
    const server = commands.start(['--json', 'serve', 'nbd', '--listen', at(name), ...words]);
    await server.until((command) => command.rows().length > 0);
    return server;
  };
  const uri = (socket: string, point: string): string =>
    uriOf({ kind: 'unix', path: at(socket) }, `made/${point}`);

  test(
    'such a point is refused, and others are not',
    async () => {
      const server = await served('plain.sock');
      await expect(printedBy('nbdinfo', uri('plain.sock', '@2'))).rejects.toThrow(
        /policy|not (?:permitted|supported)/u,
      );
      await printedBy('nbdcopy', uri('plain.sock', '@1'), at('copied'));
      expect(readFileSync(at('copied')).equals(whole)).toBe(true);
      server.signal('SIGINT');
      await server.ended;
    },
    LONG_MS,
  );

  test(
    'it has zeros for what was left out where that was asked for, and says that they may differ',
    async () => {
      const server = await served('zero.sock', '--unknown', 'zero');
      await printedBy('nbdcopy', uri('zero.sock', '@2'), at('copied-zeros'));
      expect(readFileSync(at('copied-zeros')).equals(zeroed)).toBe(true);
      const context = '--map=pageledger:changed:@1';
      const text = await printedBy('nbdinfo', context, '--json', uri('zero.sock', '@2'));
      const extents = JSON.parse(text) as { offset: number; length: number; type: number }[];
      const changed = extents.flatMap(({ offset, length, type }) =>
        type === 0
          ? []
          : Array.from({ length: length / PAGE_BYTES }, (_, i) => offset / PAGE_BYTES + i),
      );
      expect(changed).toEqual(LEFT_OUT);
      server.signal('SIGINT');
      await server.ended;
    },
    LONG_MS,
  );
});

describeWithPrograms('as a file', ['nbdfuse', 'fusermount3', '/dev/fuse'], () => {
  test(
    'such a point is mounted where zeros were asked for',
    async () => {
      mkdirSync(at('m'));
      const environment = { XDG_STATE_HOME: at('state') };
      const said = async (...words: readonly string[]): Promise<number | null> =>
        (await commands.run(['--json', ...words], { environment })).exitCode;
      const words = ['mount', '--vm', 'made', '--at', '@2'];
      expect(await commands.errorOf(...words, at('m'))).toEqual([5, 'PAGE_UNKNOWN']);
      expect(await said(...words, '--unknown', 'zero', at('m'))).toBe(0);
      try {
        expect(readFileSync(at('m/memory')).equals(zeroed)).toBe(true);
      } finally {
        expect(await said('unmount', at('m'))).toBe(0);
      }
    },
    LONG_MS,
  );
});

describe('under a debugger', () => {
  let client: GdbClient;
  beforeAll(() => {
    client = GdbClient.stdio(['--ledger', at('ledger'), 'gdb', '--vm', 'made', '--at', '@2']);
  });
  afterAll(() => client.end());
  const physical = (frame: number, offset: number, length: number): Promise<string | null> =>
    client.ask(`m${(frame * PAGE_BYTES + offset).toString(16)},${length.toString(16)}`);

  test(
    'what was left out is no memory, and all else is',
    async () => {
      const word = imageAddress(WORD_FRAME, 0xe00).toString(16);
      expect(await client.ask(`m${word},8`)).toBe('0700000000000000');
      expect(await client.ask('Qqemu.PhyMemMode:1')).toBe('OK');
      expect(await physical(PROCESS_FRAME, 0x10, 8)).toBe('E14');
      // What is before it is read.
      const before = whole.subarray(16 * PAGE_BYTES + 0xff0, 17 * PAGE_BYTES);
      expect(await physical(16, 0xff0, 32)).toBe(before.toString('hex'));
      expect(await client.ask('Qqemu.PhyMemMode:0')).toBe('OK');
      expect(await client.monitor('ps')).toMatch(/ 7 S .*worker/u);
    },
    LONG_MS,
  );
});
