// A demonstration guest at work, and what tests see of one from outside: the ticks on its console, and
// its memory as QEMU itself writes it.

import { readFileSync, rmSync } from 'node:fs';
import {
  consoleLine,
  consoleLines,
  startGuest,
  type DemoGuest,
  type GuestSpecification,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import type { LedgerCommands } from '../command-line.ts';
import { valueOf } from '../outcomes.ts';
import { withQmp } from './still-guest.ts';

/** How long a guest may take for a line of its console: others may have the processors. */
const LINE_TIMEOUT_MS = 240_000;

/** A tick's line on the console of the demonstration's guest: its number. */
export const TICK_LINE = /^T n=(\d+) sum=\d+ md5=[0-9a-f]+/u;

/** The lines that the guest's workload counts with. */
export const ticksOf = (lines: readonly string[]): string[] =>
  lines.filter((line) => TICK_LINE.test(line));

/** The number of a tick. */
export const tickNumber = (line: string): number => Number(TICK_LINE.exec(line)![1]);

/** Starts a guest, and waits for its first tick. */
export async function tickingGuest(specification: GuestSpecification): Promise<DemoGuest> {
  const guest = await valueOf(startGuest(specification));
  await guest.waitForLine(/^T n=1 /u, { timeoutMs: LINE_TIMEOUT_MS });
  return guest;
}

/** Guests that stand until lines of theirs are asked for. */
const resting = new WeakSet<DemoGuest>();

/**
 * Lets a guest stand, but for while `sameTicks` waits for a line of it: at work it takes half a processor
 * from the guests that it is compared with. Its monitor is then nobody else's.
 */
export async function restGuest(guest: DemoGuest): Promise<void> {
  await stopGuest(guest.qmpPath);
  resting.add(guest);
}

/** Lets a guest that rests run on. */
export async function wakeGuest(guest: DemoGuest): Promise<void> {
  resting.delete(guest);
  await withQmp(guest.qmpPath, (qmp) => qmp.execute('cont'));
}

/**
 * What a guest printed from the first of these ticks of another one on, as many of them, and how many it
 * had printed before.
 */
export async function sameTicks(
  guest: DemoGuest,
  others: readonly string[],
): Promise<{ readonly lines: readonly string[]; readonly from: number }> {
  const last = new RegExp(`^T n=${tickNumber(others[0]!) + others.length - 1} `, 'u');
  const isWoken = resting.has(guest) && !guest.lines().some((line) => last.test(line));
  if (isWoken) await wakeGuest(guest);
  await guest.waitForLine(last, { timeoutMs: LINE_TIMEOUT_MS });
  if (isWoken) await restGuest(guest);
  const original = ticksOf(guest.lines());
  const from = original.indexOf(others[0]!);
  return { lines: original.slice(from, from + others.length), from };
}

/** Waits for so many ticks of a console; gives its first ones. */
export async function firstTicks(serialPath: string, count: number): Promise<string[]> {
  for (;;) {
    const lines = consoleLines(serialPath);
    const ticks = ticksOf(lines);
    if (ticks.length >= count) return ticks.slice(0, count);
    await consoleLine({
      serialPath,
      pattern: TICK_LINE,
      from: lines.length,
      timeoutMs: LINE_TIMEOUT_MS,
    });
  }
}

/** Memory of a guest that stands still, through a file that is gone afterwards. */
export async function dumpedMemory(request: {
  readonly qmpPath: string;
  readonly memoryBytes: number;
  readonly scratch: string;
}): Promise<Buffer> {
  const { qmpPath, memoryBytes, scratch } = request;
  await withQmp(qmpPath, (qmp) =>
    qmp.execute('pmemsave', { val: 0, size: memoryBytes, filename: scratch }),
  );
  const bytes = readFileSync(scratch);
  rmSync(scratch);
  return bytes;
}

/** Lets a guest stand. */
export async function stopGuest(path: string): Promise<void> {
  await withQmp(path, (qmp) => qmp.execute('stop'));
}

/** Ends a guest by its QEMU. */
export async function quitGuest(path: string): Promise<void> {
  await withQmp(path, (qmp) => qmp.execute('quit'));
}

/** Pages that a guest, as it runs on, has come to hold otherwise than at a point of the VM `guest`. */
export async function writtenSince(
  commands: LedgerCommands,
  { guest, at }: { readonly guest: DemoGuest; readonly at: string },
): Promise<ReadonlySet<number>> {
  const words = ['--qmp', guest.qmpPath, '--every', '700ms', '--count', '2'];
  await commands.json('record', 'qemu', '--vm', 'later', ...words);
  const written = new Set<number>();
  for (const later of ['later/@1', 'later/@2'])
    for (const { gfn } of await commands.json('diff', '--vm', 'guest', at, later))
      if (typeof gfn === 'number') written.add(gfn);
  return written;
}

/** What a guest's QEMU says of the migration that it is in. */
export const migrationOf = (path: string): Promise<unknown> =>
  withQmp(path, async (qmp) => {
    const { status } = (await qmp.execute('query-migrate')) as { status?: string };
    return status;
  });
