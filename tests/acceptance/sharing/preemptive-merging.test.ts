// Preemptive merging: a page's identifier is looked up before the page is stored, so no
// content is stored twice, ever. Counts are held against a count made from the images alone.

import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PACK_HEADER_BYTES } from '../../../domain/values/pack.ts';
import { FIRST_CONTENT } from '../../../domain/values/holding.ts';
import {
  openLedger,
  PAGE_BYTES,
  retireVm,
  sharingOf,
  verify,
  type CaptureRow,
  type Ledger,
} from '../../../index.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { imageSeries, makeImage, pageAt } from '../../support/images.ts';
import { IS_LONG } from '../../support/long-run.ts';
import {
  contentsOf,
  countedBy,
  countPages,
  distinctPages,
  eventsOf,
  isPatternContent,
  recordFiles,
  recordImage,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
/** Random histories; each of their points is counted. */
const HISTORIES = IS_LONG ? 48 : 3;
let folder: TemporaryFolder;
let url: string;
let ledger: Ledger;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  ledger = await openLedger({ url, mode: 'create', threads: 0 });
});
afterEach(async () => {
  await ledger.close();
  await folder.remove();
});

const record = (vm: string, image: Uint8Array, group?: string): Promise<CaptureRow> =>
  recordImage(ledger, {
    vm,
    image,
    folder: folder.path,
    ...(group === undefined ? {} : { group }),
  });

/** Closes the ledger and opens it again, as the next process would. */
async function reopen(): Promise<void> {
  await ledger.close();
  ledger = await openLedger({ url, mode: 'create', threads: 0 });
}

const outcome = ({ written, stored, merged, pattern, unchanged, broken }: CaptureRow) => ({
  written,
  stored,
  merged,
  pattern,
  unchanged,
  broken,
});

/** An image of so many pages, page gfn filled with the letter at gfn; `0` is a page of zeros. */
const lettered = (letters: string): Buffer =>
  Buffer.concat(
    letters
      .split('')
      .map((letter) => Buffer.alloc(PAGE_BYTES, letter === '0' ? 0 : `${letter} page `)),
  );

/** Gfns of the SharingBroken events of a capture. */
async function brokenGfns(vm: string, capture: number): Promise<unknown[]> {
  const rows = await eventsOf(ledger, { isExpanded: true, type: 'SharingBroken', vm });
  return rows.filter((row) => row.capture === capture).map((row) => row.facts['gfn']);
}

/** Digests of every content that is stored, read back one by one, aliases too. */
async function storedPages(of: Ledger): Promise<string[]> {
  const reader = await of.pageReader();
  const digests: string[] = [];
  for (let content = 0; content < of.state.contents.count; content += 1) {
    const page = await reader.read([FIRST_CONTENT + content], new Uint8Array(PAGE_BYTES));
    digests.push(createHash('sha256').update(page).digest('hex'));
  }
  return digests;
}

async function expectNoContentTwice(of: Ledger = ledger): Promise<void> {
  const pages = await storedPages(of);
  expect(pages.length).toBeGreaterThan(0);
  expect(new Set(pages).size).toBe(pages.length);
}

async function expectCounts(memories: ReadonlyMap<string, Uint8Array>): Promise<void> {
  expect(await countedBy(ledger)).toEqual(countPages(memories));
  for (const vm of memories.keys())
    expect([vm, await countedBy(ledger, vm)]).toEqual([vm, countPages(memories, vm)]);
}

describe('an image that did not change', () => {
  const image = makeImage({ seed: 1, pages: 600 });

  test('recorded again and again by one recorder is one capture of pages', async () => {
    const files = writeImages({ folder: folder.path, name: 'image', images: [image] });
    const rows = await recordFiles(ledger, { vm: 'vm', files: [...files, ...files, ...files] });
    expect(rows.map(({ written, unchanged }) => [written, unchanged])).toEqual([
      [600, 0],
      [0, 600],
      [0, 600],
    ]);
    await expectNoContentTwice();
  });

  test.each(['by the same process', 'by the next process'])(
    'recorded again %s writes no page event and stores nothing',
    async (by) => {
      await record('vm', image);
      const before = await ledger.storedBytes();
      if (by === 'by the next process') await reopen();
      const row = await record('vm', image);
      const nothing = { written: 0, stored: 0, merged: 0, pattern: 0, broken: 0 };
      expect(outcome(row)).toEqual({ ...nothing, unchanged: 600 });
      const after = await ledger.storedBytes();
      expect(after.storedBytes).toBe(before.storedBytes);
      const events = await eventsOf(ledger, { isExpanded: true });
      const second = events.filter(({ capture }) => capture === 2);
      expect(second.map(({ type }) => type)).toEqual(['CaptureCommitted']);
      // A commit and nothing else: far less than a byte a page.
      expect(after.logBytes - before.logBytes).toBeLessThan(700);
    },
  );

  test.each([
    ['are lost', (path: string) => rmSync(path)],
    ['are damaged', (path: string) => writeFileSync(path, readFileSync(path).fill(0x55, 200, 300))],
    ['are of nothing', (path: string) => writeFileSync(path, '')],
  ])('writes nothing either where its fingerprints %s', async (_how, spoil) => {
    await record('vm', image);
    await reopen();
    spoil(join(ledger.local.keys, 'fingerprints', 'vm'));
    const changed = Buffer.from(image);
    pageAt(changed, 17).set([1, 2, 3]);
    expect(await record('vm', changed)).toMatchObject({ written: 1, unchanged: 599 });
    await reopen();
    rmSync(join(ledger.local.keys, 'fingerprints', 'vm'));
    expect(await record('vm', changed)).toMatchObject({ written: 0, unchanged: 600 });
  });

  test('is recorded rightly with the fingerprints of another capture or VM', async () => {
    const series = [...imageSeries({ seed: 2, pages: 600, captures: 4, changedPages: 30 })];
    const fingerprints = join(ledger.local.keys, 'fingerprints');
    await record('vm', series[0]!);
    cpSync(join(fingerprints, 'vm'), join(folder.path, 'old'));
    await record('vm', series[1]!);
    await record('other', series[3]!);
    await reopen();
    cpSync(join(folder.path, 'old'), join(fingerprints, 'vm'));
    const row = await record('vm', series[2]!);
    expect(row.written).toBe(30);
    await reopen();
    cpSync(join(fingerprints, 'vm'), join(fingerprints, 'other'));
    await record('other', series[0]!);
    expect(
      (await restored(ledger, { vm: 'vm', at: '@3', folder: folder.path })).equals(series[2]!),
    ).toBe(true);
    const other = await restored(ledger, { vm: 'other', at: '@2', folder: folder.path });
    expect(other.equals(series[0]!)).toBe(true);
    await expectNoContentTwice();
  });
});

describe('a second VM', () => {
  test('with the same content stores nothing, and its merges are between VMs', async () => {
    const image = makeImage({ seed: 3, pages: 700 });
    await record('first', image);
    const before = await ledger.storedBytes();
    const row = await record('second', image);
    const contents = contentsOf(image);
    const patterns = contents.filter(isPatternContent).length;
    expect(outcome(row)).toMatchObject({ stored: 0, merged: 700 - patterns, pattern: patterns });
    // What describes its patterns is its own: a pattern is shared inside a VM only.
    const more = (await ledger.storedBytes()).storedBytes - before.storedBytes;
    expect(more).toBeLessThan(PACK_HEADER_BYTES + patterns * 160);
    const merges = await eventsOf(ledger, { isExpanded: true, type: 'PageMerged', vm: 'second' });
    expect(merges).toHaveLength(700 - patterns);
    for (const { facts } of merges)
      expect(facts).toMatchObject({ scope: 'inter', holder: { vm: 'first', capture: 1 } });
    await expectCounts(
      new Map([
        ['first', image],
        ['second', image],
      ]),
    );
    await expectNoContentTwice();
  });

  test('in another group shares nothing, and its group is fixed', async () => {
    const image = distinctPages({ pages: 20, seed: 1 });
    await record('first', image);
    expect(await record('second', image, 'other')).toMatchObject({ stored: 20, merged: 0 });
    expect(await record('third', image, 'other')).toMatchObject({ stored: 0, merged: 20 });
    const counts = await countedBy(ledger);
    expect(counts).toMatchObject({ pages: 60, unique: 40, mergedInter: 20, mergedIntra: 0 });
    await expect(record('second', image, 'default')).rejects.toThrow(
      /in group other, not default/u,
    );
    expect(await record('second', image, 'other')).toMatchObject({ written: 0 });
    expect(ledger.vm('second').captures).toHaveLength(2);
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
  });

  test(
    'counts are those made from the images, at every point of a random history',
    async () => {
      const letters = fc.array(fc.constantFrom('0', 'a', 'b', 'c', 'd', 'e', 'f', 'g'), {
        minLength: 12,
        maxLength: 12,
      });
      const steps = fc.array(fc.tuple(fc.constantFrom('red', 'green', 'blue'), letters), {
        minLength: 3,
        maxLength: 8,
      });
      await fc.assert(
        fc.asyncProperty(steps, async (history) => {
          await rmLedger();
          const memories = new Map<string, Uint8Array>();
          const expected: { position: bigint; memories: Map<string, Uint8Array> }[] = [];
          for (const [vm, pages] of history) {
            const image = lettered(pages.join(''));
            const { position } = await record(vm, image);
            memories.set(vm, image);
            expected.push({ position, memories: new Map(memories) });
          }
          for (const { position, memories: then } of expected)
            for (const vm of [null, ...then.keys()])
              expect(await sharingOf(ledger, { position, vm })).toMatchObject({
                ...countPages(then, vm),
              });
          await expectNoContentTwice();
          await expectBrokenAsFolded(history.map(([vm, pages]) => [vm, pages.join('')]));
        }),
        { numRuns: HISTORIES },
      );
    },
    LONG_MS,
  );

  async function rmLedger(): Promise<void> {
    await ledger.close();
    rmSync(url, { recursive: true });
    ledger = await openLedger({ url, mode: 'create', threads: 0 });
  }
});

/** Every SharingBroken of a history of lettered images, by its definition. */
async function expectBrokenAsFolded(history: readonly (readonly [string, string])[]) {
  const pages = new Map<string, string>();
  const captures = new Map<string, number>();
  const expected: string[] = [];
  for (const [vm, letters] of history) {
    const capture = (captures.get(vm) ?? 0) + 1;
    captures.set(vm, capture);
    for (const [gfn, letter] of letters.split('').entries()) {
      const place = `${vm}/${gfn}`;
      const old = pages.get(place) ?? '0';
      const others = [...pages].filter(([at, held]) => held === old && at !== place);
      if (old !== '0' && old !== letter && others.length > 0)
        expected.push(`${vm}@${capture} ${gfn}`);
      pages.set(place, letter);
    }
  }
  const rows = await eventsOf(ledger, { isExpanded: true, type: 'SharingBroken' });
  expect(rows.map(({ vm, capture, facts }) => `${vm}@${capture} ${String(facts['gfn'])}`)).toEqual(
    expected,
  );
}

describe('overwriting a page', () => {
  test('that another page shares breaks the sharing; the last holder breaks nothing', async () => {
    await record('vm', lettered('aaa0b'));
    const row = await record('vm', lettered('xyz0b'));
    expect(outcome(row)).toMatchObject({ stored: 3, merged: 0, broken: 2, unchanged: 2 });
    expect(await brokenGfns('vm', 2)).toEqual([0, 1]);
  });

  test('shared with another VM breaks it once, and not for the other VM afterwards', async () => {
    await record('first', lettered('abcd'));
    await record('second', lettered('abcd'));
    await record('second', lettered('xbcd'));
    expect(await brokenGfns('second', 2)).toEqual([0]);
    await record('first', lettered('ybcd'));
    expect(await brokenGfns('first', 2)).toEqual([]);
  });

  test('of zeros breaks nothing, and a page that becomes zeros breaks what it shared', async () => {
    await record('vm', lettered('00aa'));
    await record('vm', lettered('b00a'));
    expect(await brokenGfns('vm', 2)).toEqual([2]);
  });

  test('with content that it held before is a merge, and stores nothing', async () => {
    await record('vm', lettered('ab'));
    await record('vm', lettered('cb'));
    expect(outcome(await record('vm', lettered('ab')))).toMatchObject({ stored: 0, merged: 1 });
    expect(await countedBy(ledger)).toMatchObject({ unique: 2, mergedIntra: 0, mergedInter: 0 });
    await expectNoContentTwice();
  });

  test('by swapping two pages stores nothing', async () => {
    await record('vm', lettered('ab'));
    expect(outcome(await record('vm', lettered('ba')))).toMatchObject({ stored: 0, merged: 2 });
  });
});

test(
  'a long history of several VMs stores no content twice and counts as its images do',
  async () => {
    const mix = { zero: 20, text: 30, random: 5, repeated: 10, duplicate: 35 };
    const memories = new Map<string, Uint8Array>();
    for (const [i, vm] of ['red', 'green', 'blue'].entries()) {
      const series = { seed: 5, pages: 1500, captures: 3 + i, changedPages: 200, mix };
      for (const image of imageSeries(series)) {
        await record(vm, image);
        memories.set(vm, image);
      }
    }
    await expectCounts(memories);
    await expectNoContentTwice();
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
  },
  LONG_MS,
);

describe('retiring a VM', () => {
  test('takes it out of the counts and keeps its history', async () => {
    const image = makeImage({ seed: 7, pages: 300 });
    const other = makeImage({ seed: 8, pages: 300 });
    await record('kept', image);
    const { position } = await record('retired', other);
    const before = await sharingOf(ledger, { position, vm: null });
    await retireVm(ledger, 'retired');
    await expectCounts(new Map([['kept', image]]));
    const bytes = await restored(ledger, { vm: 'retired', at: '@1', folder: folder.path });
    expect(bytes.equals(other)).toBe(true);
    await expect(record('retired', other)).rejects.toThrow(/was retired/u);
    expect(await sharingOf(ledger, { position, vm: null })).toMatchObject({
      vms: 2,
      unique: before.unique,
    });
  });

  test('lets go of what it shared: the other holder breaks nothing any more', async () => {
    await record('first', lettered('ab'));
    await record('second', lettered('ab'));
    await retireVm(ledger, 'first');
    await reopen();
    expect(outcome(await record('second', lettered('cb')))).toMatchObject({ broken: 0, stored: 1 });
    expect(outcome(await record('third', lettered('ab')))).toMatchObject({ stored: 0, merged: 2 });
  });
});

describe('without its key', () => {
  const image = distinctPages({ pages: 10, seed: 4 });

  test(
    'a ledger restores, and recording says what is missing and what to do',
    async () => {
      await record('vm', image);
      await ledger.close();
      const [key] = readdirSync(ledger.local.keys).filter((name) => name.endsWith('.key'));
      const path = join(ledger.local.keys, key!);
      renameSync(path, join(folder.path, 'key'));
      const commands = new LedgerCommands(url);
      const [file] = writeImages({ folder: folder.path, name: 'again', images: [image] });
      const refused = await commands.run(['record', 'image', '--vm', 'vm', file!]);
      expect(refused.exitCode).toBe(5);
      expect(refused.stderr).toContain('KEY_MISSING');
      expect(refused.stderr).toContain(path);
      const back = await commands.bytes('restore', '--vm', 'vm', '--to', '-');
      expect(back.equals(image)).toBe(true);
      const [summary] = await commands.json('verify');
      expect(summary).toMatchObject({ damaged: 0, withoutKey: ['default'] });
      renameSync(join(folder.path, 'key'), path);
      ledger = await openLedger({ url, mode: 'create', threads: 0 });
      expect(await record('vm', image)).toMatchObject({ capture: 2, written: 0 });
    },
    LONG_MS,
  );

  test('another group of the ledger is recorded as ever', async () => {
    await record('vm', image);
    await record('other', image, 'spare');
    await reopen();
    rmSync(join(ledger.local.keys, 'default.key'));
    await expect(record('vm', image)).rejects.toMatchObject({ code: 'KEY_MISSING' });
    expect(await record('other', image)).toMatchObject({ written: 0 });
  });

  test('that is another one, nothing is recorded', async () => {
    await record('vm', image);
    await reopen();
    await withLedger({ url: join(folder.path, 'stranger'), mode: 'create' }, async (stranger) => {
      const request = { vm: 'vm', image, folder: folder.path };
      await recordImage(stranger, request);
      cpSync(join(stranger.local.keys, 'default.key'), join(ledger.local.keys, 'default.key'));
    });
    await expect(record('vm', image)).rejects.toMatchObject({ name: 'LedgerError' });
    expect(ledger.vm('vm').captures).toHaveLength(1);
  });
});
