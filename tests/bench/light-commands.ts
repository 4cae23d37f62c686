// Commands that read never load the identifier index: seen from outside, by the files that they open.
// A recording, which needs the index, shows that it would be seen.

import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { makeImage } from '../support/images.ts';
import type { Bench, BenchContext } from './bench.ts';
import { freshFolder, runCli, runReporting } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

/** State files of the heavy half: the index with the holders, and the identifiers. */
const HEAVY = /^(?:sharing|identifiers)/u;

function run(context: BenchContext): Promise<readonly Row[]> {
  const folder = freshFolder(context, 'light');
  const image = join(context.folder, 'light.raw');
  const restored = join(context.folder, 'light-restored.raw');
  const report = join(context.folder, 'opens');
  writeFileSync(image, makeImage({ seed: 2, pages: 512 }));
  const at = ['--ledger', folder];
  const vm = ['--vm', 'guest'];
  const recordWords = [...at, 'record', 'image', '--init', ...vm, image];
  runCli(recordWords);
  const heavyOpens = (words: readonly string[]): number => {
    const done = runReporting(words, { preload: './preload-opens.js', report });
    const opened = done.report.split('\n').filter((path) => path.startsWith(folder));
    return opened.filter((path) => HEAVY.test(basename(path))).length;
  };
  const rows: Row[] = [];
  const add = (what: string, words: readonly string[], isLight: boolean): void => {
    rows.push(
      rowOf({
        what: `files of the index that \`${what}\` opens`,
        measured: figureOf([heavyOpens(words)], 'files'),
        target: isLight ? { sense: 'at most', bound: 0 } : { sense: 'at least', bound: 1 },
        ...(isLight ? {} : { note: 'a control: this command needs the index' }),
      }),
    );
  };
  add('captures', [...at, 'captures', ...vm], true);
  add('log', [...at, 'log'], true);
  add('restore', [...at, 'restore', ...vm, '--to', restored], true);
  add('record image', recordWords, false);
  return Promise.resolve(rows);
}

export const lightCommands: Bench = {
  name: 'light-commands',
  title: 'Commands that do not load the index',
  run,
};
