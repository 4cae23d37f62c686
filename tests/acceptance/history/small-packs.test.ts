// Many small captures, each a pack of its own, leave few packs: they are merged while recording goes on,
// beside readers and other recorders, and whatever goes wrong with that, every point is as it was.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { FAN_IN } from '../../../domain/merging.ts';
import { SAFE_GRACE_MS } from '../../../domain/store.ts';
import { compact, openLedger, recordImages, verify, type Ledger } from '../../../index.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { digestOf, restoredDigest } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { IS_LONG } from '../../support/long-run.ts';

const PAGES = 48;
const TEXT = { zero: 0, text: 1, random: 0, repeated: 0, duplicate: 0 };

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const packFiles = (url: string): string[] =>
  readdirSync(join(url, 'packs'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /[0-9a-f]{64}$/u.test(name),
  );

const neededPacks = ({ state: { contents } }: Ledger) => contents.neededFrom(0);

/** A VM that is recorded little by little. */
class Guest {
  readonly #ledger: Ledger;
  readonly vm: string;
  #memory: Uint8Array;
  /** Of each capture, what it must give back. */
  readonly digests: string[] = [];

  constructor(ledger: Ledger, vm: string) {
    this.#ledger = ledger;
    this.vm = vm;
    this.#memory = makeImage({ seed: vm.length, pages: PAGES, mix: TEXT });
  }

  /** Records so many captures in a row: the image changes between them. */
  async record(captures: number): Promise<void> {
    const scratch = join(folder.path, `${this.vm}.raw`);
    const next = (): void => {
      const change = { seed: 100 + this.digests.length, changedPages: 3, mix: TEXT };
      this.#memory = changeImage(this.#memory, change);
      writeFileSync(scratch, this.#memory);
    };
    next();
    const files = Array.from({ length: captures }, () => scratch);
    await recordImages(this.#ledger, { vm: this.vm, group: null }, { files, timeMs: null }, () => {
      this.digests.push(digestOf(this.#memory));
      next();
    });
  }

  /** Captures that a ledger does not give back as they were; every ninth of them, in the long run every third. */
  async wrong(ledger: Ledger): Promise<number[]> {
    const wrong: number[] = [];
    for (let capture = 1; capture <= this.digests.length; capture += IS_LONG ? 3 : 9) {
      const scratch = join(folder.path, `${this.vm}-back.raw`);
      const found = await restoredDigest(ledger, { vm: this.vm, at: `@${capture}`, scratch });
      if (!found.startsWith(this.digests[capture - 1]!)) wrong.push(capture);
    }
    return wrong;
  }
}

test('a long history of small captures has few packs, and all its points', async () => {
  const url = join(folder.path, 'long');
  let nowMs = Date.now();
  const ledger = await openLedger({ url, mode: 'create', threads: 0, clock: () => nowMs });
  const guest = new Guest(ledger, 'guest');
  await guest.record(FAN_IN - 1);
  expect(packFiles(url)).toHaveLength(FAN_IN - 1);
  await guest.record(FAN_IN + 3);
  expect(neededPacks(ledger).length).toBeLessThan(FAN_IN / 2);
  // Readers may hold what lay in the old ones until the grace is over.
  expect(packFiles(url).length).toBeGreaterThan(2 * FAN_IN);
  expect(await guest.wrong(ledger)).toEqual([]);
  nowMs += SAFE_GRACE_MS + 1;
  await guest.record(FAN_IN);
  const gone = FAN_IN + 10;
  expect(packFiles(url).length).toBeLessThan(3 * FAN_IN - gone);
  expect(await guest.wrong(ledger)).toEqual([]);
  expect((await verify(ledger, () => undefined)).findings).toEqual([]);

  // What was merged is packed as what was recorded, once.
  nowMs += SAFE_GRACE_MS + 1;
  const { rewritten } = await compact(ledger, { graceMs: 0, isDryRun: false });
  expect(rewritten.packs).toBeGreaterThan(1);
  expect(rewritten.bytesAfter).toBeLessThan(0.8 * rewritten.bytesBefore);
  expect((await compact(ledger, { graceMs: 0, isDryRun: false })).rewritten.packs).toBe(0);
  expect(packFiles(url).length).toBeLessThan(3);
  expect(await guest.wrong(ledger)).toEqual([]);
  await ledger.close();
}, 120_000);

test('readers and recorders that began before a merge are not harmed by it', async () => {
  const url = join(folder.path, 'beside');
  let nowMs = Date.now();
  const clock = (): number => nowMs;
  const one = await openLedger({ url, mode: 'create', threads: 0, clock });
  const a = new Guest(one, 'a');
  await a.record(FAN_IN - 1);
  const reader = await openLedger({ url, mode: 'read', threads: 0, clock });
  const two = await openLedger({ url, mode: 'create', threads: 0, clock });
  const b = new Guest(two, 'bb');
  await b.record(1);
  const early = [...a.digests];
  // The other process merges, and later deletes, what the reader and the second recorder know of.
  await a.record(2);
  nowMs += SAFE_GRACE_MS + 1;
  await a.record(FAN_IN);
  expect(packFiles(url).length).toBeLessThan(FAN_IN + 10);
  const wrong: number[] = [];
  for (const [i, digest] of early.entries()) {
    const scratch = join(folder.path, 'early.raw');
    const found = await restoredDigest(reader, { vm: 'a', at: `@${i + 1}`, scratch });
    if (!found.startsWith(digest)) wrong.push(i + 1);
  }
  expect(wrong).toEqual([]);
  await b.record(FAN_IN);
  await one.state.catchUp({ heavy: false });
  for (const guest of [a, b]) expect(await guest.wrong(one)).toEqual([]);
  for (const ledger of [one, two, reader]) await ledger.close();
}, 120_000);

test('a pack that cannot be merged fails no recording', async () => {
  const url = join(folder.path, 'damaged');
  const ledger = await openLedger({ url, mode: 'create', threads: 0 });
  const guest = new Guest(ledger, 'guest');
  await guest.record(FAN_IN - 1);
  const { name } = neededPacks(ledger)[5]!;
  const file = join(
    url,
    'packs',
    packFiles(url).find((path) => path.endsWith(name))!,
  );
  const bytes = readFileSync(file);
  bytes[200]! ^= 1;
  writeFileSync(file, bytes);
  await guest.record(FAN_IN + 5);
  expect(guest.digests).toHaveLength(2 * FAN_IN + 4);
  // It is known as damaged from then on, and the others are merged without it.
  expect(ledger.state.losses.slots.size).toBeGreaterThan(0);
  expect(neededPacks(ledger).length).toBeLessThan(FAN_IN);
  expect(neededPacks(ledger).map((pack) => pack.name)).toContain(name);
  const last = { vm: 'guest', at: 'latest', scratch: join(folder.path, 'last.raw') };
  expect(await restoredDigest(ledger, last)).toContain(guest.digests.at(-1)!);
  await ledger.close();
}, 120_000);
