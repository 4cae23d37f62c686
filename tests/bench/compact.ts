// Compaction of a series of captures of a guest at work: bytes before and after, its rate, and what it
// does to restoring points.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { compact, forgetPoints, restoreToFile, type Compacted, type Ledger } from '../../index.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { changedImage } from './changed-image.ts';
import { guestSeries } from './guest-series.ts';
import { diskBytes, freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { figureOf, rowOf, secondsOf, type Figure, type Row } from './measure.ts';

const NOW = { graceMs: 0, isDryRun: false };

/** The captures of a live guest, or, where none can run here, of an image that changes. */
async function seriesFiles(
  context: BenchContext,
): Promise<{ readonly files: readonly string[]; readonly note: string }> {
  const series = await guestSeries(context);
  if (series !== null) return { files: series.files, note: series.guest };
  const mebibytes = context.isQuick ? 32 : 256;
  const base = guestImage(context, mebibytes);
  const changed = Array.from({ length: context.isQuick ? 2 : 7 }, (_, i) =>
    changedImage(context, { base, seed: i + 1, changedPages: mebibytes * 4 }),
  );
  return { files: [base, ...changed], note: 'no guest runs here: an image that changes' };
}

const mib = (bytes: number): Figure => figureOf([bytes / MIB], 'MiB');

/** Restores points here and there, compares each once, and gives how long they took. */
async function restores(
  context: BenchContext,
  ledger: Ledger,
  files: readonly string[],
): Promise<Figure> {
  const entry = ledger.vm('guest');
  const path = join(context.folder, 'compacted.raw');
  const times: number[] = [];
  for (let sample = 0; sample < (context.isQuick ? 2 : 7); sample += 1) {
    const capture = 1 + ((sample * 5) % files.length);
    const row = ledger.resolve(entry, `@${capture}`);
    times.push(
      await secondsOf(() =>
        restoreToFile(ledger, { entry, row }, { path, isForced: true, format: 'raw' }),
      ),
    );
    const isEqual = readFileSync(path).equals(readFileSync(files[capture - 1]!));
    assert(isEqual, `capture ${capture} restores byte-equal`);
    rmSync(path);
  }
  return figureOf(times, 's');
}

interface Measured {
  readonly before: Figure;
  readonly after: Figure;
  readonly first: Compacted;
  readonly firstSeconds: number;
  readonly packBytes: readonly [number, number, number];
}

async function measure(context: BenchContext, files: readonly string[]): Promise<Measured> {
  const folder = freshFolder(context, 'compacted');
  const packBytes = (): number => diskBytes(join(folder, 'packs'));
  await withLedger({ folder }, (ledger) => record(ledger, { vm: 'guest', files }));
  return withLedger({ folder }, async (ledger) => {
    const recorded = packBytes();
    const before = await restores(context, ledger, files);
    context.tell('compact');
    const start = performance.now();
    const first = await compact(ledger, NOW);
    const firstSeconds = (performance.now() - start) / 1000;
    const compacted = packBytes();
    const after = await restores(context, ledger, files);
    const nothing = await compact(ledger, NOW);
    assert(nothing.rewritten.packs === 0, 'what was compacted is left as it is');
    await forgetPoints(ledger, { vm: 'guest', before: 'latest' });
    await compact(ledger, NOW);
    return { before, after, first, firstSeconds, packBytes: [recorded, compacted, packBytes()] };
  });
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const { files, note } = await seriesFiles(context);
  const { before, after, first, firstSeconds, packBytes } = await measure(context, files);
  const [recorded, compacted, last] = packBytes;
  const limit = { what: 'as recorded', figure: mib(recorded) };
  return [
    rowOf({
      what: `packs of ${files.length} captures after compact`,
      measured: mib(compacted),
      limit,
      note,
    }),
    rowOf({ what: 'the same, all but the last forgotten', measured: mib(last), limit }),
    rowOf({
      what: 'compact, pages that are rewritten',
      measured: figureOf([(first.rewritten.pages * 4096) / 1e6 / firstSeconds], 'MB/s'),
      limit: { what: 'seconds in all', figure: figureOf([firstSeconds], 's') },
    }),
    rowOf({
      what: 'restore a point, compacted',
      measured: after,
      limit: { what: 'as recorded', figure: before },
      inverse: true,
    }),
  ];
}

export const compaction: Bench = { name: 'compact', title: 'Forgetting and compaction', run };
