// A debugger over a history, as packets and at the command line: of a kernel that was put together, with
// a value that changes, on the way to which a page table changes too.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { GdbClient } from '../../support/clients/gdb-client.ts';
import { imageAddress, madeKernel } from '../../support/guest/made-kernel.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
/** A word of the kernel's that is written: in the frame of its processes. */
const WORD = imageAddress(12, 0xe00);
const hex = (address: bigint): string => address.toString(16);

/** What the word is at captures 1 to 6; before capture 4 another word of its page is written too. */
const WORDS = [1n, 1n, 5n, 5n, 9n, 9n];

let folder: TemporaryFolder;
let commands: LedgerCommands;
let words: readonly string[];

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  words = ['--ledger', join(folder.path, 'ledger'), 'gdb', '--vm', 'made'];
  await commands.run(['init']);
  const made = madeKernel();
  for (const [i, word] of WORDS.entries()) {
    made.u64(12, 0xe00, word);
    // A page of process 7 is another at capture 2.
    if (i === 1 || i === 2) made.entry(16, 5, { frame: i === 1 ? 17 : 18 });
    if (i === 3) made.u64(12, 0xe08, 77n);
    if (i === 5) made.text(18, 0x10, 'written by process 7');
    await commands.recordRaw('made', made.bytes);
  }
}, LONG_MS);
afterAll(() => folder.remove());

describe('a client of the remote protocol', () => {
  let client: GdbClient;
  beforeAll(() => {
    client = GdbClient.stdio([...words, '--at', 'latest']);
  });
  afterAll(() => client.end());

  const word = (value: bigint): string => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes.toString('hex');
  };
  /** The number of the register that goes to captures, out of the description. */
  const seq = async (): Promise<string> => {
    let xml = '';
    for (let part = 'm'; part.startsWith('m');) {
      part = (await client.ask(`qXfer:features:read:target.xml:${xml.length.toString(16)},100`))!;
      xml += part.slice(1);
    }
    return Number(/name="seq"[^>]*regnum="(\d+)"/u.exec(xml)![1]).toString(16);
  };
  const at = async (): Promise<string | null> => client.ask(`p${await seq()}`);

  test(
    'is told what there is, and that registers are not',
    async () => {
      expect(await client.ask('qSupported:multiprocess+')).toContain('ReverseContinue+');
      // What GDB 18 asks that older ones do not.
      expect(
        await client.ask('qSupported:QThreadOptions+;memory-tagging+;error-message+'),
      ).toContain('ReverseStep+');
      expect(await client.ask('qExecAndArgs')).toBe('');
      for (const thread of ['Hg0', 'Hc0']) expect(await client.ask(thread)).toBe('OK');
      expect(await client.ask('?')).toBe('T05thread:1;');
      expect(await client.ask('qfThreadInfo')).toBe('m1');
      expect(await client.ask('qsThreadInfo')).toBe('l');
      expect(await client.ask('qAttached')).toBe('1');
      const general = await client.ask('g');
      // GDB lets a guest go that has no place.
      expect(general?.slice(0, -16)).toMatch(/^x{256}0{16}x+$/u);
      expect(general?.slice(-16)).toBe(word(6n));
    },
    LONG_MS,
  );

  test('reads memory by the addresses of the kernel, its hardware, and a process', async () => {
    expect(await client.ask(`m${hex(WORD)},8`)).toBe(word(9n));
    expect(await client.ask('m12345678,8')).toBe('E14');
    // What is behind the last page that is mapped is not there: what is before it is.
    expect(await client.ask('Qqemu.PhyMemMode:1')).toBe('OK');
    expect(await client.ask('qqemu.PhyMemMode')).toBe('1');
    expect(await client.ask(`m${(12 * 4096 + 0xe00).toString(16)},8`)).toBe(word(9n));
    expect(await client.ask(`m${(24 * 4096 - 4).toString(16)},8`)).toHaveLength(8);
    expect(await client.ask('Qqemu.PhyMemMode:0')).toBe('OK');
    expect(await client.monitor('ps')).toMatch(/ 7 S +5 {2}worker/u);
    expect(await client.monitor('attach 7')).toBe('addresses: of process 7\n');
    expect(await client.monitor('attach 8')).toContain('no process 8');
    expect(await client.ask(`m${hex(WORD)},8`)).toBe(word(9n));
    expect(await client.monitor('attach cpu')).toBe('addresses: of the kernel\n');
  });

  test('goes back to before each write, and forward behind it', async () => {
    const watch = `2,${hex(WORD)},8`;
    expect(await client.ask(`Z${watch}`)).toBe('OK');
    for (const [value, capture] of [
      [5n, 4n],
      [1n, 2n],
    ] as const) {
      expect(await client.ask('bc')).toBe(`T05thread:1;watch:${hex(WORD)};`);
      expect(await at()).toBe(word(capture));
      expect(await client.ask(`m${hex(WORD)},8`)).toBe(word(value));
    }
    expect(await client.ask('bc')).toBe('T05thread:1;replaylog:begin;');
    expect(await at()).toBe(word(1n));
    for (const [value, capture] of [
      [5n, 3n],
      [9n, 5n],
    ] as const) {
      expect(await client.ask('vCont;c')).toBe(`T05thread:1;watch:${hex(WORD)};`);
      expect(await at()).toBe(word(capture));
      expect(await client.ask(`m${hex(WORD)},8`)).toBe(word(value));
    }
    expect(await client.ask('c')).toBe('T05thread:1;replaylog:end;');
    expect(await client.ask(`z${watch}`)).toBe('OK');
    expect(await client.ask('bc')).toBe('T05thread:1;replaylog:begin;');
  });

  test('of several things that are watched stops at what is nearest', async () => {
    await client.ask(`P${await seq()}=${word(6n)}`);
    const page = imageAddress(12);
    await client.ask(`Z2,${hex(WORD)},8`);
    await client.ask(`Z4,${hex(page)},1000`);
    expect(await client.ask('bc')).toMatch(/watch:/u);
    expect(await at()).toBe(word(4n));
    expect(await client.ask('bc')).toBe(`T05thread:1;awatch:${hex(page)};`);
    expect(await at()).toBe(word(3n));
    await client.ask(`z2,${hex(WORD)},8`);
    await client.ask(`z4,${hex(page)},1000`);
  });

  test('stops where an address led to another page, too', async () => {
    await client.ask(`P${await seq()}=${word(6n)}`);
    await client.monitor('attach 7');
    const text = Buffer.from('kept by ').toString('hex');
    expect(await client.ask('Z2,405010,8')).toBe('OK');
    for (const [capture, bytes] of [
      [5n, text],
      [2n, '00'.repeat(8)],
      [1n, text],
    ] as const) {
      expect(await client.ask('bc')).toBe('T05thread:1;watch:405010;');
      expect([await at(), await client.ask('m405010,8')]).toEqual([word(capture), bytes]);
    }
    expect(await client.ask('bc')).toBe('T05thread:1;replaylog:begin;');
    expect(await client.ask('z2,405010,8')).toBe('OK');
    await client.monitor('attach cpu');
  });

  test('steps by captures, and goes to one by its number', async () => {
    expect(await client.ask(`P${await seq()}=${word(2n)}`)).toBe('OK');
    expect(await client.ask('bs')).toBe('T05thread:1;');
    expect(await at()).toBe(word(1n));
    expect(await client.ask('bs')).toBe('T05thread:1;replaylog:begin;');
    expect(await client.ask('s')).toBe('T05thread:1;');
    expect(await at()).toBe(word(2n));
    expect(await client.ask(`P${await seq()}=${word(99n)}`)).toMatch(/^E\..*no capture/u);
    expect(await at()).toBe(word(2n));
  });

  test('asks what GDB has no words for', async () => {
    await client.ask(`P${await seq()}=${word(6n)}`);
    expect(await client.monitor(`last-change 0x${hex(WORD)}`)).toMatch(
      /^changed in @5 of 6, .*: 0500000000000000 -> 0900000000000000\n$/u,
    );
    expect(await client.monitor('last-change _stext')).toContain('the same since @1');
    const values = await client.monitor(`values 0x${hex(WORD)} 1`);
    expect(values.replaceAll(/ of 6, [^:]*T[^ ]*:/gu, '').split('\n')).toEqual([
      '@1 01',
      '@3 05',
      '@5 09',
      '',
    ]);
    await client.monitor('goto @1');
    expect(await client.monitor(`when u64 0x${hex(WORD)} >= 5`)).toMatch(/^holds from @3 of 6/u);
    expect(await client.monitor(`when u64 0x${hex(WORD)} > 9`)).toContain('at no capture');
    expect(await client.monitor('when u64 absent > 9')).toContain('no symbol "absent"');
    expect(await client.monitor('when u64 0x10 > 9')).toContain('cannot be told');
    expect(await client.monitor('when')).toContain('is no predicate');
    await client.monitor('goto latest');
    const wrote = await client.monitor(`who-wrote 0x${hex(WORD)}`);
    expect(wrote.split('\n')).toEqual([
      expect.stringMatching(/^changed in @5 of 6, .*: 0500000000000000 -> 0900000000000000$/u),
      expect.stringMatching(/^page at 0xc000: /u),
      ...wrote.split('\n').slice(2, -3),
      'no registers were recorded there: who ran is not known',
      'which instruction wrote it, and who ran between the captures, is in no history of pages',
      '',
    ]);
    expect(await client.monitor('who-wrote _stext')).toContain('the same since @1');
    const text = `0x${(18 * 4096 + 0x10).toString(16)} from @6`;
    expect(await client.monitor('find "written by  process"')).toBe('these bytes are nowhere\n');
    expect(await client.monitor('find "written by process 7"')).toContain(text);
    expect(await client.monitor('find 7772697474656e2062792070')).toMatch(/, held\n$/u);
    expect(await client.monitor('find words')).toContain('bytes in hex, or a text in quotes');
    expect(await client.monitor('find 00000000')).toContain('zeros are everywhere');
    expect(await client.monitor('diff 3 4')).toBe(
      '1 pages differ\n0xce08: 1 bytes in 1 stretches\n',
    );
    expect(await client.monitor('diff 5')).toContain('two points were expected');
    expect(await client.monitor('diff 5 99')).toContain('no capture');
    expect(await client.monitor('captures 3')).toContain('=> @6 ');
    expect(await client.monitor('nothing')).toContain('last-change ADDR');
    expect(await client.monitor('goto @77')).toContain('no capture');
  });

  test('writes nothing, and is answered whatever it sends', async () => {
    for (const payload of [
      `M${hex(WORD)},1:00`,
      `X${hex(WORD)},1:0`,
      'G00',
      'P0=0000000000000000',
      'P=',
      'Pffff=',
    ])
      expect([payload, await client.ask(payload)]).toEqual([payload, 'E01']);
    for (const payload of [
      'm',
      'mzz,1',
      `m${hex(WORD)}`,
      `m${'f'.repeat(400)},8`,
      'p',
      'pffff',
      'Z2,,',
      `Z2,${hex(WORD)},0`,
      `Z2,${hex(WORD)},ffffffff`,
      'Hgzz',
      'T',
      'T1zz',
      'qThreadExtraInfo,zz',
      'qRcmd,zz',
    ])
      expect([payload, await client.ask(payload)]).toEqual([payload, 'E22']);
    for (const payload of [
      '',
      '!',
      'vMustReplyEmpty',
      'qTStatus',
      'Z0,1000,1',
      'Z3,1000,1',
      'b',
      'R',
    ])
      expect([payload, await client.ask(payload)]).toEqual([payload, '']);
    expect(await client.ask(`m${hex(WORD)},ffffffff`)).toMatch(/^[0-9a-f]+$/u);
    client.send('$g#00');
    expect(await client.ask('qAttached')).toBe('1');
    expect(await client.monitor(`\u001b]0;x\u0007 ${'y'.repeat(5000)}`)).not.toContain('\u001b');
  });
});

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
      const codeOf = (...more: string[]) => commands.errorOf('values', '--vm', 'made', ...more);
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

  test(
    'the first capture at which something is true is found, by a predicate or a command',
    async () => {
      const bisected = (...more: string[]) => commands.json('bisect', '--vm', 'made', ...more);
      const at = `0x${hex(WORD)}`;
      expect(await bisected('--when', `u64 ${at} >= 5`)).toEqual([
        { vm: 'made', capture: 6, result: 'true' },
        { vm: 'made', capture: 3, result: 'true' },
        { vm: 'made', capture: 1, result: 'false' },
        { vm: 'made', capture: 2, result: 'false' },
        { vm: 'made', capture: 3, result: 'first' },
      ]);
      expect((await bisected('--when', `u64 ${at} == 7`)).at(-1)).toEqual({
        vm: 'made',
        capture: null,
        result: 'never',
      });
      const script = join(folder.path, 'asks.sh');
      // Bytes of the raw image, of the core, and who asks; capture 4 cannot be told.
      writeFileSync(
        script,
        `[ "$PAGELEDGER_VM" = made ] && [ -n "$PAGELEDGER_GDB" ] || exit 130
         [ "$PAGELEDGER_POINT" = made/@4 ] && exit 125
         word=$(od -A n -t u8 -j ${12 * 4096 + 0xe00} -N 8 "$PAGELEDGER_MEMORY") || exit 131
         head -c 4 "$PAGELEDGER_CORE" | grep -q ELF || exit 132
         echo asked
         [ $word -lt 5 ] && exit 0
         exit 3`,
      );
      const asked = ['--memory', '--core', '--', 'sh', script];
      const rows = await bisected('--to', '@5', ...asked);
      expect(rows.at(-1)).toEqual({ vm: 'made', capture: 3, result: 'first' });
      expect(rows).toContainEqual({ vm: 'made', capture: 5, result: 'true' });
      const some = await bisected('--from', '@2', '--to', '@5', '--', 'sh', '-c', 'exit 125');
      expect(some.at(-1)).toEqual({ vm: 'made', capture: null, result: 'untold' });
      const { exitCode, stderr } = await commands.run([
        '--json',
        'bisect',
        '--vm',
        'made',
        '--',
        'sh',
        '-c',
        'exit 130',
      ]);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining('BISECT_STOPPED')]);
      const misspelt = await commands.run([
        '--json',
        'bisect',
        '--vm',
        'made',
        '--when',
        'u8 jiffys > 1',
      ]);
      expect(misspelt.stderr).toContain('SYMBOL_UNKNOWN');
      const wrong = await commands.run(['--json', 'bisect', '--vm', 'made']);
      expect(wrong.exitCode).toBe(2);
    },
    LONG_MS,
  );

  test(
    'GDB is handed on what it is started with',
    async () => {
      const { exitCode, stdout } = await commands.run([
        ...words.slice(2),
        '--gdb',
        'echo',
        '--',
        'more words',
      ]);
      expect(exitCode).toBe(0);
      const lines = stdout.toString().split('\n');
      expect(lines[0]).toMatch(/^VM made at @6 of 6, /u);
      expect(lines[1]).toBe('registers: none were recorded up to here');
      expect(lines[2]).toMatch(/^a step is a capture: /u);
      expect(lines[3]).toMatch(/symbol-file .*vmlinux.*target remote .*gdb\.sock more words$/u);
      const absent = await commands.run([...words.slice(2), '--gdb', '/absent/gdb']);
      expect([absent.exitCode, absent.stderr]).toEqual([2, expect.stringContaining('--listen')]);
    },
    LONG_MS,
  );
});

/** Counted as skipped where GDB is not installed. */
const describeWithGdb = programPath('gdb') === null ? describe.skip : describe;

describeWithGdb('GDB itself', () => {
  test(
    'goes back where no registers were recorded, by the addresses of a process too',
    async () => {
      const lines = [
        `watch *(long *)0x${hex(WORD)}`,
        'reverse-continue',
        'p $seq',
        'attach 7',
        `x/1gx 0x${hex(WORD)}`,
        'reverse-continue',
        'p $seq',
      ];
      const options = ['-batch', ...lines.flatMap((line) => ['-ex', line])];
      const { stdout } = await commands.run([...words.slice(2), '--', ...options]);
      const said = stdout.toString();
      expect(said).toMatch(/Old value = 9\s+New value = 5/u);
      expect(said).toMatch(/addresses: of process 7\n0x[0-9a-f]+ <init_task\+\d+>:\s+0x0+5\n/u);
      expect(said).toMatch(/Old value = 5\s+New value = 1/u);
      expect([...said.matchAll(/\$\d = (\d)/gu)].map(([, seq]) => seq)).toEqual(['4', '2']);
    },
    LONG_MS,
  );
});
