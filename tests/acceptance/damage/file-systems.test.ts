// A ledger on file systems of many kinds, and the table of docs/file-systems.md, which says what came
// out. Needs root.
//
// PAGELEDGER_FILE_SYSTEMS: `all` tries all of them and compares the table, `write` writes it. Without it
// the cheap one is tried.

import { linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { errnoOf } from '../../../adapters/files/failures.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import {
  FILE_SYSTEMS,
  makeReadOnly,
  NotHere,
  type Mounted,
} from '../../support/disks/file-systems.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const WANTED = process.env['PAGELEDGER_FILE_SYSTEMS'];
const CHEAP = 'tmpfs';
const DOCUMENT = join(sourceRoot(), 'docs/file-systems.md');
const PAGE = 4096;
const isRoot = process.getuid?.() === 0;

/** What each is put to: commands in a ledger that lies there, and whether a file can have two names. */
const STEPS = [
  'record',
  'restore',
  'forget',
  'compact',
  'verify',
  'read-only',
  'hard links',
] as const;
type Results = Readonly<Record<(typeof STEPS)[number], string>>;

/** Whether a file can have two names there. */
function hardLinksIn(path: string): string {
  const [first, second] = [join(path, 'one-name'), join(path, 'other-name')];
  writeFileSync(first, 'bytes');
  try {
    linkSync(first, second);
    return 'yes';
  } catch (error) {
    return `no (${errnoOf(error)})`;
  }
}

let folder: TemporaryFolder;
let count = 0;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

/** An image whose pages differ, and one with a page more that was written to. */
function imagesIn(path: string): readonly [string, string] {
  const bytes = Buffer.alloc(64 * PAGE);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  const [before, after] = [join(path, 'a.raw'), join(path, 'b.raw')];
  writeFileSync(before, bytes);
  bytes.fill(7, 5 * PAGE, 5 * PAGE + 99);
  writeFileSync(after, bytes);
  return [before, after];
}

async function outcomesOn(mounted: Mounted): Promise<Results> {
  const { folder: there } = mounted;
  const commands = new LedgerCommands(join(there, 'ledger'));
  const [before, after] = imagesIn(folder.path);
  const ends = async (words: readonly string[], code = 0): Promise<string> => {
    const { exitCode, stderr } = await commands.run(words);
    return exitCode === code ? 'ok' : `exit ${exitCode}: ${stderr.split('\n')[0]}`;
  };
  const restored = join(there, 'restored.raw');
  const isBack = async (at: string, image: string): Promise<boolean> => {
    await commands.json('restore', '--vm', 'v', '--at', at, '--to', restored, '--force');
    return readFileSync(restored).equals(readFileSync(image));
  };
  const record = await ends(['record', 'image', '--vm', 'v', before, after]);
  const isSame = (await isBack('@1', before)) && (await isBack('@2', after));
  const forget = await ends(['forget', '--vm', 'v', '--at', '@1']);
  const compact = await ends(['compact']);
  const { stdout, exitCode } = await commands.run(['verify']);
  const notes = [...stdout.toString().matchAll(/^note ([a-z ]+):/gmu)].map((match) => match[1]);
  const verify = exitCode === 0 ? ['ok', ...notes].join(', note: ') : `exit ${exitCode}`;
  const hardLinks = hardLinksIn(there);
  makeReadOnly(mounted);
  const refused = await commands.run(['record', 'image', '--vm', 'v', before]);
  const reads = await ends(['captures', '--vm', 'v']);
  const isRefused = refused.exitCode !== 0 && refused.stderr.includes('READ_ONLY');
  return {
    record,
    restore: isSame ? 'ok' : 'differs',
    forget,
    compact,
    verify,
    'read-only':
      isRefused && reads === 'ok'
        ? 'reads; record: READ_ONLY'
        : `${reads}; ${refused.stderr.split('\n')[0]}`,
    'hard links': hardLinks,
  };
}

async function triedOn(name: string): Promise<string> {
  const { path } = folder;
  count += 1;
  const own = join(path, `fs-${count}`);
  mkdirSync(own);
  let mounted: Mounted;
  try {
    mounted = FILE_SYSTEMS[name]!(own);
  } catch (error) {
    if (error instanceof NotHere) return `not tried: ${error.message}`;
    throw error;
  }
  try {
    const results = await outcomesOn(mounted);
    return STEPS.map((step) => results[step]).join(' | ');
  } finally {
    mounted.unmount();
  }
}

/** What the document's table says of a file system. */
const documentedOf = (name: string): string | undefined =>
  readFileSync(DOCUMENT, 'utf8')
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .find((cells) => cells[1] === name)
    ?.slice(2, -1)
    .join(' | ');

(isRoot ? describe : describe.skip)('a ledger on a file system (needs root)', () => {
  const found = new Map<string, string>();

  test.each(WANTED === undefined ? [CHEAP] : Object.keys(FILE_SYSTEMS))(
    'of the kind %s does as the table says',
    async (name) => {
      const came = await triedOn(name);
      found.set(name, came);
      // What is written is what it is held against from then on.
      expect(came).toBe(WANTED === 'write' ? came : documentedOf(name));
    },
    300_000,
  );

  test('has a table of them', () => {
    if (WANTED === 'write') {
      const rows = [...found].map(([name, results]) => `| ${name} | ${results} |`);
      const head = `| file system | ${STEPS.join(' | ')} |\n|${' --- |'.repeat(STEPS.length + 1)}`;
      const text = readFileSync(DOCUMENT, 'utf8');
      const parts = text.split(/(?<=<!-- tried -->\n\n)[^]*(?=\n\n<!-- end -->)/u);
      writeFileSync(DOCUMENT, `${parts[0]}${head}\n${rows.join('\n')}${parts[1]}`);
    }
    for (const name of Object.keys(FILE_SYSTEMS)) expect(documentedOf(name)).toBeDefined();
  });
});
