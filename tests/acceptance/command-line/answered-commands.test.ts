// Most tests ask commands of a process that is there already. What it answers is what a process of the
// command's own would: the same bytes, exit codes and files.

import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { LedgerCommands, type Outcome } from '../../support/command-line.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { suiteFolder } from '../../support/disks/suite-folder.ts';
import { isAnswered } from '../../support/processes/answered-commands.ts';

const folder = suiteFolder();
const path = (name: string): string => join(folder.path, name);
const own = (): LedgerCommands => new LedgerCommands(path('ledger'), { isEachProcess: true });
const asked = (): LedgerCommands => new LedgerCommands(path('ledger'));

beforeAll(async () => {
  const image = makeImage({ seed: 1, pages: 64 });
  const images = [image, changeImage(image, { seed: 2, changedPages: 5 })];
  const files = writeImages({ folder: folder.path, name: 'image', images, fromMs: 1e12 });
  await own().json('record', 'image', '--vm', 'web', ...files);
});

/** What came of a command, but for how long it took. */
const shown = ({ stdout, ...rest }: Outcome) => ({
  ...rest,
  stdout: stdout.toString('latin1').replace(/"seconds":[\d.]+/u, '"seconds":0'),
});

const WORDS: readonly (readonly string[])[] = [
  ['captures', '--vm', 'web'],
  ['--json', 'history', '--vm', 'web', '--page', '3'],
  ['restore', '--vm', 'web', '--at', '@1', '--to', '-'],
  ['--json', 'verify'],
  ['--json', 'log', '--pages', '--type', 'PageStored'],
  // What is refused, and by whom: the parser, the command, the ledger.
  ['captures'],
  ['captures', '--vm', 'web', '--no-such-option'],
  ['--json', 'restore', '--vm', 'web', '--at', '@9', '--to', '-'],
  ['--json', 'ps', '--vm', 'web'],
];

test.each(WORDS.map((words) => ({ words, line: words.join(' ') })))(
  'pageledger $line',
  async ({ words }) => {
    expect(isAnswered(words)).toBe(true);
    const [one, other] = [await asked().run(words), await own().run(words)];
    expect(shown(one)).toEqual(shown(other));
    expect(one.stdout.length + one.stderr.length).toBeGreaterThan(0);
  },
);

test('a capture that is recorded, with variables of its own', async () => {
  const [file] = writeImages({
    folder: folder.path,
    name: 'later',
    images: [makeImage({ seed: 3, pages: 64 })],
    fromMs: 2e12,
  });
  const rows: unknown[] = [];
  for (const isEachProcess of [false, true]) {
    const ledger = path(`copy-${isEachProcess}`);
    cpSync(path('ledger'), ledger, { recursive: true });
    const commands = new LedgerCommands(ledger, { isEachProcess });
    const words = ['--json', 'record', 'image', '--vm', 'web', file!];
    const elsewhere = { environment: { PAGELEDGER_KEYS: path('no-keys') } };
    const refused = await commands.run(words, elsewhere);
    const { stdout } = await commands.run(words);
    const [, row] = /^(\{.*?\})\n/u.exec(stdout.toString())!;
    const { recordedAt, ...told } = JSON.parse(row!) as Record<string, unknown>;
    expect(recordedAt).toEqual(expect.any(String));
    await commands.json('restore', '--vm', 'web', '--to', path('out'), '--force');
    expect(readFileSync(path('out')).equals(readFileSync(file!))).toBe(true);
    rows.push([refused.exitCode, told]);
    rmSync(ledger, { recursive: true });
  }
  expect(rows[0]).toEqual(rows[1]);
  expect(rows[0]).toEqual([expect.any(Number), expect.objectContaining({ capture: 3 })]);
});

describe('a process of its own', () => {
  test.each([
    ['record', 'qemu', '--vm', 'web', '--qmp', 'socket'],
    ['record', 'image', '--vm', 'web', '-'],
    ['checkpoint', '--vm', 'web', '--name', 'one', '--qmp', 'socket'],
    ['log', '--follow'],
    ['serve', 'nbd'],
    ['resume', '--vm', 'web'],
    ['captures', '--help'],
    ['--version'],
  ])('has %s %s', (...words) => {
    expect(isAnswered(words)).toBe(false);
  });
});
