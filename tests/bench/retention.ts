// A guest that is captured again and again for days, under `--keep-within 1h --keep-hourly 24` and
// compactions: what the ledger takes must be flat from the second day, and no more be taken once its fill
// is there. The days are simulated: a clock is moved on, and nobody waits.

import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { assert } from '../../domain/values/assert.ts';
import { sharedMemory } from '../../domain/ports/guests.ts';
import { flatMap } from '../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import {
  compact,
  forgetHistory,
  forgetPoints,
  openLedger,
  openRecorder,
  readPages,
  type Ledger,
} from '../../index.ts';
import { seededRandom, type Random } from '../support/images.ts';
import type { Bench, BenchContext } from './bench.ts';
import { diskBytes, freshFolder } from './ledgers.ts';
import { figureOf, rowOf, type Figure, type Row } from './measure.ts';

const PAGES = 2048;
/**
 * Those that are written, at random. What a baseline tells of is each page by the capture that wrote it
 * last, so it grows until every page that is ever written has been, which takes some three times this by
 * CHANGED_PAGES captures: few are, so that a sample of one a second is there by the second day.
 */
const WORKING_PAGES = 256;
const CHANGED_PAGES = 4;
const HOUR_S = 3600;
const HOURS_A_DAY = 24;
/** Hours from one look at the ledger to the next. */
const LOOK_HOURS = 4;
const QUICK_EVERY_S = 900;
const KEEP = { withinMs: HOUR_S * 1000, hourly: 24 };
const VM = 'guest';
const START_MS = Date.UTC(2026, 0, 1);

/** The days that are simulated. */
interface Pace {
  readonly days: number;
  /** Seconds between captures. */
  readonly everyS: number;
  /** Hours from one tidying to the next. */
  readonly tidyHours: number;
}

/** What a ledger takes at an hour. */
interface Look {
  readonly logBytes: number;
  readonly packBytes: number;
  readonly derivedBytes: number;
  readonly heapBytes: number;
  readonly openMs: number;
  readonly pointMs: number;
}

/** A guest's memory, a little of which changes. */
class Memory {
  readonly shared = new SharedArrayBuffer(PAGES * PAGE_BYTES);
  readonly bytes = new Uint8Array(this.shared);
  readonly #random: Random = seededRandom(4);

  constructor() {
    for (let gfn = 0; gfn < PAGES; gfn += 1) this.#write(gfn, PAGE_BYTES / 2);
  }

  #write(gfn: number, bytes: number): void {
    const at = gfn * PAGE_BYTES;
    for (let i = 0; i < bytes; i += 1) this.bytes[at + i] = this.#random(256);
  }

  change(): void {
    for (let i = 0; i < CHANGED_PAGES; i += 1) this.#write(this.#random(WORKING_PAGES), 256);
  }
}

/** Collects garbage: what buffers that are gone held is given back by a second collection. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
}

/** What this process holds when garbage was collected: buffers are external. */
function heapBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

interface Simulation {
  readonly url: string;
  readonly clock: () => number;
  readonly memory: Memory;
}

const opened = ({ url, clock }: Simulation): Promise<Ledger> =>
  openLedger({ url, mode: 'create', threads: 0, clock });

const bytesOf = (url: string, name: string): number => diskBytes(join(url, name));

/** Opens the ledger as a process does that comes new to it, and reads its newest point. */
async function look(of: Simulation): Promise<Look> {
  const { url, memory } = of;
  const startMs = performance.now();
  const ledger = await opened(of);
  const openMs = performance.now() - startMs;
  const entry = ledger.vm(VM);
  const row = ledger.resolve(entry, 'latest');
  const gfns = Array.from({ length: PAGES }, (_, gfn) => gfn);
  const pointMs = performance.now();
  const pages = await readPages(ledger, { entry, row }, gfns);
  const took = performance.now() - pointMs;
  assert(Buffer.from(pages).equals(memory.bytes), 'the newest point is the memory as it is');
  await ledger.close();
  return {
    logBytes: bytesOf(url, 'log'),
    packBytes: bytesOf(url, 'packs'),
    derivedBytes: bytesOf(url, 'projections'),
    heapBytes: heapBytes(),
    openMs,
    pointMs: took,
  };
}

/** What the log holds, by type of event, the most first. */
async function logText(of: Simulation): Promise<string> {
  const bytes = new Map<string, number>();
  const ledger = await opened(of);
  for await (const { items } of ledger.log.read({ from: 0n }))
    for (const item of items) {
      assert(item._tag === 'event', 'the log is whole');
      const { type, data } = item.event;
      bytes.set(type, (bytes.get(type) ?? 0) + data.length);
    }
  await ledger.close();
  const most = [...bytes].toSorted(([, a], [, b]) => b - a);
  return most.map(([type, sum]) => `${type} ${(sum / 1024).toFixed(1)} KiB`).join(', ');
}

/** What a timer does, in a process of its own. */
async function tidy(of: Simulation): Promise<void> {
  const ledger = await opened(of);
  await forgetPoints(ledger, { vm: VM, keep: KEEP });
  await forgetHistory(ledger, { isDryRun: false });
  await compact(ledger, { graceMs: 0, isDryRun: false });
  await ledger.close();
}

/** The days; gives what was seen, by day. */
async function simulate(
  context: BenchContext,
  { days: dayCount, everyS, tidyHours }: Pace,
): Promise<readonly Look[][]> {
  const url = freshFolder(context, 'retention');
  mkdirSync(context.folder, { recursive: true });
  let nowMs = START_MS;
  const memory = new Memory();
  const of: Simulation = { url, clock: () => nowMs, memory };
  const ledger = await opened(of);
  const recorder = await openRecorder(ledger, { vm: VM, group: null });
  const file = sharedMemory(memory.shared);
  const image = { file, offsetBytes: 0, pageCount: PAGES, zeros: null, label: 'a guest' };
  const days: Look[][] = [];
  for (let hour = 1; hour <= dayCount * HOURS_A_DAY; hour += 1) {
    for (let second = 0; second < HOUR_S; second += everyS) {
      nowMs += everyS * 1000;
      memory.change();
      await recorder.record({
        image,
        memoryMap: flatMap(PAGES),
        device: null,
        argv: null,
        timeMs: nowMs,
        pauseMs: null,
        mode: 'image',
        source: 'simulated',
      });
    }
    if (hour % tidyHours === 0) await tidy(of);
    if (hour % LOOK_HOURS !== 0) continue;
    const day = Math.floor((hour - 1) / HOURS_A_DAY);
    const seen = await look(of);
    (days[day] ??= []).push(seen);
    context.tell(`hour ${hour}: ${JSON.stringify(seen)}`);
    if (hour % HOURS_A_DAY === 0) context.tell(`its log: ${await logText(of)}`);
  }
  await recorder.close();
  await ledger.close();
  return days;
}

const FLAT = { sense: 'at most', bound: 1.1 } as const;
/** Times of a busy machine. */
const FLAT_TIME = { sense: 'at most', bound: 1.5 } as const;

async function measure(context: BenchContext, asked: Pace): Promise<readonly Row[]> {
  const pace = context.isQuick ? { ...asked, everyS: QUICK_EVERY_S } : asked;
  const { everyS, tidyHours } = pace;
  const days = await simulate(context, pace);
  const note = `a capture every ${everyS} s of a guest of ${PAGES} pages, ${CHANGED_PAGES} of ${WORKING_PAGES} of them written; ${tidyHours} h apart forget, forget --history and compact`;
  const figure = (day: number, field: keyof Look, unit: string, by: number): Figure =>
    figureOf(
      days[day - 1]!.map((each) => each[field] / by),
      unit,
    );
  /** A day against an earlier one. */
  const row = (what: string, field: keyof Look, unit: string, by = 1): readonly Row[] =>
    [
      [3, 2],
      [5, 3],
    ]
      .filter(([day]) => day! <= pace.days)
      .map(([day, before]) =>
        rowOf({
          what: `${what}, day ${day}`,
          measured: figure(day!, field, unit, by),
          limit: { what: `day ${before}`, figure: figure(before!, field, unit, by) },
          target: unit === 'ms' ? FLAT_TIME : FLAT,
          note,
        }),
      );
  return [
    ...row('log', 'logBytes', 'KiB', 1024),
    ...row('packs', 'packBytes', 'KiB', 1024),
    ...row('derived state', 'derivedBytes', 'KiB', 1024),
    ...row('memory of a process that records all the time', 'heapBytes', 'KiB', 1024),
    ...row('to open', 'openMs', 'ms'),
    ...row('to read the newest point', 'pointMs', 'ms'),
  ];
}

export const retention: Bench = {
  name: 'retention',
  title: 'Five days under rules',
  run: (context) => measure(context, { days: 5, everyS: 120, tidyHours: 1 }),
};

/** Takes an hour and a half, of which tidying each hour would take most. */
export const retentionOfSeconds: Bench = {
  name: 'retention-of-seconds',
  title: 'Three days of a capture a second under rules',
  isLong: true,
  run: (context) => measure(context, { days: 3, everyS: 1, tidyHours: 4 }),
};
