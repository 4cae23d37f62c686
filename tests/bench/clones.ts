// Guests started from one point: clones over one file of its memory, against the same guest with all its
// memory sent. What all of them take of the host's memory, each page counted once, also where half of them
// are of a sibling, and how long it takes until they run; what recording, parking and waking them takes, what
// a memory server is asked for by those of another network, and how they get on when they are held to a limit.

import { mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { guestCommand } from '../../adapters/guests/demo-guest/start-guest.ts';
import { programPath, toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { tickingGuest } from '../support/guest/watched-guest.ts';
import { guestMib, proportionalMib } from '../support/processes/process-memory.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { CloneStarts, type StartedGuests } from './clone-starts.ts';
import { farCloneRows } from './far-clones.ts';
import { freshFolder } from './ledgers.ts';
import { limitedCloneRows } from './limited-clones.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { parkedCloneRows } from './parked-clones.ts';
import { siblingCloneRows } from './sibling-clones.ts';

const GUEST = { seed: 17, memoryMib: 256 };
/** How long guests live before their memory is looked at. */
const LIVE_MS = 10_000;
/** Eight clones together, against one guest with all its memory. */
const TOGETHER = { count: 8, target: { sense: 'at most', bound: 1.5 } } as const;

/** Restores a guest with all its memory. */
const WHOLE = ['resume', '--vm', 'web', '--eager'];

/** What guests took, with their QEMUs and without, and when the last of them ran. */
interface Taken {
  readonly seconds: number;
  readonly mib: number;
  readonly guestMib: number;
}

/** Lets guests live, and ends them. */
async function takenBy(starts: CloneStarts, all: readonly StartedGuests[]): Promise<Taken> {
  await pause(LIVE_MS);
  const pids = all.flatMap(({ rows }) => rows.map(({ pid }) => pid));
  const sumOf = (mibOf: (pid: unknown) => number): number =>
    pids.reduce<number>((sum, pid) => sum + mibOf(pid), 0);
  const mib = sumOf(proportionalMib);
  const ofGuests = sumOf((pid) => guestMib(pid, GUEST.memoryMib));
  for (const guests of all) await starts.end(guests);
  return { seconds: Math.max(...all.map(({ seconds }) => seconds)), mib, guestMib: ofGuests };
}

/** Starts guests by one command, lets them live, and ends them. */
const taken = async (
  starts: CloneStarts,
  words: readonly string[],
  of: { readonly name: string; readonly count: number },
): Promise<Taken> => takenBy(starts, [await starts.start(words, of)]);

/** The same of guests that are sent all their memory, by a command each. */
async function takenWhole(starts: CloneStarts, count: number): Promise<Taken> {
  const all: StartedGuests[] = [];
  for (let n = 1; n <= count; n += 1)
    all.push(await starts.start(WHOLE, { name: `whole-${count}-${n}`, count: 1 }));
  return takenBy(starts, all);
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const tools = toolsAtHand();
  if (tools === null || programPath('nbdfuse') === null) {
    context.tell('QEMU, a kernel, busybox or nbdfuse is missing: no guest is cloned');
    return [];
  }
  const folder = freshFolder(context, 'clones');
  mkdirSync(folder, { recursive: true });
  const guest = await tickingGuest({ tools, folder, ...GUEST });
  const starts = new CloneStarts(folder, (name) => guestCommand({ tools, folder, ...GUEST, name }));
  try {
    await starts.record(guest.qmpPath);
  } finally {
    await guest.kill();
  }
  context.tell('one guest is given all its memory');
  const whole = await takenWhole(starts, 1);
  const one = 'one guest with all its memory';
  const limit = { what: one, figure: figureOf([whole.mib], 'MiB') };
  const guestLimit = { what: one, figure: figureOf([whole.guestMib], 'MiB') };
  const told = `${GUEST.memoryMib} MiB (${GUEST.memoryMib * MIB} bytes) each, TCG, alive for 10 s`;
  const many = context.isQuick ? 2 : TOGETHER.count;
  context.tell(`${many} guests are given all their memory`);
  const wholes = await takenWhole(starts, many);
  const all = `${many} guests with all their memory`;
  const rows: Row[] = [];
  for (const count of context.isQuick ? [1, 2] : [1, 4, TOGETHER.count, 16]) {
    context.tell(`${count} clones start`);
    const {
      seconds,
      mib,
      guestMib: ofGuests,
    } = await taken(starts, ['clone', '--vm', 'web', '--count', `${count}`], {
      name: `clone-${count}-{n}`,
      count,
    });
    const measured = figureOf([seconds], 's');
    rows.push(rowOf({ what: `from the command until ${count} clones run`, measured, note: told }));
    rows.push(
      rowOf({
        what: `memory of ${count} QEMUs together (PSS)`,
        measured: figureOf([mib], 'MiB'),
        limit,
        ...(count === TOGETHER.count ? { target: TOGETHER.target } : {}),
      }),
    );
    rows.push(
      rowOf({
        what: `of that their guests' memory`,
        measured: figureOf([ofGuests], 'MiB'),
        limit: guestLimit,
      }),
    );
    if (count !== many) continue;
    rows.push(
      rowOf({
        what: `memory of ${count} QEMUs together, against as many full restores (PSS)`,
        measured: figureOf([mib], 'MiB'),
        limit: { what: all, figure: figureOf([wholes.mib], 'MiB') },
      }),
      rowOf({
        what: `of that their guests' memory, against theirs`,
        measured: figureOf([ofGuests], 'MiB'),
        limit: { what: all, figure: figureOf([wholes.guestMib], 'MiB') },
      }),
    );
  }
  const of = { count: many, memoryMib: GUEST.memoryMib, whole: { what: one, ...whole } };
  rows.push(...(await siblingCloneRows(context, starts, of)));
  rows.push(...(await parkedCloneRows(context, starts)));
  rows.push(...(await farCloneRows(context, { starts, memoryMib: GUEST.memoryMib })));
  rows.push(...(await limitedCloneRows(context, starts)));
  return rows;
}

export const clones: Bench = { name: 'clones', title: 'Guests from one point', run };
