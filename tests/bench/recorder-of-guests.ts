// Memory of one process that records many small guests (`record qemu --all`): with a few of them, and with
// all. The guests stand where they were started, with memory that a file was loaded into: half of it is of one
// image, the rest of each guest alone. They take processors no time, and memory of this host, some 50 MiB each.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { QEMU_PROGRAM } from '../../adapters/guests/demo-guest/tools.ts';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { changeImage, makeImage } from '../support/images.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { cliWords, freshFolder } from './ledgers.ts';
import { figureOf, rowOf, type Figure, type Row } from './measure.ts';

const GUESTS = 100;
/** With so many the process has all that it has but once. */
const FEW = 10;
const MEMORY_MIB = 16;
/** What is loaded into each, and how much of it is another's too. */
const [LOADED_MIB, OWN_PAGES] = [4, 512];
const MIX = { zero: 0, text: 60, random: 20, repeated: 10, duplicate: 10 };
/** The bound of a recorder of one large guest, and what a small one more may take. */
const [RECORDER_MIB_MAX, GUEST_MIB_MAX] = [300, 2];
/** Captures of each guest before memory is looked at. */
const CAPTURES = 2;
const EVERY = '15s';
const LOOKS = 9;
const LOOK_MS = 500;
const STARTING_MS_MAX = 60_000;

/** A number of /proc/PID/status, in MiB. */
function statusMib(pid: number, field: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, 'mu').exec(text)![1]) / 1024;
}

/** Guests that stand, whose QMP sockets lie in a folder. */
class StandingGuests {
  readonly #folder: string;
  readonly #base: Uint8Array;
  readonly #guests: ChildProcess[] = [];

  constructor(folder: string) {
    this.#folder = folder;
    const pages = (LOADED_MIB * MIB) / PAGE_BYTES;
    this.#base = makeImage({ seed: 1, pages, mix: MIX }).slice();
  }

  get count(): number {
    return this.#guests.length;
  }

  get sockets(): string {
    return join(this.#folder, 'guests');
  }

  /** Starts the guest of a number, and waits for its socket. */
  async start(n: number): Promise<void> {
    const image = join(this.#folder, `image-${n}.raw`);
    const change = { seed: 1000 + n, changedPages: OWN_PAGES, mix: MIX };
    writeFileSync(image, changeImage(this.#base.slice(), change));
    const socket = join(this.sockets, `vm${n}.qmp`);
    const words = ['-accel', 'tcg', '-m', String(MEMORY_MIB), '-S', '-nodefaults'];
    const loaded = ['-device', `loader,file=${image},addr=0,force-raw=on`];
    const monitor = ['-display', 'none', '-qmp', `unix:${socket},server=on,wait=off`];
    const guest = spawn(QEMU_PROGRAM, [...words, ...loaded, ...monitor], { stdio: 'ignore' });
    this.#guests.push(guest);
    const untilMs = performance.now() + STARTING_MS_MAX;
    while (!existsSync(socket)) {
      assert(guest.exitCode === null && performance.now() < untilMs, `guest ${n} starts`);
      await sleep(20);
    }
  }

  /** Whether all that were started stand still. */
  get areThere(): boolean {
    return this.#guests.every(({ exitCode }) => exitCode === null);
  }

  end(): void {
    for (const guest of this.#guests) guest.kill('SIGKILL');
  }
}

/** A recorder of a folder of guests. */
class FolderRecorder {
  readonly #child: ChildProcess;
  readonly #captures = new Map<string, number>();
  #stderr = '';

  constructor(ledger: string, sockets: string) {
    const all = ['record', 'qemu', '--init', '--all', sockets, '--every', EVERY];
    const words = cliWords(['--ledger', ledger, '--json', ...all]);
    this.#child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const { vm, capture } = JSON.parse(line) as { vm: string; capture?: number };
      if (capture !== undefined) this.#captures.set(vm, capture);
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  /** Waits until all guests that stand have been captured so often. */
  async recorded(guests: StandingGuests): Promise<void> {
    const isDone = (): boolean =>
      [...this.#captures.values()].filter((captures) => captures >= CAPTURES).length >=
      guests.count;
    while (!isDone()) {
      assert(guests.areThere, 'the guests stand');
      assert(this.#child.exitCode === null, `the recorder goes on: ${this.#stderr.slice(-500)}`);
      await sleep(LOOK_MS);
    }
  }

  /** Its resident memory now, as it comes and goes. */
  async residentMib(): Promise<number[]> {
    const looks: number[] = [];
    for (let look = 0; look < LOOKS; look += 1) {
      looks.push(statusMib(this.#child.pid!, 'VmRSS'));
      await sleep(LOOK_MS);
    }
    return looks;
  }

  get peakMib(): number {
    return statusMib(this.#child.pid!, 'VmHWM');
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGINT');
    await once(this.#child, 'exit');
  }
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const [few, count] = context.isQuick ? [2, 4] : [FEW, GUESTS];
  const folder = freshFolder(context, 'standing');
  const guests = new StandingGuests(folder);
  mkdirSync(guests.sockets, { recursive: true });
  const recorder = new FolderRecorder(join(folder, 'ledger'), guests.sockets);
  try {
    const resident = async (upTo: number): Promise<Figure> => {
      context.tell(`${upTo} guests stand, and are recorded`);
      while (guests.count < upTo) await guests.start(guests.count + 1);
      await recorder.recorded(guests);
      return figureOf(await recorder.residentMib(), 'MiB');
    };
    const first = await resident(few);
    const all = await resident(count);
    const each = (all.median - first.median) / (count - few);
    return [
      rowOf({
        what: `resident memory with ${few} guests of ${MEMORY_MIB} MiB`,
        measured: first,
      }),
      rowOf({
        what: `the same with ${count} such guests`,
        measured: all,
        target: { sense: 'at most', bound: RECORDER_MIB_MAX },
        note: `each captured ${CAPTURES} times or more, every ${EVERY}`,
      }),
      rowOf({
        what: 'for each guest more',
        measured: figureOf([each], 'MiB'),
        target: { sense: 'at most', bound: GUEST_MIB_MAX },
      }),
      rowOf({ what: 'at the most', measured: figureOf([recorder.peakMib], 'MiB') }),
    ];
  } finally {
    await recorder.end();
    guests.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const recorderOfGuests: Bench = {
  name: 'recorder-of-guests',
  title: 'Memory of a recorder of many guests',
  isPeer: true,
  run,
};
