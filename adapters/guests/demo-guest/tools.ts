// What the demonstration needs of the machine: QEMU, a static busybox, a kernel. As root on Debian
// what is missing is fetched with apt-get; else MISSING_TOOL says what to install.

import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { attempt, sentenceOf } from '../qemu/failure.ts';

export const QEMU_PROGRAM = 'qemu-system-x86_64';
const KERNEL_META_PACKAGE = 'linux-image-cloud-amd64';
const KERNEL_NAME = /^vmlinuz-/u;
const APT_TIMEOUT_MS = 600_000;

const run = promisify(execFile);

export interface GuestTools {
  readonly qemu: string;
  readonly busybox: string;
  readonly kernel: string;
}

/** Tells what is done, where that takes long. */
export type Progress = (sentence: string) => void;

/** The program's path, as the shell would find it; null where it is not there. */
export function programPath(name: string): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  for (const folder of [...folders, '/usr/bin', '/bin']) {
    const path = join(folder === '' ? '.' : folder, name);
    if (isAccessible(path, constants.X_OK)) return path;
  }
  return null;
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

const canInstall = (): boolean => process.getuid?.() === 0 && programPath('apt-get') !== null;

/** Finds or fetches everything that a demonstration guest needs. */
export const ensureTools = (
  tell: Progress = () => undefined,
): TaskEither<LedgerError, GuestTools> =>
  attempt('cannot prepare a guest', async () => ({
    qemu: await ensureProgram({ name: QEMU_PROGRAM, package: 'qemu-system-x86' }, tell),
    busybox: await ensureBusybox(tell),
    kernel: await ensureKernel(tell),
  }));

/** What is there now, without fetching anything; null where something is missing. */
export function toolsAtHand(): GuestTools | null {
  const qemu = programPath(QEMU_PROGRAM);
  const busybox = programPath('busybox');
  const kernel = kernelAtHand();
  return qemu === null || busybox === null || kernel === null ? null : { qemu, busybox, kernel };
}

async function ensureProgram(
  wanted: { readonly name: string; readonly package: string },
  tell: Progress,
): Promise<string> {
  const there = programPath(wanted.name);
  if (there !== null) return there;
  if (canInstall()) {
    tell(`installing ${wanted.package} with apt-get`);
    await aptGet(['install', '-y', '--no-install-recommends', wanted.package]);
  }
  const installed = programPath(wanted.name);
  if (installed !== null) return installed;
  throw new LedgerError(
    'MISSING_TOOL',
    `${wanted.name} is not installed: install it (Debian: apt-get install ${wanted.package})`,
    { tool: wanted.name, package: wanted.package },
  );
}

/** The guest has no libraries: busybox must be a static program. */
async function ensureBusybox(tell: Progress): Promise<string> {
  const wanted = { name: 'busybox', package: 'busybox-static' };
  const there = programPath(wanted.name);
  if (there !== null && isStatic(await readFile(there))) return there;
  if (there !== null && canInstall()) {
    tell('installing busybox-static with apt-get');
    await aptGet(['install', '-y', '--no-install-recommends', wanted.package]);
  }
  const path = await ensureProgram(wanted, tell);
  if (isStatic(await readFile(path))) return path;
  throw new LedgerError(
    'MISSING_TOOL',
    `${path} needs libraries, which the guest has not: install busybox-static`,
    { tool: 'busybox', package: 'busybox-static' },
  );
}

/** Whether an ELF program names no interpreter (program header type 3), so needs no library. */
function isStatic(program: Buffer): boolean {
  if (program.length < 64 || program.readUInt32BE(0) !== 0x7f45_4c46) return false;
  const offset = Number(program.readBigUInt64LE(32));
  const size = program.readUInt16LE(54);
  const count = program.readUInt16LE(56);
  for (let i = 0; i < count; i++) {
    const at = offset + i * size;
    if (at + 4 > program.length || program.readUInt32LE(at) === 3) return false;
  }
  return true;
}

const cacheFolder = (): string => {
  const base = process.env['XDG_CACHE_HOME'];
  const root = base === undefined || base === '' ? join(homedir(), '.cache') : base;
  return join(root, 'pageledger', 'kernel');
};

/** `$PAGELEDGER_KERNEL`, else the newest readable kernel of /boot, else of our cache. */
function kernelAtHand(): string | null {
  const named = process.env['PAGELEDGER_KERNEL'];
  if (named !== undefined && named !== '') {
    if (isAccessible(named, constants.R_OK)) return named;
    throw new LedgerError(
      'MISSING_TOOL',
      `PAGELEDGER_KERNEL names ${named}, which cannot be read: name a Linux kernel image`,
      { tool: 'kernel', path: named },
    );
  }
  return newestKernel('/boot') ?? newestKernel(join(cacheFolder(), 'boot'));
}

function newestKernel(folder: string): string | null {
  if (!existsSync(folder)) return null;
  const names = readdirSync(folder).filter((name) => KERNEL_NAME.test(name));
  const newestFirst = names.toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  const paths = newestFirst.map((name) => join(folder, name));
  return paths.find((path) => isAccessible(path, constants.R_OK)) ?? null;
}

async function ensureKernel(tell: Progress): Promise<string> {
  const there = kernelAtHand();
  if (there !== null) return there;
  if (canInstall()) {
    tell(`fetching a kernel (${KERNEL_META_PACKAGE}) with apt-get`);
    await fetchKernel();
  }
  const fetched = kernelAtHand();
  if (fetched !== null) return fetched;
  throw new LedgerError(
    'MISSING_TOOL',
    `no Linux kernel image can be read in /boot or ${cacheFolder()}: name one in PAGELEDGER_KERNEL`,
    { tool: 'kernel' },
  );
}

/** Unpacks the kernel's package into the cache without installing it. */
async function fetchKernel(): Promise<void> {
  const cache = cacheFolder();
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'fetch-'));
  try {
    const { stdout } = await run('apt-cache', ['depends', KERNEL_META_PACKAGE]).catch(async () => {
      await aptGet(['update']);
      return run('apt-cache', ['depends', KERNEL_META_PACKAGE]);
    });
    const name = /Depends: (linux-image-\S+)/u.exec(stdout)?.[1];
    if (name === undefined) return;
    await aptGet(['download', name], folder);
    const archive = readdirSync(folder).find((file) => file.endsWith('.deb'));
    if (archive === undefined) return;
    await run('dpkg', ['-x', join(folder, archive), join(folder, 'tree')]);
    await rm(join(cache, 'boot'), { recursive: true, force: true });
    // A rename, so that a cache that is there is whole.
    await rename(join(folder, 'tree', 'boot'), join(cache, 'boot'));
  } catch (error) {
    throw new LedgerError(
      'MISSING_TOOL',
      `a kernel could not be fetched (${sentenceOf(error)}): name one in PAGELEDGER_KERNEL`,
      { tool: 'kernel', package: KERNEL_META_PACKAGE },
      error,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function aptGet(words: readonly string[], folder?: string): Promise<void> {
  const options = {
    timeout: APT_TIMEOUT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    maxBuffer: 2 ** 26,
    ...(folder === undefined ? {} : { cwd: folder }),
  };
  try {
    await run('apt-get', words, options);
  } catch (first) {
    if (words[0] === 'update') throw asMissing(words, first);
    // Its lists may be absent or old.
    try {
      await run('apt-get', ['update'], options);
      await run('apt-get', words, options);
    } catch (second) {
      throw asMissing(words, second);
    }
  }
}

const asMissing = (words: readonly string[], cause: unknown): LedgerError =>
  new LedgerError(
    'MISSING_TOOL',
    `apt-get ${words.join(' ')} failed (${sentenceOf(cause)}): install it by hand`,
    { tool: words.at(-1) ?? '' },
    cause,
  );
