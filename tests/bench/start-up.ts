// How long a user waits for small answers, against starting Node at all.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { makeImage } from '../support/images.ts';
import { writeFileSync } from 'node:fs';
import type { Bench, BenchContext } from './bench.ts';
import { freshFolder, runCli } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const AT_MOST = { sense: 'at most', bound: 2 } as const;
/** What little work may take beyond a question. */
const BEYOND_MS = 100;

function bareNodeMs(): number {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, ['-e', '0']);
  assert(status === 0, 'Node starts');
  return performance.now() - start;
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const samples = context.isQuick ? 3 : 41;
  const folder = freshFolder(context, 'start-up');
  const image = join(context.folder, 'small.raw');
  writeFileSync(image, makeImage({ seed: 1, pages: 256 }));
  runCli(['--ledger', folder, 'record', 'image', '--init', '--vm', 'guest', image, image, image]);
  const rows: Row[] = [];
  const commandMs = (words: readonly string[]): number => {
    const { seconds, stdout } = runCli(words);
    assert(stdout.length > 0, 'a command answers');
    return seconds * 1000;
  };
  const at = ['--ledger', folder];
  const vm = ['--vm', 'guest'];
  const captures = [...at, 'captures', ...vm];
  const sampled = (what: string, measure: () => void): void => {
    context.tell(what);
    for (let sample = 0; sample < samples; sample += 1) measure();
  };
  for (const [what, words] of [
    ['pageledger --help', ['--help']],
    ['pageledger captures of a small ledger', captures],
    ['pageledger history of a page of it', [...at, 'history', ...vm, '--page', '3']],
  ] as const) {
    const times: number[] = [];
    const limits: number[] = [];
    commandMs(words);
    sampled(what, () => {
      times.push(commandMs(words));
      limits.push(bareNodeMs());
    });
    rows.push(
      rowOf({
        what,
        measured: figureOf(times, 'ms'),
        limit: { what: 'node -e 0', figure: figureOf(limits, 'ms') },
        target: AT_MOST,
      }),
    );
  }
  const back = join(context.folder, 'small-back.raw');
  const images = [1, 2].map((seed) => {
    const path = join(context.folder, `small-${seed}.raw`);
    writeFileSync(path, makeImage({ seed, pages: 256 }));
    return path;
  });
  let number = 0;
  for (const [what, wordsOf] of [
    ['1 MiB restored', () => ['restore', ...vm, '--to', back, '--force']],
    [
      '1 MiB recorded, another one each time',
      () => ['record', 'image', ...vm, images[(number += 1) % 2]!],
    ],
  ] as const) {
    const more: number[] = [];
    commandMs([...at, ...wordsOf()]);
    sampled(what, () => {
      const done = commandMs([...at, ...wordsOf()]);
      more.push(Math.max(0, done - commandMs(captures)));
    });
    rows.push(
      rowOf({
        what: `${what}, beyond \`captures\``,
        measured: figureOf(more, 'ms'),
        target: { sense: 'at most', bound: BEYOND_MS },
      }),
    );
  }
  return rows;
}

export const startUp: Bench = { name: 'start-up', title: 'Starting the command line', run };
