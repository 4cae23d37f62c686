// Regions of 2 MiB held large in the page store, against the same memory held small: answers are alike, and
// what is stored is not.

import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  compact,
  copyLedger,
  decideLarge,
  diffOf,
  exportGroup,
  fingerprint,
  forgetHistory,
  forgetPoints,
  historyOf,
  importGroup,
  PAGE_BYTES,
  sharingOf,
  verify,
  whoHolds,
  type DecideRequest,
  type Ledger,
  type LargeHolding,
} from '../../../index.ts';
import { LEDGER_FORMAT } from '../../../domain/ledger.ts';
import { REGION_PAGES } from '../../../domain/values/page.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { seededRandom, type Random } from '../../support/images.ts';
import { recordImage, restored, withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const REGIONS = 2;
const REST = 20;
const PAGES = REGIONS * REGION_PAGES + REST;
/** Contents that many pages hold, and how many pages of each kind a memory has. */
const TWINS = 8;

/** A page of no pattern, by a number. */
function contentPage(number: number): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  const random = seededRandom(number);
  for (let at = 0; at < PAGE_BYTES; at += 64) page.writeUInt32LE(random(2 ** 31), at);
  return page;
}

/** A memory: a third zeros, a third of few contents, and of one its own. */
class Memory {
  readonly bytes = Buffer.alloc(PAGES * PAGE_BYTES);
  #next = 1000;

  constructor(seed: number) {
    const random = seededRandom(seed);
    this.#next += 100_000 * seed;
    for (let gfn = 0; gfn < PAGES; gfn += 1) this.write(gfn, random);
  }

  write(gfn: number, random: Random): void {
    const kind = random(3);
    const number = kind === 1 ? random(TWINS) : (this.#next += 1);
    const page = kind === 0 ? Buffer.alloc(PAGE_BYTES) : contentPage(number);
    page.copy(this.bytes, gfn * PAGE_BYTES);
  }

  change(seed: number, pages: number): void {
    const random = seededRandom(seed);
    for (let i = 0; i < pages; i += 1) this.write(random(PAGES), random);
  }

  page(gfn: number): Buffer {
    return this.bytes.subarray(gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);
  }

  /** Pages from one on, up to another, that are no zeros. */
  contents(from = 0, to = PAGES): number {
    let count = 0;
    for (let gfn = from; gfn < to; gfn += 1)
      if (!this.page(gfn).every((byte) => byte === 0)) count += 1;
    return count;
  }
}

const countsOf = (ledger: Ledger, vm: string | null = null) =>
  sharingOf(ledger, { position: ledger.state.next, vm });

const NEW = { url: 'memory:', mode: 'create' } as const;

interface World {
  readonly ledger: Ledger;
  readonly folder: string;
}

const record = ({ ledger, folder }: World, vm: string, memory: Memory, large?: LargeHolding) =>
  recordImage(ledger, {
    vm,
    image: memory.bytes,
    folder,
    ...(large === undefined ? {} : { large }),
  });

async function withWorld<A>(work: (world: World) => Promise<A>): Promise<A> {
  const folder = await makeTemporaryFolder();
  try {
    return await withLedger(NEW, (ledger) => work({ ledger, folder: folder.path }));
  } finally {
    await folder.remove();
  }
}

/** What a point holds is what the memory was, byte by byte. */
async function expectRestored({ ledger, folder }: World, vm: string, at: string, bytes: Buffer) {
  expect((await restored(ledger, { vm, at, folder })).equals(bytes)).toBe(true);
}

const isSound = async (ledger: Ledger): Promise<void> => {
  const { summary } = await verify(ledger, () => undefined);
  expect(summary.damaged).toBe(0);
};

describe('a VM that is held large', () => {
  test(
    'is stored page by page and unmerged, and nobody links to it',
    () =>
      withWorld(async (world) => {
        const { ledger } = world;
        const memory = new Memory(1);
        const row = await record(world, 'a', memory, 'all');
        const large = memory.contents(0, REGIONS * REGION_PAGES);
        const counts = await countsOf(ledger);
        expect(counts.heldLarge).toBe(large);
        expect(row.stored).toBeGreaterThanOrEqual(large);
        expect(counts.unique + counts.mergedIntra).toBe(memory.contents());
        expect(ledger.state.catalogue.facts.ledger?.format).toBe(LEDGER_FORMAT);
        // Another VM with the same memory, held small, shares none of it but inside itself.
        await record(world, 'b', memory);
        const shared = await countsOf(ledger, 'b');
        expect(shared.heldLarge).toBe(0);
        expect(shared.mergedInter).toBeLessThanOrEqual(REST);
        expect((await countsOf(ledger)).heldLarge).toBe(large);
        await expectRestored(world, 'a', '@1', memory.bytes);
        await isSound(ledger);
      }),
    300_000,
  );

  test(
    'has its regions side by side in a pack, and of a page that is written that page alone',
    () =>
      withWorld(async (world) => {
        const { ledger } = world;
        const memory = new Memory(2);
        await record(world, 'a', memory, 'all');
        const { contents } = ledger.state;
        const runs = contents.packs.map(({ large }) => [...large]);
        expect(runs).toEqual([[0, memory.contents(0, REGIONS * REGION_PAGES)]]);
        contentPage(7_000_001).copy(memory.bytes, 5 * PAGE_BYTES);
        expect(await record(world, 'a', memory, 'all')).toMatchObject({ written: 1, stored: 1 });
        // A content that is there already is stored again, and is no patch.
        contentPage(7_000_001).copy(memory.bytes, 9 * PAGE_BYTES);
        expect(await record(world, 'a', memory, 'all')).toMatchObject({ written: 1, stored: 1 });
        const counts = await countsOf(ledger);
        expect(counts).toMatchObject({ patched: 0 });
        expect(counts.heldLarge).toBe(memory.contents(0, REGIONS * REGION_PAGES));
        // Where nothing is said, what is written is held small, and what is not stays.
        contentPage(7_000_001).copy(memory.bytes, 11 * PAGE_BYTES);
        expect(await record(world, 'a', memory)).toMatchObject({ written: 1 });
        expect((await countsOf(ledger)).heldLarge).toBe(counts.heldLarge - 1);
        await expectRestored(world, 'a', '@4', memory.bytes);
      }),
    300_000,
  );

  test(
    'follows what was decided: what was split is merged, and costs little to hold small',
    () =>
      withWorld(async (world) => {
        const { ledger } = world;
        const memory = new Memory(3);
        await record(world, 'a', memory, 'follow');
        const before = await countsOf(ledger);
        expect(before.heldLarge).toBe(memory.contents(0, REGIONS * REGION_PAGES));
        const decide = async (): Promise<void> => {
          const request: DecideRequest = {
            policy: { measure: 'distinct', choice: { _tag: 'below', threshold: 5 } },
            sample: REGIONS,
            budgetBytes: null,
            estimateSamples: 0,
          };
          await decideLarge(ledger, ledger.vm('a'), request);
        };
        await decide();
        await record(world, 'a', memory, 'follow');
        await decide();
        const split = await record(world, 'a', memory, 'follow');
        const after = await countsOf(ledger);
        expect(after.heldLarge).toBe(0);
        expect(after.mergedIntra).toBeGreaterThan(before.mergedIntra);
        expect(split.merged).toBe(after.mergedIntra - before.mergedIntra);
        // What is not shared is a patch of what it was: nothing differs.
        const sizes = ledger.state.contents.packs.map(({ sizeBytes }) => sizeBytes);
        expect(sizes.at(-1)!).toBeLessThan(sizes[0]! / 10);
        // To hold it otherwise is no write: nothing of it is hot for that.
        await decide();
        expect([...ledger.state.regions.get('a')!.values()].map(({ _tag }) => _tag)).toEqual([
          'split',
          'split',
        ]);
        expect(await record(world, 'a', memory, 'follow')).toMatchObject({ written: 0 });
        // What the first point alone needs goes with it.
        await forgetPoints(ledger, { vm: 'a', at: ['@1', '@2'] });
        await compact(ledger, { graceMs: 0, isDryRun: false });
        await expectRestored(world, 'a', '@3', memory.bytes);
        await isSound(ledger);
      }),
    300_000,
  );
});

describe('a ledger in a folder', () => {
  test('stores what is held large and lost anew, and the points heal', async () => {
    const folder = await makeTemporaryFolder();
    const url = join(folder.path, 'ledger');
    const memory = new Memory(6);
    const opened = <A>(work: (world: World) => Promise<A>): Promise<A> =>
      withLedger({ url, mode: 'create' }, (ledger) => work({ ledger, folder: folder.path }));
    const name = await opened(async (world) => {
      await record(world, 'a', memory, 'all');
      return world.ledger.state.contents.packs[0]!.name;
    });
    const packs = readdirSync(join(url, 'packs'), { recursive: true, encoding: 'utf8' });
    rmSync(
      join(
        url,
        'packs',
        packs.find((path) => path.endsWith(name))!,
      ),
    );
    await opened(async (world) => {
      const row = await record(world, 'a', memory, 'all');
      expect(row.stored).toBeGreaterThan(0);
      for (const at of ['@1', '@2']) await expectRestored(world, 'a', at, memory.bytes);
      const { heldLarge, patched } = await countsOf(world.ledger);
      expect([heldLarge, patched]).toEqual([memory.contents(0, REGIONS * REGION_PAGES), 0]);
      await isSound(world.ledger);
    });
    await folder.remove();
  }, 300_000);

  test('is told on the command line which regions to hold large', async () => {
    const folder = await makeTemporaryFolder();
    const commands = new LedgerCommands(join(folder.path, 'ledger'));
    const memory = new Memory(7);
    const file = join(folder.path, 'image.raw');
    writeFileSync(file, memory.bytes);
    const words = ['record', 'image', '--init', '--vm', 'vm', '--large'];
    const unknown = await commands.run([...words, 'some', file]);
    expect([unknown.exitCode, unknown.stderr]).toEqual([2, expect.stringContaining('follow, all')]);
    await commands.json(...words, 'all', file);
    const large = memory.contents(0, REGIONS * REGION_PAGES);
    expect(await commands.json('sharing')).toMatchObject([{ heldLarge: large }]);
    const table = await commands.run(['sharing']);
    expect(String(table.stdout)).toContain('held large');
    await commands.json(...words, 'none', file);
    expect(await commands.json('sharing')).toMatchObject([{ heldLarge: 0 }]);
    await folder.remove();
  }, 300_000);
});

/** What is done to a ledger in which a VM is held large, and to one in which it is held small. */
const step = fc.record({
  seed: fc.nat({ max: 1000 }),
  vm: fc.constantFrom('a', 'b'),
  changed: fc.constantFrom(0, 3, 200),
  large: fc.constantFrom<LargeHolding>('all', 'all', 'follow', 'none', 'as written'),
  after: fc.constantFrom('nothing', 'nothing', 'compact', 'forget', 'baseline'),
});
type Step = ReturnType<typeof step.generate>['value'];

/** Pages that are asked about. */
const ASKED = [0, 1, 2, 3, 4, 511, 512, 513, REGIONS * REGION_PAGES - 1, REGIONS * REGION_PAGES];

async function versionsOf(ledger: Ledger, vm: string) {
  const versions = [];
  for (const gfn of ASKED)
    for (const { capture, identifier, from } of await historyOf(ledger, ledger.vm(vm), gfn))
      versions.push({ gfn, capture, identifier, from });
  return versions;
}

/** Who holds contents, without the times, which are those of files. */
async function holdersOf(ledger: Ledger, identifiers: readonly string[]) {
  const found = [];
  for (const identifier of identifiers) {
    const { holders } = await whoHolds(ledger, { identifier, at: null });
    found.push(holders.map(({ vm, gfn, from, to }) => ({ vm, gfn, from, to })));
  }
  return found;
}

async function differingOf(ledger: Ledger, vm: string, captures: readonly string[]) {
  const entry = ledger.vm(vm);
  const found: number[][] = [];
  for (const [i, at] of captures.slice(1).entries()) {
    const a = { entry, row: ledger.resolve(entry, captures[i]!) };
    const b = { entry, row: ledger.resolve(entry, at) };
    const gfns: number[] = [];
    for await (const some of diffOf(ledger, { a, b, withBytes: false }))
      gfns.push(...some.map(({ gfn }) => gfn));
    found.push(gfns);
  }
  return found;
}

async function afterwards(ledger: Ledger, vm: string, what: Step['after']): Promise<void> {
  if (what === 'nothing') return;
  // What is before history cannot be forgotten again.
  if (what !== 'compact' && !ledger.vm(vm).isGone(1))
    await forgetPoints(ledger, { vm, at: ['@1'] });
  if (what === 'baseline') await forgetHistory(ledger, { isDryRun: false });
  await compact(ledger, { graceMs: 0, isDryRun: false });
}

/** Two ledgers answer alike, of points that are kept. */
async function expectAlike(large: World, small: World, memories: ReadonlyMap<string, Buffer[]>) {
  for (const [vm, images] of memories) {
    const entry = large.ledger.vm(vm);
    const kept = [...images.keys()]
      .map((i) => i + 1)
      .filter((capture) => !entry.isForgotten(capture));
    for (const capture of kept)
      await expectRestored(large, vm, `@${capture}`, images[capture - 1]!);
    const of = await versionsOf(small.ledger, vm);
    expect(await versionsOf(large.ledger, vm)).toEqual(of);
    const captures = kept.map((capture) => `@${capture}`);
    const differing = await differingOf(small.ledger, vm, captures);
    expect(await differingOf(large.ledger, vm, captures)).toEqual(differing);
    const identifiers = [...new Set(of.flatMap(({ identifier }) => identifier ?? []))];
    const holders = await holdersOf(small.ledger, identifiers);
    expect(await holdersOf(large.ledger, identifiers)).toEqual(holders);
  }
}

describe('a history held large, by any choice at each capture', () => {
  test('answers as the same history held small, compacted, forgotten and copied', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), (steps) =>
        withWorld(async (large) => {
          const { folder } = large;
          // The group's key is the same in a copy: so identifiers are.
          await record(large, 'key', new Memory(9));
          await withLedger(NEW, async (ledger) => {
            const text = await exportGroup(large.ledger, 'default');
            await importGroup(ledger, { text, where: 'the other ledger' });
            const small = { folder, ledger };
            await record(small, 'key', new Memory(9));
            const memories = new Map<string, Memory>();
            const images = new Map<string, Buffer[]>();
            for (const { seed, vm, changed, large: holding, after: what } of steps) {
              const memory = memories.get(vm) ?? new Memory(vm === 'a' ? 4 : 5);
              memories.set(vm, memory);
              memory.change(seed, changed);
              images.set(vm, [...(images.get(vm) ?? []), Buffer.from(memory.bytes)]);
              await record(large, vm, memory, holding);
              await record(small, vm, memory);
              if (images.get(vm)!.length < 2) continue;
              for (const each of [large, small]) await afterwards(each.ledger, vm, what);
            }
            await expectAlike(large, small, images);
            await isSound(large.ledger);
            const replayed = await fingerprint(large.ledger);
            expect(replayed).toBe(await fingerprint(small.ledger));
            await withLedger(NEW, async (copy) => {
              await copyLedger({ from: large.ledger, to: copy });
              expect(await fingerprint(copy)).toBe(replayed);
              const { heldLarge, unique } = await countsOf(large.ledger);
              expect(await countsOf(copy)).toMatchObject({ heldLarge, unique });
              await isSound(copy);
            });
          });
        }),
      ),
      { numRuns: 6 },
    );
  }, 900_000);
});
