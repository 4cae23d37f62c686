// Questions about one VM, page or capture in a ledger of 100,000 small captures and in one of 100. The
// ledgers are made of events, not recorded (synthetic-captures.ts), and folded once before a time counts.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { fileBytes } from './file-bytes.ts';
import { freshFolder, peakMib, runCli, withLedger } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { memoryAt, writeCaptures, type CapturesRequest } from './synthetic-captures.ts';

const SHORT_CAPTURES = 100;
const LONG_CAPTURES = 100_000;
const GROWTH_MAX = 1.2;
/** A VM of 1 MiB, 16 of whose pages are written by each capture, in turn. */
const OF = { pages: MIB / PAGE_BYTES, changed: 16, hot: MIB / PAGE_BYTES / 2 };
/** A page that only the first capture wrote: what is told of it is as long in both ledgers. */
const COLD_PAGE = OF.pages - 1;

interface Made {
  readonly folder: string;
  readonly captures: number;
  /** Of a fold of all of it, as after derived state was deleted. */
  readonly foldSeconds: number;
}

/** Makes a ledger and the state that is derived of it, and compares the newest point with what it must be. */
async function made(context: BenchContext, name: string, captures: number): Promise<Made> {
  const folder = freshFolder(context, name);
  const request: CapturesRequest = { captures, ...OF };
  context.tell(`${captures} captures as events`);
  await withLedger({ folder, threads: 0 }, (ledger) => writeCaptures(ledger, request));
  context.tell('folding them');
  const foldSeconds = runCli(['--ledger', folder, 'vms']).seconds;
  const path = join(context.folder, 'newest.raw');
  runCli(['--ledger', folder, 'restore', '--vm', 'guest', '--to', path]);
  assert(readFileSync(path).equals(memoryAt(captures, request)), 'the newest point is as written');
  rmSync(path);
  return { folder, captures, foldSeconds };
}

/** How much longer a command takes in the long ledger than in the short one, in turn. */
function grown(
  context: BenchContext,
  ledgers: readonly [Made, Made],
  request: { readonly what: string; readonly words: readonly string[]; readonly samples: number },
): Row {
  const { what, words, samples } = request;
  context.tell(what);
  const times: [number[], number[]] = [[], []];
  for (let sample = -1; sample < samples; sample += 1)
    for (const [of, { folder }] of ledgers.entries()) {
      const ms = runCli(['--ledger', folder, ...words]).seconds * 1000;
      if (sample >= 0) times[of]!.push(ms);
    }
  const [short, long] = ledgers;
  return rowOf({
    what: `${what} of ${long.captures} captures`,
    measured: figureOf(times[1], 'ms'),
    limit: { what: `of ${short.captures}`, figure: figureOf(times[0], 'ms') },
    target: { sense: 'at most', bound: GROWTH_MAX },
  });
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const asked = Number(process.env['PAGELEDGER_CAPTURES'] ?? LONG_CAPTURES);
  const captures = context.isQuick ? 2000 : asked;
  const samples = context.isQuick ? 2 : 15;
  const [short, long] = [
    await made(context, 'short', SHORT_CAPTURES),
    await made(context, 'long', captures),
  ];
  const to = join(context.folder, 'back.raw');
  const each = (folder: string): number => fileBytes(join(long.folder, folder)) / captures;
  const questions = [
    { what: '`vms`', words: ['vms'] },
    { what: '`captures --last 5`', words: ['captures', '--vm', 'guest', '--last', '5'] },
    {
      what: '`history` of a page',
      words: ['history', '--vm', 'guest', '--page', String(COLD_PAGE)],
    },
    {
      what: 'the newest point of 1 MiB restored',
      words: ['restore', '--vm', 'guest', '--to', to, '--force'],
    },
  ];
  return [
    ...questions.map((question) => grown(context, [short, long], { ...question, samples })),
    rowOf({
      what: `resident memory of \`vms\` of ${captures} captures`,
      measured: figureOf([peakMib(context, ['--ledger', long.folder, 'vms'])], 'MiB'),
    }),
    rowOf({
      what: `derived files, a capture of ${captures}`,
      measured: figureOf([each('projections')], 'B'),
      note: `${Math.round(each('log'))} B of log a capture; derived anew in ${Math.round(long.foldSeconds)} s`,
    }),
  ];
}

export const manyCaptures: Bench = {
  name: 'many-captures',
  title: 'A ledger of 100,000 captures',
  isLong: true,
  run,
};
