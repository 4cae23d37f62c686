// Points as disks: a whole one copied by nbdcopy, against nbdkit's file plugin over the same bytes in the
// same run; single pages at random, as the library gives them and over the socket; and memory that arrives
// while its guest runs.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Exports, type OpenExport } from '../../adapters/faces/nbd/exports.ts';
import { uriOf } from '../../adapters/faces/nbd/uri.ts';
import { COMMAND } from '../../adapters/faces/nbd/protocol.ts';
import { serveNbd } from '../../adapters/faces/nbd/server.ts';
import type { ListenAddress } from '../../adapters/faces/sockets/listen-address.ts';
import { programPath } from '../../adapters/guests/demo-guest/tools.ts';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { openLedger } from '../../index.ts';
import { seededRandom } from '../support/images.ts';
import { NbdClient } from '../support/clients/nbd-client.ts';
import { arrivingRows } from './arriving-memory.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { figureOf, rowOf, secondsOf, type Row } from './measure.ts';

const NEVER = new AbortController().signal;
const NAME = 'guest/@1';
const READ = { command: COMMAND.read, lengthBytes: PAGE_BYTES };

/** Sets of pages, read hot: how many of them, and how many there are in all. */
interface Sizes {
  readonly pages: number;
  readonly hot: number;
  readonly reads: number;
}

const micros = (seconds: number): number => seconds * 1e6;

/** The value below which so many of a hundred samples lie. */
function percentile(samples: readonly number[], percent: number): number {
  const ordered = samples.toSorted((a, b) => a - b);
  return ordered[Math.min(ordered.length - 1, Math.floor((ordered.length * percent) / 100))]!;
}

/** Seconds that a client of another program takes to read all of an export. */
function copySeconds(uri: string): number {
  const start = performance.now();
  const { status, stderr } = spawnSync('nbdcopy', [uri, 'null:']);
  assert(status === 0, `nbdcopy reads ${uri}: ${String(stderr)}`);
  return (performance.now() - start) / 1000;
}

async function listening(path: string, server: ChildProcess): Promise<void> {
  while (!existsSync(path)) {
    assert(server.exitCode === null, 'the other server runs');
    await pause(10);
  }
}

/** Microseconds of each of so many reads of a random page among those that are hot. */
async function pageTimes(
  { pages, hot, reads }: Sizes,
  read: (page: number) => Promise<unknown>,
): Promise<readonly number[]> {
  const random = seededRandom(4);
  const first = random(pages - hot);
  // At random too: pages that are read in a row are made a window at a time, and their blocks are not kept.
  for (let i = 0; i < reads; i += 1) await read(first + random(hot));
  const times: number[] = [];
  for (let i = 0; i < reads; i += 1)
    times.push(micros(await secondsOf(() => read(first + random(hot)))));
  return times;
}

function latencyRows(
  what: string,
  times: readonly number[],
  most: readonly [number, number] | null,
): Row[] {
  return ([50, 99] as const).map((percent, i) =>
    rowOf({
      what: `a random page, hot, ${what}: p${percent}`,
      measured: figureOf([percentile(times, percent)], 'us'),
      ...(most === null ? {} : { target: { sense: 'at most', bound: most[i]! } }),
      note: `${times.length} reads`,
    }),
  );
}

/** Serves on a socket from a process of its own, as the command does. */
function commandServer(folder: string, path: string): ChildProcess {
  const entry = join(import.meta.dirname, '..', '..', 'bin', 'main.js');
  const words = ['--ledger', folder, 'serve', 'nbd', '--listen', `unix:${path}`];
  return spawn(process.execPath, [entry, ...words], { stdio: 'ignore' });
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  await gone;
}

async function copies(
  context: BenchContext,
  of: { readonly image: string; readonly folder: string; readonly bytes: number },
): Promise<Row[]> {
  if (programPath('nbdkit') === null || programPath('nbdcopy') === null) {
    context.tell('nbdkit or nbdcopy is not installed: nothing is copied');
    return [];
  }
  const [ours, theirs] = ['ours.sock', 'nbdkit.sock'].map((name) => join(context.folder, name));
  const servers = [
    commandServer(of.folder, ours!),
    spawn('nbdkit', ['-f', '-U', theirs!, 'file', of.image], { stdio: 'ignore' }),
  ];
  const rates: number[][] = [[], []];
  try {
    for (const [i, path] of [ours!, theirs!].entries()) await listening(path, servers[i]!);
    const uris = [
      uriOf({ kind: 'unix', path: ours! }, NAME),
      uriOf({ kind: 'unix', path: theirs! }),
    ];
    for (let sample = -1; sample < (context.isQuick ? 2 : 9); sample += 1)
      for (const [i, uri] of uris.entries()) {
        const seconds = copySeconds(uri);
        if (sample >= 0) rates[i]!.push(of.bytes / seconds / 1e6);
      }
  } finally {
    for (const server of servers) await ended(server);
    for (const path of [ours!, theirs!]) rmSync(path, { force: true });
  }
  return [
    rowOf({
      what: `nbdcopy of a point of ${of.bytes / MIB} MiB`,
      measured: figureOf(rates[0]!, 'MB/s'),
      limit: {
        what: "nbdkit's file plugin, the image in the page cache",
        figure: figureOf(rates[1]!, 'MB/s'),
      },
      note: 'over a Unix socket, to nowhere',
    }),
  ];
}

async function overSocket(
  sizes: Sizes,
  of: { readonly exports: Exports; readonly address: ListenAddress & { readonly kind: 'unix' } },
): Promise<readonly number[]> {
  const server = await serveNbd(of.address, {
    exports: of.exports,
    onFailure: () => undefined,
    onTurnedAway: () => undefined,
  });
  const client = await NbdClient.opened(of.address.path, NAME);
  try {
    return await pageTimes(sizes, (page) => client.do({ ...READ, offsetBytes: page * PAGE_BYTES }));
  } finally {
    client.close();
    await server.close();
  }
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const mebibytes = context.isQuick ? 16 : 512;
  const bytes = mebibytes * MIB;
  const image = guestImage(context, mebibytes);
  const folder = freshFolder(context, 'served');
  await withLedger({ folder }, (ledger) => record(ledger, { vm: 'guest', files: [image] }));
  const rows = await copies(context, { image, folder, bytes });
  const pages = bytes / PAGE_BYTES;
  const sizes = { pages, hot: Math.min(4096, pages / 2), reads: context.isQuick ? 200 : 20_000 };
  await withLedger({ folder }, async (ledger) => {
    const waiting = { onAway: () => undefined, onBack: () => undefined };
    const exports = new Exports({
      ledger,
      vm: null,
      listed: 'named',
      use: { kind: 'server', restored: { how: 'nbd' } },
      waiting,
    });
    const opened: OpenExport = await exports.open(NAME);
    const library = await pageTimes(sizes, async (page) =>
      (await opened.served.read(page, 1, NEVER)).giveBack(),
    );
    rows.push(...latencyRows('as a library call', library, [20, 60]));
    const address = { kind: 'unix', path: join(context.folder, 'pages.sock') } as const;
    rows.push(
      ...latencyRows('over a Unix socket', await overSocket(sizes, { exports, address }), null),
    );
    opened.close();
  });
  // Only read: what was asked for once would be given first the next time.
  const ledger = await openLedger({ url: folder, mode: 'read' });
  try {
    rows.push(...(await arrivingRows(context, ledger)));
  } finally {
    await ledger.close();
  }
  rmSync(folder, { recursive: true });
  return rows;
}

export const serving: Bench = { name: 'serving', title: 'Points as disks', run };
