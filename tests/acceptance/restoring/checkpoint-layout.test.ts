// A named point is laid out: it is read in fewer, larger pieces, at once, and nobody else is touched. What
// was copied is never needed.

import {
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readPoint } from '../../../adapters/wiring/points/point-reader.ts';
import { sharedMemory } from '../../../domain/ports/guests.ts';
import { ORPHAN_MS } from '../../../domain/use-cases/compact/deletion.ts';
import { countReads } from '../../../domain/use-cases/layout/counted-reads.ts';
import {
  compact,
  copyLedger,
  dropCheckpoint,
  fingerprint,
  forgetPoints,
  isLedgerError,
  openLedger,
  restoreToStream,
  takeCheckpoint,
  verify,
  type Ledger,
} from '../../../index.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { recordImage, restored, withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../support/long-run.ts';

const PAGES = 2048;
const CAPTURES = 6;
const TEXT = { zero: 0, text: 1, random: 0, repeated: 0, duplicate: 0 };
const NOW = { graceMs: 0, isDryRun: false };

let folder: TemporaryFolder;
/** The memory at each capture: pages written at random, everywhere. */
const images: Uint8Array[] = [makeImage({ seed: 11, pages: PAGES })];
for (let seed = 1; seed < CAPTURES; seed += 1)
  images.push(changeImage(images.at(-1)!, { seed, changedPages: 40, mix: TEXT }));
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

let ledgers = 0;
let template: string | null = null;
/** A ledger with the captures of `web`: recorded once, and copied for each test. */
async function recorded(clock?: () => number): Promise<Ledger> {
  if (template === null) {
    template = join(folder.path, 'template');
    await withLedger({ url: template, mode: 'create' }, async (ledger) => {
      for (const image of images)
        await recordImage(ledger, { vm: 'web', image, folder: folder.path });
    });
  }
  const url = join(folder.path, `ledger-${(ledgers += 1)}`);
  cpSync(template, url, { recursive: true });
  const clocked = clock === undefined ? {} : { clock };
  return openLedger({ url, mode: 'write', threads: 0, ...clocked });
}

const checkpoint = (ledger: Ledger, capture = CAPTURES, name = 'named') =>
  takeCheckpoint(ledger, { vm: 'web', name, capture });

/** Reads of a capture by whoever has no map. */
async function plainReads({ state }: Ledger, capture: number): Promise<number> {
  const entry = state.catalogue.vms.get('web')!;
  const table = await state.tables.at(entry, state.contents, entry.capture(capture)!);
  return countReads(state.contents, table);
}

const layoutOf = (ledger: Ledger, name = 'named') =>
  ledger.vm('web').checkpoints.find((each) => each.name === name)?.layout ?? null;

/** Where the ledger that was made last lies, and a pack of it. */
const urlOf = (): string => join(folder.path, `ledger-${ledgers}`);
const packPath = (name: string): string => join(urlOf(), 'packs', name.slice(0, 2), name);

const points = async (ledger: Ledger): Promise<boolean[]> => {
  const equal: boolean[] = [];
  for (const [i, image] of images.entries())
    equal.push(
      (await restored(ledger, { vm: 'web', at: `@${i + 1}`, folder: folder.path })).equals(image),
    );
  return equal;
};
const ALL_EQUAL = images.map(() => true);

describe('a checkpoint', () => {
  test('is read in fewer pieces, and no other point in more', async () => {
    const ledger = await recorded();
    const others = [1, 2, 3, 4, 5];
    const before = await Promise.all(others.map((capture) => plainReads(ledger, capture)));
    const taken = await checkpoint(ledger);
    if (isLedgerError(taken)) throw taken;
    expect(taken.readsBefore).toBe(await plainReads(ledger, CAPTURES));
    expect(taken.reads).toBeLessThan(taken.readsBefore * 0.75);
    // Only what was scattered is copied: five captures' writes, and not what they were written over.
    expect(taken.pages).toBeGreaterThan(120);
    expect(taken.pages).toBeLessThanOrEqual(5 * 40);
    expect(taken.storageBlocks).toBeGreaterThan(1);
    const { layout } = taken;
    expect(layoutOf(ledger)).toEqual(layout);
    const packs = layout.packs.map((name) => statSync(packPath(name)).size);
    expect(packs.reduce((sum, bytes) => sum + bytes, 0)).toBe(layout.bytes);
    const map = packPath(layout.map!.name);
    expect(statSync(map).size).toBe(layout.map!.bytes);

    const after = await Promise.all(others.map((capture) => plainReads(ledger, capture)));
    expect(after).toEqual(before);
    expect(await points(ledger)).toEqual(ALL_EQUAL);
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    await ledger.close();
  });

  test('reads the copies, and only for its own point', async () => {
    const ledger = await recorded();
    await checkpoint(ledger);
    const copies = new Set(layoutOf(ledger)!.packs);
    const read = new Set<string>();
    const { store } = ledger;
    const get = store.get.bind(store);
    store.get = (range) => {
      read.add(range.name);
      return get(range);
    };
    const entry = ledger.vm('web');
    for (const capture of [CAPTURES, CAPTURES - 1]) {
      read.clear();
      const row = entry.capture(capture)!;
      const table = await ledger.state.tables.at(entry, ledger.state.contents, row);
      const { reader } = await readPoint(ledger, { point: { entry, row }, table });
      const pages = await reader.read(table, new Uint8Array(table.length * 4096));
      expect(Buffer.from(pages).equals(images[capture - 1]!)).toBe(true);
      expect([...read].some((name) => copies.has(name))).toBe(capture === CAPTURES);
    }
    await ledger.close();
  });

  test('of memory that was captured just now is laid out as out of the packs, none of which is read', async () => {
    const fromPacks = await recorded();
    const expected = await checkpoint(fromPacks);
    await fromPacks.close();
    const ledger = await recorded();
    const shared = new SharedArrayBuffer(PAGES * 4096);
    new Uint8Array(shared).set(images.at(-1)!);
    const image = {
      file: sharedMemory(shared),
      offsetBytes: 0,
      pageCount: PAGES,
      zeros: null,
      label: 'what was captured',
    };
    const { store } = ledger;
    const get = store.get.bind(store);
    let gets = 0;
    store.get = (range) => {
      gets += 1;
      return get(range);
    };
    const taken = await takeCheckpoint(ledger, {
      vm: 'web',
      name: 'named',
      capture: CAPTURES,
      image,
    });
    expect(gets).toBe(0);
    if (isLedgerError(taken) || isLedgerError(expected)) throw new Error('it is laid out');
    const { layout, pages, storageBlocks, readsBefore, reads } = expected;
    expect(taken).toMatchObject({ pages, storageBlocks, readsBefore, reads });
    expect(taken.layout.bytes).toBe(layout.bytes);
    expect(await points(ledger)).toEqual(ALL_EQUAL);
    expect(gets).toBeGreaterThan(0);
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    await ledger.close();
  });

  test('of a point whose pages lie together has no copies', async () => {
    const ledger = await recorded();
    const taken = await checkpoint(ledger, 1);
    expect(taken).toMatchObject({ layout: { bytes: 0, map: null, packs: [] }, pages: 0 });
    expect(layoutOf(ledger)).toEqual({ bytes: 0, map: null, packs: [] });
    await ledger.close();
  });

  test('is refused before anything is copied where its name is taken, or its capture not there', async () => {
    const ledger = await recorded();
    await checkpoint(ledger, 1);
    const before = readdirSync(join(urlOf(), 'packs'), { recursive: true }).length;
    await expect(checkpoint(ledger)).rejects.toMatchObject({
      refusal: { _tag: 'CheckpointExists' },
    });
    await expect(checkpoint(ledger, 99, 'other')).rejects.toMatchObject({
      refusal: { _tag: 'NoCapture' },
    });
    expect(readdirSync(join(urlOf(), 'packs'), { recursive: true })).toHaveLength(before);
    await ledger.close();
  });

  test('is named where its point cannot be laid out, and leaves nothing behind', async () => {
    const ledger = await recorded();
    const before = readdirSync(join(urlOf(), 'packs'), { recursive: true }).length;
    const { store } = ledger;
    const put = store.put.bind(store);
    let puts = 0;
    // The pack is put, and there is no room for the map.
    store.put = (pack) => {
      puts += 1;
      return puts === 1 ? put(pack) : put({ ...pack, bytes: pack.bytes.subarray(1) });
    };
    const taken = await checkpoint(ledger);
    store.put = put;
    expect(puts).toBe(2);
    expect(isLedgerError(taken)).toBe(true);
    expect(layoutOf(ledger)).toBeNull();
    expect(ledger.vm('web').checkpoints).toHaveLength(1);
    const files = readdirSync(join(urlOf(), 'packs'), { recursive: true, withFileTypes: true });
    expect(files.filter((file) => file.isFile()).length).toBeLessThan(before);
    expect(files.some(({ name }) => /^[0-9a-f]{64}$/u.test(name))).toBe(true);
    expect(await points(ledger)).toEqual(ALL_EQUAL);
    await ledger.close();
  });
});

describe('copies', () => {
  const spoilers: readonly (readonly [string, (path: string) => void])[] = [
    ['gone', (path) => rmSync(path)],
    ['cut', (path) => truncateSync(path, 200)],
    [
      'flipped',
      (path) => {
        const bytes = readFileSync(path);
        for (let at = 150; at < bytes.length; at += 40) bytes[at]! ^= 0x10;
        writeFileSync(path, bytes);
      },
    ],
  ];
  const parts = ['map', 'pack'] as const;
  const cases = spoilers.flatMap(([how, spoil]) =>
    parts.map((part) => [part, how, spoil] as const),
  );

  test.each(sampleOf(cases, 3))(
    'of which the %s is %s are done without, and told of',
    async (part, _how, spoil) => {
      const first = await recorded();
      await checkpoint(first);
      const { map, packs } = layoutOf(first)!;
      await first.close();
      spoil(packPath(part === 'map' ? map!.name : packs[0]!));
      const notices: string[] = [];
      const onNotice = (sentence: string): void => void notices.push(sentence);
      await withLedger({ url: urlOf(), mode: 'write', onNotice }, async (ledger) => {
        expect(await points(ledger)).toEqual(ALL_EQUAL);
        expect(notices).toEqual([expect.stringMatching(/^the point is read without the copies/u)]);
        const piped = new PassThrough();
        const chunks: Buffer[] = [];
        piped.on('data', (chunk: Buffer) => chunks.push(chunk));
        const entry = ledger.vm('web');
        const row = ledger.resolve(entry, 'cp:named');
        await restoreToStream(ledger, { entry, row }, { format: 'raw', writable: piped });
        expect(Buffer.concat(chunks).equals(images.at(-1)!)).toBe(true);
        const { findings, summary } = await verify(ledger, () => undefined);
        expect(findings).toMatchObject([
          { kind: 'layout', where: 'the copies of checkpoint named of VM web', isNote: true },
        ]);
        expect(summary.damaged).toBe(0);
      });
    },
  );

  test('stay as long as the name does, and go a day after they were written', async () => {
    let nowMs = Date.now();
    const ledger = await recorded(() => nowMs);
    await checkpoint(ledger);
    const { map, packs } = layoutOf(ledger)!;
    const named = [map!.name, ...packs];
    const there = async (): Promise<number> => {
      let count = 0;
      for await (const { name } of ledger.store.list()) if (named.includes(name)) count += 1;
      return count;
    };
    const { store } = ledger;
    const now = store.now.bind(store);
    store.now = () => async () => ({ _tag: 'Right', right: nowMs });
    nowMs += 2 * ORPHAN_MS;
    await compact(ledger, NOW);
    expect(await there()).toBe(named.length);
    nowMs = Date.now();
    await dropCheckpoint(ledger, { vm: 'web', name: 'named' });
    await compact(ledger, NOW);
    expect(await there()).toBe(named.length);
    nowMs += 2 * ORPHAN_MS;
    await compact(ledger, NOW);
    expect(await there()).toBe(0);
    store.now = now;
    expect(await points(ledger)).toEqual(ALL_EQUAL);
    await ledger.close();
  });

  test('are known when all that is derived was deleted', async () => {
    const ledger = await recorded();
    await checkpoint(ledger);
    const layout = layoutOf(ledger);
    await ledger.close();
    rmSync(join(urlOf(), 'projections'), { recursive: true });
    await withLedger({ url: urlOf(), mode: 'read' }, async (anew) => {
      expect(layoutOf(anew)).toEqual(layout);
    });
    // And where the state that was kept is read.
    await withLedger({ url: urlOf(), mode: 'read' }, async (again) => {
      expect(layoutOf(again)).toEqual(layout);
    });
  });

  test('go along into a copy of the ledger, and count in no fingerprint', async () => {
    const from = await recorded();
    const bare = await fingerprint(from);
    await checkpoint(from);
    expect(await fingerprint(from)).not.toBe(bare);
    const to = await openLedger({ url: join(folder.path, 'copied'), mode: 'init', threads: 0 });
    const { findings } = await copyLedger({ from, to });
    expect(findings).toEqual([]);
    const { map, packs } = layoutOf(to)!;
    const names = new Set<string>();
    for await (const { name } of to.store.list()) names.add(name);
    expect([map!.name, ...packs].every((name) => names.has(name))).toBe(true);
    expect((await verify(to, () => undefined)).findings).toEqual([]);
    await to.close();
    await from.close();
  });
});

describe('a compaction', () => {
  test.each(sampleOf([CAPTURES, 1, 3], 3))(
    'between naming capture %i and reading it makes no reads more',
    async (capture) => {
      const ledger = await recorded();
      const taken = await checkpoint(ledger, capture);
      if (isLedgerError(taken)) throw taken;
      const first = await compact(ledger, NOW);
      expect(first.rewritten.packs).toBeGreaterThan(0);
      expect(first.laidOut).toMatchObject({ points: 1, readsBefore: taken.reads });
      expect(first.laidOut.reads).toBeLessThanOrEqual(taken.reads);
      expect(await points(ledger)).toEqual(ALL_EQUAL);
      await forgetPoints(ledger, { vm: 'web', before: 'latest' });
      const { laidOut } = await compact(ledger, NOW);
      expect(laidOut.reads).toBeLessThanOrEqual(taken.reads);
      const at = await restored(ledger, { vm: 'web', at: 'cp:named', folder: folder.path });
      expect(at.equals(images[capture - 1]!)).toBe(true);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
      await ledger.close();
    },
    60_000,
  );
});
