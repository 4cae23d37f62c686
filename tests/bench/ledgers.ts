// What the benches share: an image like a guest's, a ledger of one bench, the whole library calls that
// are timed, and the command line as a user starts it.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { openLedger, recordImages, type CaptureRow, type Ledger } from '../../index.ts';
import { writeGuestImage } from './guest-data.ts';
import type { ProgramCost } from './preload-cost.ts';
import { MIB, type BenchContext } from './bench.ts';

const SEED = 7;

/** The image of so many MiB that the benches of a run share. */
export function guestImage(context: BenchContext, mebibytes: number, seed = SEED): string {
  const path = join(context.folder, `guest-${mebibytes}-${seed}.raw`);
  context.tell(`an image of ${mebibytes} MiB`);
  writeGuestImage({ path, pages: (mebibytes * MIB) / PAGE_BYTES, seed });
  warm(path);
  return path;
}

/** Reads a file, so that it is in the page cache. */
export const warm = (path: string): Buffer => readFileSync(path);

/** A folder for a ledger, empty. */
export function freshFolder(context: BenchContext, name: string): string {
  const folder = join(context.folder, name);
  rmSync(folder, { recursive: true, force: true });
  return folder;
}

/** Opens a ledger with so many worker threads, does the work and closes it. */
export async function withLedger<A>(
  options: { readonly folder: string; readonly threads?: number },
  work: (ledger: Ledger) => Promise<A>,
): Promise<A> {
  const { folder, threads } = options;
  const ledger = await openLedger({
    url: folder,
    mode: 'create',
    ...(threads === undefined ? {} : { threads }),
  });
  return closing(ledger, work);
}

/** Does the work and closes the ledger, however it went. */
export async function closing<A>(ledger: Ledger, work: (ledger: Ledger) => Promise<A>): Promise<A> {
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

/** Records files as captures of a VM. */
export async function record(
  ledger: Ledger,
  request: { readonly vm: string; readonly files: readonly string[] },
  onCapture: (row: CaptureRow) => void = () => undefined,
): Promise<void> {
  const { vm, files } = request;
  await recordImages(
    ledger,
    { vm, group: null },
    { files, timeMs: null, format: 'raw' },
    onCapture,
  );
}

/** Bytes that a file or a folder takes on disk, as `du` counts. */
export function diskBytes(path: string): number {
  const facts = statSync(path);
  const own = facts.blocks * 512;
  if (!facts.isDirectory()) return own;
  return readdirSync(path).reduce((sum, name) => sum + diskBytes(join(path, name)), own);
}

const REPORT = 'PAGELEDGER_BENCH_REPORT';
const BUNDLED = fileURLToPath(new URL('../../bin/main.js', import.meta.url));
const UNBUNDLED = fileURLToPath(new URL('../../adapters/faces/cli/main.js', import.meta.url));
/** The command line's entry, as it is installed; where it was compiled but not bundled, as compiled. */
const CLI = existsSync(BUNDLED) ? BUNDLED : UNBUNDLED;

/** The entry of this build's command line. */
export const thisProgram = (): string => CLI;

/** What node runs the command line with. */
export const cliWords = (words: readonly string[]): readonly string[] => [CLI, ...words];

/** A file of this folder, compiled, to be loaded by `--import` before a program. */
const preload = (name: string): string => new URL(name, import.meta.url).href;

export interface CliRun {
  readonly seconds: number;
  readonly stdout: string;
}

interface Reporting {
  readonly preload: string;
  readonly report: string;
}

/** Runs the command line, or the `program` of another build of it, to its end. */
export function runCli(
  words: readonly string[],
  more: Reporting | null = null,
  program = CLI,
): CliRun {
  const argv = [...(more === null ? [] : ['--import', preload(more.preload)]), program, ...words];
  const env = more === null ? process.env : { ...process.env, [REPORT]: more.report };
  const start = performance.now();
  const done = spawnSync(process.execPath, argv, { encoding: 'utf8', maxBuffer: 2 ** 28, env });
  const seconds = (performance.now() - start) / 1000;
  assert(done.status === 0, `pageledger ${words.join(' ')} succeeds: ${done.stderr.slice(-500)}`);
  return { seconds, stdout: done.stdout };
}

/** As runCli, with what the preloaded file reported of it. */
export function runReporting(
  words: readonly string[],
  request: Reporting,
  program = CLI,
): CliRun & { readonly report: string } {
  const done = runCli(words, request, program);
  const report = readFileSync(request.report, 'utf8');
  rmSync(request.report);
  return { ...done, report };
}

/** As runCli, with what it took. */
export function runCosting(
  context: BenchContext,
  words: readonly string[],
  program = CLI,
): CliRun & ProgramCost {
  const request = { preload: './preload-cost.js', report: join(context.folder, 'cost') };
  const { report, ...done } = runReporting(words, request, program);
  return { ...done, ...(JSON.parse(report) as ProgramCost) };
}

/** Most resident memory that a run of the command line ever had, in MiB. */
export const peakMib = (context: BenchContext, words: readonly string[]): number =>
  runCosting(context, words).peakKib / 1024;
