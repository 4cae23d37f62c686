// Memory that arrives while its guest runs, over the socket of a QEMU that is none: demands answered a
// second, one at a time and as many at once as a guest of many processors has; and all of it pushed.

import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ArrivingQemu } from '../../adapters/guests/qemu/postcopy/arriving-qemu.ts';
import { tableOf } from '../../adapters/wiring/ledger/vm-point.ts';
import { serveOf } from '../../adapters/wiring/restore/resume.ts';
import { memoryMapOf } from '../../projections/models/page-tables.ts';
import { ZERO } from '../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import type { Ledger } from '../../index.ts';
import { seededRandom } from '../support/images.ts';
import type { AskingTask } from './asking-thread.ts';
import type { BenchContext } from './bench.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const AT_ONCE = [1, 16];

/** Seconds that somebody takes to ask for pages, or to be given all; what was given meanwhile. */
async function arrival(
  ledger: Ledger,
  { folder, ...asking }: Omit<AskingTask, 'path' | 'block'> & { readonly folder: string },
) {
  const entry = ledger.vm('guest');
  const point = { entry, row: ledger.resolve(entry, 'latest') };
  const memoryMap = memoryMapOf(point);
  const serve = await serveOf(ledger, point);
  const path = join(folder, 'arriving.sock');
  const server = createServer();
  const accepted = new Promise<Socket>((resolve) => {
    server.once('connection', resolve);
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  const workerData: AskingTask = { path, block: memoryMap.blocks[0]!.name, ...asking };
  const thread = new Worker(new URL('./asking-thread.js', import.meta.url), { workerData });
  const seconds = new Promise<number>((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
  const guest = new ArrivingQemu({ socket: await accepted, memoryMap, path });
  const { server: pages, served } = serve(guest);
  if (asking.asked.length === 0) pages.push();
  const took = await seconds;
  await served;
  await thread.terminate();
  server.close();
  rmSync(path, { force: true });
  return { seconds: took, counts: pages.counts };
}

/** Pages that hold something, each once, in no order. */
function shuffled(table: Uint32Array, count: number): number[] {
  const random = seededRandom(7);
  const pages = [...table.keys()].filter((page) => table[page] !== ZERO);
  for (let i = pages.length - 1; i > 0; i -= 1) {
    const j = random(i + 1);
    [pages[i], pages[j]] = [pages[j]!, pages[i]!];
  }
  return pages.slice(0, count);
}

/** Rows of the newest point of the VM `guest`. */
export async function arrivingRows(context: BenchContext, ledger: Ledger): Promise<Row[]> {
  const { folder, isQuick } = context;
  const entry = ledger.vm('guest');
  const row = ledger.resolve(entry, 'latest');
  const table = await tableOf(ledger, { entry, row }, { isWhole: true });
  const asked = shuffled(table, isQuick ? 200 : 4000);
  const rows: Row[] = [];
  for (const together of AT_ONCE) {
    const rates: number[] = [];
    let given = 0;
    for (let sample = -1; sample < (isQuick ? 1 : 5); sample += 1) {
      const { seconds, counts } = await arrival(ledger, { folder, asked, together });
      given = counts.demanded + counts.filled;
      if (sample >= 0) rates.push(counts.requests / seconds);
    }
    rows.push(
      rowOf({
        what: `demands of single pages answered, ${together} at a time`,
        measured: figureOf(rates, 'requests/s'),
        note: `over a socket, the rest of each storage block behind it: ${given} pages in all`,
      }),
    );
  }
  const rates: number[] = [];
  for (let sample = -1; sample < (isQuick ? 1 : 5); sample += 1) {
    const { seconds, counts } = await arrival(ledger, { folder, asked: [], together: 1 });
    if (sample >= 0) rates.push((counts.pushed * PAGE_BYTES) / seconds / 1e6);
  }
  rows.push(
    rowOf({
      what: 'all memory of a point pushed to a guest that asks for nothing',
      measured: figureOf(rates, 'MB/s'),
      note: 'pages that are not zeros, over a socket',
    }),
  );
  return rows;
}
