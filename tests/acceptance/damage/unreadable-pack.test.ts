// A disk that gives every pack but one: that one is named, and everything else works.

import { cpSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  compact,
  copyLedger,
  openLedger,
  restoreToFile,
  verify,
  type Ledger,
} from '../../../index.ts';
import { repair } from '../../../adapters/wiring/verify/repair.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { digestOf, recordBytes, restoredDigest } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { UnreadableFiles } from '../../support/spoiled/unreadable-files.ts';

const PAGES = 40;
/** Contents that no two images share. */
const mix = { zero: 1, text: 3, random: 3, repeated: 0, duplicate: 0 };
const WEB = makeImage({ seed: 1, pages: PAGES, mix });
const WEB_2 = changeImage(WEB, { seed: 2, changedPages: 5 });
const DB = makeImage({ seed: 3, pages: PAGES, mix });

/** The ledger that each test has a copy of. */
let made: TemporaryFolder;
let packName: string;
let folder: TemporaryFolder;
let url: string;
let scratch: string;
let disk: UnreadableFiles;
/** The pack that web@1 was stored in. */
let pack: string;

async function opened<A>(
  mode: 'create' | 'write' | 'read',
  work: (ledger: Ledger) => Promise<A>,
): Promise<A> {
  const ledger = await openLedger({ url, mode, threads: 0, files: disk.port });
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

const record = (vm: string, bytes: Uint8Array): Promise<number> =>
  opened('create', (ledger) => recordBytes(ledger, { vm, bytes, scratch }));

const packFiles = (): string[] =>
  readdirSync(join(url, 'packs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/u.test(name))
    .map((name) => join(url, 'packs', name));

const findings = (): Promise<readonly Finding[]> =>
  opened('read', async (ledger) => (await verify(ledger, () => undefined)).findings);

const restored = (vm: string, at: string): Promise<string> =>
  opened('read', (ledger) => restoredDigest(ledger, { vm, at, scratch }));

beforeAll(async () => {
  made = await makeTemporaryFolder();
  url = join(made.path, 'ledger');
  scratch = join(made.path, 'scratch');
  disk = new UnreadableFiles();
  await record('web', WEB);
  packName = relative(url, packFiles()[0]!);
  await record('web', WEB_2);
  await record('db', DB);
});
afterAll(() => made.remove());
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  scratch = join(folder.path, 'scratch');
  cpSync(join(made.path, 'ledger'), url, { recursive: true });
  disk = new UnreadableFiles();
  pack = join(url, packName);
});
afterEach(() => folder.remove());

describe.each([
  ['EACCES', {}],
  ['EIO', {}],
  ['EIO', { fromByte: 0 }],
])('where a pack is answered with %s (%j)', (errno, how) => {
  beforeEach(() => {
    disk.refused.set(pack, { errno, ...how });
  });

  test('verify names it, and checks the rest', async () => {
    const { findings: found, summary } = await opened('read', (ledger) =>
      verify(ledger, () => undefined),
    );
    expect(found).toEqual([
      {
        kind: 'unreadable',
        where: `pack ${basename(pack)}`,
        reason: expect.stringContaining(errno),
        affects: ['web@1..2'],
      },
    ]);
    expect(summary).toMatchObject({ damaged: 1, checked: { captures: 3, packs: 3 } });
  });

  test('other points restore, those that need it say so, and the rest of them is given', async () => {
    expect(await restored('db', '@1')).toBe(digestOf(DB));
    await expect(restored('web', '@1')).rejects.toMatchObject({ code: 'PACK_UNREADABLE' });
    const lost: number[] = [];
    await opened('read', (ledger) => {
      const entry = ledger.vm('web');
      const to = { path: scratch, isForced: true, format: 'raw' as const };
      const onLost = (pages: Uint32Array): number => lost.push(...pages);
      return restoreToFile(ledger, { entry, row: entry.capture(1)! }, { ...to, onLost });
    });
    expect(lost.length).toBeGreaterThan(0);
  });

  test('recording goes on, and nothing is said to be lost', async () => {
    const next = changeImage(DB, { seed: 4, changedPages: 3 });
    await findings();
    await record('db', next);
    expect(await restored('db', 'latest')).toBe(digestOf(next));
    disk.refused.clear();
    expect(await findings()).toEqual([]);
    expect(await restored('web', '@1')).toBe(digestOf(WEB));
  });

  test('compaction passes over it, and does the rest', async () => {
    const done = await opened('write', (ledger) =>
      compact(ledger, { graceMs: 0, isDryRun: false }),
    );
    expect(done.unreadable.packs).toBe(1);
    expect(done.rewritten.packs).toBeGreaterThan(0);
    expect(existsSync(pack)).toBe(true);
    expect(await restored('db', '@1')).toBe(digestOf(DB));
    disk.refused.clear();
    expect(await findings()).toEqual([]);
    expect(await restored('web', '@1')).toBe(digestOf(WEB));
  });

  test('a copy has the rest, and names it', async () => {
    const to = join(folder.path, 'copy');
    const copy = await openLedger({ url: to, mode: 'create', threads: 0 });
    const { findings: found } = await opened('read', (from) => copyLedger({ from, to: copy }));
    expect(found).toMatchObject([{ where: `pack ${basename(pack)}`, affects: ['web@1..2'] }]);
    expect(await restoredDigest(copy, { vm: 'db', at: '@1', scratch })).toBe(digestOf(DB));
    await copy.close();
  });

  test('repair puts it back from another ledger', async () => {
    const from = join(folder.path, 'copy');
    const copy = await openLedger({ url: from, mode: 'create', threads: 0 });
    const source = await openLedger({ url, mode: 'read', threads: 0 });
    await copyLedger({ from: source, to: copy });
    await source.close();
    const done = await opened('write', (ledger) =>
      repair(ledger, { from: copy, images: [], isConfirmed: false, onProgress: () => undefined }),
    );
    await copy.close();
    expect([done.packs, done.summary.damaged]).toEqual([1, 0]);
    expect(await restored('web', '@1')).toBe(digestOf(WEB));
  });

  test('repair finds its pages in an image, and says nothing of what it cannot tell', async () => {
    const image = join(folder.path, 'image');
    writeFileSync(image, WEB);
    const repaired = (images: readonly string[]) =>
      opened('write', (ledger) =>
        repair(ledger, { from: null, images, isConfirmed: false, onProgress: () => undefined }),
      );
    expect(await repaired([])).toMatchObject({ rescued: 0, healed: 0, summary: { damaged: 1 } });
    const done = await repaired([image]);
    expect(done.healed).toBeGreaterThan(0);
    expect(done.findings.filter(({ isNote }) => isNote !== true)).toEqual([]);
    expect(await restored('web', '@1')).toBe(digestOf(WEB));
    rmSync(pack);
    expect(await restored('web', '@2')).toBe(digestOf(WEB_2));
  });
});

test('where a part of a pack cannot be read, the rest of it is used', async () => {
  disk.refused.set(pack, { errno: 'EIO', fromByte: 16 * PAGE_BYTES });
  const found = await findings();
  expect(found.length).toBeGreaterThan(0);
  for (const { kind, where } of found) {
    expect(kind).toBe('unreadable');
    expect(where).toMatch(/^pack [0-9a-f]{64}, bytes [0-9]+\.\.[0-9]+$/u);
  }
  const before = found.length;
  const done = await opened('write', (ledger) =>
    repair(ledger, { from: null, images: [], isConfirmed: false, onProgress: () => undefined }),
  );
  expect(done.rescued).toBeGreaterThan(0);
  expect(done.findings.filter(({ isNote }) => isNote !== true)).toHaveLength(before);
  expect(await restored('db', '@1')).toBe(digestOf(DB));
});
