// Re-recording an unchanged VM from a warm file: nothing is stored, so what is left is reading,
// fingerprinting and comparing.

import { assert } from '../../domain/values/assert.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { Memcpy } from './limits.ts';
import { figureOf, gigabytesPerSecond, rowOf, type Row } from './measure.ts';

const AT_LEAST = { one: 0.4, two: 0.6 };

interface Measured {
  readonly captures: number[];
  readonly limits: number[];
}

/** Captures of an image that is in the ledger already, the limit measured between them. */
async function measure(
  request: { readonly file: string; readonly bytes: number; readonly samples: number },
  place: { readonly folder: string; readonly threads: number },
  memcpy: Memcpy,
): Promise<Measured> {
  const { file, bytes, samples } = request;
  const measured: Measured = { captures: [], limits: [] };
  await withLedger(place, async (ledger) => {
    // The first stores everything, the second warms the path up.
    const files = Array.from({ length: samples + 2 }, () => file);
    let start = performance.now();
    await record(ledger, { vm: 'guest', files }, (row) => {
      const seconds = (performance.now() - start) / 1000;
      if (row.capture > 1) assert(row.written === 0, 'an unchanged image writes no page event');
      if (row.capture > 2) {
        measured.captures.push(gigabytesPerSecond(bytes, seconds));
        measured.limits.push(memcpy.sample());
      }
      start = performance.now();
    });
  });
  return measured;
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 16 : 512;
  const samples = context.isQuick ? 3 : 15;
  const file = guestImage(context, mebibytes);
  const bytes = mebibytes * MIB;
  const memcpy = new Memcpy(bytes);
  memcpy.sample();
  const rows: Row[] = [];
  for (const [label, threads, bound] of [
    ['one thread', 0, AT_LEAST.one],
    ['two threads', 2, AT_LEAST.two],
  ] as const) {
    context.tell(`an unchanged image again, ${label}`);
    const folder = freshFolder(context, 'unchanged');
    const { captures, limits } = await measure(
      { file, bytes, samples },
      { folder, threads },
      memcpy,
    );
    rows.push(
      rowOf({
        what: `re-record unchanged, ${label}`,
        measured: figureOf(captures, 'GB/s'),
        limit: { what: 'memcpy, one thread', figure: figureOf(limits, 'GB/s') },
        target: { sense: 'at least', bound },
      }),
    );
  }
  return rows;
}

export const reRecord: Bench = { name: 're-record', title: 'Re-recording an unchanged VM', run };
