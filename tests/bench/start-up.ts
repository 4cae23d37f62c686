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
  for (const [what, words] of [
    ['pageledger --help', ['--help']],
    ['pageledger captures of a small ledger', ['--ledger', folder, 'captures', '--vm', 'guest']],
  ] as const) {
    context.tell(what);
    const times: number[] = [];
    const limits: number[] = [];
    for (let sample = -2; sample < samples; sample += 1) {
      const { seconds, stdout } = runCli(words);
      assert(stdout.length > 0, 'a command answers');
      const bare = bareNodeMs();
      if (sample < 0) continue;
      times.push(seconds * 1000);
      limits.push(bare);
    }
    rows.push(
      rowOf({
        what,
        measured: figureOf(times, 'ms'),
        limit: { what: 'node -e 0', figure: figureOf(limits, 'ms') },
        target: AT_MOST,
      }),
    );
  }
  return rows;
}

export const startUp: Bench = { name: 'start-up', title: 'Starting the command line', run };
