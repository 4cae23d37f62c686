// What moves of a guest at work to a host that holds nothing, a sibling of it, or an earlier checkpoint of
// it; which of them is chosen; what regions of a least length, and advertisements of an age, cost; and how
// large filters are and how often they are wrong.

import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { moveGuest } from '../../adapters/faces/link/move.ts';
import type { Moved } from '../../adapters/faces/link/source.ts';
import { advertise, advertisementOf, pointsHeld } from '../../adapters/wiring/hosts/contents.ts';
import { joinHost } from '../../adapters/wiring/hosts/hosts.ts';
import { drawMigration } from '../../adapters/wiring/hosts/migrations.ts';
import { placeGuest } from '../../adapters/wiring/hosts/placement.ts';
import type { VmPoint } from '../../adapters/wiring/ledger/vm-point.ts';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { exportGroup, importGroup, restoreToFile, type Ledger } from '../../index.ts';
import { linkTo, taking } from '../support/ledgers/linked-ledgers.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { advertisementRows, filterRows, type Series } from './advertisements.ts';
import { captureLive, workingGuest } from './guest-series.ts';
import { freshFolder, record, withLedger } from './ledgers.ts';
import { figureOf, rowOf, type Figure, type Row } from './measure.ts';

const VM = 'guest';
const MEMORY_MIB = 256;
const CAPTURES = 9;
const HARDWARE = { cores: 64, memoryBytes: 2 ** 40, cpu: '', features: [], qemu: '99.0' };

const mib = (bytes: number): Figure => figureOf([bytes / MIB], 'MiB');

/** A host that a guest may go to, by what it holds of it: an image, or nothing. */
interface Target {
  readonly host: string;
  readonly file: string | null;
}

const pointOf = (ledger: Ledger, at: string): VmPoint => {
  const entry = ledger.vm(VM);
  return { entry, row: ledger.resolve(entry, at) };
};

/** Restores a point of a ledger of this bench to an image. */
async function imageOf(
  context: BenchContext,
  of: { readonly name: string; readonly at: string; readonly to: string },
): Promise<string> {
  const path = join(context.folder, of.to);
  await withLedger({ folder: join(context.folder, of.name) }, (ledger) =>
    restoreToFile(ledger, pointOf(ledger, of.at), { path, isForced: true, format: 'raw' }),
  );
  return path;
}

/** Captures a guest at work, in a ledger in a folder of this name; null where none can run here. */
async function captured(
  context: BenchContext,
  of: { readonly name: string; readonly count: number },
): Promise<string | null> {
  const working = await workingGuest(context, `${of.name}-guest`, MEMORY_MIB);
  if (working === null) return null;
  try {
    context.tell(`it is captured ${of.count} times`);
    await captureLive(context, working.guest, of);
    return working.told;
  } finally {
    await working.guest.kill();
  }
}

/** Moves the newest point of the guest to a host; what was moved, and its regions as that tells them. */
async function movedTo(context: BenchContext, { host, file }: Target): Promise<Moved> {
  context.tell(`the guest goes to the host with ${host}`);
  // Each from a ledger of its own, in which it has not moved yet.
  const folder = freshFolder(context, `from-${host}`);
  cpSync(join(context.folder, 'live'), folder, { recursive: true });
  return withLedger({ folder }, (source) =>
    withLedger({ folder: freshFolder(context, `to-${host}`) }, async (ledger) => {
      const text = await exportGroup(source, 'default');
      await importGroup(ledger, { text, where: 'the source' });
      if (file !== null) await record(ledger, { vm: host, files: [file] });
      const target = await taking(ledger, join(context.folder, `${host}.sock`), { host });
      const moved: Moved[] = [];
      try {
        await moveGuest({
          ledger: source,
          vm: VM,
          migration: drawMigration(),
          from: 'one',
          to: host,
          point: pointOf(source, 'latest'),
          qmp: null,
          reach: () => linkTo(target.path),
          onMoved: (one) => moved.push(one),
          onTold: () => undefined,
        });
      } finally {
        await target.close();
      }
      const [only] = moved;
      assert(only !== undefined && moved.length === 1, 'one capture is moved');
      return only;
    }),
  );
}

/** What went to each host, against a full copy. */
function movedRows(moved: ReadonlyMap<string, Moved>, pages: number, told: string): Row[] {
  const limit = { what: 'a full copy', figure: mib(pages * PAGE_BYTES) };
  const bounds = new Map([['earlier', 0.5]]);
  return [...moved].map(([host, { bytes, pages: sent, patched, held }]) => {
    const bound = bounds.get(host);
    return rowOf({
      what: `bytes on the link to the host with ${host === 'earlier' ? 'an earlier checkpoint' : host}`,
      measured: mib(bytes),
      limit,
      ...(bound === undefined ? {} : { target: { sense: 'at most' as const, bound } }),
      note: `${held} pages were there, ${sent} were sent, ${patched} of them as patches; ${told}`,
    });
  });
}

/** Lets the source know what each host holds, and ranks them. */
async function chosenRow(
  context: BenchContext,
  targets: readonly Target[],
  moved: ReadonlyMap<string, Moved>,
): Promise<Row> {
  const folder = freshFolder(context, 'ranks');
  cpSync(join(context.folder, 'live'), folder, { recursive: true });
  return withLedger({ folder }, async (source) => {
    for (const { host, file } of targets) {
      await joinHost(source, { host, address: null, distances: [], hardware: HARDWARE });
      if (file === null) continue;
      const told = await withLedger({ folder: join(context.folder, `to-${host}`) }, (ledger) =>
        // What it held before the guest came.
        advertisementOf(ledger, pointsHeld([ledger.vm(host)])),
      );
      await advertise(source, host, told);
    }
    const { chosen, hosts } = await placeGuest(source, pointOf(source, 'latest'), {
      by: 'pages',
      from: 'one',
    });
    assert(chosen !== null, 'a host is chosen');
    const least = Math.min(...[...moved.values()].map(({ bytes }) => bytes));
    const ranked = hosts.map(({ host, pages }) => `${host} ${pages}`).join(', ');
    return rowOf({
      what: 'bytes on the link to the host that is chosen',
      measured: mib(moved.get(chosen)!.bytes),
      limit: { what: 'to the one that takes least', figure: mib(least) },
      target: { sense: 'at most', bound: 1 },
      note: `pages in common by regions: ${ranked}`,
    });
  });
}

/** The captures of the guest, and its sibling, in one ledger. */
async function withSeries<A>(
  context: BenchContext,
  sibling: string,
  work: (series: Series) => Promise<A>,
): Promise<A> {
  const folder = freshFolder(context, 'series');
  cpSync(join(context.folder, 'live'), folder, { recursive: true });
  return withLedger({ folder }, async (ledger) => {
    await record(ledger, { vm: 'sibling', files: [sibling] });
    const own = ledger.vm(VM);
    const other = ledger.vm('sibling');
    return work({
      ledger,
      captures: own.captures.map((row) => ({ entry: own, row })),
      sibling: { entry: other, row: ledger.resolve(other, 'latest') },
    });
  });
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const rows = filterRows(context.isQuick);
  const count = context.isQuick ? 3 : CAPTURES;
  const told = await captured(context, { name: 'live', count });
  if (told === null) return rows;
  await captured(context, { name: 'sibling-live', count: 1 });
  const sibling = await imageOf(context, { name: 'sibling-live', at: 'latest', to: 'sibling.raw' });
  const earlier = await imageOf(context, { name: 'live', at: '@1', to: 'earlier.raw' });
  const targets: readonly Target[] = [
    { host: 'nothing', file: null },
    { host: 'sibling', file: sibling },
    { host: 'earlier', file: earlier },
  ];
  const moved = new Map<string, Moved>();
  for (const target of targets) moved.set(target.host, await movedTo(context, target));
  const pages = (MEMORY_MIB * MIB) / PAGE_BYTES;
  const what = `${told}; the checkpoint is ${count - 1} captures, some ${3 * (count - 1)} s of work, older`;
  return [
    ...movedRows(moved, pages, what),
    await chosenRow(context, targets, moved),
    ...(await withSeries(context, sibling, (series) => advertisementRows(series))),
    ...rows,
  ];
}

export const migration: Bench = {
  name: 'migration',
  title: 'What moves of a guest at work',
  run,
};
