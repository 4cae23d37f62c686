// Guests of different content: two kernels, and userlands of Debian's packages, each at work
// (docs/sharing.md). Their first file systems are made here; what a machine cannot fetch is a sentence.

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  buildInitramfs,
  type ArchiveEntry,
} from '../../../adapters/guests/demo-guest/initramfs.ts';
import {
  DemoGuest,
  guestCommand,
  guestPaths,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import type { GuestTools } from '../../../adapters/guests/demo-guest/tools.ts';
import { connectQmp } from '../../../adapters/guests/qemu/qmp-client.ts';
import { otherKernel, packageTree, treeEntries, type PackageRequest } from './debian-packages.ts';
import * as workload from './debian-workloads.ts';

export type GuestKind = 'database' | 'compiler' | 'script' | 'queue' | 'tables' | 'words';

/** What runs on a kernel: packages, and the work that they do. */
export interface Userland {
  readonly packages: PackageRequest;
  readonly isLeftOut?: (path: string) => boolean;
  readonly work: string;
  /** The workload's program and where it lies. */
  readonly program: readonly [path: string, text: string];
  readonly hasOtherKernel: boolean;
  /** For people. */
  readonly told: string;
}

const isUnusedOfRedis = (path: string): boolean =>
  /\/redis-(?:benchmark|cli|check-aof)$/u.test(path);

const USERLANDS: Readonly<Record<GuestKind, Userland>> = {
  database: {
    packages: {
      name: 'database',
      roots: ['redis-server', 'python3'],
      follows: /^(?:redis-tools|lib(?!selinux|readline|nsl|tirpc|db5)|python3|zlib1g)/u,
    },
    isLeftOut: isUnusedOfRedis,
    work: workload.DATABASE,
    program: ['work.py', workload.DATABASE_PROGRAM],
    hasOtherKernel: false,
    told: 'Redis under load, SQLite and Python',
  },
  compiler: {
    packages: { name: 'compiler', roots: ['cpp'], follows: /^(?:cpp-|lib|zlib1g)/u },
    // The preprocessor alone, as large as the compiler itself.
    isLeftOut: (path) => path.startsWith('usr/bin/') || path.endsWith('/cc1plus'),
    work: workload.COMPILER,
    program: ['unit.awk', workload.COMPILER_PROGRAM],
    hasOtherKernel: true,
    told: "GNU's C compiler",
  },
  script: {
    packages: { name: 'script', roots: ['perl'], follows: /^(?:perl|lib(?!db5|gdbm|selinux))/u },
    work: workload.SCRIPT,
    program: ['work.pl', workload.SCRIPT_PROGRAM],
    hasOtherKernel: false,
    told: 'Perl, over the text of its own library',
  },
  queue: {
    packages: {
      name: 'queue',
      roots: ['redis-server'],
      follows: /^(?:redis-tools|lib(?!selinux|elogind)|zlib1g)/u,
    },
    isLeftOut: isUnusedOfRedis,
    work: workload.QUEUE,
    program: ['work.awk', workload.QUEUE_PROGRAM],
    hasOtherKernel: false,
    told: 'Redis under load',
  },
  tables: {
    packages: {
      name: 'tables',
      roots: ['sqlite3'],
      follows: /^(?:libc6|libgcc|libreadline|libsqlite|libtinfo|zlib1g)/u,
    },
    work: workload.TABLES,
    program: ['work.sql', workload.TABLES_PROGRAM],
    hasOtherKernel: true,
    told: 'SQLite',
  },
  words: {
    packages: { name: 'words', roots: ['perl-base'], follows: /^lib(?:c6|crypt|gcc)/u },
    work: workload.SCRIPT,
    program: ['work.pl', workload.SCRIPT_PROGRAM],
    hasOtherKernel: false,
    told: 'Perl',
  },
};

/** Three guests at work, and three small ones for a test. */
export const MIXED: readonly GuestKind[] = ['database', 'compiler', 'script'];
export const SMALL_MIXED: readonly GuestKind[] = ['queue', 'tables', 'words'];

const APPLETS = 'sh mount mkdir awk sleep ls cat ifconfig find sort sed nc'.split(' ');

/** A guest that could be started here: its kernel and its first file system. */
export interface BuiltGuest<Kind extends string = GuestKind> {
  readonly kind: Kind;
  readonly tools: GuestTools;
  readonly initramfs: Uint8Array;
  /** What it is, for the note of a result. */
  readonly told: string;
}

export type FoundGuests<G> =
  | { readonly guests: G; readonly reason: null }
  | { readonly guests: null; readonly reason: string };

/** Members of busybox and of init, before or beside those of the packages. */
function ownEntries(busybox: string, userland: Userland, scale: number): readonly ArchiveEntry[] {
  const [path, content] = userland.program;
  const init = workload.initScript({ work: userland.work, scale });
  return [
    ...['bin', 'proc', 'sys', 'dev', 'tmp'].map((name): ArchiveEntry => ({
      path: name,
      kind: 'folder',
    })),
    { path: 'dev/console', kind: 'device', mode: 0o600, device: [5, 1] },
    { path: 'bin/busybox', kind: 'file', content: readFileSync(busybox) },
    ...APPLETS.map((name): ArchiveEntry => ({
      path: `bin/${name}`,
      kind: 'link',
      content: 'busybox',
    })),
    { path: 'init', kind: 'file', content: init },
    { path, kind: 'file', content, mode: 0o644 },
  ];
}

/** Builds a guest of this kind; `scale` is about the megabytes that its workload holds. */
export const buildGuest = (
  tools: GuestTools,
  request: { readonly kind: GuestKind; readonly scale: number },
): Promise<FoundGuests<BuiltGuest>> =>
  buildUserland(tools, { ...request, userland: USERLANDS[request.kind] });

/** Builds a guest of this userland. */
export async function buildUserland<Kind extends string>(
  tools: GuestTools,
  request: { readonly kind: Kind; readonly scale: number; readonly userland: Userland },
): Promise<FoundGuests<BuiltGuest<Kind>>> {
  const { kind, scale, userland } = request;
  const found = await packageTree(userland.packages);
  if (found.tree === null) return { guests: null, reason: found.reason };
  let { kernel } = tools;
  if (userland.hasOtherKernel) {
    const other = await otherKernel(kernel);
    if (other.tree === null) return { guests: null, reason: other.reason };
    kernel = other.tree;
  }
  const own = ownEntries(tools.busybox, userland, scale);
  const isOwn = new Set(own.map(({ path }) => path));
  const packaged = treeEntries(found.tree, userland.isLeftOut);
  const initramfs = buildInitramfs([
    ...own,
    ...[...packaged].filter(({ path }) => !isOwn.has(path)),
  ]);
  const told = `${userland.told} on Linux ${basename(kernel).replace(/^vmlinuz-/u, '')}`;
  return { guests: { kind, tools: { ...tools, kernel }, initramfs, told }, reason: null };
}

/** Builds a guest of each of these kinds. */
export async function buildGuests(
  tools: GuestTools,
  request: { readonly kinds: readonly GuestKind[]; readonly scale: number },
): Promise<FoundGuests<readonly BuiltGuest[]>> {
  const guests: BuiltGuest[] = [];
  for (const kind of request.kinds) {
    const built = await buildGuest(tools, { kind, scale: request.scale });
    if (built.guests === null) return built;
    guests.push(built.guests);
  }
  return { guests, reason: null };
}

/** Starts a built guest in a folder of its own; right when QEMU's control socket is there. */
export async function startBuiltGuest(
  guest: BuiltGuest<string>,
  request: {
    readonly folder: string;
    readonly memoryMib: number;
    readonly extra?: readonly string[];
  },
): Promise<DemoGuest> {
  // What an earlier guest left there, its console above all, is not this one's.
  rmSync(request.folder, { recursive: true, force: true });
  mkdirSync(request.folder, { recursive: true });
  writeFileSync(join(request.folder, 'initramfs.gz'), guest.initramfs);
  const specification = { tools: guest.tools, ...request };
  const argv = guestCommand(specification);
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  const started = new DemoGuest({ child, argv, ...guestPaths(specification) });
  try {
    await started.untilUp();
  } catch (error) {
    await started.kill();
    throw error;
  }
  return started;
}

/** Stops a guest and writes its main memory, as QEMU itself writes it, to a file. */
async function saveMemory(
  guest: DemoGuest,
  request: { readonly memoryMib: number; readonly file: string },
): Promise<void> {
  const { memoryMib, file: filename } = request;
  const qmp = await connectQmp({ path: guest.qmpPath, commandTimeoutMs: 120_000 });
  try {
    await qmp.execute('stop');
    await qmp.execute('pmemsave', { val: 0, size: memoryMib * 2 ** 20, filename });
  } finally {
    qmp.close();
  }
}

export interface RunRequest {
  readonly folder: string;
  readonly memoryMib: number;
  readonly ticks: number;
}

/** The memory of a guest that worked. */
export interface GuestMemory<Kind extends string = GuestKind> {
  readonly vm: Kind;
  readonly file: string;
  readonly told: string;
}

/** Runs one guest until it has ticked so often, and gives its memory. */
async function runGuest<Kind extends string>(
  guest: BuiltGuest<Kind>,
  request: RunRequest,
): Promise<GuestMemory<Kind>> {
  const { folder, memoryMib, ticks } = request;
  const own = join(folder, guest.kind);
  const started = await startBuiltGuest(guest, { folder: own, memoryMib });
  try {
    await ticked(started, ticks);
    const file = join(folder, `${guest.kind}.raw`);
    await saveMemory(started, { memoryMib, file });
    return { vm: guest.kind, file, told: guest.told };
  } finally {
    await started.kill();
    rmSync(own, { recursive: true, force: true });
  }
}

/** Runs guests at the same time, each as `runGuest` does. All are gone afterwards, also on failure. */
export async function runGuests<Kind extends string>(
  guests: readonly BuiltGuest<Kind>[],
  request: RunRequest,
): Promise<readonly GuestMemory<Kind>[]> {
  const ended = await Promise.allSettled(guests.map((guest) => runGuest(guest, request)));
  return ended.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/** How long a workload may take between two of its ticks, the first one included. */
const TICK_TIMEOUT_MS = 300_000;

const ENDED = /^the workload ended/u;

/** Waits for so many ticks of a guest's workload. They are counted: it may print only some of its numbers. */
export async function ticked(guest: DemoGuest, count: number): Promise<void> {
  for (;;) {
    const lines = guest.lines();
    if (lines.some((line) => ENDED.test(line)))
      throw new TypeError(
        `the workload of ${guest.serialPath} ended: ${lines.slice(-3).join('; ')}`,
      );
    if (lines.filter((line) => workload.WORK_LINE.test(line)).length >= count) return;
    const from = lines.length;
    await guest.waitForLine(/^(?:T n=|the workload ended)/u, { from, timeoutMs: TICK_TIMEOUT_MS });
  }
}
