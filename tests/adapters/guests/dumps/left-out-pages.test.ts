// Dumps that tell of memory which they have not: makedumpfile's cores, and what Windows writes of its
// kernel. What is there is at its place, and everything else is unknown.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import {
  BITMAP_FIELDS,
  elfCore,
  elfNote,
  windowsBitmapDump,
  type MemoryRun,
} from '../../../support/guest/dump-bytes.ts';
import { cutRunAt, DumpOpener, flat, runAt } from '../../../support/guest/opened-dump.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';
import { triesOf } from '../../../support/long-run.ts';

const MIB_PAGES = 256;
const HIGH_PAGE = 2 ** 20;

let folder: TemporaryFolder;
let opener: DumpOpener;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  opener = new DumpOpener(folder);
});
afterAll(() => folder.remove());

/** What a dump gives: its memory, and the numbers of the pages that are unknown. */
async function readOf(bytes: Uint8Array) {
  const { captured, memory, warnings } = await opener.opened(bytes);
  const untold = [...(captured.untold ?? [])].flatMap((is, gfn) => (is === 1 ? [gfn] : []));
  return { captured, memory, warnings, untold };
}

const pagesFrom = (first: number, pages: number): number[] =>
  Array.from({ length: pages }, (_, i) => first + i);

/** Low memory that is whole, then 40 pages of which 30 are left out, 10 of nothing else, and some high up. */
const low = runAt(0, 0xa0, 3);
const cut = cutRunAt(MIB_PAGES, { pages: 10, leftOut: 30, seed: 5 });
const none = cutRunAt(MIB_PAGES + 40, { pages: 0, leftOut: 10 });
const high = cutRunAt(HIGH_PAGE, { pages: 20, leftOut: 5, seed: 7 });
const RUNS = [low, cut, none, high];
const UNKNOWN = [...pagesFrom(MIB_PAGES + 10, 40), ...pagesFrom(MIB_PAGES + 50 + 20, 5)];
const MEMORY = Buffer.concat([
  flat(MIB_PAGES + 50, [low, cut]),
  high.bytes,
  Buffer.alloc(5 * PAGE_BYTES),
]);
const RANGES = [
  { address: 0, block: 'ram', offset: 0, length: (MIB_PAGES + 50) * PAGE_BYTES },
  {
    address: HIGH_PAGE * PAGE_BYTES,
    block: 'ram',
    offset: (MIB_PAGES + 50) * PAGE_BYTES,
    length: 25 * PAGE_BYTES,
  },
];

describe.each([
  ['a filtered core', elfCore({ runs: RUNS }), /makedumpfile -E/u],
  ['one of 32 bits', elfCore({ runs: RUNS.slice(0, 3), bits: 32 }), /makedumpfile -E/u],
  ["a dump of Windows' kernel", windowsBitmapDump({ runs: RUNS }), /wrote its own memory alone/u],
  [
    'one of its active memory',
    windowsBitmapDump({ runs: RUNS, magic: 'FDMPDUMP', kind: 6 }),
    /complete memory dumps/u,
  ],
] as const)('%s', (what, bytes, why) => {
  test('has what is there, and tells the rest apart from zeros', async () => {
    const { captured, memory, untold, warnings } = await readOf(bytes);
    const pages = what.includes('32') ? MIB_PAGES + 50 : MIB_PAGES + 75;
    const unknown = UNKNOWN.filter((gfn) => gfn < pages);
    expect(memory.equals(MEMORY.subarray(0, pages * PAGE_BYTES))).toBe(true);
    expect(untold).toEqual(unknown);
    expect(captured.memoryMap.ranges).toEqual(what.includes('32') ? RANGES.slice(0, 1) : RANGES);
    expect(captured).toMatchObject({ mode: 'core', device: null, areRangesTold: true });
    expect(warnings).toEqual([expect.stringMatching(why)]);
    expect(warnings[0]).toContain(`what ${unknown.length} of the dump's pages held is unknown`);
  });

  test('cut short is SOURCE_SIZE', async () => {
    expect(await opener.refused(bytes.subarray(0, bytes.length - 1))).toMatch(/^SOURCE_SIZE/u);
  });
});

describe('a filtered core', () => {
  /** RAM as the kernel maps it, and its image as it runs. */
  const shiftOf = (isImage: (run: number) => boolean) => (run: number) =>
    isImage(run) ? 2 ** 41 : 2 ** 40;

  test("knows what the kernel's image has, also where RAM has it not", async () => {
    const ram = cutRunAt(MIB_PAGES, { pages: 8, leftOut: 32, seed: 5 });
    const all = runAt(MIB_PAGES, 40, 5);
    /** It goes over the end of what RAM has; then it is cut as well. */
    const image: MemoryRun = {
      address: (MIB_PAGES + 4) * PAGE_BYTES,
      bytes: all.bytes.subarray(4 * PAGE_BYTES, 14 * PAGE_BYTES),
      leftOut: 6 * PAGE_BYTES,
    };
    const core = elfCore({ runs: [image, low, ram], shiftOf: shiftOf((run) => run === 0) });
    const { memory, untold } = await readOf(core);
    const known = flat(
      MIB_PAGES + 14,
      [low, all].map((run) => ({
        ...run,
        bytes: run === all ? run.bytes.subarray(0, 14 * PAGE_BYTES) : run.bytes,
      })),
    );
    expect(memory.subarray(0, known.length).equals(known)).toBe(true);
    expect(untold).toEqual(pagesFrom(MIB_PAGES + 14, 26));
  });

  test('has two segments at an address only where they are of other virtual addresses', async () => {
    const runs = [cut, runAt(MIB_PAGES + 9, 4, 5)];
    expect(await opener.refused(elfCore({ runs }))).toMatch(/two segments/u);
  });

  test('is whole where other segments have all that one leaves out', async () => {
    const runs = [low, cut, runAt(MIB_PAGES + 10, 30, 9)];
    const { captured, warnings } = await readOf(elfCore({ runs }));
    expect([captured.untold, warnings]).toEqual([undefined, []]);
  });

  test('has no memory where QEMU dumped a device by its virtual addresses', async () => {
    const device = cutRunAt(0xfec00, { pages: 0, leftOut: 4 });
    const notes = [elfNote('QEMU', 0, Buffer.alloc(440))];
    const core = elfCore({ runs: [low, device], notes });
    const at = core.length - low.bytes.length - Buffer.concat(notes).length - 56 + 8;
    core.writeBigUInt64LE(2n ** 64n - 1n, at);
    const { memory, untold } = await readOf(core);
    expect([memory.length, untold]).toEqual([MIB_PAGES * PAGE_BYTES, []]);
  });

  test('that ends inside of a page does not know that page', async () => {
    const part = {
      address: MIB_PAGES * PAGE_BYTES,
      bytes: runAt(0, 2).bytes.subarray(0, 6000),
      leftOut: 3 * PAGE_BYTES - 6000,
    };
    const { untold } = await readOf(elfCore({ runs: [low, part] }));
    expect(untold).toEqual([MIB_PAGES + 1, MIB_PAGES + 2]);
  });

  test('that leaves out parts of pages that others have is refused', async () => {
    const part = { ...cut, bytes: cut.bytes.subarray(0, PAGE_BYTES), leftOut: 2 * PAGE_BYTES };
    const rest = { address: (MIB_PAGES + 2) * PAGE_BYTES + 100, bytes: new Uint8Array(5000) };
    expect(await opener.refused(elfCore({ runs: [low, part, rest] }))).toMatch(/no whole pages/u);
  });
});

describe("a dump of Windows' kernel", () => {
  test('that does not tell where memory lies counts all up to its last page', async () => {
    const runs = [runAt(3, 2), runAt(300, 1)];
    const { untold, memory } = await readOf(windowsBitmapDump({ runs, told: null }));
    expect(memory.equals(flat(301, runs))).toBe(true);
    expect(untold).toEqual(pagesFrom(0, 300).filter((gfn) => gfn !== 3 && gfn !== 4));
  });

  const made = windowsBitmapDump({ runs: RUNS });
  const changed = (at: number, value: bigint): Buffer => {
    const copy = Buffer.from(made);
    copy.writeBigUInt64LE(value, at);
    return copy;
  };
  const { firstPage, there, pages, bits } = BITMAP_FIELDS;
  const oneMore = Buffer.from(made);
  oneMore[bits + MIB_PAGES / 8 + 3] = 1;
  test.each([
    [
      'without a bitmap',
      windowsBitmapDump({ runs: RUNS, magic: 'RDMPDUMP', kind: 8 }),
      /no bitmap/u,
    ],
    ['whose bitmap has a page more', oneMore, /has 191 pages in its bitmap, and says 190/u],
    ['whose bitmap is of 2^60 pages', changed(pages, 2n ** 60n), /a bitmap of 11529215/u],
    ['that claims 2^50 pages', changed(there, 2n ** 50n), /^SOURCE_SIZE/u],
    ['whose pages lie in its bitmap', changed(firstPage, 0x2040n), /the first of them at 8256/u],
    ['whose pages lie behind its end', changed(firstPage, 2n ** 40n), /^SOURCE_SIZE/u],
    [
      'whose runs lie in each other',
      windowsBitmapDump({
        runs: [low],
        told: [{ ...low, address: 2 ** 52 }],
      }),
      /where none can be/u,
    ],
  ])('%s is refused', async (_, bytes, says) => {
    expect(await opener.refused(bytes)).toMatch(says);
  });
});

/** Pages of a memory as a dump may have them. */
const pagesOfMemory = fc.array(fc.constantFrom('there', 'left out', 'nothing'), {
  minLength: 1,
  maxLength: 40,
});

test('whatever is left out, each page is what it was, unknown, or no memory', async () => {
  await fc.assert(
    fc.asyncProperty(pagesOfMemory, async (kinds) => {
      const first = MIB_PAGES;
      const runs: MemoryRun[] = [low];
      for (const [i, kind] of kinds.entries()) {
        if (kind === 'there') runs.push(runAt(first + i, 1, i));
        if (kind === 'left out') runs.push(cutRunAt(first + i, { pages: 0, leftOut: 1 }));
      }
      for (const bytes of [elfCore({ runs }), windowsBitmapDump({ runs })]) {
        const { memory, untold } = await readOf(bytes);
        const held = kinds.filter((kind) => kind !== 'nothing');
        expect(memory.length).toBe((MIB_PAGES + held.length) * PAGE_BYTES);
        let gfn = MIB_PAGES;
        for (const [i, kind] of kinds.entries()) {
          if (kind === 'nothing') continue;
          const page = memory.subarray(gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);
          const expected = kind === 'there' ? runAt(0, 1, i).bytes : Buffer.alloc(PAGE_BYTES);
          expect([page.equals(expected), untold.includes(gfn)]).toEqual([true, kind !== 'there']);
          gfn += 1;
        }
      }
    }),
    { numRuns: triesOf(25) },
  );
});
