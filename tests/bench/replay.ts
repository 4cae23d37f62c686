// Replaying a log: page events from its file into a page table, without any page-table image to begin
// from; and the whole fold of a ledger whose projections were deleted.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readPageWrites } from '../../adapters/kernels/page-writes.ts';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import { openLedger } from '../../index.ts';
import { decodeBatches } from '../../projections/commits.ts';
import { PageTables } from '../../projections/models/page-tables.ts';
import { applyPageWrites, holdingsOf, spansOf } from '../../projections/table.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { figureOf, rowOf, sampled, secondsOf, type Row } from './measure.ts';

const EVENTS_AT_LEAST = 100;

/** State files that keep nothing: every table is replayed from its first event. */
const FORGETFUL: StateFiles = {
  load: () => Promise.resolve(null),
  open: () => Promise.resolve(null),
  save: () => Promise.resolve(),
  list: () => Promise.resolve([]),
  drop: () => Promise.resolve(),
};

const isSame = (one: Uint32Array, other: Uint32Array): boolean =>
  one.length === other.length && one.every((holding, gfn) => holding === other[gfn]);

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 4 : 128;
  const captures = context.isQuick ? 6 : 64;
  const samples = context.isQuick ? 3 : 15;
  const pages = (mebibytes * MIB) / PAGE_BYTES;
  const images = [guestImage(context, mebibytes, 11), guestImage(context, mebibytes, 12)];
  const files = Array.from({ length: captures }, (_, i) => images[i % 2]!);
  const folder = freshFolder(context, 'replay');
  context.tell(`${captures} captures of ${pages} pages`);
  await withLedger({ folder }, (ledger) => record(ledger, { vm: 'guest', files }));
  const rows: Row[] = [];
  let events = 0;
  await withLedger({ folder, threads: 0 }, async (ledger) => {
    const entry = ledger.vm('guest');
    const last = entry.captures.at(-1)!;
    events = entry.captures.reduce((sum, row) => sum + row.written, 0);
    const expected = await ledger.state.tables.at(entry, ledger.state.contents, last);
    entry.images.length = 0;
    const tables = new PageTables({
      log: ledger.log,
      files: FORGETFUL,
      reader: () => Promise.resolve(readPageWrites),
    });
    const rates = await sampled(samples, async () => {
      let table = expected;
      const seconds = await secondsOf(async () => {
        table = await tables.at(entry, ledger.state.contents, last);
      });
      assert(isSame(table, expected), 'a replay is right');
      return events / seconds / 1e6;
    });
    rows.push(
      rowOf({
        what: 'replay of a log file into a page table',
        measured: figureOf(rates, 'M page events/s'),
        target: { sense: 'at least', bound: EVENTS_AT_LEAST },
        note: `${events} page events in ${captures} captures, with their checksums`,
      }),
    );
    const stored = await Promise.all(
      entry.captures.map((row) => ledger.state.tables.events('guest', row)),
    );
    const { contents } = ledger.state;
    const kernel = (table: Uint32Array): void => {
      for (const { type, data } of stored.flat())
        if (type === 'PagesWritten')
          applyPageWrites(
            table,
            readPageWrites(data, (packs) => spansOf(contents, packs))!,
          );
    };
    const decoder = (table: Uint32Array): void => {
      for (const capture of stored)
        for (const columns of decodeBatches(capture).batches)
          applyPageWrites(table, {
            gfns: columns.gfns,
            holdings: holdingsOf(contents, columns),
          });
    };
    for (const [what, replayAll] of [
      ['of it, reading and applying events at hand', kernel],
      ['the same by way of columns, as whoever asks for more than tables does', decoder],
    ] as const) {
      const inMemory = await sampled(samples, async () => {
        const table = new Uint32Array(pages);
        const seconds = await secondsOf(() => replayAll(table));
        assert(isSame(table, expected), 'a replay is right');
        return events / seconds / 1e6;
      });
      rows.push(rowOf({ what, measured: figureOf(inMemory, 'M page events/s') }));
    }
  });
  const folds = await sampled(context.isQuick ? 1 : 5, async () => {
    rmSync(join(folder, 'projections'), { recursive: true, force: true });
    const seconds = await secondsOf(async () => {
      const ledger = await openLedger({ url: folder, mode: 'write', threads: 0 });
      await ledger.state.catchUp({ heavy: true });
      await ledger.close();
    });
    return events / seconds / 1e6;
  });
  rows.push(
    rowOf({
      what: 'the whole fold, projections deleted (index, holders, images, state files)',
      measured: figureOf(folds, 'M page events/s'),
    }),
  );
  return rows;
}

export const replay: Bench = { name: 'replay', title: 'Replaying the log', run };
