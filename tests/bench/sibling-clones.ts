// Clones of two masters that are siblings: half of each, over one file of what both have alike. What all of
// them take of the host's memory, and how much is sent to those whose master is not the file.

import { setTimeout as pause } from 'node:timers/promises';
import { guestMib, proportionalMib } from '../support/processes/process-memory.ts';
import type { BenchContext } from './bench.ts';
import type { CloneStarts, StartedGuests } from './clone-starts.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

/** How long the sibling lives apart before it is recorded, and clones before their memory is looked at. */
const LIVE_MS = 10_000;
const SIBLING = 'sibling';

/** What clones are held against: guests with all their memory, with their QEMUs and without. */
export interface WholeGuests {
  readonly what: string;
  readonly mib: number;
  readonly guestMib: number;
}

/** Records a clone that has lived for a while as a VM of its own. */
async function recordSibling(starts: CloneStarts): Promise<void> {
  const one = await starts.start(['clone', '--vm', 'web'], { name: SIBLING, count: 1 });
  await pause(LIVE_MS);
  const socket = String(one.rows[0]!['qmp']);
  await starts.commands.json('record', 'qemu', '--vm', SIBLING, '--qmp', socket, '--count', '1');
  await starts.end(one);
}

/** Rows of clones of two siblings. */
export async function siblingCloneRows(
  context: BenchContext,
  starts: CloneStarts,
  of: { readonly count: number; readonly memoryMib: number; readonly whole: WholeGuests },
): Promise<readonly Row[]> {
  const { count, memoryMib, whole } = of;
  context.tell(`${count} clones of two siblings start`);
  await recordSibling(starts);
  const all: StartedGuests[] = [];
  for (const vm of ['web', SIBLING]) {
    const words = ['clone', '--vm', vm, '--count', `${count / 2}`];
    all.push(await starts.start(words, { name: `of-${vm}-{n}`, count: count / 2 }));
  }
  await pause(LIVE_MS);
  const pids = all.flatMap(({ rows }) => rows.map(({ pid }) => pid));
  const sumOf = (mibOf: (pid: unknown) => number): number =>
    pids.reduce<number>((sum, pid) => sum + mibOf(pid), 0);
  const [mib, guests] = [sumOf(proportionalMib), sumOf((pid) => guestMib(pid, memoryMib))];
  const sent = all[1]!.rows.map((row) => Number(row['sentPages']));
  for (const each of all) await starts.end(each);
  const limitOf = (unit: number) => ({ what: whole.what, figure: figureOf([unit], 'MiB') });
  return [
    rowOf({
      what: `memory of ${count} QEMUs together, half of them of a sibling (PSS)`,
      measured: figureOf([mib], 'MiB'),
      limit: limitOf(whole.mib),
    }),
    rowOf({
      what: `of that their guests' memory`,
      measured: figureOf([guests], 'MiB'),
      limit: limitOf(whole.guestMib),
    }),
    rowOf({
      what: 'sent to each of the sibling before it ran',
      measured: figureOf(sent, 'pages'),
    }),
  ];
}
