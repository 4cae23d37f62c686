// Clones that are held to a limit on all of them together: how they get on, how far above it they come, and
// how much is fetched again for what was dropped. They are of a memory server, whose socket counts. Then those
// of a ledger that are parked where dropping is not enough.

import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { MemoryGroup } from '../../adapters/guests/memory-group.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { accountedMib } from '../support/processes/process-memory.ts';
import type { BenchContext } from './bench.ts';
import { peakDuring, type CloneStarts } from './clone-starts.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const COUNT = 4;
/** What nothing is above, so that memory is accounted for and nothing is dropped. */
const NO_LIMIT_MIB = 2 ** 20;
const SETTLE_MS = 5_000;
const WINDOW_MS = 15_000;

interface Held {
  readonly ticksPerSecond: number;
  readonly peakMib: number;
  readonly fetchedPages: number;
  readonly droppedPages: number;
}

async function held(
  starts: CloneStarts,
  {
    name,
    limitMib,
    windowMs,
  }: { readonly name: string; readonly limitMib: number; readonly windowMs: number },
): Promise<Held> {
  const served = await starts.serve(name);
  const words = [
    'clone',
    '--from',
    served.socket,
    '--count',
    `${COUNT}`,
    '--memory',
    `${limitMib}`,
  ];
  const guests = await starts.start(words, { name: `${name}-{n}`, count: COUNT });
  const names = guests.rows.map(({ n }) => `${name}-${String(n)}`);
  await pause(SETTLE_MS);
  const [ticks, begun] = [starts.ticks(names), performance.now()];
  const peakMib = await peakDuring(windowMs, () =>
    guests.rows.reduce((sum, { pid }) => sum + accountedMib(pid), 0),
  );
  const ticksPerSecond = ((starts.ticks(names) - ticks) * 1000) / (performance.now() - begun);
  const fetchedPages = Math.round(served.relay.bytes / PAGE_BYTES);
  const { droppedPages } = await starts.end(guests);
  await served.close();
  return { ticksPerSecond, peakMib, fetchedPages, droppedPages: Number(droppedPages) };
}

/** How long clones have to come within their limit by being parked. */
const PARKED_MS = 60_000;

/** Clones of which some are parked until the others are within a limit. */
async function parked(
  starts: CloneStarts,
  { percent, limitMib, windowMs }: { percent: number; limitMib: number; windowMs: number },
): Promise<readonly Row[]> {
  const words = ['clone', '--vm', 'web', '--count', `${COUNT}`, '--memory', `${limitMib}`];
  const name = `parked-${percent}`;
  const guests = await starts.start([...words, '--park'], { name: `${name}-{n}`, count: COUNT });
  const begun = performance.now();
  const parkedNow = (): number => guests.command.rows().length - COUNT;
  const taken = (): number =>
    guests.rows
      .filter(({ pid }) => existsSync(`/proc/${String(pid)}/cgroup`))
      .reduce((sum, { pid }) => sum + accountedMib(pid), 0);
  await pause(SETTLE_MS);
  while (taken() > limitMib && parkedNow() < COUNT - 1 && performance.now() - begun < PARKED_MS)
    await pause(200);
  const seconds = (performance.now() - begun) / 1000;
  await pause(SETTLE_MS);
  const names = guests.rows.map(({ n }) => `${name}-${String(n)}`);
  const [ticks, from] = [starts.ticks(names), performance.now()];
  const peakMib = await peakDuring(windowMs, taken);
  const ticksPerSecond = ((starts.ticks(names) - ticks) * 1000) / (performance.now() - from);
  const count = parkedNow();
  await starts.end(guests);
  return [
    rowOf({
      what: `held to ${percent} %, parked where that is too little: the most that they took then`,
      measured: figureOf([peakMib], 'MiB'),
      limit: { what: 'the limit', figure: figureOf([limitMib], 'MiB') },
      note: `${count} of ${COUNT} parked, which was waited for ${seconds.toFixed(1)} s`,
    }),
    rowOf({ what: 'ticks of those that ran on', measured: figureOf([ticksPerSecond], '1/s') }),
  ];
}

/** Rows of clones that are held to parts of what they take. */
export async function limitedCloneRows(
  context: BenchContext,
  starts: CloneStarts,
): Promise<readonly Row[]> {
  const group = MemoryGroup.make(`pageledger-bench-${process.pid}`);
  group?.remove();
  if (group === null) {
    context.tell('no control group can be made: clones are held to no limit');
    return [];
  }
  const windowMs = context.isQuick ? 5_000 : WINDOW_MS;
  context.tell(`${COUNT} clones run without a limit`);
  const free = await held(starts, { name: 'free', limitMib: NO_LIMIT_MIB, windowMs });
  const most = figureOf([free.peakMib], 'MiB');
  const rate = { what: 'without a limit', figure: figureOf([free.ticksPerSecond], '1/s') };
  const rows: Row[] = [
    rowOf({ what: `${COUNT} clones without a limit: memory`, measured: most }),
    rowOf({ what: 'ticks of all of them', measured: rate.figure }),
  ];
  for (const percent of context.isQuick ? [50] : [100, 75, 50, 25]) {
    const limitMib = Math.max(1, Math.floor((free.peakMib * percent) / 100));
    context.tell(`they are held to ${percent} % of it: ${limitMib} MiB`);
    const of = await held(starts, { name: `held-${percent}`, limitMib, windowMs });
    const again = Math.max(0, of.fetchedPages - free.fetchedPages);
    rows.push(
      rowOf({
        what: `held to ${percent} %: ticks`,
        measured: figureOf([of.ticksPerSecond], '1/s'),
        limit: rate,
      }),
      rowOf({
        what: 'the most that they took',
        measured: figureOf([of.peakMib], 'MiB'),
        limit: { what: 'the limit', figure: figureOf([limitMib], 'MiB') },
      }),
      rowOf({
        what: 'pages fetched again for each that was dropped',
        measured: figureOf([of.droppedPages === 0 ? 0 : again / of.droppedPages], ''),
        note: `${of.droppedPages} dropped, ${again} fetched beyond what is fetched without a limit`,
      }),
    );
  }
  for (const percent of context.isQuick ? [50] : [50, 25]) {
    const limitMib = Math.max(1, Math.floor((free.peakMib * percent) / 100));
    context.tell(`they are held to ${percent} % of it, and parked: ${limitMib} MiB`);
    rows.push(...(await parked(starts, { percent, limitMib, windowMs })));
  }
  return rows;
}
