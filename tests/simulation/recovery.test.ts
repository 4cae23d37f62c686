// A crash after every file operation of a recording, on a disk that may lose whatever was not synced:
// the ledger opens, what was acknowledged is there, what can be seen is right, `verify` is clean, and
// recording goes on.
//
// PAGELEDGER_SEED: which of the unsynced bytes and names a crash keeps. PAGELEDGER_STEP: only every so
// many operations, another third of them for each kind of crash; 1: every one.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { openLedger, takeCheckpoint, verify, type Ledger } from '../../index.ts';
import { changeImage, makeImage } from '../support/images.ts';
import {
  digestOf,
  recordBytes,
  restoredDigest,
  streamOf,
} from '../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';
import { crashKinds, faultsAtEveryCrash } from './crashes.ts';
import { LossyFiles } from './lossy-files.ts';

const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_262);
const STEP = Number(process.env['PAGELEDGER_STEP'] ?? 17);
const URL_OF_LEDGER = '/disk/ledger';
const PAGES = 12;

/** An action that was acknowledged when so many operations had been done. */
interface Acknowledged {
  readonly point: string;
  readonly operations: number;
}

interface Series {
  readonly files: LossyFiles;
  readonly acknowledged: readonly Acknowledged[];
  /** Digest of the memory that each capture has, whenever it is seen. */
  readonly expected: ReadonlyMap<string, string>;
}

let folder: TemporaryFolder;
let scratch: string;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  scratch = join(folder.path, 'scratch');
});
afterAll(() => folder.remove());

const open = (files: LossyFiles): Promise<Ledger> =>
  openLedger({ url: URL_OF_LEDGER, mode: 'create', threads: 0, files });

/** Two VMs that share content, recorded in turns by two openings of the ledger. */
async function recordSeries(): Promise<Series> {
  const files = new LossyFiles(['/', '/disk']);
  const acknowledged: Acknowledged[] = [];
  const expected = new Map<string, string>();
  const alpha = makeImage({ seed: SEED, pages: PAGES });
  const beta = changeImage(alpha, { seed: SEED + 1, changedPages: 3 });
  let ledger = await open(files);
  const acknowledge = (point: string): void => {
    acknowledged.push({ point, operations: files.operations.length });
  };
  const record = async (vm: string, memory: Uint8Array, bytes = memory): Promise<void> => {
    const capture = await recordBytes(ledger, { vm, bytes, scratch });
    expected.set(`${vm}@${capture}`, digestOf(memory));
    acknowledge(`${vm}@${capture}`);
  };
  await record('alpha', alpha);
  await record('beta', beta, streamOf(beta));
  await takeCheckpoint(ledger, { vm: 'alpha', name: 'named', capture: 1 });
  expected.set('alpha cp:named', expected.get('alpha@1')!);
  acknowledge('alpha cp:named');
  await ledger.close();
  ledger = await open(files);
  await record('alpha', changeImage(alpha, { seed: SEED + 2, changedPages: 4 }));
  await record('alpha', changeImage(alpha, { seed: SEED + 3, changedPages: 2 }));
  await ledger.close();
  return { files, acknowledged, expected };
}

/** The digest of memory alone: a device state's is behind it. */
const MEMORY_DIGITS = 64;

async function digestAt(ledger: Ledger, point: string): Promise<string> {
  const [vm, at] = point.includes('@')
    ? [point.split('@')[0]!, `@${point.split('@')[1]!}`]
    : (point.split(' ') as [string, string]);
  return (await restoredDigest(ledger, { vm, at, scratch: '/disk/restored' })).slice(
    0,
    MEMORY_DIGITS,
  );
}

/** Everything that can be seen, as points. */
const visiblePoints = (ledger: Ledger): string[] =>
  [...ledger.state.catalogue.vms.values()].flatMap((entry) => [
    ...entry.captures.map((row) => `${entry.vm}@${row.capture}`),
    ...entry.checkpoints.map((row) => `${entry.vm} cp:${row.name}`),
  ]);

/** Records on, and gives back what was recorded. */
async function goOn(files: LossyFiles): Promise<string | null> {
  const ledger = await open(files);
  try {
    for (const vm of ['alpha', 'gamma']) {
      const memory = makeImage({ seed: SEED + 7, pages: PAGES });
      const capture = await recordBytes(ledger, { vm, bytes: memory, scratch });
      if ((await digestAt(ledger, `${vm}@${capture}`)) !== digestOf(memory))
        return `${vm}@${capture}, recorded afterwards, is not what was recorded`;
    }
    return null;
  } finally {
    await ledger.close();
  }
}

/** What is wrong with the ledger that a crash left. */
async function faultsAfter(series: Series, count: number, files: LossyFiles): Promise<string[]> {
  const faults: string[] = [];
  const ledger = await open(files);
  try {
    const visible = visiblePoints(ledger);
    for (const { point, operations } of series.acknowledged)
      if (operations <= count && !visible.includes(point)) faults.push(`${point} is lost`);
    for (const point of visible)
      if ((await digestAt(ledger, point)) !== series.expected.get(point))
        faults.push(`${point} is not what was recorded`);
    const { findings } = await verify(ledger, () => undefined);
    faults.push(...findings.map(({ kind, where, reason }) => `verify: ${kind} ${where} ${reason}`));
  } finally {
    await ledger.close();
  }
  const fault = await goOn(files);
  return fault === null ? faults : [...faults, fault];
}

let series: Series | null = null;
const seriesOnce = async (): Promise<Series> => (series ??= await recordSeries());

test('the recording syncs what it acknowledges, over many operations', async () => {
  const { files, acknowledged, expected } = await seriesOnce();
  expect(acknowledged.map(({ point }) => point)).toEqual([
    'alpha@1',
    'beta@1',
    'alpha cp:named',
    'alpha@2',
    'alpha@3',
  ]);
  expect(expected.size).toBe(acknowledged.length);
  expect(files.operations.length).toBeGreaterThan(60);
});

test.each(crashKinds(SEED))(
  'a crash after any file operation that %s leaves a whole ledger',
  async (_name, first, keptAt) => {
    const of = await seriesOnce();
    const { files } = of;
    const faultsThen = (left: LossyFiles, count: number): Promise<string[]> =>
      faultsAfter(of, count, left);
    const at = { files, from: first % STEP, step: STEP, keptAt };
    expect(await faultsAtEveryCrash({ ...at, faultsAfter: faultsThen })).toEqual([]);
  },
  300_000,
);
