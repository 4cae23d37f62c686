// Difference Engine's experiment on real guests: two kernels and three workloads
// of Debian's packages, recorded into one group. What the ledger counts is held against the images
// alone, before and after compaction; docs/sharing.md has the table at size (`npm run bench`).

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openLedger, PAGE_BYTES } from '../../../index.ts';
import { patternOf } from '../../../domain/patterns/describe.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import {
  buildGuests,
  runGuests,
  SMALL_MIXED,
  type BuiltGuest,
  type FoundGuests,
  type GuestMemory,
} from '../../support/guest/mixed-guests.ts';
import {
  describeWithQemu,
  findTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import { differenceEngine, leftAfter } from '../../support/ledgers/difference-engine.ts';
import {
  pagesShared,
  sharingTableOf,
  type SharingTable,
} from '../../support/ledgers/sharing-table.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MEMORY_MIB = 96;
const SCALE = 1;
const TICKS = 1;
/** Of all pages: what even guests that have little in common share, or what is a pattern. */
const NOT_STORED_AT_LEAST = 0.3;

const found = inLongRun(await findTools());
const built: FoundGuests<readonly BuiltGuest[]> =
  found.tools === null
    ? { guests: null, reason: found.reason }
    : await buildGuests(found.tools, { kinds: SMALL_MIXED, scale: SCALE });
const able = built.guests === null ? ({ tools: null, reason: built.reason } as const) : found;

/** What is in the images, page by page, with nothing of the ledger but the grammar of patterns. */
function countsOf(images: readonly Uint8Array[]) {
  const holders = new Map<string, Set<number>>();
  const counts = { pages: 0, zero: 0, pattern: 0 };
  const zeros = Buffer.alloc(PAGE_BYTES);
  let contents = 0;
  for (const [guest, image] of images.entries())
    for (let at = 0; at < image.length; at += PAGE_BYTES) {
      const page = image.subarray(at, at + PAGE_BYTES);
      counts.pages += 1;
      if (zeros.equals(page)) counts.zero += 1;
      else if (patternOf(page) !== null) counts.pattern += 1;
      else {
        contents += 1;
        const digest = createHash('sha256').update(page).digest('base64');
        holders.set(digest, (holders.get(digest) ?? new Set()).add(guest));
      }
    }
  const unique = holders.size;
  const pairs = [...holders.values()].reduce((sum, { size }) => sum + size, 0);
  return { ...counts, unique, mergedInter: pairs - unique, mergedIntra: contents - pairs };
}

const tableOf = async (url: string): Promise<SharingTable> => {
  const ledger = await openLedger({ url, mode: 'read', threads: 0 });
  try {
    return await sharingTableOf(ledger);
  } finally {
    await ledger.close();
  }
};

describeWithQemu('three guests of different content in one ledger', able, () => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let guests: readonly GuestMemory[];
  let recorded: JsonRow;
  let compacted: JsonRow;
  let tables: { readonly before: SharingTable; readonly after: SharingTable };
  const memories = (): Buffer[] => guests.map(({ file }) => readFileSync(file));

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const request = { folder: folder.path, memoryMib: MEMORY_MIB, ticks: TICKS };
    guests = await runGuests(built.guests!, request);
    commands = new LedgerCommands(join(folder.path, 'ledger'));
    for (const { vm, file } of guests)
      await commands.json('record', 'image', '--format', 'raw', '--vm', vm, file);
    [recorded] = (await commands.json('sharing')) as [JsonRow];
    const before = await tableOf(commands.ledger);
    await commands.json('compact', '--grace', '0s');
    [compacted] = (await commands.json('sharing')) as [JsonRow];
    tables = { before, after: await tableOf(commands.ledger) };
  }, 3 * GUEST_TIMEOUT_MS);
  afterAll(() => folder.remove());

  test('is counted as hashing the images alone counts it', () => {
    expect(recorded).toMatchObject({ vms: 3, ...countsOf(memories()) });
  });

  test('needs no storage for much of it, and shares between guests of different kernels', () => {
    const { pages, unique, mergedInter, zero } = recorded as Record<string, number>;
    expect(pages! - unique!).toBeGreaterThan(NOT_STORED_AT_LEAST * pages!);
    expect(zero).toBeGreaterThan(0);
    expect(mergedInter).toBeGreaterThan(0);
  });

  test('adds up, page for page, in the columns of the paper', () => {
    for (const { pages, zero, pattern, sharable, single } of [tables.before, tables.after])
      expect(zero + pattern + sharable + single).toBe(pages);
    expect(pagesShared(tables.before)).toBe(recorded['unique']);
  });

  test('has the same make-up after compaction, in fewer bytes', () => {
    const { pages, zero, pattern, unique, mergedIntra, mergedInter } = recorded;
    expect(compacted).toMatchObject({ pages, zero, pattern, unique, mergedIntra, mergedInter });
    expect(Number(compacted['storedBytes'])).toBeLessThan(Number(recorded['storedBytes']));
    expect(compacted['patched']).toBe(tables.after.patched);
    expect(tables.after.patched).toBeLessThanOrEqual(Number(unique));
  });

  test("takes fewer bytes than Difference Engine's own sharing and patching would leave", () => {
    const paper = differenceEngine(memories());
    const left = leftAfter(paper);
    expect(paper.zero).toBe(recorded['zero']);
    expect(left.sharing).toBeGreaterThanOrEqual(Number(recorded['unique']));
    expect(paper.patched).toBeGreaterThan(0);
    const onDisk = ({ storedBytes, logBytes }: SharingTable): number => storedBytes + logBytes;
    expect(onDisk(tables.before)).toBeLessThan(left.patching * PAGE_BYTES);
    expect(onDisk(tables.after)).toBeLessThan(onDisk(tables.before));
  });

  test('comes back byte for byte out of a compacted ledger, and verifies', async () => {
    for (const { vm, file } of guests) {
      const memory = await commands.bytes('restore', '--vm', vm, '--to', '-');
      expect([vm, memory.equals(readFileSync(file))]).toEqual([vm, true]);
    }
    const [summary, ...more] = await commands.json('verify');
    expect([summary!['damaged'], more]).toEqual([0, []]);
  });
});
