// Guests that use the memory they have, recorded once and started again and again from their newest
// capture: the demonstration's, with random bytes in a file system in memory beside its workload.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { buildInitramfs } from '../../adapters/guests/demo-guest/initramfs.ts';
import {
  consoleLine,
  consoleLines,
  DemoGuest,
  guestCommand,
  guestPaths,
} from '../../adapters/guests/demo-guest/start-guest.ts';
import type { GuestTools } from '../../adapters/guests/demo-guest/tools.ts';
import { workloadFiles } from '../../adapters/guests/demo-guest/workload.ts';
import { connectQmp } from '../../adapters/guests/qemu/qmp-client.ts';
import { assert } from '../../domain/values/assert.ts';
import type { BenchContext } from './bench.ts';
import { freshFolder, runCli } from './ledgers.ts';

export const VM = 'guest';
/** Between two lines of the workload: the guest is busy for most of the time. */
const TICK_MS = 20;
const TICKS_BEFORE = /^T n=5 /u;
const FILL_TIMEOUT_MS = 900_000;
const RETRY_MS = 2;
const TICK = /^T n=/u;

export interface GuestSize {
  readonly mebibytes: number;
  /** Of them, those that random bytes take. */
  readonly fillMebibytes: number;
}

/** A guest that was recorded and has ended. */
export interface RecordedGuest extends GuestSize {
  readonly url: string;
  /** What starts another one like it, with a console and a control socket of that name. */
  readonly command: (name: string) => readonly string[];
  readonly serialPath: (name: string) => string;
}

/** The workload's files, and a first step that fills a file system in memory. */
function filesOf(busybox: Uint8Array, { fillMebibytes }: GuestSize) {
  const fill = `mkdir /fill
mount -t tmpfs -o size=100% tmpfs /fill
busybox dd if=/dev/urandom of=/fill/bytes bs=1M count=${fillMebibytes} 2>/dev/null
exec awk`;
  return workloadFiles(busybox).map((entry) =>
    entry.path === 'init'
      ? { ...entry, content: String(entry.content).replace('exec awk', fill) }
      : entry,
  );
}

/** Records a guest of a size, twice, so that its newest capture holds what changed alone. */
export async function recordedGuest(
  context: BenchContext,
  { tools, size }: { readonly tools: GuestTools; readonly size: GuestSize },
): Promise<RecordedGuest> {
  const { mebibytes } = size;
  context.tell(`a guest of ${mebibytes} MiB starts and fills ${size.fillMebibytes} MiB`);
  const folder = freshFolder(context, `resume-${mebibytes}`);
  mkdirSync(folder);
  const files = filesOf(readFileSync(tools.busybox), size);
  writeFileSync(join(folder, 'initramfs.gz'), buildInitramfs(files));
  const named = (name: string) => ({ tools, folder, name, memoryMib: mebibytes, tickMs: TICK_MS });
  const argv = guestCommand(named('first'));
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  const guest = new DemoGuest({ child, argv, ...guestPaths(named('first')) });
  const url = join(folder, 'ledger');
  try {
    await guest.untilUp();
    await guest.waitForLine(TICKS_BEFORE, { timeoutMs: FILL_TIMEOUT_MS });
    context.tell('it is recorded');
    // By a process of its own: this one stays small.
    const how = ['--every', '500ms', '--count', '2', '--socket-dir', folder];
    runCli([
      '--ledger',
      url,
      'record',
      'qemu',
      '--init',
      '--vm',
      VM,
      '--qmp',
      guest.qmpPath,
      ...how,
    ]);
  } finally {
    await guest.kill();
  }
  return {
    ...size,
    url,
    command: (name) => guestCommand(named(name)),
    serialPath: (name) => guestPaths(named(name)).serialPath,
  };
}

/** Ends a QEMU, and waits until it has ended. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** Milliseconds that QEMU takes by itself, until it answers: of the same guest, without memory. */
export async function ownStartMs(guest: RecordedGuest): Promise<number> {
  const words = guest.command('own');
  const { qmpPath } = guestPaths({ folder: join(guest.url, '..'), name: 'own' });
  rmSync(qmpPath, { force: true });
  const start = performance.now();
  const child = spawn(words[0]!, [...words.slice(1), '-S'], { stdio: 'ignore' });
  try {
    for (;;) {
      assert(child.exitCode === null, 'QEMU starts');
      const qmp = await connectQmp({ path: qmpPath }).catch(() => null);
      if (qmp !== null) {
        await qmp.execute('query-status');
        qmp.close();
        return performance.now() - start;
      }
      await pause(RETRY_MS);
    }
  } finally {
    await ended(child);
  }
}

/** A console that nothing was written to. */
export function freshConsole(guest: RecordedGuest, name: string): string {
  const serialPath = guest.serialPath(name);
  rmSync(serialPath, { force: true });
  return serialPath;
}

export const firstTick = (serialPath: string): Promise<string> =>
  consoleLine({ serialPath, pattern: TICK });

export const ticksIn = (serialPath: string): number =>
  consoleLines(serialPath).filter((line) => TICK.test(line)).length;
