// How commands behave towards those who run them by program: a ledger is made when somebody says so,
// what was done is summed up, others are waited for, and a signal ends work with a word.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import {
  COMMAND_LINE,
  jsonRows,
  LedgerCommands,
  RunningCommand,
  type JsonRow,
} from '../../support/command-line.ts';
import { imageSeries } from '../../support/images.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 120_000;
const PAGES = 120;
jest.setTimeout(LONG_MS);

let folder: TemporaryFolder;
let files: string[];

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const mix = { zero: 30, text: 30, random: 0, repeated: 10, duplicate: 30 };
  const images = imageSeries({ seed: 1, pages: PAGES, captures: 3, changedPages: 30, mix });
  files = writeImages({ folder: folder.path, name: 'image', images });
});
afterAll(() => folder.remove());

describe('a ledger is made when somebody says so', () => {
  const place = (name: string): { readonly of: LedgerCommands; readonly inside: string } => {
    const inside = join(folder.path, name);
    return { of: new LedgerCommands(inside), inside };
  };
  const run = (words: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
    new RunningCommand(words, { environment }).ended;

  test('recording into a path where none is makes none, init does, and only once', async () => {
    const { of, inside } = place('mistyped');
    const record = ['--ledger', inside, 'record', 'image', '--vm', 'vm', files[0]!];
    const absent = await run(record);
    expect([absent.exitCode, absent.stderr]).toEqual([5, expect.stringContaining('init')]);
    expect(existsSync(inside)).toBe(false);
    mkdirSync(inside);
    expect((await run(record)).exitCode).toBe(5);
    expect(readdirSync(inside)).toEqual([]);
    const [made] = await of.json('init');
    expect(made).toMatchObject({
      summary: 'init',
      ledger: expect.stringMatching(/^[0-9a-f-]{36}$/u),
    });
    expect((await run(record)).exitCode).toBe(0);
    const again = await run(['--ledger', inside, 'init']);
    expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining('LEDGER_EXISTS')]);
    expect(await of.json('captures', '--vm', 'vm')).toHaveLength(1);
  });

  test('an empty $PAGELEDGER is not set, and an empty --ledger is refused', async () => {
    const { inside } = place('unset');
    mkdirSync(inside);
    const inFolder = (words: readonly string[]) =>
      spawnSync(process.execPath, [COMMAND_LINE, ...words], {
        cwd: inside,
        encoding: 'utf8',
        env: { ...process.env, PAGELEDGER: '', PAGELEDGER_KEYS: '' },
      });
    expect(inFolder(['init']).status).toBe(0);
    expect(readdirSync(inside)).toEqual(['.pageledger']);
    expect(inFolder(['--ledger', '', 'init'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--ledger is empty'),
    });
    expect(readdirSync(inside)).toEqual(['.pageledger']);
  });

  test('a place for packs is for ledgers on servers', async () => {
    const { inside } = place('elsewhere');
    const outcome = await run(['--ledger', inside, '--page-store', 's3://bucket/x', 'init']);
    expect([outcome.exitCode, existsSync(inside)]).toEqual([2, false]);
  });
});

test('commands that work end their rows with a summary', async () => {
  const of = new LedgerCommands(join(folder.path, 'summaries'));
  const last = async (...words: string[]): Promise<JsonRow> =>
    jsonRows((await of.run(['--json', ...words])).stdout).at(-1)!;
  const seconds = expect.any(Number);
  const to = join(folder.path, 'summary.raw');
  expect(await last('record', 'image', '--vm', 'vm', ...files)).toMatchObject({
    summary: 'record',
    vm: 'vm',
    captures: 3,
    bytes: 3 * PAGES * 4096,
    seconds,
  });
  expect(await last('diff', '--vm', 'vm', '@1', '@2')).toMatchObject({
    summary: 'diff',
    pages: PAGES,
    differing: 30,
    seconds,
  });
  const bytes = PAGES * 4096;
  expect(await last('restore', '--vm', 'vm', '--to', to)).toMatchObject({
    summary: 'restore',
    bytes,
    seconds,
  });
  expect(await last('forget', '--vm', 'vm', '--before', '@2')).toMatchObject({
    summary: 'forget',
    captures: 1,
    seconds,
  });
  expect(await last('checkpoint', '--vm', 'vm', '--name', 'kept')).toMatchObject({
    summary: 'checkpoint',
    vm: 'vm',
    capture: 3,
    seconds,
  });
  expect(await last('compact')).toMatchObject({ summary: 'compact', seconds });
  expect(await last('verify')).toMatchObject({ summary: 'verify', damaged: 0, seconds });
  expect(await last('retire', '--vm', 'vm')).toMatchObject({
    summary: 'retire',
    vm: 'vm',
    seconds,
  });
});

test('--quiet leaves what was asked for, and errors', async () => {
  const of = new LedgerCommands(join(folder.path, 'quiet'));
  const quiet = async (...words: string[]) => {
    const { exitCode, stdout, stderr } = await of.run(['--quiet', ...words]);
    return [exitCode, stdout.toString(), stderr];
  };
  expect(await quiet('record', 'image', '--vm', 'vm', files[0]!)).toEqual([0, '', '']);
  expect(await quiet('captures', '--vm', 'vm')).toEqual([0, expect.stringContaining('image'), '']);
  const absent = await quiet('captures', '--vm', 'none');
  expect(absent).toEqual([5, '', expect.stringContaining('none')]);
});

test('--wait waits for a recorder that has the VM, and without it that is 4', async () => {
  const of = new LedgerCommands(join(folder.path, 'waited-for'));
  const words = ['--json', 'record', 'image', '--vm', 'vm'];
  const first = of.start([...words, files[0]!, '-'], { stdin: 'open' });
  await first.until((command) => command.rows().length > 0);
  const busy = await of.run([...words, files[1]!]);
  expect([busy.exitCode, busy.stderr]).toEqual([4, expect.stringContaining('VM_BUSY')]);
  const waiting = of.start(['--wait', '1m', ...words, files[1]!]);
  first.endInput(readFileSync(files[2]!));
  expect((await first.ended).exitCode).toBe(0);
  expect((await waiting.ended).exitCode).toBe(0);
  expect(await of.json('captures', '--vm', 'vm')).toHaveLength(3);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  'a recording that %s interrupts ends with %i and says what is done',
  async (name, exit) => {
    const of = new LedgerCommands(join(folder.path, name));
    const command = of.start(['record', 'image', '--vm', 'vm', files[0]!, '-'], { stdin: 'open' });
    await command.until(({ stdout }) => stdout.includes('\n'));
    // It waits for standard input, which has no next step to end at: it ends all the same.
    command.signal(name);
    await command.until(({ stderr }) => stderr !== '');
    const { exitCode, stderr } = await command.ended;
    expect([exitCode, stderr]).toEqual([exit, expect.stringContaining('1 of 2 captures')]);
    expect(await of.json('captures', '--vm', 'vm')).toHaveLength(1);
  },
);

test.each(['SIGINT', 'SIGTERM'] as const)(
  'a recording that %s interrupts half-way takes its packs back',
  async (name) => {
    const of = new LedgerCommands(join(folder.path, `half-${name}`));
    const image = join(folder.path, 'large');
    if (!existsSync(image)) writeFileSync(image, randomBytes(192 * 1024 * 1024));
    const packs = (): string[] =>
      readdirSync(join(of.ledger, 'packs'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => entry.name);
    expect((await of.run(['init'])).exitCode).toBe(0);
    const command = of.start(['record', 'image', '--vm', 'vm', image]);
    const ended = { is: false };
    void command.ended.then(() => (ended.is = true));
    while (packs().length === 0 && !ended.is) await setTimeout(5);
    command.signal(name);
    const { stderr } = await command.ended;
    expect(stderr).toContain('0 of 1');
    expect(packs()).toEqual([]);
  },
);
