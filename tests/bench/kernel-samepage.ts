// The kernel's own merging of equal pages (KSM), driven for a measurement: memory of a child process
// is offered for merging, the daemon is set going, and every setting is put back afterwards, also when
// something fails. Root only; the settings are the whole machine's.

import { spawn, type ChildProcess } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';

const FOLDER = '/sys/kernel/mm/ksm';
/** Of /proc/PID/stat: USER_HZ, the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const POLL_MS = 100;

/**
 * Maps files as anonymous memory that may be merged, which a file's own pages may not, says so and
 * holds them until its input ends.
 */
const HOLDER = `import mmap, os, sys
held = []
for path in sys.argv[1:]:
    size = os.path.getsize(path)
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with open(path, 'rb') as file:
        assert file.readinto(memory) == size
    memory.madvise(mmap.MADV_MERGEABLE)
    held.append(memory)
print('ready', flush=True)
sys.stdin.read()
`;

/** How fast the daemon looks: pages a turn, and how long it sleeps between two. */
export interface Pace {
  readonly pagesToScan: number;
  readonly sleepMs: number;
}

export interface Merging {
  /** The pages that are kept, and the further ones that stand for them. */
  readonly pagesShared: number;
  readonly pagesSharing: number;
  /** Full scans, and how long they took, until it had found 99 % of what it found at all. */
  readonly scans: number;
  readonly seconds: number;
  /** Processor time of the daemon meanwhile; null where it cannot be read. */
  readonly daemonSeconds: number | null;
}

const setting = (name: string): string => join(FOLDER, name);
const numberOf = (name: string): number => Number(readFileSync(setting(name), 'utf8'));
/** Of `run`: no scanning, and every page that was merged is one's own again. */
const UNMERGE = '2';
const SETTINGS = ['run', 'pages_to_scan', 'sleep_millisecs'] as const;

/** Why the kernel cannot be asked, or null. */
export function whyNoMerging(): string | null {
  if (!existsSync(setting('run'))) return 'this kernel merges no pages: it was built without KSM';
  try {
    accessSync(setting('run'), constants.W_OK);
  } catch {
    return "KSM's settings may be written by root only";
  }
  if (numberOf('run') !== 0 || numberOf('pages_sharing') > 0)
    return 'KSM is in use on this machine, whose settings are left alone';
  const advisor = setting('advisor_mode');
  if (existsSync(advisor) && !readFileSync(advisor, 'utf8').includes('[none]'))
    return 'an advisor sets the pace of KSM on this machine';
  return null;
}

/** The daemon's process, by its name; null where processes cannot be seen. */
function daemonProcess(): string | null {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/u.test(entry)) continue;
    try {
      if (readFileSync(join('/proc', entry, 'comm'), 'utf8').trim() === 'ksmd') return entry;
    } catch {
      // It ended while we looked.
    }
  }
  return null;
}

function processorSeconds(pid: string | null): number | null {
  if (pid === null) return null;
  const stat = readFileSync(join('/proc', pid, 'stat'), 'utf8');
  // After the name, which may hold anything: user and system time are the twelfth and thirteenth.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** A process that holds the files' content; null where python3 cannot do it. */
async function holderOf(files: readonly string[]): Promise<ChildProcess | null> {
  const child = spawn('python3', ['-c', HOLDER, ...files], { stdio: ['pipe', 'pipe', 'inherit'] });
  const isReady = await new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', () => resolve(false));
    child.stdout.once('data', () => resolve(true));
  });
  return isReady ? child : null;
}

async function release(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const ended = new Promise((resolve) => {
    holder.once('close', resolve);
  });
  holder.stdin?.end();
  await ended;
}

interface Scan {
  readonly seconds: number;
  readonly pagesSharing: number;
}

/** It looks at a page twice before it merges it, to know that it stays as it is. */
const SCANS_MIN = 3;
const SCANS_MAX = 8;
const NEARLY_ALL = 0.99;

/** Full scans, until one finds hardly more than the one before it. */
async function scansUntilSettled(): Promise<readonly Scan[]> {
  const from = numberOf('full_scans');
  const start = performance.now();
  const scans: Scan[] = [];
  for (;;) {
    await pause(POLL_MS);
    if (numberOf('full_scans') <= from + scans.length) continue;
    const pagesSharing = numberOf('pages_sharing');
    scans.push({ seconds: (performance.now() - start) / 1000, pagesSharing });
    const before = scans.at(-2)?.pagesSharing ?? 0;
    const isSettled = before > 0 && before >= pagesSharing * NEARLY_ALL;
    if (scans.length >= SCANS_MAX || (scans.length >= SCANS_MIN && isSettled)) return scans;
  }
}

/** Lets the kernel merge what the files hold, at this pace. Null where python3 cannot hold them. */
export async function mergeByKernel(files: readonly string[], pace: Pace): Promise<Merging | null> {
  assert(whyNoMerging() === null, 'nobody else uses the kernel for merging');
  const before = SETTINGS.map((name) => [name, readFileSync(setting(name), 'utf8')] as const);
  // Stopped alone, the daemon would keep its lists of pages that are gone, and their counts.
  const putBack = (): void => {
    writeFileSync(setting('run'), UNMERGE);
    for (const [name, value] of before) writeFileSync(setting(name), value);
  };
  // Also where this process is ended by a signal.
  const onSignal = (): void => {
    putBack();
    process.exit(1);
  };
  const holder = await holderOf(files);
  if (holder === null) return null;
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    writeFileSync(setting('pages_to_scan'), String(pace.pagesToScan));
    writeFileSync(setting('sleep_millisecs'), String(pace.sleepMs));
    const daemon = daemonProcess();
    const used = processorSeconds(daemon);
    writeFileSync(setting('run'), '1');
    const scans = await scansUntilSettled();
    const usedThen = processorSeconds(daemon);
    const most = scans.at(-1)!.pagesSharing;
    const found = scans.findIndex(({ pagesSharing }) => pagesSharing >= most * NEARLY_ALL);
    return {
      pagesShared: numberOf('pages_shared'),
      pagesSharing: numberOf('pages_sharing'),
      scans: found + 1,
      seconds: scans[found]!.seconds,
      daemonSeconds: used === null || usedThen === null ? null : usedThen - used,
    };
  } finally {
    await release(holder);
    putBack();
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
  }
}
