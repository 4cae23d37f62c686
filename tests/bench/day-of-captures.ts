// A guest that is captured once a second for a day: 45 pages change a capture, and what each one costs may
// not grow with those before it. PAGELEDGER_CAPTURES=N records fewer of the day's 86,400.

import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { run as runPort } from '../../domain/ports/run.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { guestImage, peakMib, runCli, withLedger } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { memoryBoundMib } from './memory-bound.ts';
import { makeHistory, type History } from './recorded-histories.ts';
import { fileBytes } from './file-bytes.ts';

const CAPTURES_A_DAY = 86_400;
const SHORT_CAPTURES = 100;
const CHANGED_PAGES = 45;
const MEBIBYTES = 16;
/** Of the log, beside the identifiers of what is stored, and bytes a page event. */
const CAPTURE_BYTES_MAX = 1024;
const EVENT_BYTES_MAX = 6;
const IDENTIFIER_BYTES = 32;
const GROWTH_MAX = 1.2;

/** Bytes of the log that a capture takes beside identifiers and EVENT_BYTES_MAX a page event. */
async function bareBytes({ folder }: History): Promise<number> {
  return withLedger({ folder }, async (ledger) => {
    const rows = ledger.vm('guest').captures.slice(1);
    const told = rows.reduce(
      (sum, { stored, written }) => sum + stored * IDENTIFIER_BYTES + written * EVENT_BYTES_MAX,
      0,
    );
    // Positions of a log in a folder count its bytes.
    const logBytes = Number((await runPort(ledger.log.head())) - rows[0]!.range.fromPosition);
    return (logBytes - told) / rows.length;
  });
}

/** How much longer a command takes in the long history, in turn. */
function grown(
  context: BenchContext,
  request: {
    readonly what: string;
    readonly histories: readonly [History, History];
    readonly words: readonly string[];
    readonly samples: number;
  },
): Row {
  const { what, histories, words, samples } = request;
  const [short, long] = histories;
  context.tell(what);
  const times: [number[], number[]] = [[], []];
  for (let sample = -1; sample < samples; sample += 1)
    for (const [of, { folder }] of [short, long].entries()) {
      const ms = runCli(['--ledger', folder, ...words]).seconds * 1000;
      if (sample >= 0) times[of]!.push(ms);
    }
  return rowOf({
    what: `${what} after ${long.captures} captures`,
    measured: figureOf(times[1], 'ms'),
    limit: { what: `after ${short.captures}`, figure: figureOf(times[0], 'ms') },
    target: { sense: 'at most', bound: GROWTH_MAX },
  });
}

/** The time of captures in the last twelfth, against those in the first one after its beginning. */
function pace({ checks, captures }: History): Row {
  const [a, b] = checks;
  const [y, z] = [checks.at(-2)!, checks.at(-1)!];
  assert(b !== undefined && y.capture > a!.capture, 'a history has checks');
  const of = (from: typeof y, to: typeof y): number =>
    (to.ms - from.ms) / (to.capture - from.capture);
  return rowOf({
    what: `a capture, towards the end of ${captures}`,
    measured: figureOf([of(y, z)], 'ms'),
    limit: { what: 'towards the beginning', figure: figureOf([of(a!, b)], 'ms') },
    target: { sense: 'at most', bound: GROWTH_MAX },
  });
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const asked = Number(process.env['PAGELEDGER_CAPTURES'] ?? CAPTURES_A_DAY);
  const captures = context.isQuick ? 240 : asked;
  const samples = context.isQuick ? 3 : 15;
  const base = guestImage(context, MEBIBYTES, 31);
  const pages = (MEBIBYTES * MIB) / PAGE_BYTES;
  const of = { base, changed: CHANGED_PAGES, hot: pages / 8 };
  const short = makeHistory(context, { ...of, name: 'short', captures: SHORT_CAPTURES });
  const long = makeHistory(context, { ...of, name: 'long', captures });
  const each = (folder: string): number => fileBytes(join(long.folder, folder)) / captures;
  const restored = ['--to', join(context.folder, 'back.raw'), '--force'];
  const compared = { histories: [short, long] as const, samples };
  return [
    rowOf({
      what: 'the log, a capture, beside identifiers and 6 bytes a page event',
      measured: figureOf([await bareBytes(long)], 'B'),
      target: { sense: 'at most', bound: CAPTURE_BYTES_MAX },
      note: `${Math.round(each('log'))} B of log a capture in all; ${captures} captures in ${Math.round(long.seconds)} s`,
    }),
    rowOf({ what: 'packs, a capture', measured: figureOf([each('packs')], 'B') }),
    rowOf({ what: 'derived files, a capture', measured: figureOf([each('projections')], 'B') }),
    pace(long),
    rowOf({
      what: `resident memory while ${captures} captures are recorded`,
      measured: figureOf([long.peakMib], 'MiB'),
      target: { sense: 'at most', bound: memoryBoundMib(pages + captures * CHANGED_PAGES) },
    }),
    rowOf({
      what: `resident memory of \`vms\` after ${captures} captures`,
      measured: figureOf([peakMib(context, ['--ledger', long.folder, 'vms'])], 'MiB'),
    }),
    grown(context, { ...compared, what: '`vms`', words: ['vms'] }),
    grown(context, {
      ...compared,
      what: '`captures --last 5`',
      words: ['captures', '--vm', 'guest', '--last', '5'],
    }),
    grown(context, {
      ...compared,
      what: '`history` of a page, its newest five versions',
      words: ['history', '--vm', 'guest', '--page', '3', '--last', '5'],
    }),
    grown(context, {
      ...compared,
      what: `the newest point of ${MEBIBYTES} MiB restored`,
      words: ['restore', '--vm', 'guest', ...restored],
    }),
  ];
}

export const dayOfCaptures: Bench = {
  name: 'day-of-captures',
  title: 'A capture a second for a day',
  isLong: true,
  run,
};
