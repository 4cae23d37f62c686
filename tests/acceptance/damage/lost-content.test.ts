// What is lost is remembered and healed: recording stores it anew instead of linking to it, and every
// point that held it is whole again.

import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  compact,
  listEvents,
  openLedger,
  restoreToFile,
  verify,
  type Ledger,
} from '../../../index.ts';
import { repair } from '../../../adapters/wiring/verify/repair.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { damagedCaptures } from '../../../projections/questions/affected-points.ts';
import { jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import { judge } from '../../support/spoiled/damaged-ledger.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import {
  digestOf,
  makeSmallLedger,
  recordBytes,
  smallImages,
  streamOf,
  type Expected,
} from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 40;
let folder: TemporaryFolder;
let url: string;
let scratch: string;
let expected: Expected;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  scratch = join(folder.path, 'scratch');
  expected = new Map();
});
afterEach(() => folder.remove());

async function opened<A>(mode: 'create' | 'write' | 'read', work: (ledger: Ledger) => Promise<A>) {
  const ledger = await openLedger({ url, mode, threads: 0 });
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

const record = (vm: string, bytes: Uint8Array): Promise<void> =>
  opened('create', async (ledger) => {
    const capture = await recordBytes(ledger, { vm, bytes, scratch });
    expected.set(`${vm}@${capture}`, digestOf(bytes));
  });

const packFiles = (): string[] =>
  readdirSync(join(url, 'packs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/u.test(name))
    .map((name) => join(url, 'packs', name));

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at]! ^= 16;
  writeFileSync(file, bytes);
}

const damages = (): Promise<number> =>
  opened('read', async (ledger) => (await verify(ledger, () => undefined)).summary.damaged);

async function typesOf(type: string): Promise<number> {
  let count = 0;
  const filter = { from: null, to: null, vm: null, type, isExpanded: false };
  await opened('read', (ledger) =>
    listEvents(ledger, filter, (row) => {
      if (row.type === type) count += 1;
      return Promise.resolve();
    }),
  );
  return count;
}

/** Nothing is amiss: with what is derived, and folded anew from the log. */
async function expectWhole(): Promise<void> {
  for (const derived of ['kept', 'gone'] as const) {
    const { faults, failed } = await judge({ url, expected, scratch, derived });
    expect(faults).toEqual([]);
    expect([...failed]).toEqual([]);
  }
}

describe('content that is lost', () => {
  test('is stored anew once verify has found it damaged, and its old points heal', async () => {
    const image = makeImage({ seed: 1, pages: PAGES });
    await record('web', image);
    const [pack] = packFiles();
    flip(pack!, readFileSync(pack!).length >> 1);
    expect(await damages()).toBe(1);
    await record('web2', image);
    expect(await typesOf('ContentLost')).toBe(1);
    await expectWhole();
    expect(await damages()).toBe(0);
    await record('web', changeImage(image, { seed: 2, changedPages: 3 }));
    await expectWhole();
    expect(await typesOf('ContentLost')).toBe(1);
  });

  test('is stored anew where its pack is gone, also of a page that did not change', async () => {
    const image = makeImage({ seed: 3, pages: PAGES });
    const next = changeImage(image, { seed: 4, changedPages: 5 });
    await record('web', image);
    const before = new Set(packFiles());
    await record('web', next);
    const newer = packFiles().find((file) => !before.has(file));
    rmSync(newer!);
    await record('web', next);
    expect(await typesOf('ContentLost')).toBe(1);
    await expectWhole();
  });

  test('stays lost where nobody records it again, and takes nothing else along', async () => {
    const image = makeImage({ seed: 5, pages: PAGES });
    await record('web', image);
    rmSync(packFiles()[0]!);
    const other = makeImage({ seed: 6, pages: PAGES });
    await record('db', other);
    const { faults, failed } = await judge({ url, expected, scratch, derived: 'gone' });
    expect(faults).toEqual([]);
    expect([...failed.keys()]).toEqual(['web@1']);
  });

  test('marks the captures that need it, until it is stored anew', async () => {
    const marks = (): Promise<unknown> =>
      opened('read', async (ledger) =>
        [...(await damagedCaptures(ledger))].map(([vm, of]) => [vm, [...of]]),
      );
    const image = makeImage({ seed: 18, pages: PAGES });
    await record('web', image);
    const [pack] = packFiles();
    await record('web', changeImage(image, { seed: 19, changedPages: 2 }));
    expect(await marks()).toEqual([]);
    rmSync(pack!);
    await record('db', makeImage({ seed: 20, pages: PAGES }));
    expect(await marks()).toEqual([['web', [1, 2]]]);
    const { stdout } = await new LedgerCommands(url).run(['--json', 'captures', '--vm', 'web']);
    const rows = jsonRows(stdout);
    expect(rows.map(({ damaged, damage }) => [damaged, damage])).toEqual([
      [true, null],
      [true, null],
    ]);
    const { failed } = await judge({ url, expected, scratch, derived: 'gone' });
    expect([...failed.keys()]).toEqual(['web@1', 'web@2']);
    // What a pattern keeps is its VM's own, so that it is this VM that heals it.
    await record('web', image);
    expect(await marks()).toEqual([]);
    await expectWhole();
  });

  test('is not said of many packs at once: that may be a wrong place', async () => {
    const images = [7, 8, 9].map((seed) => makeImage({ seed, pages: PAGES }));
    for (const image of images) await record('web', image);
    const away = packFiles().map((file, i) => [file, join(folder.path, String(i))] as const);
    for (const [file, place] of away) renameSync(file, place);
    const thrown: unknown = await record('db', images[0]!).catch((error: unknown) => error);
    expect(isRefused(thrown) && thrown.refusal._tag).toBe('ManyPacksLost');
    for (const [file, place] of away) renameSync(place, file);
    expect(await typesOf('ContentLost')).toBe(0);
    await record('db', images[0]!);
    await expectWhole();
  });
});

describe('repair', () => {
  const repaired = (from: string | null) =>
    opened('write', async (ledger) => {
      const other =
        from === null ? null : await openLedger({ url: from, mode: 'read', threads: 0 });
      const done = await repair(ledger, {
        from: other,
        images: [],
        isConfirmed: false,
        onProgress: () => undefined,
      });
      await other?.close();
      return done;
    });

  test('puts back from another ledger what is damaged or gone', async () => {
    const image = makeImage({ seed: 10, pages: PAGES });
    await record('web', image);
    await record('web', changeImage(image, { seed: 11, changedPages: 4 }));
    const copy = join(folder.path, 'copy');
    cpSync(url, copy, { recursive: true });
    const [one] = packFiles();
    flip(one!, readFileSync(one!).length >> 1);
    const { packs, summary } = await repaired(copy);
    expect([packs, summary.damaged]).toEqual([1, 0]);
    expect(await typesOf('ContentLost')).toBe(0);
    await expectWhole();
  });

  test('says what is lost, and what is there again once its pack was put back', async () => {
    const image = makeImage({ seed: 12, pages: PAGES });
    await record('web', image);
    const [pack] = packFiles();
    const away = join(folder.path, 'away');
    renameSync(pack!, away);
    expect((await repaired(null)).summary.damaged).toBe(1);
    expect([await typesOf('ContentLost'), await typesOf('ContentFound')]).toEqual([1, 0]);
    renameSync(away, pack!);
    expect((await repaired(null)).summary.damaged).toBe(0);
    expect(await typesOf('ContentFound')).toBe(1);
    await record('web', image);
    await expectWhole();
  });
});

describe('repair by identifier', () => {
  const healed = async (
    sources: { readonly from?: string; readonly images?: readonly string[] },
    isConfirmed = true,
  ) =>
    opened('write', async (ledger) => {
      const { from, images = [] } = sources;
      const other =
        from === undefined ? null : await openLedger({ url: from, mode: 'read', threads: 0 });
      const onProgress = (): void => undefined;
      const done = await repair(ledger, { from: other, images, isConfirmed, onProgress });
      await other?.close();
      return done;
    });

  const fileOf = (name: string, bytes: Uint8Array): string => {
    const path = join(folder.path, name);
    writeFileSync(path, bytes);
    return path;
  };

  test('brings all of a series back from the images, patterns and device states too', async () => {
    expected = await makeSmallLedger({ url, scratch: folder.path });
    const { alpha, beta } = smallImages();
    const images = [
      ...alpha.map((bytes, i) => fileOf(`alpha-${i}`, bytes)),
      ...beta.map((bytes, i) => fileOf(`beta-${i}`, streamOf(bytes))),
    ];
    const files = packFiles();
    expect(files.length).toBeGreaterThan(2);
    flip(files[0]!, readFileSync(files[0]!).length >> 1);
    for (const file of files.slice(1)) rmSync(file);
    // That almost all packs are gone is said by nobody: nothing of them is lost.
    const { packs, healed: pages, summary } = await healed({ images }, false);
    expect([packs, summary.damaged]).toEqual([0, 0]);
    expect(pages).toBeGreaterThan(0);
    expect(await typesOf('ContentLost')).toBe(0);
    await expectWhole();
    await record('gamma', alpha[0]!);
    await expectWhole();
    await opened('write', (ledger) => compact(ledger, { graceMs: 0, isDryRun: false }));
    await expectWhole();
    expect(await damages()).toBe(0);
  });

  test('finds what another ledger has in packs of its own', async () => {
    expected = await makeSmallLedger({ url, scratch: folder.path });
    const copy = join(folder.path, 'copy');
    cpSync(url, copy, { recursive: true });
    const other = await openLedger({ url: copy, mode: 'write', threads: 0 });
    await compact(other, { graceMs: 0, isDryRun: false });
    await other.close();
    for (const file of packFiles()) rmSync(file);
    const { packs, healed: pages, summary } = await healed({ from: copy });
    expect([packs, summary.damaged]).toEqual([0, 0]);
    expect(pages).toBeGreaterThan(0);
    await expectWhole();
  });

  test('gives a patch back whole where what it was a patch of is found nowhere', async () => {
    const image = makeImage({ seed: 30, pages: PAGES });
    const next = Buffer.from(image);
    for (let page = 0; page < PAGES; page += 1) next[page * PAGE_BYTES + 99]! ^= 255;
    await record('web', image);
    await record('web', next);
    for (const file of packFiles()) rmSync(file);
    await healed({ images: [fileOf('next', next)] });
    const { faults, failed } = await judge({ url, expected, scratch, derived: 'gone' });
    expect(faults).toEqual([]);
    expect([...failed.keys()]).toEqual(['web@1']);
    await healed({ images: [fileOf('image', image)] });
    await expectWhole();
  });

  test('says for which groups there is no key, and changes nothing of theirs', async () => {
    const image = makeImage({ seed: 31, pages: PAGES });
    await record('web', image);
    rmSync(packFiles()[0]!);
    rmSync(join(url, 'keys'), { recursive: true });
    const found = await healed({ images: [fileOf('image', image)] });
    expect([found.healed, found.withoutKey, found.summary.damaged]).toEqual([0, ['default'], 1]);
  });

  test('asks before it says that very much is lost, of what is found nowhere', async () => {
    const images = [40, 41, 42].map((seed) => makeImage({ seed, pages: PAGES }));
    for (const [i, image] of images.entries()) await record(`vm${i}`, image);
    for (const file of packFiles()) rmSync(file);
    const one = [fileOf('one', images[0]!)];
    const thrown: unknown = await healed({ images: one }, false).catch((error: unknown) => error);
    expect(isRefused(thrown) && thrown.refusal).toMatchObject({ _tag: 'ManyPacksLost', lost: 2 });
    expect(await typesOf('ContentLost')).toBe(0);
    const { failed } = await judge({ url, expected, scratch, derived: 'gone' });
    expect([...failed.keys()]).toEqual(['vm1@1', 'vm2@1']);
    await healed({ images: one });
    expect(await typesOf('ContentLost')).toBeGreaterThan(0);
  });

  test.each([
    ['that is not there', 'SOURCE_UNREADABLE', null],
    ['that is a folder', 'SOURCE_UNREADABLE', 'folder'],
    ['that is none of memory', 'SOURCE_FORMAT', Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3)],
    ['that is no whole pages', 'SOURCE_SIZE', makeImage({ seed: 33, pages: 3 }).subarray(7)],
    ['without a byte', 'SOURCE_EMPTY', new Uint8Array(0)],
  ])('refuses a file %s before it begins', async (_what, code, bytes) => {
    await record('web', makeImage({ seed: 32, pages: PAGES }));
    rmSync(packFiles()[0]!);
    const images = [join(folder.path, 'given')];
    if (bytes === 'folder') mkdirSync(images[0]!);
    else if (bytes !== null) fileOf('given', bytes as Uint8Array);
    let done = 0;
    const request = { from: null, images, isConfirmed: true, onProgress: () => (done += 1) };
    const repairing = opened('write', (ledger) => repair(ledger, request));
    await expect(repairing).rejects.toMatchObject({ code });
    expect([done, await typesOf('ContentLost')]).toEqual([0, 0]);
  });
});

describe('compaction', () => {
  const compacted = () =>
    opened('write', (ledger) => compact(ledger, { graceMs: 0, isDryRun: false }));

  test.each(['damaged', 'gone'])('passes over a pack that is %s, and keeps it', async (how) => {
    const image = makeImage({ seed: 14, pages: PAGES });
    await record('web', image);
    const [pack] = packFiles();
    const next = makeImage({ seed: 15, pages: PAGES });
    await record('web', next);
    await record('web', changeImage(next, { seed: 16, changedPages: 9 }));
    const away = join(folder.path, 'away');
    cpSync(pack!, away);
    if (how === 'gone') rmSync(pack!);
    else flip(pack!, readFileSync(pack!).length >> 1);
    const failing = async (): Promise<readonly string[]> => {
      const { faults, failed } = await judge({ url, expected, scratch, derived: 'gone' });
      expect(faults).toEqual([]);
      return [...failed.keys()];
    };
    const before = await failing();
    expect(before).toContain('web@1');
    const { rewritten, unreadable } = await compacted();
    expect([rewritten.packs, unreadable.packs]).toEqual([2, 1]);
    expect(await failing()).toEqual(before);
    cpSync(away, pack!);
    await expectWhole();
    expect((await compacted()).unreadable.packs).toBe(0);
    await expectWhole();
  });

  test('empties a pack whose lost pages were stored anew', async () => {
    const image = makeImage({ seed: 17, pages: PAGES });
    await record('web', image);
    const [pack] = packFiles();
    flip(pack!, readFileSync(pack!).length >> 1);
    expect(await damages()).toBe(1);
    await record('web2', image);
    const { unreadable } = await compacted();
    expect([unreadable.packs, packFiles().includes(pack!)]).toEqual([0, false]);
    await expectWhole();
  });
});

describe('restoring a point of which pages are lost', () => {
  test('gives back the rest, and says what is missing', async () => {
    const image = makeImage({ seed: 13, pages: PAGES });
    await record('web', image);
    const [pack] = packFiles();
    flip(pack!, readFileSync(pack!).length >> 1);
    const target = join(folder.path, 'restored');
    const lost: number[] = [];
    await opened('read', async (ledger) => {
      const entry = ledger.vm('web');
      const point = { entry, row: ledger.resolve(entry, 'latest') };
      const onLost = (pages: Uint32Array): void => {
        lost.push(...pages);
      };
      await restoreToFile(ledger, point, { path: target, isForced: false, format: 'raw', onLost });
    });
    expect(lost.length).toBeGreaterThan(0);
    const zeroed = Buffer.from(image);
    for (const gfn of lost) zeroed.fill(0, gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);
    expect(digestOf(readFileSync(target))).toBe(digestOf(zeroed));
  });
});
