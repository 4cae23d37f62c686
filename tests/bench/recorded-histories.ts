// Long histories of small captures, each recorded by a process of its own, so that its memory is its own.

import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../../domain/values/assert.ts';
import type { BenchContext } from './bench.ts';
import { freshFolder } from './ledgers.ts';
import type { ProgramCost } from './preload-cost.ts';

const PROGRAM = fileURLToPath(new URL('small-captures.js', import.meta.url));

interface Check {
  readonly capture: number;
  readonly sha256: string;
  /** Since the recording began. */
  readonly ms: number;
}

/** What was recorded, with the SHA-256 of the memory at some captures. */
export interface History {
  readonly folder: string;
  readonly captures: number;
  readonly checks: readonly Check[];
  readonly seconds: number;
  readonly peakMib: number;
}

/** `changed` pages a capture are rewritten, of `hot` ones. */
export interface HistoryRequest {
  readonly name: string;
  readonly base: string;
  readonly captures: number;
  readonly changed: number;
  readonly hot: number;
}

/** Records captures of an image that is changed in place. */
export function makeHistory(context: BenchContext, request: HistoryRequest): History {
  const { name, base, captures, changed, hot } = request;
  context.tell(`${captures} captures, ${changed} writes each to ${hot} pages`);
  const folder = freshFolder(context, name);
  const image = join(context.folder, `${name}.raw`);
  const report = join(context.folder, `${name}.cost`);
  copyFileSync(base, image);
  const start = performance.now();
  const done = spawnSync(
    process.execPath,
    [
      '--import',
      new URL('preload-cost.js', import.meta.url).href,
      PROGRAM,
      folder,
      image,
      ...[captures, changed, hot].map(String),
    ],
    { encoding: 'utf8', env: { ...process.env, PAGELEDGER_BENCH_REPORT: report } },
  );
  assert(done.status === 0, `a history is recorded: ${done.stderr.slice(-500)}`);
  const seconds = (performance.now() - start) / 1000;
  const checks = done.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Check);
  const { peakKib } = JSON.parse(readFileSync(report, 'utf8')) as ProgramCost;
  return { folder, captures, checks, seconds, peakMib: peakKib / 1024 };
}
