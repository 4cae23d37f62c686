// What holding regions of 2 MiB large costs, and what it spares, against holding the same memory small:
// bytes, entries of the identifier index and reads of a point, as recorded, after captures that write
// single pages, compacted; and what going over from one to the other adds.

import { statSync } from 'node:fs';
import { countReads } from '../../domain/use-cases/layout/counted-reads.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { compact, recordImages, type LargeHolding, type Ledger } from '../../index.ts';
import type { Bench, BenchContext } from './bench.ts';
import { freshFolder, guestImage, withLedger } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { recordScattered } from './scattered-captures.ts';

const CAPTURES = 10;
const HOLDINGS = ['none', 'all'] as const;

/** What a ledger is at a moment. */
interface Costs {
  readonly pages: number;
  readonly log: number;
  readonly entries: number;
  readonly reads: number;
}

async function costsOf(ledger: Ledger): Promise<Costs> {
  await ledger.state.catchUp({ heavy: true });
  const { tables, contents, sharing } = ledger.state;
  const { storedBytes, logBytes } = await ledger.storedBytes();
  const entry = ledger.vm('guest');
  const table = await tables.at(entry, contents, ledger.resolve(entry, 'latest'));
  const reads = countReads(contents, table);
  return { pages: storedBytes, log: logBytes, entries: sharing.index.count, reads };
}

const UNITS = { pages: 'B', log: 'B', entries: 'entries', reads: 'reads' } as const;
const NAMES = {
  pages: 'page store',
  log: 'log',
  entries: 'entries of the identifier index',
  reads: 'storage blocks read for all of the newest point, a region at a time',
} as const;

/** Costs of what is held large against the same held small. */
const rowsOf = (when: string, small: Costs, large: Costs): Row[] =>
  (['pages', 'log', 'entries', 'reads'] as const).map((what) =>
    rowOf({
      what: `${NAMES[what]}, ${when}`,
      measured: figureOf([large[what]], UNITS[what]),
      limit: { what: 'held small', figure: figureOf([Math.max(1, small[what])], UNITS[what]) },
    }),
  );

interface Stages {
  readonly first: Costs;
  readonly written: Costs;
  readonly compacted: Costs;
  /** After a capture of the same memory that is held the other way. */
  readonly turned: Costs;
}

async function stagesOf(
  context: BenchContext,
  { image, holding }: { readonly image: string; readonly holding: (typeof HOLDINGS)[number] },
): Promise<Stages> {
  context.tell(`held ${holding === 'all' ? 'large' : 'small'}`);
  const changed = Math.round(statSync(image).size / PAGE_BYTES / 55);
  const of = { image, folder: context.folder, changed };
  const folder = freshFolder(context, `held-${holding}`);
  return withLedger({ folder }, async (ledger) => {
    const take = async (large: LargeHolding): Promise<void> => {
      const request = { files: [image], timeMs: null, format: 'raw' } as const;
      await recordImages(ledger, { vm: 'guest', group: null, large }, request, () => undefined);
    };
    await take(holding);
    const first = await costsOf(ledger);
    await recordScattered(ledger, { ...of, captures: CAPTURES, large: holding });
    const written = await costsOf(ledger);
    await compact(ledger, { graceMs: 0, isDryRun: false });
    const compacted = await costsOf(ledger);
    await take(holding === 'all' ? 'none' : 'all');
    return { first, written, compacted, turned: await costsOf(ledger) };
  });
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const image = guestImage(context, context.isQuick ? 16 : 64);
  const [small, large] = [
    await stagesOf(context, { image, holding: 'none' }),
    await stagesOf(context, { image, holding: 'all' }),
  ];
  const added = ({ compacted, turned }: Stages): number => turned.pages - compacted.pages;
  return [
    ...rowsOf('one capture', small.first, large.first),
    ...rowsOf(
      `${CAPTURES} captures more, each of a 55th of the pages`,
      small.written,
      large.written,
    ),
    ...rowsOf('all that compacted', small.compacted, large.compacted),
    rowOf({
      what: 'page store, added by the capture that holds all large from then on',
      measured: figureOf([added(small)], 'B'),
      limit: { what: 'one capture held large', figure: figureOf([large.first.pages], 'B') },
    }),
    rowOf({
      what: 'page store, added by the capture that holds all small from then on',
      measured: figureOf([added(large)], 'B'),
      limit: { what: 'one capture held small', figure: figureOf([small.first.pages], 'B') },
    }),
  ];
}

export const heldLarge: Bench = {
  name: 'held-large',
  title: 'Regions of 2 MiB held large in the page store',
  run,
};
