// A recorder that is killed at a random moment: the ledger opens, every committed capture restores
// byte-equal, `verify` is clean, and recording goes on. It holds regions large, or small, or as they were.
//
// PAGELEDGER_KILLS: how many times (`npm run test:long`: 200). PAGELEDGER_SEED: the seed of the moments.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openLedger, sharingOf, type LargeHolding, type Ledger } from '../../../index.ts';
import { PACK_PAGES_MAX } from '../../../domain/values/page.ts';
import { LedgerCommands, jsonRows, withoutSummary } from '../../support/command-line.ts';
import { changeImage, seededRandom } from '../../support/images.ts';
import { distinctPages, recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';
import { digestOf, restoredDigest } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { thrownText } from '../../support/outcomes.ts';

const KILLS = Number(process.env['PAGELEDGER_KILLS'] ?? 3);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? Date.now() % 1_000_000);
/** Two packs and a part. */
const PAGES = 2 * PACK_PAGES_MAX + 512;
const MIX = { zero: 1, text: 0, random: 0, repeated: 3, duplicate: 0 };
const VM = 'guest';
/** A ledger is left for a new one after so many kills. */
const KILLS_A_LEDGER = 4;

let folder: TemporaryFolder;
let images: string[];
let digests: string[];

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const first = distinctPages({ pages: PAGES, seed: SEED });
  const second = changeImage(first, { seed: SEED + 1, changedPages: 900, mix: MIX });
  const third = changeImage(second, { seed: SEED + 2, changedPages: 300, mix: MIX });
  images = writeImages({ folder: folder.path, name: 'image', images: [first, second, third] });
  digests = images.map((path) => digestOf(readFileSync(path)));
});
afterAll(() => folder.remove());

/** How recorders hold regions, one after the other. */
const HOLDINGS: readonly LargeHolding[] = ['all', 'as written', 'none'];
const holdingOf = (kill: number): LargeHolding => HOLDINGS[kill % HOLDINGS.length]!;

/** Capture N is of the Nth image, round and round, whoever recorded it. */
const imageOf = (capture: number): number => (capture - 1) % images.length;

const filesFrom = (capture: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => images[imageOf(capture + i)]!);

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

const capturesIn = (ledger: Ledger): number[] =>
  ledger.state.catalogue.vms.get(VM)?.captures.map((row) => row.capture) ?? [];

interface Killed {
  readonly large: LargeHolding;
  /** Captures that the recorder had said were committed. */
  readonly acknowledged: readonly number[];
  readonly isKilled: boolean;
}

/** Records the images twice over, in a process of its own, and kills it after `afterMs`. */
async function recordAndKill(
  url: string,
  {
    captures,
    afterMs,
    large,
  }: { readonly captures: number; readonly afterMs: number; readonly large: LargeHolding },
): Promise<Killed> {
  const files = filesFrom(captures + 1, 2 * images.length);
  const holding = large === 'as written' ? [] : ['--large', large];
  const words = ['--json', 'record', 'image', '--vm', VM, ...holding, ...files];
  const command = new LedgerCommands(url).start(words);
  await sleep(afterMs);
  command.signal('SIGKILL');
  const { signal, stdout } = await command.ended;
  const lines = stdout.toString('utf8');
  const rows = withoutSummary(jsonRows(lines.slice(0, lines.lastIndexOf('\n') + 1)));
  return {
    large,
    acknowledged: rows.map((row) => Number(row['capture'])),
    isKilled: signal === 'SIGKILL',
  };
}

/** What is wrong with how the regions of captures are held that a killed recorder had committed. */
async function holdingFaults(ledger: Ledger, { large, acknowledged }: Killed): Promise<string[]> {
  const faults: string[] = [];
  for (const capture of large === 'as written' ? [] : acknowledged) {
    const { position } = ledger.resolve(ledger.vm(VM), `@${capture}`);
    const { heldLarge } = await sharingOf(ledger, { position, vm: null });
    if (heldLarge > 0 !== (large === 'all'))
      faults.push(`capture ${capture} has ${heldLarge} pages held large by --large ${large}`);
  }
  return faults;
}

/** What is wrong after a kill; the ledger has one more capture afterwards. */
async function faultsAfter(url: string, killed: Killed): Promise<string[]> {
  const faults: string[] = [];
  const scratch = join(folder.path, 'restored');
  const ledger = await openLedger({ url, mode: 'create', threads: 0 });
  try {
    const captures = capturesIn(ledger);
    for (const capture of killed.acknowledged)
      if (!captures.includes(capture)) faults.push(`capture ${capture} was committed and is lost`);
    faults.push(...(await holdingFaults(ledger, killed)));
    const next = { vm: VM, files: filesFrom(captures.length + 1, 1), large: killed.large };
    const [row] = await recordFiles(ledger, next);
    for (const capture of [...captures, row!.capture]) {
      const digest = await restoredDigest(ledger, { vm: VM, at: `@${capture}`, scratch });
      if (digest !== digests[imageOf(capture)]) faults.push(`capture ${capture} is other memory`);
    }
  } finally {
    await ledger.close();
  }
  const checked = await new LedgerCommands(url).run(['verify']);
  if (checked.exitCode !== 0)
    faults.push(`verify: exit ${checked.exitCode}: ${checked.stdout.toString()}${checked.stderr}`);
  return faults;
}

/** How long a recording that nobody kills takes here and now. */
async function wholeRunMs(): Promise<number> {
  const url = join(folder.path, 'whole');
  const start = performance.now();
  const { exitCode } = await new LedgerCommands(url).run([
    'record',
    'image',
    '--vm',
    VM,
    ...filesFrom(1, 2 * images.length),
  ]);
  expect(exitCode).toBe(0);
  const packs = readdirSync(join(url, 'packs'), { recursive: true }).length;
  expect(packs).toBeGreaterThan(3);
  rmSync(url, { recursive: true });
  return performance.now() - start;
}

test(
  `a recorder killed ${KILLS} times loses no committed capture (PAGELEDGER_SEED=${SEED})`,
  async () => {
    const random = seededRandom(SEED);
    const runMs = await wholeRunMs();
    const faults: string[] = [];
    let kills = 0;
    let captures = 0;
    let url = '';
    for (let i = 0; i < KILLS; i += 1) {
      if (i % KILLS_A_LEDGER === 0) {
        if (url !== '') rmSync(url, { recursive: true });
        url = join(folder.path, `ledger-${i}`);
        captures = 0;
      }
      const afterMs = Math.floor(runMs * 0.15) + random(Math.ceil(runMs * 0.8));
      const killed = await recordAndKill(url, { captures, afterMs, large: holdingOf(i) });
      if (killed.isKilled) kills += 1;
      if (random(4) === 0) rmSync(join(url, 'projections'), { recursive: true, force: true });
      const where = `kill ${i} after ${afterMs} ms, seed ${SEED}`;
      const found = await faultsAfter(url, killed).catch((thrown: unknown) => [thrownText(thrown)]);
      faults.push(...found.map((fault) => `${where}: ${fault}`));
      const ledger = await openLedger({ url, mode: 'read', threads: 0 });
      captures = capturesIn(ledger).length;
      await ledger.close();
    }
    expect(faults).toEqual([]);
    expect(kills).toBeGreaterThan(0);
  },
  300_000 + KILLS * 15_000,
);
