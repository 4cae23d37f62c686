// What a guest asks for before its first line, for blocks and storage blocks of several sizes.

import { openLedger } from '../../index.ts';
import type { BenchContext } from './bench.ts';
import { closing } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { newest, servedStart, type ServedStart } from './served-starts.ts';
import type { RecordedGuest } from './resume-guests.ts';

const BLOCK_PAGES = [1, 4, 16, 64];
/** Blocks of a storage block; 1: nothing comes behind what was asked for. */
const STORAGE_BLOCKS = [1, 2, 8, 32];

/** One row for each size, medians of some starts. */
export async function blockRows(context: BenchContext, guest: RecordedGuest): Promise<Row[]> {
  const sizes = BLOCK_PAGES.flatMap((blockPages) =>
    STORAGE_BLOCKS.map((blocks) => {
      const storagePages = blocks === 1 ? 0 : Math.max(4, blocks * blockPages);
      return { blockPages, blocks, storagePages, starts: [] as ServedStart[] };
    }),
  );
  for (let round = 0; round < (context.isQuick ? 1 : 2); round += 1)
    for (const size of sizes) {
      const ledger = await openLedger({ url: guest.url, mode: 'read' });
      await closing(ledger, async (open) => {
        size.starts.push(await servedStart({ guest, ledger: open, point: newest(open), ...size }));
      });
    }
  return sizes.map(({ blockPages, blocks, starts }) => {
    const median = (of: (start: ServedStart) => number, unit: string) =>
      figureOf(starts.map(of), unit);
    const given = median(({ counts }) => counts.demanded + counts.filled, 'pages');
    const bytes = median(({ readBytes }) => readBytes / 2 ** 20, 'MiB');
    const reads = median((start) => start.reads, 'reads');
    const seconds = median(({ lineMs, runsMs }) => (lineMs - runsMs) / 1000, 's');
    return rowOf({
      what: `pages waited for before the first line: blocks of ${blockPages} pages, storage blocks of ${blocks}`,
      measured: median(({ counts }) => counts.demanded, 'pages'),
      note: `${given.median} pages given in ${reads.median} reads of ${bytes.median.toFixed(1)} MiB; ${seconds.min.toFixed(2)} s from its first step (least of ${starts.length})`,
    });
  });
}
