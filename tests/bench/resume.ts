// A guest started from a point: how long until it runs, lazily and with all its memory sent before, as a
// library call and from the shell, small and large; what it asks for before it says something, for
// blocks of several sizes; and what a trace of an earlier start is good for.

import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { resumeLazily } from '../../adapters/wiring/restore/resume.ts';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { openLedger } from '../../index.ts';
import type { Bench, BenchContext } from './bench.ts';
import { cliWords } from './ledgers.ts';
import { figureOf, rowOf, secondsOf, type Row } from './measure.ts';
import {
  ended,
  freshConsole,
  ownStartMs,
  recordedGuest,
  VM,
  type GuestSize,
  type RecordedGuest,
} from './resume-guests.ts';
import { calledStart } from './resume-call.ts';
import { blockRows } from './resume-blocks.ts';
import { newest } from './served-starts.ts';
import { traceRows } from './resume-traces.ts';

const SIZES: readonly GuestSize[] = [
  { mebibytes: 256, fillMebibytes: 120 },
  { mebibytes: 4096, fillMebibytes: 3000 },
];
const QUICK_SIZES: readonly GuestSize[] = [
  { mebibytes: 96, fillMebibytes: 8 },
  { mebibytes: 128, fillMebibytes: 32 },
];
const TICKS_MS = 10_000;
/** Rounds of the starts, and those of them that wait for so long: ticks differ least. */
const ROUNDS = 3;
const TICKS_ROUNDS = 2;

/** Milliseconds of each start. */
interface Starts {
  readonly own: number[];
  /** Beyond QEMU's own start in the same round. */
  readonly library: number[];
  readonly shell: number[];
  /** Node.js, which has nothing to do. */
  readonly node: number[];
  /** Whole, from the call until the guest runs. */
  readonly lazy: number[];
  readonly eager: number[];
  /** Until the first line of the console. */
  readonly lazyLine: number[];
  readonly eagerLine: number[];
  readonly lazyTicks: number[];
  readonly eagerTicks: number[];
  readonly requests: number[];
}

const noStarts = (): Starts => ({
  own: [],
  library: [],
  shell: [],
  node: [],
  lazy: [],
  eager: [],
  lazyLine: [],
  eagerLine: [],
  lazyTicks: [],
  eagerTicks: [],
  requests: [],
});

/** What is started, where what is seen goes, and whether ticks are counted. */
interface Start {
  readonly guest: RecordedGuest;
  readonly starts: Starts;
  readonly areTicksCounted: boolean;
}

/** A start of each way, each in a process of its own. */
function calledStarts({ guest, starts, areTicksCounted }: Start, own: number): void {
  const ticksMs = areTicksCounted ? TICKS_MS : 0;
  const lazy = calledStart(guest, { way: 'lazy', ticksMs });
  starts.library.push(lazy.runsMs - own);
  starts.lazy.push(lazy.runsMs);
  starts.lazyLine.push(lazy.lineMs);
  starts.requests.push(lazy.requests);
  const eager = calledStart(guest, { way: 'eager', ticksMs });
  starts.eager.push(eager.runsMs);
  starts.eagerLine.push(eager.lineMs);
  if (lazy.ticks !== null) starts.lazyTicks.push(lazy.ticks);
  if (eager.ticks !== null) starts.eagerTicks.push(eager.ticks);
}

/** Milliseconds from the command until it says that the guest runs. */
async function shellStart(guest: RecordedGuest): Promise<number> {
  freshConsole(guest, 'shell');
  const words = ['--json', 'resume', '--vm', VM, '--', ...guest.command('shell')];
  const begun = performance.now();
  const child = spawn(process.execPath, cliWords(['--ledger', guest.url, ...words]), {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const line = await new Promise<string>((resolve) => {
    child.stdout.once('data', (bytes: Buffer) => resolve(bytes.toString()));
  });
  const ms = performance.now() - begun;
  // First what would write down what the guest asked for: the next start shall be as this one.
  await ended(child);
  process.kill((JSON.parse(line.split('\n')[0]!) as { pid: number }).pid, 'SIGKILL');
  return ms;
}

const at = (sense: 'at most' | 'at least', bound: number) => ({ target: { sense, bound } });

function startRows(guests: readonly RecordedGuest[], all: readonly Starts[]): Row[] {
  const rows: Row[] = [];
  for (const [i, { mebibytes }] of guests.entries()) {
    const of = `a guest of ${mebibytes} MiB`;
    const starts = all[i]!;
    const ms = (
      what: string,
      samples: readonly number[],
      more: Partial<Parameters<typeof rowOf>[0]> = {},
    ) => rows.push(rowOf({ what: `${of}: ${what}`, measured: figureOf(samples, 'ms'), ...more }));
    ms("beyond QEMU's own start until it runs, a library call", starts.library, {
      ...at('at most', 100),
      note: 'in a process that has done nothing else, of an opened ledger',
    });
    ms("beyond QEMU's own start until it runs, from the shell", starts.shell, {
      ...at('at most', 250),
      note: `\`node -e 0\` takes ${figureOf(starts.node, 'ms').median.toFixed(0)} ms in the same rounds`,
    });
    ms("QEMU's own start, until it answers", starts.own);
    ms('from the call until it runs, lazily', starts.lazy, {
      limit: { what: 'all memory sent before', figure: figureOf(starts.eager, 'ms') },
    });
    ms('from the call until its first line, lazily', starts.lazyLine, {
      limit: { what: 'all memory sent before', figure: figureOf(starts.eagerLine, 'ms') },
    });
    rows.push(
      rowOf({
        what: `${of}: ticks a second in the first 10 s, lazily, its memory pushed meanwhile`,
        measured: figureOf(starts.lazyTicks, 'ticks/s'),
        limit: { what: 'all memory sent before', figure: figureOf(starts.eagerTicks, 'ticks/s') },
      }),
      rowOf({
        what: `${of}: requests before its first line, its memory pushed meanwhile`,
        measured: figureOf(starts.requests, 'requests'),
      }),
    );
  }
  const [small, large] = all;
  rows.push(
    rowOf({
      what: `from the call until a guest of ${guests[1]!.mebibytes} MiB runs`,
      measured: figureOf(large!.lazy, 'ms'),
      limit: { what: `of ${guests[0]!.mebibytes} MiB`, figure: figureOf(small!.lazy, 'ms') },
      ...at('at most', 1.5),
    }),
  );
  return rows;
}

async function startsOf(context: BenchContext, guests: readonly RecordedGuest[]): Promise<Row[]> {
  const all = guests.map(noStarts);
  const rounds = context.isQuick ? 1 : ROUNDS;
  // One round more, which is not counted: files are read for the first time.
  for (let round = -1; round < rounds; round += 1)
    for (const [i, guest] of guests.entries()) {
      context.tell(`round ${round + 1}, a guest of ${guest.mebibytes} MiB`);
      const starts = round < 0 ? noStarts() : all[i]!;
      const start = { guest, starts, areTicksCounted: round >= 0 && round < TICKS_ROUNDS };
      const own = await ownStartMs(guest);
      starts.own.push(own);
      calledStarts(start, own);
      starts.shell.push((await shellStart(guest)) - own);
      starts.node.push(1000 * (await secondsOf(() => spawnSync(process.execPath, ['-e', '0']))));
    }
  return startRows(guests, all);
}

/** Megabytes a second that a guest that stands is given until it has all its memory. */
async function pushRow(context: BenchContext, guest: RecordedGuest): Promise<Row> {
  const rates: number[] = [];
  for (let sample = 0; sample < (context.isQuick ? 1 : 3); sample += 1) {
    const ledger = await openLedger({ url: guest.url, mode: 'read' });
    freshConsole(guest, 'pushed');
    const command = [...guest.command('pushed'), '-S'];
    const started = await resumeLazily(ledger, newest(ledger), {
      command,
      isDiskOk: false,
      isOnDemandOnly: false,
    });
    assert(started._tag === 'arriving', 'a guest starts before its memory is there');
    const begun = performance.now();
    await started.arrived;
    const seconds = (performance.now() - begun) / 1000;
    rates.push((started.progress().pageCount * PAGE_BYTES) / seconds / 1e6);
    await ended(started.process);
    await ledger.close();
  }
  return rowOf({
    what: `a guest of ${guest.mebibytes} MiB: all its memory pushed while it stands`,
    measured: figureOf(rates, 'MB/s'),
    note: 'pages that are not zeros, from the moment in which it could run',
  });
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const tools = toolsAtHand();
  if (tools === null) {
    context.tell('no guest can run here: QEMU, busybox or a kernel is missing');
    return [];
  }
  const guests: RecordedGuest[] = [];
  for (const size of context.isQuick ? QUICK_SIZES : SIZES)
    guests.push(await recordedGuest(context, { tools, size }));
  const rows = await startsOf(context, guests);
  for (const guest of guests) rows.push(await pushRow(context, guest));
  rows.push(...(await blockRows(context, guests[0]!)));
  rows.push(...(await traceRows(context, guests[0]!)));
  for (const guest of guests) rmSync(join(guest.url, '..'), { recursive: true });
  return rows;
}

export const resume: Bench = { name: 'resume', title: 'Guests started from a point', run };
