// Clones as they are recorded: the first capture of each of some, and parking one and waking it.

import { setTimeout as pause } from 'node:timers/promises';
import type { BenchContext } from './bench.ts';
import type { CloneStarts } from './clone-starts.ts';
import { figureOf, rowOf, secondsOf, type Row } from './measure.ts';

const COUNT = 4;
const LIVE_MS = 5_000;

/** Rows of clones that are recorded, parked and woken. */
export async function parkedCloneRows(
  context: BenchContext,
  starts: CloneStarts,
): Promise<readonly Row[]> {
  const { commands } = starts;
  const count = context.isQuick ? 1 : COUNT;
  context.tell(`${count} clones are recorded, one is parked and woken`);
  const words = ['clone', '--vm', 'web', '--count', `${count}`];
  const guests = await starts.start(words, { name: 'kept-{n}', count });
  await pause(LIVE_MS);
  const seconds: number[] = [];
  const pauses: number[] = [];
  const stored: number[] = [];
  const addedKib: number[] = [];
  for (const { n, qmp } of guests.rows) {
    const of = ['--vm', `kept-${String(n)}`, '--qmp', String(qmp), '--count', '1'];
    seconds.push(
      await secondsOf(async () => {
        const [row] = await commands.json('record', 'qemu', ...of);
        pauses.push(Number(row!['pauseMs']));
        stored.push(Number(row!['stored']));
        addedKib.push(Number(row!['addedBytes']) / 1024);
      }),
    );
  }
  const id = String(guests.rows[0]!['id']);
  const parking = await secondsOf(() => commands.json('park', id));
  const woken = await starts.start(['wake', id], { name: 'woken', count: 1 });
  await starts.end(woken);
  if (count > 1) await starts.end(guests);
  else await guests.command.ended;
  return [
    rowOf({
      what: `first capture of each of ${count} clones, as a command`,
      measured: figureOf(seconds, 's'),
      note: `${Math.max(...stored)} pages stored at most`,
    }),
    rowOf({ what: 'for which they stand still', measured: figureOf(pauses, 'ms') }),
    rowOf({ what: 'that it adds to the ledger', measured: figureOf(addedKib, 'KiB') }),
    rowOf({ what: 'parking one, as a command', measured: figureOf([parking], 's') }),
    rowOf({
      what: 'from the command until it is awake again',
      measured: figureOf([woken.seconds], 's'),
    }),
  ];
}
