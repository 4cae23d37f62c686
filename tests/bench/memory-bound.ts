// Resident memory of the command line while it records and restores large images.

import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { fillPage, seededRandom } from '../support/images.ts';
import { GIB, MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, peakMib, runCli } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const FIXED_MIB = 300;
const BYTES_A_PAGE = 16;

/** The bound: 300 MiB, and 16 bytes for each distinct page in the ledger. */
export const memoryBoundMib = (distinctPages: number): number =>
  FIXED_MIB + (BYTES_A_PAGE * distinctPages) / MIB;

/** A sparse image: a page of text every so often. */
function sparseImage(context: BenchContext, bytes: number): string {
  const path = join(context.folder, 'sparse.raw');
  const random = seededRandom(31);
  const page = Buffer.alloc(PAGE_BYTES);
  const fd = openSync(path, 'w');
  ftruncateSync(fd, bytes);
  for (let at = 0; at < bytes; at += 64 * PAGE_BYTES) {
    fillPage(page, 'text', random);
    writeSync(fd, page, 0, PAGE_BYTES, at);
  }
  closeSync(fd);
  return path;
}

interface Sharing {
  readonly unique: number;
}

function measure(context: BenchContext, image: string, label: string): Row[] {
  const folder = freshFolder(context, 'bounded');
  const at = ['--ledger', folder];
  context.tell(label);
  const recording = peakMib(context, [
    ...at,
    'record',
    'image',
    '--init',
    '--format',
    'raw',
    '--vm',
    'guest',
    image,
  ]);
  const restored = join(context.folder, 'bounded.raw');
  const restoring = peakMib(context, [
    ...at,
    'restore',
    '--vm',
    'guest',
    '--to',
    restored,
    '--force',
  ]);
  const { status } = spawnSync('cmp', [image, restored]);
  assert(status === 0, 'the image restores byte-equal');
  const { unique } = JSON.parse(runCli([...at, '--json', 'sharing']).stdout) as Sharing;
  const target = { sense: 'at most', bound: memoryBoundMib(unique) } as const;
  return [
    rowOf({
      what: `resident memory while ${label} is recorded`,
      measured: figureOf([recording], 'MiB'),
      target,
      note: `${unique} distinct pages; the bound is ${FIXED_MIB} MiB and ${BYTES_A_PAGE} bytes for each`,
    }),
    rowOf({ what: `the same, restored`, measured: figureOf([restoring], 'MiB'), target }),
  ];
}

function run(context: BenchContext): Promise<readonly Row[]> {
  const full = guestImage(context, context.isQuick ? 16 : 1024);
  const sparse = sparseImage(context, context.isQuick ? 64 * MIB : 4 * GIB);
  return Promise.resolve([
    ...measure(context, full, 'a guest image of 1 GiB'),
    ...measure(context, sparse, 'a sparse image of 4 GiB'),
  ]);
}

export const memoryBound: Bench = {
  name: 'memory-bound',
  title: 'Resident memory',
  run,
};
