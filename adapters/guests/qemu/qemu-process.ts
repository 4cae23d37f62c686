// The process behind a QMP socket, for what QMP does not tell: its command line. The way goes from
// the socket's path over its inode in /proc/net/unix to the process that has it open.

import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { basename, isAbsolute, normalize, resolve } from 'node:path';

export interface QemuProcess {
  readonly pid: number;
  readonly uid: number;
  readonly argv: readonly string[];
}

/** The process, or why it cannot be told. */
export type FoundProcess =
  | { readonly process: QemuProcess; readonly reason: null }
  | { readonly process: null; readonly reason: string };

interface BoundSocket {
  readonly inode: string;
  /** As it was bound: perhaps relative to the process's folder. */
  readonly path: string;
}

/** Columns of /proc/net/unix: the inode is the seventh, the path everything after it. */
const UNIX_LINE = /^\S+ \S+ \S+ \S+ \S+ \S+ +(\d+) (.+)$/u;

/**
 * Finds the process that serves a unix socket. One that has left the folder in which it bound it by a
 * relative path, as QEMU does with -daemonize, is known by that path where no other is like it.
 */
export async function processOfSocket(path: string): Promise<FoundProcess> {
  const sockets = await socketsNamed(basename(path));
  if (sockets.length === 0) return absent('the kernel lists no socket of that name');
  const wanted = await realpath(path).catch(() => resolve(path));
  let hidden = 0;
  const movedAway: string[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/u.test(entry)) continue;
    const inodes = await socketInodesOf(entry);
    if (inodes === null) {
      hidden++;
      continue;
    }
    const own = sockets.filter(({ inode }) => inodes.has(inode));
    for (const socket of own)
      if ((await boundPath(entry, socket.path)) === wanted) return processOf(entry);
    if (await isBoundBefore(entry, own, wanted)) movedAway.push(entry);
  }
  if (movedAway.length === 1) return processOf(movedAway[0]!);
  if (movedAway.length > 1)
    return absent(
      `${movedAway.length} processes have left the folder in which they made a socket of that name: start the guest with the whole path of its socket`,
    );
  return absent(
    hidden > 0 ? `${hidden} processes of other users cannot be looked into` : 'no process has it',
  );
}

/**
 * Whether a process that has gone to the root may have bound a socket by the end of this path, before:
 * the path is its user's, and where it would lie now no socket is.
 */
async function isBoundBefore(
  pid: string,
  sockets: readonly BoundSocket[],
  wanted: string,
): Promise<boolean> {
  const ends = sockets
    .map(({ path }) => normalize(path))
    .filter((path) => !isAbsolute(path) && wanted.endsWith(`/${path}`));
  if (ends.length === 0 || (await readlink(`/proc/${pid}/cwd`).catch(() => '')) !== '/')
    return false;
  const owners = [stat(wanted), stat(`/proc/${pid}`)].map((of) => of.then(({ uid }) => uid));
  const [owner, user] = await Promise.all(owners).catch(() => [null, undefined]);
  return owner === user && ends.every((path) => !existsSync(`/${path}`));
}

const absent = (reason: string): FoundProcess => ({ process: null, reason });

/** The process of that number. */
export async function processOf(pid: string): Promise<FoundProcess> {
  try {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    const { uid } = await stat(`/proc/${pid}`);
    const argv = line.split('\0').slice(0, -1);
    return { process: { pid: Number(pid), uid, argv }, reason: null };
  } catch {
    return absent('its process ended or cannot be looked into');
  }
}

async function socketsNamed(name: string): Promise<readonly BoundSocket[]> {
  const table = await readFile('/proc/net/unix', 'utf8').catch(() => '');
  const found: BoundSocket[] = [];
  for (const line of table.split('\n')) {
    const match = UNIX_LINE.exec(line);
    if (match !== null && basename(match[2]!) === name) {
      found.push({ inode: match[1]!, path: match[2]! });
    }
  }
  return found;
}

/** Inodes of a process's sockets; null where they are not shown to us. */
export async function socketInodesOf(pid: string): Promise<ReadonlySet<string> | null> {
  const folder = `/proc/${pid}/fd`;
  let names: readonly string[];
  try {
    names = await readdir(folder);
  } catch {
    return null;
  }
  const inodes = new Set<string>();
  for (const name of names) {
    const target = await readlink(`${folder}/${name}`).catch(() => '');
    const match = /^socket:\[(\d+)\]$/u.exec(target);
    if (match !== null) inodes.add(match[1]!);
  }
  return inodes;
}

async function boundPath(pid: string, path: string): Promise<string> {
  const folder = isAbsolute(path) ? '/' : await readlink(`/proc/${pid}/cwd`).catch(() => '/');
  const absolute = resolve(folder, path);
  return realpath(absolute).catch(() => absolute);
}

/** What the kernel says of a process: it lives, was stopped, or is about to be gone. */
export type ProcessState = 'alive' | 'stopped' | 'ending';

/** Signals that end a process unless it catches them: ILL, TRAP, ABRT, BUS, FPE, KILL, SEGV, SYS. */
const DEADLY = [4, 5, 6, 7, 8, 9, 11, 31].reduce(
  (mask, signal) => mask | (1n << BigInt(signal - 1)),
  0n,
);
/** Its first thread has ended; or it writes its core. */
const ENDING = /^State:\s*[ZX]|^CoreDumping:\s*1/mu;
const STOPPED = /^State:\s*[Tt]/mu;

/** The signals that a line of /proc/PID/status names. */
const signalsOf = (status: string, name: string): bigint =>
  BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'mu').exec(status)?.[1] ?? '0'}`);

/** Whether a process was sent what ends it, though a thread of its own has yet to hear of it. */
function isKilled(status: string): boolean {
  const [own, all, caught, ignored] = ['SigPnd', 'ShdPnd', 'SigCgt', 'SigIgn'].map((name) =>
    signalsOf(status, name),
  );
  return ((own! | all!) & DEADLY & ~(caught! | ignored!)) !== 0n;
}

/**
 * The state of a process; `alive` where that cannot be told. One that was killed keeps its files open
 * until the last of its threads has ended, which may wait for a disk.
 */
export function stateOf(pid: number): ProcessState {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return 'alive';
  }
  if (ENDING.test(status) || isKilled(status)) return 'ending';
  return STOPPED.test(status) ? 'stopped' : 'alive';
}
