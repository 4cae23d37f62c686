// The same captures of a real guest, recorded here and by what others use today: borg and restic for
// a series of images, QEMU's savevm for a live guest. What is not installed is left out.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { restoreToFile, whatIfOf } from '../../index.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { guestSeries, type Series } from './guest-series.ts';
import { diskBytes, freshFolder, runCli, withLedger } from './ledgers.ts';
import { figureOf, rowOf, secondsOf, type Figure, type Row } from './measure.ts';
import { saveGuest } from './savevm.ts';

const FASTER_AT_LEAST = 10;
/** Of borg's bytes: without patches, as recorded, and after compaction. */
const UNPATCHED_AT_MOST = 0.85;
const BYTES_AT_MOST = 0.6;
const COMPACTED_AT_MOST = 0.45;
const RESTORE_AT_LEAST = 5;
const PAUSE_AT_LEAST = 40;
const LIVE_BYTES_AT_LEAST = 33;

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
  /** After the first capture, and after all. */
  readonly firstBytes: number;
  readonly bytes: number;
  readonly restoreSeconds: Figure;
}

interface OwnCost extends Cost {
  /** A command a capture. */
  readonly apart: Figure;
  /** The same bytes after compaction, each ledger compacted once. */
  readonly compacted: { readonly firstBytes: number; readonly bytes: number };
  /** What the page store would have taken without patches, and took. */
  readonly unpatched: { readonly without: number; readonly recorded: number };
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
  const firstBytes = firstOf(context, peer, files[0]!);
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
  const restoreSeconds = figureOf(restores, 's');
  return { seconds: figureOf(seconds, 's'), firstBytes, bytes, restoreSeconds };
}

/** Bytes of a repository of one capture. */
function firstOf(context: BenchContext, peer: Peer, file: string): number {
  const folder = freshFolder(context, 'peer-first');
  mkdirSync(folder);
  peer.prepare(folder);
  peer.save(folder, file, 'c0');
  return diskBytes(join(folder, 'repository'));
}

const recordInto = (folder: string, files: readonly string[]): number =>
  runCli([
    '--ledger',
    folder,
    'record',
    'image',
    '--init',
    '--format',
    'raw',
    '--vm',
    'guest',
    ...files,
  ]).seconds;

/** Bytes of a ledger after compaction. */
function compactedBytes(folder: string): number {
  runCli(['--ledger', folder, 'compact', '--grace', '0s']);
  return diskBytes(folder);
}

/** What the page store would have taken without patches, from the record. */
async function unpatchedOf(folder: string): Promise<OwnCost['unpatched']> {
  const settings = await withLedger({ folder }, whatIfOf);
  const bytesOf = (wanted: string): number =>
    settings.find(({ setting }) => setting === wanted)!.storedBytes;
  return { without: bytesOf('no patches'), recorded: bytesOf('as recorded') };
}

/** Seconds until a ledger's last image is back, the first time left out. */
async function ownRestores(context: BenchContext, folder: string, file: string): Promise<Figure> {
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
  assert(readFileSync(path).equals(readFileSync(file)), 'the image restores byte-equal');
  return figureOf(restores, 's');
}

/** What this ledger takes for the series: one command for all, and one a capture. */
async function ownCost(
  context: BenchContext,
  request: { readonly files: readonly string[]; readonly samples: number },
): Promise<OwnCost> {
  const { files, samples } = request;
  context.tell('pageledger record image');
  const folder = join(context.folder, 'own');
  const seconds: number[] = [];
  const apart: number[] = [];
  for (let sample = -1; sample < samples; sample += 1) {
    freshFolder(context, 'own');
    const each = await secondsOf(() => {
      for (const file of files) recordInto(folder, [file]);
    });
    freshFolder(context, 'own');
    const all = recordInto(folder, files);
    if (sample < 0) continue;
    apart.push(each);
    seconds.push(all);
  }
  const bytes = diskBytes(folder);
  const restoreSeconds = await ownRestores(context, folder, files.at(-1)!);
  const unpatched = await unpatchedOf(folder);
  const first = freshFolder(context, 'own-first');
  recordInto(first, [files[0]!]);
  const firstBytes = diskBytes(first);
  context.tell('pageledger compact');
  const compacted = { firstBytes: compactedBytes(first), bytes: compactedBytes(folder) };
  await ownRestores(context, folder, files.at(-1)!);
  return {
    seconds: figureOf(seconds, 's'),
    apart: figureOf(apart, 's'),
    firstBytes,
    bytes,
    restoreSeconds,
    compacted,
    unpatched,
  };
}

const mib = (bytes: number): Figure => figureOf([bytes / MIB], 'MiB');

interface Told {
  readonly captures: number;
  readonly guest: string;
}

/** Bytes: the whole ledger's, and what a capture adds to it, the first one left out. */
function byteRows(own: OwnCost, peer: Peer, cost: Cost, captures: number): Row[] {
  const { name } = peer;
  const limit = { what: name, figure: mib(cost.bytes) };
  const atMost = (bound: number) =>
    peer === borg ? { target: { sense: 'at most' as const, bound } } : {};
  const { without, recorded } = own.unpatched;
  const increment = (of: { readonly firstBytes: number; readonly bytes: number }): Figure =>
    mib((of.bytes - of.firstBytes) / Math.max(1, captures - 1));
  const rows: readonly (readonly [string, number, number, string | null])[] = [
    [
      'bytes on disk without patches',
      own.bytes + without - recorded,
      UNPATCHED_AT_MOST,
      'an estimate: `sharing --what-if`',
    ],
    ['bytes on disk, the whole ledger', own.bytes, BYTES_AT_MOST, null],
    ['bytes on disk after compact', own.compacted.bytes, COMPACTED_AT_MOST, null],
  ];
  return [
    ...rows.map(([what, bytes, bound, note]) =>
      rowOf({
        what: `${what}, against ${name}`,
        measured: mib(bytes),
        limit,
        ...atMost(bound),
        ...(note === null ? {} : { note }),
      }),
    ),
    rowOf({
      what: `what a further capture adds (mean), against ${name}`,
      measured: increment(own),
      limit: { what: name, figure: increment(cost) },
    }),
    rowOf({
      what: `the same after compact, against ${name}`,
      measured: increment(own.compacted),
      limit: { what: name, figure: increment(cost) },
    }),
  ];
}

function peerRows(own: OwnCost, peer: Peer, cost: Cost, told: Told): Row[] {
  const target = (bound: number) => ({ target: { sense: 'at least' as const, bound } });
  const isBorg = peer === borg;
  return [
    rowOf({
      what: `the series recorded, one command, against ${peer.name}`,
      measured: own.seconds,
      limit: { what: peer.name, figure: cost.seconds },
      inverse: true,
      ...target(FASTER_AT_LEAST),
      note: `${told.captures} captures of ${told.guest}`,
    }),
    rowOf({
      what: `the same, a command a capture`,
      measured: own.apart,
      limit: { what: peer.name, figure: cost.seconds },
      inverse: true,
    }),
    ...byteRows(own, peer, cost, told.captures),
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
  if (series === null) return [];
  const request = { files: series.files, samples: context.isQuick ? 1 : 3 };
  const own = await ownCost(context, request);
  const told = { captures: series.files.length, guest: series.guest };
  const rows: Row[] = [];
  for (const peer of [borg, restic]) {
    if (!peer.isHere()) {
      context.tell(`${peer.name} is not installed`);
      continue;
    }
    rows.push(...peerRows(own, peer, await costOf(context, peer, request), told));
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
