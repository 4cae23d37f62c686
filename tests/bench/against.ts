// What this build takes against an earlier one: the same commands on ledgers of each build's own, in turn,
// by processor seconds on all threads, and the most memory each ever had. PAGELEDGER_AGAINST names the
// entry of the other build's command line.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import type { Bench, BenchContext } from './bench.ts';
import { changedImage } from './changed-image.ts';
import { freshFolder, guestImage, runCosting, thisProgram } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import type { ProgramCost } from './preload-cost.ts';

const OTHER = 'PAGELEDGER_AGAINST';
const MEBIBYTES = 128;
const QUICK_MEBIBYTES = 8;
const ROUNDS = 3;
const QUICK_ROUNDS = 1;
/** Captures of a series beside its first, and pages that each of them changes. */
const SERIES = 5;
const SERIES_PAGES = 2048;
/** A VM with many captures that change little. */
const SMALL_MEBIBYTES = 1;
const SMALL_CAPTURES = 100;
const SMALL_PAGES = 16;

/** A build of the program. */
interface Build {
  readonly program: string;
  /** What makes `record` create a ledger: not asked for by all builds. */
  readonly init: readonly string[];
}

function buildOf(program: string): Build {
  const done = spawnSync(process.execPath, [program, 'record', 'image', '--help'], {
    encoding: 'utf8',
  });
  assert(done.status === 0, `${program} is a pageledger: ${done.stderr.slice(-500)}`);
  return { program, init: done.stdout.includes('--init') ? ['--init'] : [] };
}

/** The images of a round. */
interface Images {
  readonly first: string;
  readonly series: readonly string[];
  readonly small: readonly string[];
}

function imagesOf(context: BenchContext): Images {
  const { isQuick } = context;
  const first = guestImage(context, isQuick ? QUICK_MEBIBYTES : MEBIBYTES);
  const changedPages = isQuick ? SERIES_PAGES / 64 : SERIES_PAGES;
  const series = Array.from({ length: SERIES }, (_, seed) =>
    changedImage(context, { base: first, seed, changedPages }),
  );
  const tiny = guestImage(context, SMALL_MEBIBYTES);
  const small = Array.from({ length: isQuick ? 3 : SMALL_CAPTURES }, (_, i) =>
    changedImage(context, { base: tiny, seed: 100 + i, changedPages: SMALL_PAGES }),
  );
  return { first, series, small };
}

/** The commands of a round, in their order, by what they do. */
function commandsOf(
  { init }: Build,
  images: Images,
  to: string,
): readonly (readonly [what: string, words: readonly string[]])[] {
  const recording = ['record', 'image', '--format', 'raw'];
  const restoring = ['restore', '--vm', 'guest', '--to', to, '--force'];
  return [
    ['`record` of new content', [...recording, ...init, '--vm', 'guest', images.first]],
    [`\`record\` of ${SERIES} changed images`, [...recording, '--vm', 'guest', ...images.series]],
    ['`record` of an unchanged image', [...recording, '--vm', 'guest', images.series.at(-1)!]],
    [
      `\`record\` of ${images.small.length} small captures`,
      [...recording, '--vm', 'small', ...images.small],
    ],
    ['`restore` of the newest point', restoring],
    ['`restore` of the oldest point', [...restoring, '--at', '@1']],
    ['`vms`', ['vms']],
    ['`captures`', ['captures', '--vm', 'small']],
    ['`history` of a page, asked first', ['history', '--vm', 'guest', '--page', '7']],
    ['`history` of a page, asked again', ['history', '--vm', 'guest', '--page', '7']],
    ['`diff` of two points', ['diff', '--vm', 'guest', '@1', 'latest']],
    ['`sharing`', ['sharing']],
    ['`verify`', ['verify']],
    ['`compact`', ['compact']],
    ['`restore` of the newest point, compacted', restoring],
  ];
}

function run(context: BenchContext): Promise<readonly Row[]> {
  const other = process.env[OTHER];
  assert(other !== undefined, `${OTHER} names the other build's dist/bin/main.js`);
  const builds = [buildOf(thisProgram()), buildOf(other)] as const;
  const images = imagesOf(context);
  const costs = new Map<string, [ProgramCost[], ProgramCost[]]>();
  const rounds = context.isQuick ? QUICK_ROUNDS : ROUNDS;
  for (let round = 0; round < rounds; round += 1) {
    context.tell(`round ${round + 1} of ${rounds}`);
    // The builds go in turn, command by command.
    const sides = builds.map((build, of) => ({
      ledger: freshFolder(context, `against-${of}`),
      commands: commandsOf(build, images, join(context.folder, 'back.raw')),
    }));
    for (const [i, [what]] of sides[0]!.commands.entries())
      for (const [of, { ledger, commands }] of sides.entries()) {
        const words = ['--ledger', ledger, ...commands[i]![1]];
        const cost = runCosting(context, words, builds[of]!.program);
        const known = costs.get(what) ?? [[], []];
        known[of]!.push(cost);
        costs.set(what, known);
      }
  }
  const mib = (of: readonly ProgramCost[]): string =>
    `${Math.round(Math.max(...of.map(({ peakKib }) => peakKib)) / 1024)} MiB`;
  const seconds = (of: readonly ProgramCost[]) =>
    figureOf(
      of.map(({ processorSeconds }) => processorSeconds),
      's of processor',
    );
  return Promise.resolve(
    [...costs].map(([what, [ours, theirs]]) =>
      rowOf({
        what,
        measured: seconds(ours),
        limit: { what: 'the other build', figure: seconds(theirs) },
        target: { sense: 'at most', bound: 1 },
        note: `at most ${mib(ours)} resident; the other build ${mib(theirs)}`,
      }),
    ),
  );
}

export const against: Bench = {
  name: 'against',
  title: 'Processor time and memory, against an earlier build',
  isLong: true,
  run,
};
