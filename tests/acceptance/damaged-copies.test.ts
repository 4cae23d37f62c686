// Copies of damaged ledgers have whatever is whole, say what is not, and have the rest once the original
// is healed.

import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { copyLedger, fingerprint, openLedger, type Copied } from '../../index.ts';
import { repair } from '../../adapters/wiring/repair.ts';
import { judge } from '../support/damaged-ledger.ts';
import { withLedger } from '../support/recorded-images.ts';
import { makeSmallLedger, type Expected } from '../support/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

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
