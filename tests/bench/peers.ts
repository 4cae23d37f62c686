// The same captures of a real guest, recorded here and by what others use today: borg and restic for
// a series of images, QEMU's savevm for a live guest. What is not installed is left out.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/assert.ts';
import { restoreToFile } from '../../index.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { guestSeries, type Series } from './guest-series.ts';
import { diskBytes, freshFolder, runCli, withLedger } from './ledgers.ts';
import { figureOf, rowOf, secondsOf, type Figure, type Row } from './measure.ts';
import { saveGuest } from './savevm.ts';

const FASTER_AT_LEAST = 8;
/** Of borg's bytes, without patches. */
const BYTES_AT_MOST = 0.85;
const RESTORE_AT_LEAST = 5;
const PAUSE_AT_LEAST = 40;
const LIVE_BYTES_AT_LEAST = 30;

/** What a program of others does with a series. */
interface Peer {
  readonly name: string;
  readonly isHere: () => boolean;
  readonly prepare: (folder: string) => void;
  readonly save: (folder: string, file: string, name: string) => void;
  /** Gives the file that it made. */
  readonly restore: (folder: string, name: string, file: string) => string;
}

function call(program: string, words: readonly string[], environment: NodeJS.ProcessEnv): void {
  const cwd = environment['BENCH_CWD'];
  const done = spawnSync(program, words, {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    ...(cwd === undefined ? {} : { cwd }),
  });
  assert(done.status === 0, `${program} ${words[0]} succeeds: ${done.stderr}`);
}

const isInstalled = (program: string, word: string): boolean =>
  spawnSync(program, [word]).status === 0;

const borgEnvironment = (folder: string): NodeJS.ProcessEnv => ({
  BORG_BASE_DIR: join(folder, 'base'),
  BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
  BENCH_CWD: folder,
});

const borg: Peer = {
  name: 'borg create (fixed 4 KiB chunks, zstd,1)',
  isHere: () => isInstalled('borg', '--version'),
  prepare: (folder) => {
    call('borg', ['init', '-e', 'none', join(folder, 'repository')], borgEnvironment(folder));
  },
  save: (folder, file, name) => {
    const how = ['--chunker-params', 'fixed,4096', '-C', 'zstd,1'];
    const archive = `${join(folder, 'repository')}::${name}`;
    call('borg', ['create', ...how, archive, file], borgEnvironment(folder));
  },
  restore: (folder, name, file) => {
    const archive = `${join(folder, 'repository')}::${name}`;
    call('borg', ['extract', archive], borgEnvironment(folder));
    return join(folder, file);
  },
};

const resticEnvironment = (folder: string): NodeJS.ProcessEnv => ({
  RESTIC_PASSWORD: 'bench',
  RESTIC_REPOSITORY: join(folder, 'repository'),
  RESTIC_CACHE_DIR: join(folder, 'base'),
});

const restic: Peer = {
  name: 'restic backup',
  isHere: () => isInstalled('restic', 'version'),
  prepare: (folder) => call('restic', ['init'], resticEnvironment(folder)),
  save: (folder, file, name) =>
    call('restic', ['backup', '--tag', name, file], resticEnvironment(folder)),
  restore: (folder, name, file) => {
    const target = ['--target', join(folder, 'target'), '--tag', name];
    call('restic', ['restore', 'latest', ...target], resticEnvironment(folder));
    return join(folder, 'target', file);
  },
};

interface Cost {
  readonly seconds: Figure;
  readonly bytes: number;
  readonly restoreSeconds: Figure;
}

/** What a peer takes for the series: whole runs of its program, one a capture. */
async function costOf(
  context: BenchContext,
  peer: Peer,
  request: { readonly files: readonly string[]; readonly samples: number },
): Promise<Cost> {
  const { files, samples } = request;
  context.tell(peer.name);
  const folder = join(context.folder, 'peer');
  const seconds: number[] = [];
  for (let sample = 0; sample < samples; sample += 1) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    peer.prepare(folder);
    seconds.push(
      await secondsOf(() => {
        for (const [i, file] of files.entries()) peer.save(folder, file, `c${i}`);
      }),
    );
  }
  const bytes = diskBytes(join(folder, 'repository'));
  const last = files.length - 1;
  const restores: number[] = [];
  for (let sample = 0; sample < samples; sample += 1) {
    let restored = '';
    restores.push(
      await secondsOf(() => {
        restored = peer.restore(folder, `c${last}`, files[last]!);
      }),
    );
    assert(readFileSync(restored).equals(readFileSync(files[last]!)), 'a peer restores the image');
    rmSync(restored);
  }
  return { seconds: figureOf(seconds, 's'), bytes, restoreSeconds: figureOf(restores, 's') };
}

/** What this ledger takes for the series: one command for all, and one a capture. */
async function ownCost(
  context: BenchContext,
  request: { readonly files: readonly string[]; readonly samples: number },
): Promise<Cost & { readonly apart: Figure }> {
  const { files, samples } = request;
  context.tell('pageledger record image');
  const folder = join(context.folder, 'own');
  const words = ['--ledger', folder, 'record', 'image', '--format', 'raw', '--vm', 'guest'];
  const seconds: number[] = [];
  const apart: number[] = [];
  for (let sample = -1; sample < samples; sample += 1) {
    freshFolder(context, 'own');
    const each = await secondsOf(() => {
      for (const file of files) runCli([...words, file]);
    });
    freshFolder(context, 'own');
    const all = runCli([...words, ...files]).seconds;
    if (sample < 0) continue;
    apart.push(each);
    seconds.push(all);
  }
  const bytes = diskBytes(folder);
  const path = join(context.folder, 'own.raw');
  const restores: number[] = [];
  await withLedger({ folder }, async (ledger) => {
    const entry = ledger.vm('guest');
    const row = ledger.resolve(entry, 'latest');
    for (let sample = -1; sample < 5; sample += 1) {
      const point = { entry, row };
      const took = await secondsOf(() =>
        restoreToFile(ledger, point, { path, isForced: true, format: 'raw' }),
      );
      if (sample >= 0) restores.push(took);
    }
  });
  assert(readFileSync(path).equals(readFileSync(files.at(-1)!)), 'the image restores byte-equal');
  return {
    seconds: figureOf(seconds, 's'),
    apart: figureOf(apart, 's'),
    bytes,
    restoreSeconds: figureOf(restores, 's'),
  };
}

const mib = (bytes: number): Figure => figureOf([bytes / MIB], 'MiB');

function peerRows(own: Cost & { apart: Figure }, peer: Peer, cost: Cost, note: string): Row[] {
  const target = (bound: number) => ({ target: { sense: 'at least' as const, bound } });
  const isBorg = peer === borg;
  return [
    rowOf({
      what: `the series recorded, one command, against ${peer.name}`,
      measured: own.seconds,
      limit: { what: peer.name, figure: cost.seconds },
      inverse: true,
      ...target(FASTER_AT_LEAST),
      note,
    }),
    rowOf({
      what: `the same, a command a capture`,
      measured: own.apart,
      limit: { what: peer.name, figure: cost.seconds },
      inverse: true,
    }),
    rowOf({
      what: `bytes on disk, the whole ledger, against ${peer.name}`,
      measured: mib(own.bytes),
      limit: { what: peer.name, figure: mib(cost.bytes) },
      ...(isBorg ? { target: { sense: 'at most' as const, bound: BYTES_AT_MOST } } : {}),
    }),
    rowOf({
      what: `one image back (library call), against ${peer.name}`,
      measured: own.restoreSeconds,
      limit: { what: peer.name, figure: cost.restoreSeconds },
      inverse: true,
      ...(isBorg ? target(RESTORE_AT_LEAST) : {}),
    }),
  ];
}

async function liveRows(context: BenchContext, series: Series): Promise<readonly Row[]> {
  const saved = await saveGuest(context);
  if (saved === null) return [];
  const mean = (values: readonly number[], unit: string): Figure => ({
    ...figureOf(values, unit),
    median: values.reduce((sum, value) => sum + value, 0) / values.length,
  });
  const inMib = (bytes: readonly number[]): readonly number[] => bytes.map((count) => count / MIB);
  const pauses = series.captures.map((row) => row.pauseMs ?? Number.NaN);
  return [
    rowOf({
      what: 'pause of the guest, a live capture, against savevm (means)',
      measured: mean(pauses, 'ms'),
      limit: { what: 'savevm', figure: mean(saved.pauseMs, 'ms') },
      inverse: true,
      target: { sense: 'at least', bound: PAUSE_AT_LEAST },
      note: `captured by ${[...new Set(series.captures.map((row) => row.mode))].join(', ')}`,
    }),
    rowOf({
      what: 'bytes on disk, a live capture, against savevm (means)',
      measured: mean(inMib(series.liveBytes), 'MiB'),
      limit: { what: 'savevm', figure: mean(inMib(saved.bytes), 'MiB') },
      inverse: true,
      target: { sense: 'at least', bound: LIVE_BYTES_AT_LEAST },
      note: `each: ${inMib(series.liveBytes)
        .map((size) => size.toFixed(2))
        .join(', ')} MiB`,
    }),
  ];
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const series = await guestSeries(context);
  if (series === null) {
    context.tell('no guest can run here: QEMU, busybox or a kernel is missing');
    return [];
  }
  const request = { files: series.files, samples: context.isQuick ? 1 : 3 };
  const own = await ownCost(context, request);
  const note = `${series.files.length} captures of ${series.guest}`;
  const rows: Row[] = [];
  for (const peer of [borg, restic]) {
    if (!peer.isHere()) {
      context.tell(`${peer.name} is not installed`);
      continue;
    }
    rows.push(...peerRows(own, peer, await costOf(context, peer, request), note));
  }
  rows.push(...(await liveRows(context, series)));
  return rows;
}

export const peers: Bench = {
  name: 'peers',
  title: 'The same captures by borg, restic and savevm',
  isPeer: true,
  run,
};
