// Pattern pages, as people meet them: pages that the grammar describes are not
// stored, come back byte for byte, are shared inside their VM only, and stand nowhere in the events.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CLASS_NONE, CLASS_ZERO } from '../../../domain/ports/page-engine.ts';
import { describe as describePage } from '../../../domain/patterns/index.ts';
import { addPattern, fingerprint, openLedger } from '../../../index.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { anyPage, repeatedPage } from '../../support/pattern-pages.ts';
import { recordImage } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
const SECRET = 's3cr3t-8';

const encoder = new TextEncoder();
const secretPage = repeatedPage(encoder.encode(SECRET));
const addedPage = repeatedPage(encoder.encode('freed by hand; '), 4);
const pages = [
  ...fc.sample(anyPage, { numRuns: 300, seed: 11 }),
  secretPage,
  secretPage,
  addedPage,
  addedPage,
];

let folder: TemporaryFolder;
let commands: LedgerCommands;
let image: string;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  image = join(folder.path, 'image.raw');
  writeFileSync(image, Buffer.concat(pages));
  await commands.json('record', 'image', '--vm', 'first', image);
}, LONG_MS);
afterAll(() => folder.remove());

const isPattern = (page: Uint8Array): boolean => describePage(page).patternClass !== CLASS_NONE;

/** The bytes of all files below a folder. */
function bytesBelow(path: string): Buffer {
  const entries = readdirSync(path, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile());
  return Buffer.concat(files.map((file) => readFileSync(join(file.parentPath, file.name))));
}

describe('pages that patterns describe', () => {
  test('are counted as patterns, and the image comes back as it was', async () => {
    const [capture] = await commands.json('captures', '--vm', 'first');
    expect(capture).toMatchObject({
      written: pages.length,
      pattern: pages.filter(isPattern).length,
    });
    const restored = join(folder.path, 'restored.raw');
    await commands.json('restore', '--vm', 'first', '--to', restored);
    expect(Buffer.compare(readFileSync(restored), readFileSync(image))).toBe(0);
  });

  test('stand nowhere in the log but by class and reference', async () => {
    const log = bytesBelow(join(folder.path, 'ledger', 'log'));
    const shown = await commands.bytes('log', '--pages', '--json');
    const history = await commands.bytes('--json', 'history', '--vm', 'first', '--page', '300');
    const told = Buffer.concat([log, shown, history]).toString('latin1');
    expect(history.toString()).toContain('"outcome":"pattern"');
    expect(told).not.toContain(SECRET);
    expect(told).not.toContain(Buffer.from(SECRET).toString('hex'));
    const packs = bytesBelow(join(folder.path, 'ledger', 'packs')).toString('latin1');
    expect(packs).toContain(SECRET);
  });

  test('are kept once in a VM, and again in each other VM', async () => {
    const packs = (): string[] =>
      bytesBelow(join(folder.path, 'ledger', 'packs'))
        .toString('latin1')
        .split(SECRET);
    const before = packs().length;
    await commands.json('record', 'image', '--vm', 'second', image);
    expect(packs().length - before).toBe(before - 1);
    const [second] = await commands.json('captures', '--vm', 'second');
    expect(second).toMatchObject({ stored: 0, pattern: pages.filter(isPattern).length });
  });
});

describe('the command patterns', () => {
  test('lists the grammar, the public patterns by number, and what was added', async () => {
    const rows = await commands.json('patterns');
    expect(rows.filter(({ origin }) => origin === 'grammar')).toHaveLength(8);
    expect(rows.find(({ pattern }) => pattern === 1)).toMatchObject({
      class: 'byte',
      expression: String.raw`\xff{4096}`,
      origin: 'public',
    });
    expect(rows.some(({ origin }) => origin === 'added')).toBe(false);
  });

  test('adds a string: pages of it are patterns from then on, and older captures stay', async () => {
    const expression = '(?:freed by hand; )+';
    const [added] = await commands.json('patterns', 'add', expression);
    expect(added).toMatchObject({ pattern: 64 });
    expect((await commands.json('patterns')).at(-1)).toMatchObject({
      pattern: 64,
      origin: 'added',
    });
    const [event] = await commands.json('log', '--type', 'PatternAdded');
    expect(event).toMatchObject({ type: 'PatternAdded', pattern: 64 });
    await commands.json('record', 'image', '--vm', 'third', image);
    const [third] = await commands.json('captures', '--vm', 'third');
    const known = pages.filter((page) => isPattern(page) || page === addedPage);
    expect(third).toMatchObject({ pattern: known.length });
    for (const vm of ['first', 'third']) {
      const restored = join(folder.path, `${vm}.raw`);
      await commands.json('restore', '--vm', vm, '--to', restored);
      expect(Buffer.compare(readFileSync(restored), readFileSync(image))).toBe(0);
    }
    const findings = await commands.json('verify');
    expect(findings.at(-1)).toMatchObject({ damaged: 0 });
  });

  test('refuses what is no string, and what is known', async () => {
    for (const [expression, code, part] of [
      ['(?:unended', 2, 'a group that does not end'],
      ['plain', 2, 'a data string and its repetition are (?:STRING)+'],
      ['x+', 1, String.raw`recognised already, as \x78{4096}`],
      ['(?:by hand; freed )+', 1, 'recognised already, as pattern 64'],
    ] as const) {
      const { exitCode, stdout, stderr } = await commands.run(['patterns', 'add', expression]);
      expect([exitCode, stdout.length]).toEqual([code, 0]);
      expect(stderr).toContain(part);
    }
  });

  test('counts zeros apart from other patterns', async () => {
    const [sharing] = await commands.json('sharing', '--vm', 'first');
    const zeros = pages.filter((page) => describePage(page).patternClass === CLASS_ZERO).length;
    expect(sharing).toMatchObject({ zero: zeros, pattern: pages.filter(isPattern).length - zeros });
  });
});

describe('pages of strings that were added', () => {
  /** The fingerprint of a ledger that two strings were added to, and that holds a page of one. */
  async function fingerprintWith(name: string, string: string): Promise<string> {
    const url = join(folder.path, name);
    const ledger = await openLedger({ url, mode: 'create', threads: 0 });
    try {
      for (const added of ['one freed string; ', 'another freed one, '])
        await addPattern(ledger, `(?:${added})+`);
      const page = repeatedPage(encoder.encode(string));
      const row = await recordImage(ledger, { vm: 'vm', image: page, folder: folder.path });
      expect(row).toMatchObject({ stored: 0, pattern: 1 });
      return await fingerprint(ledger);
    } finally {
      await ledger.close();
    }
  }

  test('are told apart by the fingerprint of a ledger', async () => {
    const one = await fingerprintWith('one', 'one freed string; ');
    expect(await fingerprintWith('again', 'one freed string; ')).toBe(one);
    expect(await fingerprintWith('other', 'another freed one, ')).not.toBe(one);
  });
});
