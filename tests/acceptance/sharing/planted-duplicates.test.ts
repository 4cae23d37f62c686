// Families of pages with planted duplicates: in each, a quarter of a second VM's pages are pages of the
// first, laid in a way of its own. Pages of 4 KiB are all found wherever they lie; larger units find
// what happens to lie as they do; where nothing was planted, nothing is found.

import { createCipheriv, createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openLedger, PAGE_BYTES, sharingOf, whatIfOf, type Ledger } from '../../../index.ts';
import { recordFiles, restored, writeImages } from '../../support/ledgers/recorded-images.ts';
import { seededRandom } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 2048;
const PLANTED = PAGES / 4;

/** Pages that nothing compresses and no two of which are equal. */
function randomPages(seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return cipher.update(Buffer.alloc(PAGES * PAGE_BYTES));
}

/** A page of the first VM, and where in the second it is planted. */
interface Planted {
  readonly from: number;
  readonly to: number;
}

/** The whole units of so many pages that are planted one after the other, `shift` pages further on. */
const units = (pages: number, shift: number): Planted[] =>
  Array.from({ length: PLANTED }, (_, i) => {
    const from = Math.floor(i / pages) * 4 * pages + (i % pages);
    return { from, to: (from + shift) % PAGES };
  });

function scattered(): Planted[] {
  const random = seededRandom(23);
  const draw = (): number[] => {
    const drawn = new Set<number>();
    while (drawn.size < PLANTED) drawn.add(random(PAGES));
    return [...drawn];
  };
  const to = draw();
  return draw().map((from, i) => ({ from, to: to[i]! }));
}

interface Family {
  readonly name: string;
  readonly planted: readonly Planted[];
  /** Of the planted pages, those that units of so many pages find. */
  readonly found: {
    readonly 1: number;
    readonly 4: number;
    readonly 16: number;
    readonly 512: number;
  };
}

const FAMILIES: readonly Family[] = [
  {
    name: 'single pages anywhere',
    planted: scattered(),
    found: { 1: PLANTED, 4: 0, 16: 0, 512: 0 },
  },
  {
    name: 'runs of 64 KiB, moved by 4 KiB',
    planted: units(16, 1),
    found: { 1: PLANTED, 4: 0, 16: 0, 512: 0 },
  },
  {
    name: 'runs of 64 KiB, moved by 64 KiB',
    planted: units(16, 16),
    found: { 1: PLANTED, 4: PLANTED, 16: PLANTED, 512: 0 },
  },
  {
    name: 'runs of 2 MiB, where they were',
    planted: units(512, 0),
    found: { 1: PLANTED, 4: PLANTED, 16: PLANTED, 512: PLANTED },
  },
  { name: 'nothing', planted: [], found: { 1: 0, 4: 0, 16: 0, 512: 0 } },
];

const UNITS = [1, 4, 16, 512] as const;
const seedOf = ({ name }: Family): string => name.replaceAll(/\W+/gu, '-');

/** The first VM's image and the second's. */
function imagesOf(family: Family): readonly [Buffer, Buffer] {
  const first = randomPages(`first of ${family.name}`);
  const second = randomPages(`second of ${family.name}`);
  for (const { from, to } of family.planted)
    first.copy(second, to * PAGE_BYTES, from * PAGE_BYTES, (from + 1) * PAGE_BYTES);
  return [first, second];
}

/** Digests of an image's whole units. */
function unitsOf(image: Buffer, pages: number): string[] {
  const bytes = pages * PAGE_BYTES;
  return Array.from({ length: image.length / bytes }, (_, i) =>
    createHash('sha256')
      .update(image.subarray(i * bytes, (i + 1) * bytes))
      .digest('base64'),
  );
}

let folder: TemporaryFolder;
let ledger: Ledger;
/** By family: rows of the second VM's capture, and what hashing units of the images finds. */
const merged = new Map<string, number>();
const unitsFound = new Map<string, readonly number[]>();
/** Distinct units of all images, by their pages. */
const distinct = new Map<number, Set<string>>();

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  ledger = await openLedger({ url: join(folder.path, 'ledger'), mode: 'create', threads: 2 });
  for (const family of FAMILIES) {
    const images = imagesOf(family);
    const files = writeImages({ folder: folder.path, name: 'image', images });
    await recordFiles(ledger, { vm: `${seedOf(family)}-1`, files: [files[0]!] });
    const [row] = await recordFiles(ledger, { vm: `${seedOf(family)}-2`, files: [files[1]!] });
    merged.set(family.name, row!.merged);
    const found = UNITS.map((pages) => {
      const [first, second] = images.map((image) => unitsOf(image, pages));
      const known = new Set(first);
      const all = distinct.get(pages) ?? new Set();
      for (const unit of [...first!, ...second!]) all.add(unit);
      distinct.set(pages, all);
      return second!.filter((unit) => known.has(unit)).length * pages;
    });
    unitsFound.set(family.name, found);
    for (const file of files) rmSync(file);
  }
});
afterAll(async () => {
  await ledger.close();
  await folder.remove();
});

describe.each(FAMILIES)('a family with planted duplicates: $name', (family) => {
  test(`has ${family.found[1]} of its pages merged, all that were planted and no other`, () => {
    expect(merged.get(family.name)).toBe(family.planted.length);
    expect(family.found[1]).toBe(family.planted.length);
  });

  test('would have had fewer found in units of 16 KiB, 64 KiB and 2 MiB', () => {
    expect(unitsFound.get(family.name)).toEqual(UNITS.map((pages) => family.found[pages]));
  });

  test('restores to its images', async () => {
    for (const [i, image] of imagesOf(family).entries()) {
      const of = { vm: `${seedOf(family)}-${i + 1}`, at: 'latest', folder: folder.path };
      expect((await restored(ledger, of)).equals(image)).toBe(true);
    }
  });
});

test('the ledger counts between VMs exactly the pages that were planted', async () => {
  const counts = await sharingOf(ledger, { position: ledger.state.next, vm: null });
  const planted = FAMILIES.reduce((sum, family) => sum + family.planted.length, 0);
  expect(counts).toMatchObject({
    pages: FAMILIES.length * 2 * PAGES,
    zero: 0,
    pattern: 0,
    mergedIntra: 0,
    mergedInter: planted,
  });
});

test('`sharing --what-if` finds, from the record alone, what hashing larger units finds', async () => {
  const settings = await whatIfOf(ledger);
  const pagesOf = (setting: string): number =>
    settings.find((row) => row.setting === setting)!.pages;
  expect(pagesOf('as recorded')).toBe(distinct.get(1)!.size);
  expect(pagesOf('pages of 16 KiB')).toBe(distinct.get(4)!.size);
  expect(pagesOf('pages of 64 KiB')).toBe(distinct.get(16)!.size);
});
