// Histories of different lengths: a point costs the same in a short and in a long one, and memory
// stays bounded while 10,000 captures are recorded and restored.

import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { restoreToFile, type Ledger } from '../../index.ts';
import { seededRandom } from '../support/images.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { diskBytes, guestImage, peakMib, withLedger } from './ledgers.ts';
import { figureOf, rowOf, secondsOf, type Row } from './measure.ts';
import { memoryBoundMib } from './memory-bound.ts';
import { makeHistory, type History } from './recorded-histories.ts';

const RATIO_AT_MOST = 1.3;
const CHANGED_PAGES = 16;

async function restoreSeconds(ledger: Ledger, capture: number, path: string): Promise<number> {
  const entry = ledger.vm('guest');
  const row = ledger.resolve(entry, `@${capture}`);
  return secondsOf(() =>
    restoreToFile(ledger, { entry, row }, { path, isForced: true, format: 'raw' }),
  );
}

/** Checks the points that have a check, then times random points of both histories in turn. */
async function compare(
  context: BenchContext,
  histories: readonly [History, History],
  samples: number,
): Promise<readonly [number[], number[]]> {
  const [short, long] = histories;
  const path = join(context.folder, 'point.raw');
  const random = seededRandom(5);
  const times: [number[], number[]] = [[], []];
  await withLedger({ folder: short.folder }, (one) =>
    withLedger({ folder: long.folder }, async (two) => {
      for (const [ledger, { checks }] of [
        [one, short],
        [two, long],
      ] as const)
        for (const { capture, sha256 } of checks) {
          await restoreSeconds(ledger, capture, path);
          const restored = createHash('sha256').update(readFileSync(path)).digest('hex');
          assert(restored === sha256, `capture ${capture} restores byte-equal`);
        }
      for (let sample = 0; sample < samples; sample += 1) {
        times[0].push(await restoreSeconds(one, 1 + random(short.captures), path));
        times[1].push(await restoreSeconds(two, 1 + random(long.captures), path));
      }
    }),
  );
  rmSync(path);
  return times;
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 4 : 64;
  const capturesMax = context.isQuick ? 200 : 10_000;
  const samples = context.isQuick ? 3 : 61;
  const base = guestImage(context, mebibytes, 21);
  const pages = (mebibytes * MIB) / PAGE_BYTES;
  const rows: Row[] = [];
  for (const [label, hot, captures] of [
    ['1 page in 16 is ever rewritten', pages / 16, capturesMax],
    ['every page is rewritten in its turn', pages * 4, capturesMax / 4],
  ] as const) {
    const short = makeHistory(context, {
      name: 'short',
      base,
      captures: 10,
      changed: CHANGED_PAGES,
      hot,
    });
    const long = makeHistory(context, {
      name: 'long',
      base,
      captures,
      changed: CHANGED_PAGES,
      hot,
    });
    const [shortTimes, longTimes] = await compare(context, [short, long], samples);
    rows.push(
      rowOf({
        what: `restore a random point of ${captures} captures (${mebibytes} MiB; ${label})`,
        measured: figureOf(longTimes, 's'),
        limit: { what: 'of 10 captures', figure: figureOf(shortTimes, 's') },
        target: { sense: 'at most', bound: RATIO_AT_MOST },
        note: `recorded in ${long.seconds.toFixed(0)} s, ${(diskBytes(long.folder) / MIB).toFixed(0)} MiB on disk`,
      }),
    );
    const at = ['--vm', 'guest', '--at', `@${captures - 1}`];
    const to = ['--to', join(context.folder, 'peak.raw'), '--force'];
    const restoring = peakMib(context, ['--ledger', long.folder, 'restore', ...at, ...to]);
    const bound = memoryBoundMib(pages + captures * CHANGED_PAGES);
    for (const [what, peak] of [
      [`resident memory while ${captures} captures are recorded (${label})`, long.peakMib],
      [`the same, restoring one of them`, restoring],
    ] as const)
      rows.push(
        rowOf({
          what,
          measured: figureOf([peak], 'MiB'),
          target: { sense: 'at most', bound },
        }),
      );
  }
  return rows;
}

export const historyLength: Bench = {
  name: 'history-length',
  title: 'Histories of 10 and of 10,000 captures',
  run,
};
