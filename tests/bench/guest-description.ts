// What a Linux guest says of itself, out of its recorded memory: the first question about it and later
// ones, the owners of all pages, whose the pages are that differ, whose a page was at its versions. Each
// sample opens the ledger anew, so that no page is decoded yet. Times are of processors: how long it takes
// on a busy machine is its own affair.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describeGuest, type GuestPoint } from '../../adapters/wiring/guest/guest.ts';
import { differenceByOwner, ownersOf } from '../../adapters/wiring/guest/guest-owners.ts';
import { ownersOfVersions } from '../../adapters/wiring/guest/owners-of-versions.ts';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { diffOf, historyOf, type Ledger } from '../../index.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { captureLive, workingGuest } from './guest-series.ts';
import { withLedger } from './ledgers.ts';
import { figureOf, rowOf, processorSecondsOf, type Row } from './measure.ts';

const NAME = 'described';
const UNIT = 's of a processor';
const DESCRIPTION_BYTES = 64;
/** Pages whose history is asked for. */
const PAGES = 64;
const COLD_AT_MOST = 6;
const DIFFERENCE_AT_MOST = 1.5;

interface Points {
  readonly a: GuestPoint;
  readonly b: GuestPoint;
}

/** A ledger of two captures of a guest, and what is done in it. */
class Recorded {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Lets go of what is kept of the guest. */
  forget(): void {
    rmSync(join(this.#folder, 'projections', 'guests'), { recursive: true, force: true });
  }

  open<A>(work: (ledger: Ledger, points: Points) => Promise<A>): Promise<A> {
    return withLedger({ folder: this.#folder }, async (ledger) => {
      const entry = ledger.vm('guest');
      const [a, b] = entry.captures.map((row): GuestPoint => ({ entry, row, kernel: null }));
      await ledger.pageReader();
      return work(ledger, { a: a!, b: b! });
    });
  }

  seconds(work: (ledger: Ledger, points: Points) => Promise<unknown>): Promise<number> {
    return this.open((ledger, points) => processorSecondsOf(() => work(ledger, points)));
  }
}

/** Seconds that all of a point's pages take, read once in their order. */
const readAll = (recorded: Recorded): Promise<number> =>
  recorded.open(async (ledger, { a: { entry, row } }) => {
    const table = await ledger.state.tables.at(entry, ledger.state.contents, row);
    const reader = await ledger.pageReader();
    return processorSecondsOf(async () => {
      let bytes = 0;
      for await (const { pages } of reader.inOrder({ table, label: 'the point' }))
        bytes += pages.length;
      assert(bytes > 0, 'a point has pages');
    });
  });

/** Seconds that the descriptions of so many pages take to read. */
const readDescriptions = (recorded: Recorded, pages: number): Promise<number> =>
  recorded.open(async (ledger, { b }) => {
    const { kernel, symbols } = await describeGuest(ledger, b);
    const variable = symbols.addressOf('vmemmap_base')!;
    const base = await kernel.memory.u64(variable, 'the descriptions');
    return processorSecondsOf(() =>
      kernel.memory.read(base, pages * DESCRIPTION_BYTES, 'descriptions'),
    );
  });

async function descriptions(recorded: Recorded, samples: number): Promise<Row[]> {
  const cold: number[] = [];
  const limits: number[] = [];
  const warm: number[] = [];
  const next: number[] = [];
  for (let sample = 0; sample < samples; sample += 1) {
    limits.push(await readAll(recorded));
    recorded.forget();
    cold.push(await recorded.seconds((ledger, { a }) => describeGuest(ledger, a)));
    warm.push(await recorded.seconds((ledger, { a }) => describeGuest(ledger, a)));
    next.push(await recorded.seconds((ledger, { b }) => describeGuest(ledger, b)));
  }
  return [
    rowOf({
      what: 'the description of a guest, the first time',
      measured: figureOf(cold, UNIT),
      limit: { what: 'its pages, read once', figure: figureOf(limits, UNIT) },
      target: { sense: 'at most', bound: COLD_AT_MOST },
    }),
    rowOf({ what: 'the same, again', measured: figureOf(warm, UNIT) }),
    rowOf({ what: 'the same of the next capture', measured: figureOf(next, UNIT) }),
  ];
}

async function owners(
  recorded: Recorded,
  of: { readonly samples: number; readonly pages: number },
): Promise<Row[]> {
  const { samples, pages } = of;
  const all: number[] = [];
  const limits: number[] = [];
  const both: number[] = [];
  const differences: number[] = [];
  let differing = 0;
  for (let sample = 0; sample < samples; sample += 1) {
    limits.push(await readDescriptions(recorded, pages));
    all.push(await recorded.seconds((ledger, { b }) => ownersOf(ledger, b)));
    both.push(
      await recorded.seconds(async (ledger, { a, b }) => {
        await ownersOf(ledger, b);
        await ownersOf(ledger, a);
      }),
    );
    differences.push(
      await recorded.seconds(async (ledger, points) => {
        ({ pages: differing } = await differenceByOwner(ledger, points));
      }),
    );
  }
  return [
    rowOf({
      what: `owners of ${pages} pages`,
      measured: figureOf(all, UNIT),
      limit: { what: 'their descriptions, read', figure: figureOf(limits, UNIT) },
    }),
    rowOf({
      what: '`diff --by owner` of two points',
      measured: figureOf(differences, UNIT),
      limit: { what: 'owners at both', figure: figureOf(both, UNIT) },
      target: { sense: 'at most', bound: DIFFERENCE_AT_MOST },
      note: `${differing} pages differ`,
    }),
  ];
}

async function histories(recorded: Recorded): Promise<Row> {
  const plain: number[] = [];
  const owned: number[] = [];
  await recorded.open(async (ledger, { a, b }) => {
    const gfns: number[] = [];
    for await (const differing of diffOf(ledger, { a, b, withBytes: false }))
      gfns.push(...differing.map(({ gfn }) => gfn));
    const step = Math.max(1, Math.floor(gfns.length / PAGES));
    const asked = gfns.filter((_, i) => i % step === 0);
    const { entry } = b;
    for (const gfn of [asked[0]!, ...asked]) {
      let versions = await historyOf(ledger, entry, gfn);
      plain.push(
        await processorSecondsOf(async () => {
          versions = await historyOf(ledger, entry, gfn);
        }),
      );
      const places = versions.map(({ capture }) => ({ vm: entry.vm, capture, gfn }));
      owned.push(
        await processorSecondsOf(() => ownersOfVersions(ledger, { places, kernel: null })),
      );
    }
  });
  return rowOf({
    what: 'owners of the two versions of a page, beside its `history`',
    measured: figureOf(owned.slice(1), UNIT),
    note: `its history alone: ${(1000 * figureOf(plain.slice(1), UNIT).median).toFixed(2)} ms`,
  });
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 192 : 1024;
  const samples = context.isQuick ? 2 : 7;
  const working = await workingGuest(context, NAME, mebibytes);
  if (working === null) return [];
  const { guest, told } = working;
  try {
    context.tell('the guest is captured twice');
    await captureLive(context, guest, { name: 'description', count: 2 });
  } finally {
    await guest.kill();
  }
  const recorded = new Recorded(join(context.folder, 'description'));
  const pages = (mebibytes * MIB) / PAGE_BYTES;
  context.tell('what it says of itself is asked for');
  const [first, ...rows] = [
    ...(await descriptions(recorded, samples)),
    ...(await owners(recorded, { samples, pages })),
    await histories(recorded),
  ];
  return [{ ...first, note: `a guest of ${mebibytes} MiB, emulated: ${told}` }, ...rows];
}

export const guestDescription: Bench = {
  name: 'guest-description',
  title: 'What a Linux guest says of itself',
  run,
};
