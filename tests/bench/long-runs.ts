// Long runs against damage: not how quick something is, but that it holds, and over how many tries. The
// tests do the same with few of them (tests/simulation, tests/acceptance); here the figures are kept.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dumpParsers } from '../support/spoiled/dump-parsers.ts';
import { runCrowd, separately } from '../support/processes/killed-crowd.ts';
import { flipBits } from '../support/spoiled/flipped-bits.ts';
import { runSpoiled, tryParsers, type ParserOutcome } from '../support/spoiled/spoiled-run.ts';
import { makeTinyLedger } from '../support/ledgers/tiny-ledger.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { figureOf, rowOf, secondsOf, type Row } from './measure.ts';
import { resultsFolder } from './report.ts';

const SEED = 20_281;
const MUTATIONS = 1_000_000;
/** Of each format. */
const FILES_EACH = 100_000;
const KILLS = 1_000;
/** What parsers may take in memory beyond what was there, whatever they read. */
const MEMORY_MIB_MAX = 512;

/** A row of what may not be at all. */
function faultsRow(what: string, faults: readonly string[], note: string): Row {
  const first = faults[0] === undefined ? '' : `; the first: ${faults[0].split('\n')[0]}`;
  return rowOf({
    what,
    measured: figureOf([faults.length], 'faults'),
    target: { sense: 'at most', bound: 0 },
    note: `${note}${first}`,
  });
}

async function spoiledInputs({ isQuick, folder, tell }: BenchContext): Promise<readonly Row[]> {
  // As many for each parser as make the whole number together.
  const parsersAbout = 42;
  const mutations = isQuick ? 20 : Math.ceil(MUTATIONS / parsersAbout);
  let parsers: readonly ParserOutcome[] = [];
  const seconds = await secondsOf(async () => {
    parsers = await runSpoiled({ mutations, seed: SEED, folder, tell });
  });
  const sum = (of: 'inputs' | 'refused'): number =>
    parsers.reduce((total, parser) => total + parser[of], 0);
  const slowest = parsers.toSorted((a, b) => b.slowestMs - a.slowestMs)[0]!;
  const largest = parsers.toSorted((a, b) => b.memoryBytes - a.memoryBytes)[0]!;
  return [
    faultsRow(
      'spoiled inputs that were met by anything but a value or a clear error',
      parsers.flatMap(({ faults }) => faults),
      `${sum('inputs')} inputs to ${parsers.length} parsers, ${sum('refused')} refused, in ${Math.round(seconds)} s; seed ${SEED}`,
    ),
    rowOf({
      what: 'longest time that a parser took for one',
      measured: figureOf([slowest.slowestMs], 'ms'),
      note: slowest.name,
    }),
    rowOf({
      what: 'memory taken beyond what was there',
      measured: figureOf([largest.memoryBytes / MIB], 'MiB'),
      target: { sense: 'at most', bound: MEMORY_MIB_MAX },
      note: largest.name,
    }),
  ];
}

/** The results of formats that a run leaves out, as they were kept. */
function keptRows(bench: string, leftOut: readonly string[]): readonly Row[] {
  const kept = join(resultsFolder(), `${bench}.json`);
  if (!existsSync(kept)) return [];
  const { rows } = JSON.parse(readFileSync(kept, 'utf8')) as { readonly rows: readonly Row[] };
  return rows.filter(({ what }) => leftOut.includes(what));
}

/** Which formats of files are spoiled, as an expression for their names; absent: all, for an hour. */
const FORMATS = new RegExp(process.env['PAGELEDGER_PARSERS'] ?? '^', 'u');

async function spoiledFiles({ isQuick, folder, tell }: BenchContext): Promise<readonly Row[]> {
  const all = dumpParsers(folder).map((parser) => ({ ...parser, slowness: 1 }));
  const tried = all.filter(({ name }) => FORMATS.test(name));
  const mutations = isQuick ? 20 : FILES_EACH;
  const rows = (await tryParsers(tried, { mutations, seed: SEED, tell })).map(
    ({ name, inputs, refused, busiestMs, memoryBytes, faults }) =>
      faultsRow(
        name,
        faults,
        `${inputs} files, ${refused} refused, at most ${Math.ceil(busiestMs)} ms of processor for one and ${Math.ceil(memoryBytes / MIB)} MiB for all; seed ${SEED}`,
      ),
  );
  const isTried = (name: string): boolean => tried.some((parser) => parser.name === name);
  const names = all.map(({ name }) => name);
  const kept = keptRows('spoiled-files', isQuick ? [] : names.filter((name) => !isTried(name)));
  return [...rows, ...kept].toSorted((a, b) => names.indexOf(a.what) - names.indexOf(b.what));
}

async function everyBit({ isQuick, folder, tell }: BenchContext): Promise<readonly Row[]> {
  const tiny = await makeTinyLedger(folder);
  let outcome = {} as Awaited<ReturnType<typeof flipBits>>;
  const seconds = await secondsOf(async () => {
    outcome = await flipBits({ tiny, step: isQuick ? 997 : 1, first: 0, tell });
  });
  const { bits, flips, judged, lossy, refused, faults } = outcome;
  return [
    faultsRow(
      'flipped bits that gave wrong memory, an unclear failure, or cost another VM points',
      faults,
      `${flips} of ${bits} bits of the ${bits / 8} bytes of a ledger, one at a time; ${judged} ledgers judged, ${lossy} of which lost points, ${refused} of which were refused, in ${Math.round(seconds)} s`,
    ),
  ];
}

async function kills({ isQuick, folder, tell }: BenchContext): Promise<readonly Row[]> {
  let outcome = {} as Awaited<ReturnType<typeof runCrowd>>;
  const seconds = await secondsOf(async () => {
    outcome = await runCrowd({ kills: isQuick ? 10 : KILLS, seed: SEED, folder, tell });
  });
  const { faults, killed, ended } = outcome;
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .map(([kind, count]) => `${count} ${kind}`)
      .join(', ');
  const apart =
    separately === null
      ? 'none in namespaces of its own, which is not permitted here'
      : `${outcome.separate} in network and mount namespaces of their own`;
  return [
    faultsRow(
      'commands killed beside each other: what was lost, wrong, or refused to those not killed',
      faults,
      `${outcome.kills} killed (${counts(killed)}; ${apart}), ended: ${counts(ended)}; ${outcome.ledgers} ledgers, ${outcome.captures / 2} captures, ${outcome.restored} points restored and compared, in ${Math.round(seconds)} s; seed ${SEED}`,
    ),
  ];
}

export const longRuns: readonly Bench[] = [
  {
    name: 'spoiled-inputs',
    title: 'Spoiled inputs to every parser',
    isLong: true,
    run: spoiledInputs,
  },
  {
    name: 'spoiled-files',
    title: 'Spoiled files of memory: those met by anything but memory or a clear error',
    isLong: true,
    run: spoiledFiles,
  },
  { name: 'every-bit', title: 'Every bit of a ledger flipped', isLong: true, run: everyBit },
  { name: 'kills', title: 'Commands killed beside each other', isLong: true, run: kills },
];
