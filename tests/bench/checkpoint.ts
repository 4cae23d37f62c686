// Laying a named point out: what is written and how long that takes, and the reads that the point takes
// then, over sizes of the staging buffer, against a page at a time; and the reads of what a guest asks for,
// where the point was laid out by that.

import { layOutPoint } from '../../adapters/wiring/points/checkpoint-layout.ts';
import type { LaidOut, LayOutRequest } from '../../domain/use-cases/layout/lay-out.ts';
import { planLayout } from '../../domain/use-cases/layout/layout-plan.ts';
import { isRead } from '../../domain/use-cases/pages/patch-chain.ts';
import { TOGETHER_PAGES_MAX } from '../../domain/requests.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import type { Ledger } from '../../index.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, withLedger } from './ledgers.ts';
import { seededRandom } from '../support/images.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { recordScattered } from './scattered-captures.ts';

const CAPTURES = 10;
const BUFFERS = [32, 128, 512];
const KIB = 1024;

/** Pages that a guest asks for: a thirtieth of all, single ones from everywhere, 128 at a time. */
function askedSets(pages: number): Uint32Array[] {
  const random = seededRandom(4);
  const count = Math.round(pages / 30 / TOGETHER_PAGES_MAX);
  return Array.from({ length: count }, () =>
    Uint32Array.from({ length: TOGETHER_PAGES_MAX }, () => random(pages)),
  );
}

/** Lays the newest point out, and takes it back. */
async function laidOut(
  ledger: Ledger,
  options: Pick<LayOutRequest, 'bufferBytes' | 'together'>,
): Promise<[LaidOut, number]> {
  const entry = ledger.vm('guest');
  const row = ledger.resolve(entry, 'latest');
  const start = performance.now();
  const laid = await layOutPoint(ledger, { entry, row }, options);
  const seconds = (performance.now() - start) / 1000;
  await laid.takeBack();
  return [laid, seconds];
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 16 : 64;
  const samples = context.isQuick ? 2 : 7;
  const folder = freshFolder(context, 'checkpoint');
  const pages = (mebibytes * MIB) / PAGE_BYTES;
  const image = guestImage(context, mebibytes);
  const changed = Math.round(pages / 55);
  const rows: Row[] = [];
  await withLedger({ folder }, async (ledger) => {
    await recordScattered(ledger, { image, folder: context.folder, captures: CAPTURES, changed });
    const { tables, contents } = ledger.state;
    const entry = ledger.vm('guest');
    const table = await tables.at(entry, contents, ledger.resolve(entry, 'latest'));
    const copied = figureOf([planLayout(contents, table).gfns.length], 'writes');
    const apart = figureOf([new Set(table.filter((holding) => isRead(holding))).size], 'reads');
    for (const kib of BUFFERS) {
      context.tell(`a staging buffer of ${kib} KiB`);
      const times: number[] = [];
      let last: LaidOut | null = null;
      for (let i = 0; i < samples; i += 1) {
        const [laid, seconds] = await laidOut(ledger, { bufferBytes: kib * KIB });
        times.push(seconds);
        last = laid;
      }
      const { layout, readsBefore, reads, storageBlocks } = last!;
      const buffer = `a buffer of ${kib} KiB`;
      const note = `${(layout.bytes / MIB).toFixed(1)} MiB of copies`;
      const figure = (value: number, unit: string) => figureOf([value], unit);
      rows.push(
        rowOf({
          what: `storage blocks written for a checkpoint of ${mebibytes} MiB, ${buffer}`,
          measured: figure(storageBlocks, 'writes'),
          limit: { what: 'a page at a time', figure: copied },
          note,
        }),
        rowOf({
          what: `reads of all of the point, ${buffer}`,
          measured: figure(reads, 'reads'),
          limit: { what: 'a page at a time', figure: apart },
        }),
        rowOf({
          what: `the same, against the point before it was laid out`,
          measured: figure(reads, 'reads'),
          limit: { what: 'before', figure: figure(readsBefore, 'reads') },
        }),
        rowOf({ what: `laying it out, ${buffer}`, measured: figureOf(times, 's') }),
      );
    }
    const together = askedSets(pages);
    const [{ layout, pages: copies, readsBefore, reads }, seconds] = await laidOut(ledger, {
      together,
    });
    rows.push(
      rowOf({
        what: `reads of ${together.length * TOGETHER_PAGES_MAX} pages that a guest asks for, laid out by that`,
        measured: figureOf([reads], 'reads'),
        limit: { what: 'as recorded', figure: figureOf([readsBefore], 'reads') },
        note: `${copies} pages, ${(layout.bytes / MIB).toFixed(1)} MiB of copies`,
      }),
      rowOf({ what: 'laying it out so', measured: figureOf([seconds], 's') }),
    );
  });
  return rows;
}

export const checkpoint: Bench = {
  name: 'checkpoint',
  title: 'Laying a named point out',
  run,
};
