// Large pages of a guest that runs: what looking at them costs it, what is found by how long it is looked
// at and under which threshold, and six clones under one limit with none of its regions split, the cold
// ones, and all.

import { mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { guestCommand } from '../../adapters/guests/demo-guest/start-guest.ts';
import { programPath, toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { MemoryGroup } from '../../adapters/guests/memory-group.ts';
import { tickingGuest, ticksOf } from '../support/guest/watched-guest.ts';
import { accountedMib } from '../support/processes/process-memory.ts';
import type { Bench, BenchContext } from './bench.ts';
import { CloneStarts, peakDuring } from './clone-starts.ts';
import { freshFolder } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const GUEST = { seed: 29, memoryMib: 128 };
/** What is cold where nobody says another, and what is hot: asked for twice as much. */
const COLD_BELOW = 16;
const HOT = 2 * COLD_BELOW;
/** More regions than the guest has. */
const ALL_REGIONS = '1000';
const WINDOW_MS = 5_000;
const CLONES = 6;
const SETTLE_MS = 15_000;
/** What nothing is above, so that memory is accounted for and nothing is dropped. */
const NO_LIMIT_MIB = 2 ** 20;

const tickRate = (ticks: number, begun: number): number =>
  (ticks * 1000) / (performance.now() - begun);

/** A guest that was looked at. */
interface Looked {
  /** Ticks a second while it was, and when it had its memory. */
  readonly during: number;
  readonly after: number;
  /** By region, what was asked for. */
  readonly activity: ReadonlyMap<number, number>;
  readonly split: ReadonlySet<number>;
}

class LargePagesBench {
  readonly #starts: CloneStarts;
  readonly #windowMs: number;

  constructor(starts: CloneStarts, { isQuick }: BenchContext) {
    this.#starts = starts;
    this.#windowMs = isQuick ? 2_000 : WINDOW_MS;
  }

  async #rateOf(names: readonly string[], windowMs = this.#windowMs): Promise<number> {
    const [ticks, begun] = [this.#starts.ticks(names), performance.now()];
    await pause(windowMs);
    return tickRate(this.#starts.ticks(names) - ticks, begun);
  }

  /** Resumes the guest with all regions that are large looked at for so long. */
  async looked(name: string, seconds: number, threshold: number): Promise<Looked> {
    const words = ['resume', '--vm', 'web', '--sample', ALL_REGIONS];
    const { command, rows } = await this.#starts.start(
      [...words, '--interval', `${seconds}s`, '--threshold', `${threshold}`],
      { name, count: 1 },
    );
    const begun = performance.now();
    await command.until((each) => each.rows().some((row) => row['split'] !== undefined));
    const during = tickRate(this.#starts.ticks([name]), begun);
    await command.ended;
    const after = await this.#rateOf([name]);
    process.kill(Number(rows[0]!['pid']), 'SIGKILL');
    const regions = await this.#starts.commands.json('large-pages', '--vm', 'web');
    return {
      during,
      after,
      activity: new Map(regions.map((row) => [Number(row['region']), Number(row['activity'])])),
      split: new Set(
        regions.filter((row) => row['decision'] === 'split').map((row) => Number(row['region'])),
      ),
    };
  }

  /** Clones with regions held so: their ticks, what they took at most, and what became of them. */
  async cloned(name: string, count: number, words: readonly string[], settleMs: number) {
    const guests = await this.#starts.start(
      ['clone', '--vm', 'web', '--count', `${count}`, ...words],
      {
        name: `${name}-{n}`,
        count,
      },
    );
    const names = Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
    await pause(settleMs);
    const [ticks, begun] = [this.#starts.ticks(names), performance.now()];
    const peakMib = await peakDuring(2 * this.#windowMs, () =>
      guests.rows.reduce((sum, { pid }) => {
        try {
          return sum + accountedMib(pid);
        } catch {
          // It was parked.
          return sum;
        }
      }, 0),
    );
    const rate = tickRate(this.#starts.ticks(names) - ticks, begun);
    const parked = guests.command.rows().filter((row) => row['parked'] === true).length;
    const { droppedPages, refetchedPages } = await this.#starts.end(guests);
    return {
      rate,
      peakMib,
      parked,
      droppedPages: Number(droppedPages ?? 0),
      refetchedPages: Number(refetchedPages ?? 0),
    };
  }
}

const perSecond = (rate: number) => figureOf([rate], '1/s');
type Limit = NonNullable<Parameters<typeof rowOf>[0]['limit']>;

/** Over the interval: what looking costs, and what is found cold that a longer look finds hot. */
async function intervalRows(
  bench: LargePagesBench,
  { context, before }: { readonly context: BenchContext; readonly before: Limit },
): Promise<{ readonly rows: readonly Row[]; readonly hot: ReadonlySet<number> }> {
  const rows: Row[] = [];
  const looks: { readonly seconds: number; readonly looked: Looked }[] = [];
  for (const seconds of context.isQuick ? [1, 3] : [1, 3, 10]) {
    context.tell(`all regions are looked at for ${seconds} s`);
    const looked = await bench.looked(`look-${seconds}`, seconds, 0);
    looks.push({ seconds, looked });
  }
  const longest = looks.at(-1)!.looked.activity;
  const hot = new Set([...longest].flatMap(([region, asked]) => (asked >= HOT ? [region] : [])));
  for (const { seconds, looked } of looks) {
    const cold = [...looked.activity].filter(([, asked]) => asked < COLD_BELOW);
    const wrong = cold.filter(([region]) => hot.has(region)).length;
    rows.push(
      rowOf({
        what: `looked at for ${seconds} s: ticks meanwhile`,
        measured: perSecond(looked.during),
        limit: before,
        note: `${cold.length} of ${looked.activity.size} regions are cold, ${wrong} of them hot in the longest look`,
      }),
      rowOf({ what: 'ticks after it', measured: perSecond(looked.after), limit: before }),
    );
  }
  return { rows, hot };
}

/** Over the threshold: what is split, what of it wrongly, and how clones get on that hold the rest large. */
async function thresholdRows(
  bench: LargePagesBench,
  { context, hot }: { readonly context: BenchContext; readonly hot: ReadonlySet<number> },
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  let first: Limit | null = null;
  for (const threshold of context.isQuick ? [COLD_BELOW] : [1, COLD_BELOW, 513]) {
    context.tell(`what is asked for less than ${threshold} times is split`);
    const { split } = await bench.looked(`below-${threshold}`, 3, threshold);
    const wrong = [...split].filter((region) => hot.has(region)).length;
    const words = ['--large', 'follow'];
    const { rate } = await bench.cloned(`two-${threshold}`, 2, words, 3_000);
    rows.push(
      rowOf({
        what: `split below ${threshold}: ticks of two clones`,
        measured: perSecond(rate),
        ...(first === null ? {} : { limit: first }),
        note: `${split.size} regions split by now, ${wrong} of them hot`,
      }),
    );
    first ??= { what: 'split below 1', figure: perSecond(rate) };
    if (threshold === COLD_BELOW) rows.push(...(await limitRows(bench, context)));
  }
  return rows;
}

/** Six clones under one limit: nothing split, the cold, all. */
async function limitRows(bench: LargePagesBench, context: BenchContext): Promise<readonly Row[]> {
  const group = MemoryGroup.make(`pageledger-bench-${process.pid}`);
  group?.remove();
  if (group === null) {
    context.tell('no control group can be made: clones are held to no limit');
    return [];
  }
  const count = context.isQuick ? 2 : CLONES;
  const settleMs = context.isQuick ? 2_000 : SETTLE_MS;
  context.tell(`${count} clones run without a limit, with nothing large`);
  const under = (limitMib: number) => ['--memory', `${limitMib}`, '--park', '--large'];
  const free = await bench.cloned('free', count, [...under(NO_LIMIT_MIB), 'none'], 3_000);
  const limitMib = Math.floor(0.9 * free.peakMib);
  const limit = { what: 'without a limit', figure: perSecond(free.rate) };
  const rows: Row[] = [];
  for (const [holding, what] of [
    ['all', 'nothing split'],
    ['follow', 'the cold split'],
    ['none', 'all split'],
  ] as const) {
    context.tell(`they are held to ${limitMib} MiB, ${what}`);
    const of = await bench.cloned(holding, count, [...under(limitMib), holding], settleMs);
    rows.push(
      rowOf({
        what: `${count} clones in ${limitMib} MiB, ${what}: ticks of all`,
        measured: perSecond(of.rate),
        limit,
        note: `${of.parked} parked, ${of.droppedPages} pages dropped, ${of.refetchedPages} fetched again, at most ${of.peakMib.toFixed(0)} MiB`,
      }),
    );
  }
  return rows;
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const tools = toolsAtHand();
  if (tools === null || programPath('nbdfuse') === null) {
    context.tell('QEMU, a kernel, busybox or nbdfuse is missing: no guest is looked at');
    return [];
  }
  const folder = freshFolder(context, 'large-pages');
  mkdirSync(folder, { recursive: true });
  const guest = await tickingGuest({ tools, folder, ...GUEST });
  const starts = new CloneStarts(folder, (name) => guestCommand({ tools, folder, ...GUEST, name }));
  const begun = performance.now();
  const ticks = ticksOf(guest.lines()).length;
  await pause(WINDOW_MS);
  const rate = tickRate(ticksOf(guest.lines()).length - ticks, begun);
  const before = { what: 'ticks before it was recorded', figure: perSecond(rate) };
  try {
    await starts.record(guest.qmpPath);
  } finally {
    await guest.kill();
  }
  const bench = new LargePagesBench(starts, context);
  const { rows, hot } = await intervalRows(bench, { context, before });
  return [...rows, ...(await thresholdRows(bench, { context, hot }))];
}

export const largePages: Bench = {
  name: 'large-pages',
  title: 'Large pages of a guest that runs',
  run,
};
