// Memory at a point into a file, as a library call, against cp of the same file.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { restoreToFile } from '../../index.ts';
import { changedImage } from './changed-image.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { copySeconds } from './limits.ts';
import { figureOf, rowOf, secondsOf, type Row } from './measure.ts';

const CAPTURES = 4;

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 16 : 512;
  const samples = context.isQuick ? 2 : 9;
  const base = guestImage(context, mebibytes);
  const files = Array.from({ length: CAPTURES }, (_, i) =>
    i === 0
      ? base
      : changedImage(context, { base, seed: i, changedPages: (mebibytes * MIB) / 2 ** 19 }),
  );
  const folder = freshFolder(context, 'restore');
  const target = join(context.folder, 'restored.raw');
  const rows: Row[] = [];
  await withLedger({ folder }, async (ledger) => record(ledger, { vm: 'guest', files }));
  for (const [label, threads] of [
    ['as installed (a thread a core)', undefined],
    ['one thread', 0],
  ] as const) {
    context.tell(`restore, ${label}`);
    const times: number[] = [];
    const limits: number[] = [];
    await withLedger({ folder, ...(threads === undefined ? {} : { threads }) }, async (ledger) => {
      const entry = ledger.vm('guest');
      for (let sample = -1; sample < samples; sample += 1) {
        const point = 1 + ((sample + 1) % CAPTURES);
        const row = ledger.resolve(entry, `@${point}`);
        const seconds = await secondsOf(() =>
          restoreToFile(ledger, { entry, row }, { path: target, isForced: false, format: 'raw' }),
        );
        const file = files[point - 1]!;
        if (sample < CAPTURES)
          assert(readFileSync(target).equals(readFileSync(file)), 'a point restores byte-equal');
        rmSync(target);
        const limit = copySeconds(file, target);
        if (sample < 0) continue;
        times.push(seconds);
        limits.push(limit);
      }
    });
    rows.push(
      rowOf({
        what: `restore a point of ${mebibytes} MiB to a file, ${label}`,
        measured: figureOf(times, 's'),
        limit: { what: 'cp of the file', figure: figureOf(limits, 's') },
        inverse: true,
        ...(threads === undefined ? { target: { sense: 'at least', bound: 0.8 } } : {}),
      }),
    );
  }
  return rows;
}

export const restore: Bench = { name: 'restore', title: 'Restoring a point to a file', run };
