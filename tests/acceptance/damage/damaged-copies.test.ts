// Copies of damaged ledgers have whatever is whole, say what is not, and have the rest once the original
// is healed.

import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  copyLedger,
  fingerprint,
  openLedger,
  restoreToFile,
  verify,
  type Copied,
} from '../../../index.ts';
import { repair } from '../../../adapters/wiring/verify/repair.ts';
import { judge } from '../../support/spoiled/damaged-ledger.ts';
import { withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeSmallLedger, type Expected } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
let url: string;
let to: string;
let whole: string;
let expected: Expected;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  [url, to, whole] = ['ledger', 'copy', 'whole'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ];
  expected = await makeSmallLedger({ url, scratch: folder.path });
  cpSync(url, whole, { recursive: true });
});
afterEach(() => folder.remove());

async function copied(): Promise<Copied> {
  const from = await openLedger({ url, mode: 'read', threads: 0 });
  const copy = await openLedger({ url: to, mode: 'create', threads: 0 });
  try {
    return await copyLedger({ from, to: copy });
  } finally {
    await copy.close();
    await from.close();
  }
}

const failing = async (of: string): Promise<string[]> => {
  const scratch = join(folder.path, 'scratch');
  const { faults, failed } = await judge({ url: of, expected, scratch, derived: 'helps' });
  // A copy that has a beginning of the ledger knows of nothing behind it.
  const isOfBeginning = /but verify does not name it|latest is not its last capture/u;
  expect(faults.filter((fault) => of === url || !isOfBeginning.test(fault))).toEqual([]);
  return [...failed.keys()].toSorted();
};

const flip = (file: string, at: number): void => {
  const bytes = readFileSync(file);
  bytes[at]! ^= 16;
  writeFileSync(file, bytes);
};

test('a copy has the other VMs of a ledger whose log has lost an event', async () => {
  const [log] = readdirSync(join(url, 'log')).filter((name) => name.endsWith('.log'));
  const file = join(url, 'log', log!);
  flip(file, readFileSync(file).indexOf('"vm":"beta","capture":2') + 2);
  rmSync(join(url, 'projections'), { recursive: true });
  const { findings, fingerprint: print } = await copied();
  expect(print).toBeNull();
  expect(findings.flatMap(({ affects }) => affects)).toEqual(['beta@2..']);
  expect(await failing(to)).toEqual(['beta@2']);
  expect(await failing(url)).toEqual(['beta@2']);
  cpSync(join(whole, 'log'), join(url, 'log'), { recursive: true });
  const again = await copied();
  expect(again.findings).toEqual([]);
  expect(again.fingerprint).toBe(await withLedger({ url: whole, mode: 'read' }, fingerprint));
  expect(await failing(to)).toEqual([]);
});

const packs = (): string[] =>
  readdirSync(join(url, 'packs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/u.test(name))
    .map((name) => join(url, 'packs', name));

/** How many pages each point lacks. */
const lacking = (of: string): Promise<Record<string, number>> =>
  withLedger({ url: of, mode: 'read' }, async (ledger) => {
    const lost: Record<string, number> = {};
    for (const point of expected.keys()) {
      const [vm, capture] = point.split('@') as [string, string];
      const entry = ledger.vm(vm);
      const target = { path: join(folder.path, 'out'), isForced: true, format: 'raw' as const };
      lost[point] = 0;
      const onLost = (pages: Uint32Array): void => {
        lost[point]! += pages.length;
      };
      const row = entry.capture(Number(capture))!;
      await restoreToFile(ledger, { entry, row }, { ...target, onLost });
    }
    return lost;
  });

test.each([
  ['a byte of which is another', (file: string) => flip(file, 3000)],
  ['that are cut off', (file: string) => truncateSync(file, statSync(file).size >> 1)],
])(
  'a copy has what is whole in packs %s, and the rest once the original has it',
  async (_how, damage) => {
    for (const file of packs()) damage(file);
    const before = await lacking(url);
    const { findings, fingerprint: print } = await copied();
    expect([print, findings.length > 0]).toEqual([null, true]);
    expect(await lacking(to)).toEqual(before);
    expect(Object.values(before).some((pages) => pages > 0)).toBe(true);
    expect(await failing(to)).toEqual(await failing(url));
    cpSync(join(whole, 'packs'), join(url, 'packs'), { recursive: true });
    expect((await copied()).findings).toEqual([]);
    expect(await failing(to)).toEqual([]);
    const { summary } = await withLedger({ url: to, mode: 'read' }, (ledger) =>
      verify(ledger, () => undefined),
    );
    expect(summary.damaged).toBe(0);
  },
);

test('a copy says of a pack that is gone which points need it, and has nothing in its place', async () => {
  const [file] = packs();
  rmSync(file!);
  const { findings } = await copied();
  expect(findings.map(({ where }) => where)).toEqual([`pack ${basename(file!)}`]);
  expect(existsSync(join(to, 'packs', basename(file!).slice(0, 2), basename(file!)))).toBe(false);
});

test('a repair stores anew what is whole in damaged packs, so that copies have it', async () => {
  for (const name of readdirSync(join(url, 'packs'), { recursive: true, encoding: 'utf8' }))
    if (/[0-9a-f]{64}$/u.test(name)) flip(join(url, 'packs', name), 3000);
  const before = await failing(url);
  const done = await withLedger({ url, mode: 'write' }, (ledger) =>
    repair(ledger, { from: null, images: [], isConfirmed: true, onProgress: () => undefined }),
  );
  expect(done.rescued).toBeGreaterThan(0);
  expect(await failing(url)).toEqual(before);
  await copied();
  expect(await failing(to)).toEqual(before);
  rmSync(to, { recursive: true });
  await withLedger({ url, mode: 'write' }, async (ledger) => {
    const from = await openLedger({ url: whole, mode: 'read', threads: 0 });
    await repair(ledger, { from, images: [], isConfirmed: true, onProgress: () => undefined });
    await from.close();
  });
  expect((await copied()).findings).toEqual([]);
  expect(await failing(to)).toEqual([]);
});
