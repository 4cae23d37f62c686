// One start of a recorded guest as a library call, in a process that has done nothing else: what QEMU is
// forked from is small then, as in a program that starts guests. Told what by its one argument, it prints
// what was seen.

import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { resumePoint } from '../../adapters/wiring/restore/restore.ts';
import { resumeLazily } from '../../adapters/wiring/restore/resume.ts';
import { assert } from '../../domain/values/assert.ts';
import { openLedger, type Ledger, type VmPoint } from '../../index.ts';
import { closing } from './ledgers.ts';
import { ended, firstTick, freshConsole, ticksIn, type RecordedGuest } from './resume-guests.ts';
import { newest } from './served-starts.ts';

export interface CalledStart {
  /** Its memory arrives while it runs, or is sent before. */
  readonly way: 'lazy' | 'eager';
  /** How long lines of its console are counted from the moment it runs; 0: not. */
  readonly ticksMs: number;
}

interface Call extends CalledStart {
  readonly url: string;
  readonly command: readonly string[];
  readonly serialPath: string;
}

export interface SeenStart {
  /** Milliseconds from the call until it runs, and until it says something. */
  readonly runsMs: number;
  readonly lineMs: number;
  /** Pages that it asked for until then. */
  readonly requests: number;
  /** Lines a second; null: they were not counted. */
  readonly ticks: number | null;
}

interface Started {
  readonly startMs: number;
  readonly requests: () => number;
  readonly end: () => Promise<void>;
}

async function started(ledger: Ledger, point: VmPoint, { way, command }: Call): Promise<Started> {
  if (way === 'eager') {
    const guest = await resumePoint(ledger, point, { command, isDiskOk: false });
    return { startMs: guest.startMs, requests: () => 0, end: () => ended(guest.process) };
  }
  const request = { command, isDiskOk: false, isOnDemandOnly: false };
  const guest = await resumeLazily(ledger, point, request);
  assert(guest._tag === 'arriving', 'a guest starts before its memory is there');
  const end = async (): Promise<void> => {
    await ended(guest.process);
    await guest.arrived;
  };
  return { startMs: guest.startMs, requests: () => guest.counts().requests, end };
}

async function seen(ledger: Ledger, call: Call): Promise<SeenStart> {
  const { serialPath, ticksMs } = call;
  const point = newest(ledger);
  const begun = performance.now();
  const guest = await started(ledger, point, call);
  try {
    await firstTick(serialPath);
    const lineMs = performance.now() - begun;
    const requests = guest.requests();
    const runsMs = guest.startMs;
    if (ticksMs === 0) return { runsMs, lineMs, requests, ticks: null };
    await pause(Math.max(0, begun + runsMs + ticksMs - performance.now()));
    return { runsMs, lineMs, requests, ticks: (ticksIn(serialPath) * 1000) / ticksMs };
  } finally {
    await guest.end();
  }
}

/** Starts a guest in a process of its own. */
export function calledStart(guest: RecordedGuest, { way, ticksMs }: CalledStart): SeenStart {
  const serialPath = freshConsole(guest, way);
  const call: Call = { way, ticksMs, url: guest.url, command: guest.command(way), serialPath };
  const argv = [fileURLToPath(import.meta.url), JSON.stringify(call)];
  const done = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  assert(done.status === 0, `a guest starts: ${done.stderr.slice(-500)}`);
  return JSON.parse(done.stdout) as SeenStart;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const call = JSON.parse(process.argv[2]!) as Call;
  // Only read: what an earlier start asked for would be given first to a later one.
  const ledger = await openLedger({ url: call.url, mode: 'read' });
  process.stdout.write(JSON.stringify(await closing(ledger, (one) => seen(one, call))));
}
