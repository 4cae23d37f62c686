// Dumps in kdump's compressed form: what is read of them, and what is refused.

import { describe, expect, test } from '@jest/globals';
import {
  flattened,
  kdump,
  KDUMP_BITMAPS_AT,
  KDUMP_FIELDS,
} from '../../../support/guest/kdump-bytes.ts';
import { DumpOpener, flat, runAt } from '../../../support/guest/opened-dump.ts';
import { suiteFolder } from '../../../support/disks/suite-folder.ts';

const opener = new DumpOpener(suiteFolder());

const zeros = { address: 0xa0 * 4096, bytes: new Uint8Array(0x60 * 4096) };
const RUNS = [runAt(0, 0x9f, 3), zeros, runAt(256, 40, 5), runAt(1000, 20, 7)];
const MEMORY = Buffer.concat([flat(296, RUNS.slice(0, 3)), RUNS[3]!.bytes]);
const DUMP = kdump({ runs: RUNS });

describe.each([
  ['compressed with zlib', DUMP],
  ['without its zeros', kdump({ runs: RUNS, level: 1 })],
  ['plain', kdump({ runs: RUNS, kind: 'plain' })],
  ['compressed with snappy', kdump({ runs: RUNS, kind: 'snappy' })],
  ['compressed with lzo', kdump({ runs: RUNS, kind: 'lzo' })],
  ['compressed with zstd', kdump({ runs: RUNS, kind: 'zstd' })],
  ['flattened', flattened(DUMP)],
])('%s', (_, bytes) => {
  test('has each page at its address', async () => {
    const { captured, memory } = await opener.opened(bytes);
    expect(memory.equals(MEMORY)).toBe(true);
    expect(captured.mode).toBe('core');
    expect(captured.memoryMap.ranges.map(({ address }) => address)).toEqual([0, 1000 * 4096]);
  });

  test('cut short is refused', async () => {
    expect(await opener.refused(bytes.subarray(0, bytes.length - 40))).toMatch(/^SOURCE_/u);
  });
});

/** The dump with another number at a place. */
function withI32(at: number, value: number, of = DUMP): Buffer {
  const changed = Buffer.from(of);
  changed.writeInt32LE(value, at);
  return changed;
}

/** Where the first page's descriptor lies: behind two blocks of bitmaps. */
const DESCRIPTORS_AT = KDUMP_BITMAPS_AT + 2 * 4096;
const plain = kdump({ runs: RUNS, kind: 'plain' });
const firstPage = plain.subarray(DESCRIPTORS_AT, DESCRIPTORS_AT + 24);
const repeated = Buffer.from(plain);
for (let page = 1; page < 0x9f + 0x60 + 60; page += 1)
  firstPage.copy(repeated, DESCRIPTORS_AT + 24 * page);
/** Where content begins. */
const PAGES_AT = DESCRIPTORS_AT + 24 * (0x9f + 0x60 + 60);
const cutTable = plain.subarray(0, DESCRIPTORS_AT + 24 * 5);
const record = (offset: number, length: number): Buffer => {
  const bytes = flattened(Buffer.alloc(100));
  bytes.writeBigInt64BE(BigInt(offset), 4096);
  bytes.writeBigInt64BE(BigInt(length), 4104);
  return bytes;
};
const twice = Buffer.concat([flattened(DUMP).subarray(0, -16), record(10, 100).subarray(4096)]);

/** A dump whose first page is not what was compressed. */
function spoiledPage(kind: 'lzo' | 'zstd'): Buffer {
  const dump = Buffer.from(kdump({ runs: RUNS, kind }));
  const at = Number(dump.readBigUInt64LE(DESCRIPTORS_AT));
  dump.fill(0x5a, at + 8, at + 24);
  return dump;
}

const farAway = Buffer.concat([
  flattened(repeated.subarray(0, PAGES_AT + 20 * 4096)).subarray(0, -16),
  record(2 ** 40, 100).subarray(4096),
]);

describe('that leaves out what is no zeros', () => {
  const isFiltered = (page: number): boolean => page % 3 === 1;
  const pages = MEMORY.length / 4096;
  /** Pages of the memory by their addresses: the last run lies apart. */
  const pageOf = (gfn: number): number => (gfn < 296 ? gfn : gfn - 296 + 1000);
  const bytesOf = (gfn: number): Buffer => MEMORY.subarray(gfn * 4096, (gfn + 1) * 4096);
  const isZero = (gfn: number): boolean => bytesOf(gfn).every((byte) => byte === 0);

  test.each([31, 17, 2, 16])('knows no page that it leaves out, of the level %i', async (level) => {
    const dump = kdump({ runs: RUNS, level, isFiltered });
    for (const bytes of [dump, flattened(dump)]) {
      const { captured, memory, warnings } = await opener.opened(bytes);
      const untold = captured.untold!;
      expect(untold).toHaveLength(pages);
      // What no bitmap has at all, below 1 MiB, is zeros.
      const inRam = (gfn: number): boolean => gfn !== 0x9f;
      for (let gfn = 0; gfn < pages; gfn += 1) {
        const isLeftOut = isFiltered(pageOf(gfn)) || ((level & 1) === 1 && isZero(gfn));
        expect([gfn, untold[gfn]]).toEqual([gfn, Number(isLeftOut && inRam(gfn))]);
        const found = memory.subarray(gfn * 4096, (gfn + 1) * 4096);
        expect(found.equals(isLeftOut ? Buffer.alloc(4096) : bytesOf(gfn))).toBe(true);
      }
      const count = untold.reduce((sum, is) => sum + is, 0);
      expect(warnings).toEqual([
        expect.stringMatching(new RegExp(`^what ${count} of .*-d ${level}`, 'u')),
      ]);
    }
  });

  test('but left out none of its pages is as any other', async () => {
    const { captured, warnings } = await opener.opened(
      kdump({ runs: RUNS.slice(0, 1), level: 30 }),
    );
    expect(captured.untold).toBeUndefined();
    expect(warnings).toEqual([]);
  });
});

describe('is refused:', () => {
  test.each([
    ['one of which no level says what was left out', withI32(KDUMP_FIELDS.level, 32), /that 32/u],
    ['one of a level below none', withI32(KDUMP_FIELDS.level, -1), /that -1/u],
    ['one that was not finished', withI32(KDUMP_FIELDS.status, 8), /a part of a dump/u],
    ['one of several parts', withI32(KDUMP_FIELDS.split, 1), /a part of a dump/u],
    ['pages of 64 KiB', withI32(KDUMP_FIELDS.block, 65_536), /pages of 65536 bytes/u],
    [
      'more pages than its bitmaps have',
      withI32(KDUMP_FIELDS.pages64 + 4, 1),
      /pages in bitmaps of 4096/u,
    ],
    ['very large bitmaps', withI32(436, 0x7fff_ffff), /^SOURCE_/u],
    ['lzo that is damaged', spoiledPage('lzo'), /a page that is damaged/u],
    ['zstd that is damaged', spoiledPage('zstd'), /a page that is damaged/u],
    ['a page of a kind that is not known', withI32(DESCRIPTORS_AT + 12, 0x21), /of the kind 33/u],
    ['a page of too many bytes', withI32(DESCRIPTORS_AT + 8, 5000), /5000 bytes for a page/u],
    ['a page behind its end', withI32(DESCRIPTORS_AT + 4, 1), /^SOURCE_SIZE/u],
    ['a page that is damaged', withI32(DUMP.length - 20, 0x5a5a_5a5a), /a page that is damaged/u],
    [
      'pages that are all the same one',
      repeated.subarray(0, PAGES_AT + 20 * 4096),
      /has pages twice/u,
    ],
    ['a table of pages that ends early', cutTable, /^SOURCE_/u],
    ['a flattened file of something else', flattened(Buffer.alloc(9000)), /no kdump/u],
    ['a flattened record behind its end', record(0, 2 ** 40), /^SOURCE_SIZE/u],
    ['a flattened record of fewer bytes than none', record(0, -5), /^SOURCE_SIZE/u],
    ['flattened records of the same place', twice, /has bytes twice/u],
    ['a flattened record where no dump reaches', record(2 ** 60, 100), /where no dump reaches/u],
    [
      'a flattened dump that is larger than its file by a record far away',
      farAway,
      /has pages twice/u,
    ],
  ])('%s', async (_, bytes, expected) => {
    expect(await opener.refused(bytes)).toMatch(expected);
  });
});
