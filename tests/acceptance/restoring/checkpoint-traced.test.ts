// A point that guests ran from is laid out anew by what they asked for, when the ledger is compacted, and
// then only: the next guest that asks the same is given it in few reads.

import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { restored, recordImage, withLedger } from '../../support/ledgers/recorded-images.ts';
import {
  compact,
  dropCheckpoint,
  isLedgerError,
  openLedger,
  takeCheckpoint,
  verify,
  type Ledger,
} from '../../../index.ts';
import type { CompactedLedger } from '../../../adapters/wiring/forget/compact.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { countGets, servedMemory } from '../../support/clients/asking-guest.ts';
import { changeImage, makeImage, seededRandom } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 2048;
/** Half of it packs: the guest is some dozens of storage blocks. */
const MIX = { zero: 0, text: 1, random: 1, repeated: 0, duplicate: 0 };
const NOW = { graceMs: 0, isDryRun: false };
/** Neighbours lie together already: one capture, and few pages of a second one. */
const base = makeImage({ seed: 21, pages: PAGES, mix: MIX });
const image = changeImage(base, { seed: 1, changedPages: 12, mix: MIX });
/** What a guest asks for: single pages from everywhere, in no order of their numbers. */
const random = seededRandom(77);
const ASKED = [...new Set(Array.from({ length: 200 }, () => random(PAGES)))];

let folder: TemporaryFolder;
let template: string;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  template = join(folder.path, 'template');
  await withLedger({ url: template, mode: 'create' }, async (ledger) => {
    for (const each of [base, image])
      await recordImage(ledger, { vm: 'web', image: each, folder: folder.path });
    const taken = await takeCheckpoint(ledger, { vm: 'web', name: 'named', capture: 2 });
    if (isLedgerError(taken)) throw taken;
  });
});
afterAll(() => folder.remove());

let ledgers = 0;
/** A ledger of its own for a test, as the template is. */
function copied(): string {
  const url = join(folder.path, `ledger-${(ledgers += 1)}`);
  cpSync(template, url, { recursive: true });
  return url;
}

const rowOf = (ledger: Ledger, name = 'named') =>
  ledger.vm('web').checkpoints.find((each) => each.name === name)!;

/** Starts a guest that asks for pages: the reads until it had what is prefetched, and in all. */
async function start(
  url: string,
  { mode }: { readonly mode: 'read' | 'write' },
): Promise<{ readonly prefetching: number; readonly all: number }> {
  return withLedger({ url, mode }, async (ledger) => {
    const entry = ledger.vm('web');
    const point = { entry, row: ledger.resolve(entry, 'cp:named') };
    const gets = countGets(ledger, new Set([rowOf(ledger).layout?.map?.name]));
    let prefetching = 0;
    const onPrefetched = (): void => {
      prefetching = gets();
    };
    const wanted = { pageCount: PAGES, asked: ASKED, onPrefetched };
    const memory = await servedMemory(ledger, point, wanted);
    for (const page of ASKED) {
      const [from, end] = [page * PAGE_BYTES, (page + 1) * PAGE_BYTES];
      expect(Buffer.from(memory.subarray(from, end)).equals(image.subarray(from, end))).toBe(true);
    }
    return { prefetching, all: gets() };
  });
}

const compacted = (url: string): Promise<CompactedLedger> =>
  withLedger({ url, mode: 'write' }, (ledger) => compact(ledger, NOW));

describe('a checkpoint that a guest was started from', () => {
  test('is laid out anew by compaction, and what is prefetched is read at once then', async () => {
    const url = copied();
    expect((await compacted(url)).laidOutAnew).toEqual([]);
    expect(await start(url, { mode: 'write' })).toMatchObject({ prefetching: 0 });
    const again = await start(url, { mode: 'read' });
    const { laidOutAnew } = await compacted(url);
    expect(laidOutAnew).toMatchObject([{ vm: 'web', name: 'named' }]);
    const { traced, made } = laidOutAnew[0]!;
    expect(traced).toBeGreaterThan(10);
    // A fifth of the reads, for less than the bytes of the pages.
    expect(made!.reads * 5).toBeLessThan(made!.readsBefore);
    expect(made!.pages).toBeLessThanOrEqual(traced);
    expect(made!.bytes).toBeLessThan(traced * PAGE_BYTES);
    // Nothing was asked for since.
    expect((await compacted(url)).laidOutAnew).toEqual([]);
    const second = await start(url, { mode: 'write' });
    expect(second.prefetching * 2).toBeLessThan(again.prefetching);
    expect(second.all * 2).toBeLessThan(again.all);
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      for (const [at, expected] of [
        ['cp:named', image],
        ['@1', base],
      ] as const) {
        const found = await restored(ledger, { vm: 'web', at, folder: folder.path });
        expect(found.equals(expected)).toBe(true);
      }
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    });
  }, 180_000);

  test('is told of and left alone by a dry run, and what was given up is laid out by nobody', async () => {
    const url = copied();
    await start(url, { mode: 'write' });
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      const packs = readdirSync(join(url, 'packs'), { recursive: true }).length;
      const { layout } = rowOf(ledger);
      const { laidOutAnew } = await compact(ledger, { ...NOW, isDryRun: true });
      expect(laidOutAnew).toMatchObject([{ vm: 'web', name: 'named', made: null }]);
      expect(rowOf(ledger).layout).toEqual(layout);
      expect(readdirSync(join(url, 'packs'), { recursive: true })).toHaveLength(packs);
      await dropCheckpoint(ledger, { vm: 'web', name: 'named' });
      expect((await compact(ledger, NOW)).laidOutAnew).toEqual([]);
    });
  }, 180_000);

  test('is left for the next time where compaction is interrupted, and that is said', async () => {
    const url = copied();
    await compacted(url);
    await start(url, { mode: 'write' });
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      const { layout } = rowOf(ledger);
      const packs = readdirSync(join(url, 'packs'), { recursive: true }).length;
      const stopped = await compact(ledger, { ...NOW, signal: AbortSignal.abort() });
      expect(stopped).toMatchObject({ laidOutAnew: [], leftCheckpoints: 1, isStopped: true });
      expect(rowOf(ledger).layout).toEqual(layout);
      expect(readdirSync(join(url, 'packs'), { recursive: true })).toHaveLength(packs);
      expect(await compact(ledger, NOW)).toMatchObject({
        laidOutAnew: [{ vm: 'web', name: 'named' }],
        leftCheckpoints: 0,
        isStopped: false,
      });
    });
  }, 180_000);

  test('stays as it was laid out where that cannot be done, and compaction goes on', async () => {
    const url = copied();
    await compacted(url);
    await start(url, { mode: 'write' });
    const notices: string[] = [];
    const onNotice = (sentence: string): void => void notices.push(sentence);
    await withLedger({ url, mode: 'write', onNotice }, async (ledger) => {
      const { layout } = rowOf(ledger);
      const { store } = ledger;
      const put = store.put.bind(store);
      // A part of the pack arrives.
      store.put = (pack) => put({ ...pack, bytes: pack.bytes.subarray(1) });
      const { laidOutAnew } = await compact(ledger, NOW);
      store.put = put;
      expect(laidOutAnew).toEqual([]);
      expect(rowOf(ledger).layout).toEqual(layout);
      expect(notices).toEqual([
        expect.stringMatching(/^checkpoint named of VM web stays as it was laid out: /u),
      ]);
    });
  }, 180_000);

  test('is known when all that is derived was deleted, as it was laid out last', async () => {
    const url = copied();
    await start(url, { mode: 'write' });
    await compacted(url);
    const ledger = await openLedger({ url, mode: 'read', threads: 0 });
    const row = rowOf(ledger);
    await ledger.close();
    cpSync(url, `${url}-bare`, {
      recursive: true,
      filter: (path) => !path.endsWith('projections'),
    });
    await withLedger({ url: `${url}-bare`, mode: 'read' }, async (anew) => {
      expect(rowOf(anew)).toEqual(row);
    });
  }, 180_000);
});
