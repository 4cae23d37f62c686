// Guests started from one point: clones over one file of its memory, against the same guest with all its
// memory sent. What all of them take of the host's memory, each page counted once, and how long it takes
// until they run.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { guestCommand } from '../../adapters/guests/demo-guest/start-guest.ts';
import { programPath, toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { assert } from '../../domain/values/assert.ts';
import { LedgerCommands, type JsonRow } from '../support/command-line.ts';
import { tickingGuest } from '../support/guest/watched-guest.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const GUEST = { seed: 17, memoryMib: 256 };
/** How long guests live before their memory is looked at. */
const LIVE_MS = 10_000;
/** Eight clones together, against one guest with all its memory. */
const TOGETHER = { count: 8, target: { sense: 'at most', bound: 1.5 } } as const;

/** MiB that a process takes, with its part of what it shares. */
function proportionalMib(pid: unknown): number {
  const told = readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8');
  const kib = /^Pss: +(\d+) kB$/mu.exec(told)?.[1];
  assert(kib !== undefined, 'the kernel tells what a process takes');
  return Number(kib) / 1024;
}

/** The same of its guest's memory alone: of mappings of that size, or a little more. */
function guestMib(pid: unknown): number {
  const wanted = GUEST.memoryMib * 1024;
  let kib = 0;
  let isGuest = false;
  for (const line of readFileSync(`/proc/${String(pid)}/smaps`, 'utf8').split('\n')) {
    const [, name, value] = /^(\w+): +(\d+) kB$/u.exec(line) ?? [];
    if (name === 'Size') isGuest = Number(value) >= wanted && Number(value) < wanted * 1.1;
    else if (name === 'Pss' && isGuest) kib += Number(value);
  }
  return kib / 1024;
}

/** What guests took, with their QEMUs and without, and when the last of them ran. */
interface Started {
  readonly seconds: number;
  readonly mib: number;
  readonly guestMib: number;
}

class GuestStarts {
  readonly #commands: LedgerCommands;
  readonly #wordsOf: (name: string) => readonly string[];
  readonly #environment: Readonly<Record<string, string>>;

  constructor(folder: string, wordsOf: (name: string) => readonly string[]) {
    this.#commands = new LedgerCommands(join(folder, 'ledger'));
    this.#environment = { XDG_STATE_HOME: join(folder, 'state') };
    this.#wordsOf = wordsOf;
  }

  record(qmpPath: string): Promise<JsonRow[]> {
    const once = ['--count', '1', '--vm', 'web', '--qmp', qmpPath];
    return this.#commands.json('record', 'qemu', ...once);
  }

  /** Starts guests by a command that tells each in a row, lets them live, and ends them. */
  async #started(words: readonly string[], count: number): Promise<Started> {
    const start = performance.now();
    const running = this.#commands.start(['--json', ...words], { environment: this.#environment });
    await running.until((command) => command.rows().length === count);
    const seconds = (performance.now() - start) / 1000;
    await pause(LIVE_MS);
    const sumOf = (taken: (pid: unknown) => number): number =>
      running.rows().reduce((sum, { pid }) => sum + taken(pid), 0);
    const [mib, ofGuests] = [sumOf(proportionalMib), sumOf(guestMib)];
    running.signal('SIGINT');
    await running.ended;
    return { seconds, mib, guestMib: ofGuests };
  }

  clones(count: number): Promise<Started> {
    const words = ['clone', '--vm', 'web', '--count', `${count}`, '--'];
    return this.#started([...words, ...this.#wordsOf(`clone-${count}-{n}`)], count);
  }

  whole(): Promise<Started> {
    const words = ['resume', '--vm', 'web', '--eager', '--', ...this.#wordsOf('whole')];
    return this.#started(words, 1);
  }
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
  const starts = new GuestStarts(folder, (name) => guestCommand({ tools, folder, ...GUEST, name }));
  try {
    await starts.record(guest.qmpPath);
  } finally {
    await guest.kill();
  }
  context.tell('one guest is given all its memory');
  const whole = await starts.whole();
  const one = 'one guest with all its memory';
  const limit = { what: one, figure: figureOf([whole.mib], 'MiB') };
  const guestLimit = { what: one, figure: figureOf([whole.guestMib], 'MiB') };
  const told = `${GUEST.memoryMib} MiB (${GUEST.memoryMib * MIB} bytes) each, TCG, alive for 10 s`;
  const rows: Row[] = [];
  for (const count of context.isQuick ? [1, 2] : [1, 4, TOGETHER.count, 16]) {
    context.tell(`${count} clones start`);
    const { seconds, mib, guestMib: ofGuests } = await starts.clones(count);
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
  }
  return rows;
}

export const clones: Bench = { name: 'clones', title: 'Guests from one point', run };
