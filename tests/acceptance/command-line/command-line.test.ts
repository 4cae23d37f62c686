// What programs rely on at the command line: fields of --json, nothing else on
// standard output, exit codes, and errors that say what was found and what to do. In the long run each
// command has a process of its own; the answers are the same (answered-commands.test.ts).

import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  COMMAND_LINE,
  LedgerCommands,
  RunningCommand,
  type JsonRow,
} from '../../support/command-line.ts';
import { imageSeries, makeImage } from '../../support/images.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { IS_LONG } from '../../support/long-run.ts';

const LONG_MS = 300_000;
const PAGES = 120;
const IDENTIFIER = /^[0-9a-f]{64}$/u;

let folder: TemporaryFolder;
let url: string;
let commands: LedgerCommands;
let files: string[];
let recorded: JsonRow[];

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  commands = new LedgerCommands(url, { isEachProcess: IS_LONG });
  const mix = { zero: 30, text: 30, random: 0, repeated: 10, duplicate: 30 };
  const images = imageSeries({ seed: 1, pages: PAGES, captures: 3, changedPages: 30, mix });
  files = writeImages({ folder: folder.path, name: 'image', images });
  recorded = await commands.json('record', 'image', '--vm', 'vm', ...files);
  await commands.json('record', 'image', '--vm', 'other', files[2]!);
  await commands.json('checkpoint', '--vm', 'vm', '--name', 'here', '--at', '@2');
}, LONG_MS);
afterAll(() => folder.remove());

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isPosition = (value: unknown): boolean => typeof value === 'string' && /^\d+$/u.test(value);
const isTime = (value: unknown): boolean =>
  typeof value === 'string' && new Date(value).toISOString() === value;

/** Holds fields of every row against what they must be. */
function expectFields(
  rows: readonly JsonRow[],
  fields: Readonly<Record<string, (value: unknown) => boolean>>,
): void {
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows)
    for (const [name, holds] of Object.entries(fields))
      expect([name, row[name], holds(row[name])]).toEqual([name, row[name], true]);
}

describe('--json', () => {
  test('of record and captures is a capture a line, oldest first', async () => {
    const captures = await commands.json('captures', '--vm', 'vm');
    // What only it needs is worked out when it is asked for.
    const cost = { ownBytes: expect.any(Number), sharedBytes: expect.any(Number) };
    expect(captures).toEqual(recorded.map((row) => ({ ...row, ...cost })));
    expect(captures.map(({ capture }) => capture)).toEqual([1, 2, 3]);
    expectFields(captures, {
      capture: isCount,
      position: isPosition,
      time: isTime,
      written: isCount,
      stored: isCount,
      merged: isCount,
      pattern: isCount,
      unchanged: isCount,
      pauseMs: (value) => value === null,
    });
    for (const row of captures) {
      const [written, stored, merged, pattern, unchanged] = [
        'written',
        'stored',
        'merged',
        'pattern',
        'unchanged',
      ].map((name) => Number(row[name]));
      expect(stored! + merged! + pattern!).toBe(written);
      expect(written! + unchanged!).toBe(PAGES);
    }
  });

  test.each([[[]], [['--vm', 'vm']], [['--at', 'pos:0']], [['--vm', 'other', '--at', 'ago:0s']]])(
    'of sharing is the whole table in one object (%j)',
    async (words) => {
      const rows = await commands.json('sharing', ...words);
      expect(rows).toHaveLength(1);
      const counted = ['zero', 'pattern', 'unique', 'mergedIntra', 'mergedInter'];
      const others = ['vms', 'pages', 'patched', 'storedBytes', 'logBytes'];
      expectFields(
        rows,
        Object.fromEntries([...counted, ...others].map((name) => [name, isCount])),
      );
      const sum = counted.reduce((total, name) => total + Number(rows[0]![name]), 0);
      expect(sum).toBe(rows[0]!['pages']);
      const vms = words.includes('pos:0') ? 0 : words.includes('--vm') ? 1 : 2;
      expect([rows[0]!['vms'], rows[0]!['pages']]).toEqual([vms, vms * PAGES]);
    },
  );

  test('of history is a version a line, by page and by address', async () => {
    const gfn = 7;
    const rows = await commands.json('history', '--vm', 'vm', '--page', String(gfn));
    expectFields(rows, {
      capture: isCount,
      position: isPosition,
      time: isTime,
      gfn: (value) => value === gfn,
      outcome: (value) => ['stored', 'merged', 'pattern'].includes(String(value)),
      storedBytes: isCount,
      sharers: isCount,
    });
    const isRight = ({ outcome, identifier }: JsonRow): boolean =>
      outcome === 'pattern' ? identifier === null : IDENTIFIER.test(String(identifier));
    expect(rows.filter((row) => !isRight(row))).toEqual([]);
    const address = `0x${(gfn * 4096 + 5).toString(16)}`;
    expect(await commands.json('history', '--vm', 'vm', '--address', address)).toEqual(rows);
    const captures = await commands.json('captures', '--vm', 'vm');
    for (const { capture, position } of rows)
      expect(captures[Number(capture) - 1]!['position']).toBe(position);
  });

  test('of verify is a summary, after a line for each finding', async () => {
    const [summary, ...more] = await commands.json('verify');
    expect([summary!['damaged'], more]).toEqual([0, []]);
    expect(summary!['checked']).toMatchObject({ captures: 4 });
  });

  test(
    'prints nothing but JSON, whatever the command',
    async () => {
      const to = join(folder.path, 'to');
      const [copy] = writeImages({
        folder: folder.path,
        name: 'copy',
        images: [makeImage({ seed: 2, pages: 3 })],
      });
      for (const words of [
        ['record', 'image', '--vm', 'third', copy!],
        ['checkpoint', '--vm', 'third', '--name', 'end'],
        ['checkpoints'],
        ['restore', '--vm', 'third', '--to', to],
        ['retire', '--vm', 'third'],
        ['vms'],
        ['log', '--pages'],
      ])
        expect((await commands.json(...words)).length).toBeGreaterThan(0);
      const vms = await commands.json('vms');
      expect(vms.map(({ vm, retired }) => [vm, retired])).toEqual([
        ['vm', false],
        ['other', false],
        ['third', true],
      ]);
      const checkpoints = await commands.json('checkpoints');
      expect(checkpoints.map(({ vm, name, capture }) => [vm, name, capture])).toEqual([
        ['vm', 'here', 2],
        ['third', 'end', 1],
      ]);
    },
    LONG_MS,
  );
});

describe('exit code', () => {
  test.each([
    [['captures'], '--vm'],
    [['captures', '--vm'], 'argument'],
    [['no-such-command'], 'unknown command'],
    [['captures', '--vm', 'vm', '--no-such-option'], 'unknown option'],
    [['restore', '--vm', 'vm', '--to', '-', '--at', 'tomorrow'], 'tomorrow'],
    [['restore', '--vm', 'vm', '--to', '-', '--format', 'png'], 'png'],
    [['record', 'image', '--vm', 'vm', '--machine', 'virt', 'a.raw'], 'pc, q35, microvm'],
    [['record', 'image', '--vm', 'vm', '--layout', 'flat', 'a.raw'], 'packed or physical'],
    [['checkpoint', '--vm', 'vm', '--name', '../x'], '../x'],
    [['history', '--vm', 'vm'], '--page'],
    [['history', '--vm', 'vm', '--page', 'seven'], 'seven'],
    [['history', '--vm', 'vm', '--page', '1', '--address', '1'], '--page'],
    [['sharing', '--at', '@1'], '@1'],
    [['record', 'image', '--vm', 'vm'], 'file'],
    [['record', 'image', '--vm', '-x/', 'image'], '-x/'],
    [['record', 'image', '--vm', 'vm', '--time', 'noon', 'image'], 'noon'],
    [['record', 'qemu', '--vm', 'vm', '--qmp', 'none', '--every', 'often'], 'often'],
    [['record', 'qemu', '--vm', 'vm', '--qmp', 'none', '--count', '0'], '--count'],
  ])('2, bad usage: %j', async (words, named) => {
    const outcome = await commands.run(['--json', ...words]);
    expect([outcome.exitCode, outcome.stdout.toString()]).toEqual([2, '']);
    expect(outcome.stderr).toContain(named);
  });

  test.each([
    [['captures', '--vm', 'none'], 5, 'none', 'VM_UNKNOWN'],
    [['restore', '--vm', 'vm', '--at', '@9', '--to', '-'], 5, '@9', 'NO_CAPTURE'],
    [['restore', '--vm', 'vm', '--at', 'cp:none', '--to', '-'], 5, 'none', 'CHECKPOINT_UNKNOWN'],
    [['restore', '--vm', 'vm', '--to', '/no/such/folder/file'], 1, '/no/such', 'TARGET_UNWRITABLE'],
    [['lease', '--end', 'none'], 5, 'none', 'LEASE_UNKNOWN'],
    [['resume', '--vm', 'vm', '--at', '@1', '--eager', '--', 'q'], 1, '@1', 'NO_DEVICE_STATE'],
    [['checkpoint', '--vm', 'vm', '--name', 'here'], 1, 'here', 'CHECKPOINT_EXISTS'],
    [['history', '--vm', 'vm', '--page', String(PAGES)], 5, String(PAGES), 'GFN_OUT_OF_RANGE'],
    [['history', '--vm', 'vm', '--address', '0xfffffffff'], 5, '0xfff', 'ADDRESS_UNMAPPED'],
    [['record', 'image', '--vm', 'vm', '/no/such/image'], 1, '/no/such', 'SOURCE_UNREADABLE'],
    [['record', 'qemu', '--vm', 'vm', '--qmp', '/no/such'], 6, '/no/such', 'QMP_UNREACHABLE'],
    [['retire', '--vm', 'none'], 5, 'none', 'VM_UNKNOWN'],
    [['captures'], 2, '--vm', 'BAD_USAGE'],
    [['remember'], 2, 'remember', 'BAD_USAGE'],
    [['record'], 2, 'command', 'BAD_USAGE'],
  ])('%j ends with %i, and is one object on standard error', async (words, exit, named, code) => {
    const outcome = await commands.run(['--json', ...words]);
    expect([outcome.exitCode, outcome.stdout.toString()]).toEqual([exit, '']);
    const { error } = JSON.parse(outcome.stderr) as { error: JsonRow };
    expect(error).toEqual({
      code,
      message: expect.stringContaining(named.replace('@1', 'capture 1')),
      facts: expect.any(Object),
      advice: expect.stringMatching(/\.$/u),
    });
    const told = await commands.run(words);
    expect([told.exitCode, told.stdout.toString()]).toEqual([exit, '']);
    expect(told.stderr).toContain(named.replace('@1', 'capture 1'));
  });

  test('1, failed: an image of another size, or of none', async () => {
    for (const [name, bytes] of [
      ['other-size', 4096],
      ['odd', 5000],
      ['empty', 0],
    ] as const) {
      const path = join(folder.path, name);
      writeFileSync(path, Buffer.alloc(bytes, 1));
      const outcome = await commands.run(['record', 'image', '--vm', 'vm', path]);
      expect([name, outcome.exitCode]).toEqual([name, 1]);
    }
    expect(await commands.json('captures', '--vm', 'vm')).toHaveLength(3);
  });

  test(
    '3, damage: a pack with a changed byte, named with where it is and what it affects',
    async () => {
      const damaged = new LedgerCommands(join(folder.path, 'damaged'), { isEachProcess: IS_LONG });
      cpSync(url, damaged.ledger, { recursive: true });
      const packs = join(damaged.ledger, 'packs');
      const [pack] = readdirSync(packs, { recursive: true, encoding: 'utf8' }).filter((path) =>
        /[0-9a-f]{64}$/u.test(path),
      );
      const bytes = readFileSync(join(packs, pack!));
      bytes[200]! ^= 1;
      writeFileSync(join(packs, pack!), bytes);
      const outcome = await damaged.run(['--json', 'verify']);
      expect(outcome.exitCode).toBe(3);
      const rows = outcome.stdout
        .toString()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as JsonRow);
      expectFields(rows.slice(0, -1), {
        kind: (value) => typeof value === 'string',
        where: (value) => String(value).includes(pack!.slice(-64, -48)),
        affects: (value) => Array.isArray(value) && value.length > 0,
      });
      expect(rows.at(-1)).toMatchObject({ damaged: rows.length - 1 });
    },
    LONG_MS,
  );

  test('0, done: help and what there is to say about a command', async () => {
    for (const words of [['--help'], ['restore', '--help'], ['record', 'qemu', '--help']]) {
      const outcome = await new RunningCommand(words).ended;
      expect([words, outcome.exitCode, outcome.stderr]).toEqual([words, 0, '']);
      expect(outcome.stdout.toString()).toMatch(/^Usage: pageledger/u);
    }
  });
});

describe('the ledger', () => {
  test('is --ledger, else $PAGELEDGER', async () => {
    const environment = { PAGELEDGER: url };
    const words = ['--json', 'captures', '--vm', 'vm'];
    const asked = await new RunningCommand(words, { environment }).ended;
    expect(asked.stdout.toString()).toBe((await commands.run(words)).stdout.toString());
    const elsewhere = ['--ledger', join(folder.path, 'none'), ...words];
    expect((await new RunningCommand(elsewhere, { environment }).ended).exitCode).toBe(5);
  });

  test(
    'keeps its keys in $PAGELEDGER_KEYS where that is said',
    async () => {
      const keys = join(folder.path, 'keys');
      const of = new LedgerCommands(join(folder.path, 'keyed'), { isEachProcess: IS_LONG });
      const words = ['record', 'image', '--vm', 'vm', files[0]!];
      const environment = { PAGELEDGER_KEYS: keys };
      expect((await of.run(words, { environment })).exitCode).toBe(0);
      expect(readdirSync(keys)).toContain('default.key');
      const without = await of.run(words);
      expect(without.exitCode).toBe(5);
      expect(without.stderr).toContain('KEY_MISSING');
      expect((await of.run(words, { environment })).exitCode).toBe(0);
    },
    LONG_MS,
  );

  test(
    'takes the time of its captures from --time, as it is',
    async () => {
      const of = new LedgerCommands(join(folder.path, 'timed'), { isEachProcess: IS_LONG });
      const at = async (time: string): Promise<unknown> =>
        (await of.json('record', 'image', '--vm', 'vm', '--time', time, files[0]!))[0]!['time'];
      expect(await at('2026-11-20T10:00:00Z')).toBe('2026-11-20T10:00:00.000Z');
      expect(await at('2026-11-19')).toBe('2026-11-19T00:00:00.000Z');
      expect(await at('2026-11-20T12:00:00+01:00')).toBe('2026-11-20T11:00:00.000Z');
    },
    LONG_MS,
  );
});

test('standard output that cannot be written is a failure, and one that nobody reads is none', async () => {
  const words = ['--help'];
  const full = spawnSync('/bin/sh', [
    '-c',
    'exec "$0" "$@" >/dev/full',
    process.execPath,
    COMMAND_LINE,
    ...words,
  ]);
  expect([full.status, full.stderr.toString()]).toEqual([1, expect.stringContaining('ENOSPC')]);
  const unread = new RunningCommand(words);
  unread.closeOutput();
  expect((await unread.ended).exitCode).toBe(0);
});
