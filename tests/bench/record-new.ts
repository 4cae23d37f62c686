// Recording an image of new content into a fresh ledger, durable when it returns.

import { readFileSync } from 'node:fs';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { diskBytes, freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { hashRate } from './limits.ts';
import { figureOf, gigabytesPerSecond, rowOf, secondsOf, type Row } from './measure.ts';

const AT_LEAST = { one: 0.4, two: 0.75 };

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 16 : 512;
  const samples = context.isQuick ? 2 : 7;
  const file = guestImage(context, mebibytes);
  const bytes = mebibytes * MIB;
  const pages = readFileSync(file);
  hashRate(pages);
  const rows: Row[] = [];
  for (const [label, threads, bound] of [
    ['one thread', 0, AT_LEAST.one],
    ['two threads', 2, AT_LEAST.two],
  ] as const) {
    context.tell(`new content, ${label}`);
    const rates: number[] = [];
    const limits: number[] = [];
    let stored = '';
    for (let sample = -1; sample < samples; sample += 1) {
      const folder = freshFolder(context, 'new-content');
      const seconds = await withLedger({ folder, threads }, (ledger) =>
        secondsOf(() =>
          record(ledger, { vm: 'guest', files: [file] }, (row) => {
            stored = `${row.stored} stored, ${row.merged} merged, ${row.pattern} pattern`;
          }),
        ),
      );
      if (sample < 0) continue;
      rates.push(gigabytesPerSecond(bytes, seconds));
      limits.push(hashRate(pages));
      stored += `; ${(diskBytes(folder) / MIB).toFixed(1)} MiB on disk`;
    }
    rows.push(
      rowOf({
        what: `record new content, durable, ${label}`,
        measured: figureOf(rates, 'GB/s'),
        limit: { what: "crypto.hash('sha256') a page", figure: figureOf(limits, 'GB/s') },
        target: { sense: 'at least', bound },
        note: `of ${bytes / 4096} pages ${stored}; the whole library call, from its lock to its end`,
      }),
    );
  }
  return rows;
}

export const recordNew: Bench = { name: 'record-new', title: 'Recording new content', run };
