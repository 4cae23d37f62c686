// Memory at a point into a file, as a library call in a warm process and as a whole command, against cp
// of the same file. What is restored is on the disk when it is done, what cp copied is not: so the call
// is also told against a copy that is then put onto the disk.

import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { restoreToFile } from '../../index.ts';
import { changedImage } from './changed-image.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, record, runCli, withLedger } from './ledgers.ts';
import { copySeconds } from './limits.ts';
import { figureOf, rowOf, sampled, secondsOf, type Row } from './measure.ts';

const CAPTURES = 4;
const CP = 'cp of the file';

/** Seconds until a file that was just written is on the disk. */
function syncSeconds(path: string): number {
  const file = openSync(path, 'r+');
  try {
    const start = performance.now();
    fdatasyncSync(file);
    return (performance.now() - start) / 1000;
  } finally {
    closeSync(file);
  }
}

/** Whole commands, and copies of the same files in turn. */
async function commandRow(
  folder: string,
  request: {
    readonly files: readonly string[];
    readonly target: string;
    readonly samples: number;
    readonly what: string;
  },
): Promise<Row> {
  const { files, target, samples, what } = request;
  const limits: number[] = [];
  const times = await sampled(samples, (sample) => {
    const point = 1 + (sample % CAPTURES);
    const asked = ['--vm', 'guest', '--at', `@${point}`, '--to', target];
    const { seconds } = runCli(['--ledger', folder, 'restore', ...asked]);
    rmSync(target);
    limits.push(copySeconds(files[point - 1]!, target));
    return seconds;
  });
  return rowOf({
    what: `${what}, the whole command`,
    measured: figureOf(times, 's'),
    limit: { what: CP, figure: figureOf(limits, 's') },
    inverse: true,
    target: { sense: 'at least', bound: 0.5 },
  });
}

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
  const what = `restore a point of ${mebibytes} MiB to a file`;
  await withLedger({ folder }, async (ledger) => record(ledger, { vm: 'guest', files }));
  for (const [label, threads] of [
    ['a call in a warm process', undefined],
    ['the same on one thread', 0],
  ] as const) {
    context.tell(`restore, ${label}`);
    const times: number[] = [];
    const limits: number[] = [];
    const durable: number[] = [];
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
        let syncing = 0;
        const limit = copySeconds(file, target, () => {
          syncing = syncSeconds(target);
        });
        if (sample < 0) continue;
        times.push(seconds);
        limits.push(limit);
        durable.push(limit + syncing);
      }
    });
    const measured = figureOf(times, 's');
    const told = { measured, inverse: true };
    rows.push(
      rowOf({
        ...told,
        what: `${what}, ${label}`,
        limit: { what: CP, figure: figureOf(limits, 's') },
        ...(threads === undefined ? { target: { sense: 'at least', bound: 0.9 } } : {}),
      }),
    );
    if (threads === undefined)
      rows.push(
        rowOf({
          ...told,
          what: `${what}, ${label}, against a copy on the disk`,
          limit: { what: `${CP}, and fdatasync of it`, figure: figureOf(durable, 's') },
        }),
      );
  }
  context.tell('restore, the whole command');
  rows.push(await commandRow(folder, { files, target, samples, what }));
  return rows;
}

export const restore: Bench = { name: 'restore', title: 'Restoring a point to a file', run };
