// The kernel that reads page events against the decoder that everybody else goes by: the same of every
// batch, and none of what is no batch.

import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import { readPageWrites } from '../../../adapters/kernels/page-writes.ts';
import {
  decodePageColumns,
  encodePageColumns,
  KIND_PATTERN,
  KIND_STORED,
  KIND_ZERO,
  type PageColumns,
} from '../../../domain/events/pages-written.ts';
import type { ReadPageWrites } from '../../../domain/ports/page-writes.ts';
import { FIRST_CONTENT, PATTERN_BASE, UNKNOWN, ZERO } from '../../../domain/values/holding.ts';
import { BATCH_ROWS_MAX, PACK_SLOTS } from '../../../domain/values/page.ts';
import { readPlainly, spansOf } from '../../../projections/table.ts';
import { Contents } from '../../../projections/models/contents.ts';
import { damaged, GFN_MAX, makeColumns, pageColumns } from '../../support/arbitraries.ts';
import { NO_PATCHES } from '../../../domain/events/patches.ts';
import { triesOf } from '../../support/long-run.ts';

/** Contents of which some of these packs are known, each with a few pages and patterns. */
function contentsOf(packs: readonly string[]): Contents {
  const contents = new Contents();
  for (const [i, name] of packs.entries()) {
    if (i % 3 === 1) continue;
    const patterns = i % 5;
    const origin = { vm: 'a', group: 'g', capture: 1, position: BigInt(i), isLinked: true };
    const tables = { sizeBytes: 9, blocks: EMPTY, patches: NO_PATCHES, references: NOTHING };
    const pack = { name, ...origin, tables, pages: PACK_SLOTS / 2, patterns };
    contents.insert(pack, new Uint8Array(patterns));
  }
  return contents;
}

const NOTHING = new Uint32Array(0);
const EMPTY = {
  codecs: new Uint8Array(0),
  pages: new Uint8Array(0),
  lengths: new Uint32Array(0),
  checksums: new Uint32Array(0),
};

type Read = { readonly gfns: number[]; readonly holdings: number[] } | null;

function readBy(reader: ReadPageWrites, data: Uint8Array, contents: Contents): Read {
  const writes = reader(data, (packs) => spansOf(contents, packs));
  return writes === null ? null : { gfns: [...writes.gfns], holdings: [...writes.holdings] };
}

/** By both, which agree. */
function read(data: Uint8Array, contents: Contents): Read {
  const byKernel = readBy(readPageWrites, data, contents);
  expect(byKernel).toEqual(
    readBy((bytes, spans) => readPlainly({ schema: 2, data: bytes }, spans), data, contents),
  );
  return byKernel;
}

const one = (kind: number, slot: number, index = 0): PageColumns => ({
  ...makeColumns({ seed: 1, rows: 1, packs: 1, step: 1 }),
  kinds: Uint8Array.of(kind),
  packIndexes: Uint16Array.of(index),
  slots: Uint16Array.of(slot),
});

describe('page events read by the kernel', () => {
  test('say of every batch what the decoder says', () => {
    fc.assert(
      fc.property(pageColumns, (columns) => {
        const writes = read(encodePageColumns(columns, 2), contentsOf(columns.packs));
        expect(writes?.gfns).toEqual([...columns.gfns]);
      }),
      { numRuns: triesOf(200) },
    );
  });

  test('and of the largest ones, and of one whose packs are named by three bytes', () => {
    for (const shape of [
      { rows: BATCH_ROWS_MAX, packs: 1, step: 1 },
      { rows: BATCH_ROWS_MAX, packs: 900, step: 200_000 },
      { rows: 0, packs: 0, step: 1 },
    ]) {
      const { packs, ...others } = makeColumns({ seed: 4, ...shape });
      const bytes = encodePageColumns({ packs, ...others }, 2);
      expect(read(bytes, contentsOf(packs))?.gfns.length).toBe(shape.rows);
    }
    const columns = one(KIND_STORED, 7);
    const bytes = encodePageColumns(columns, 2);
    // The index, which is 0, in three bytes: 0x80 0x80 0x00.
    const longer = new Uint8Array(bytes.length + 2);
    longer.set(bytes.subarray(0, -3));
    longer.set([0x80, 0x80, 0, ...bytes.subarray(-2)], bytes.length - 3);
    new DataView(longer.buffer).setUint32(24, 3, true);
    const contents = contentsOf(columns.packs);
    expect(read(longer, contents)).toEqual(read(bytes, contents));
    expect(read(longer, contents)?.holdings).toEqual([FIRST_CONTENT + 7]);
  });

  test('refuse what the decoder refuses, wherever it is damaged', () => {
    fc.assert(
      fc.property(
        pageColumns.chain((columns) =>
          damaged(encodePageColumns(columns, 2)).map((data) => ({ data, packs: columns.packs })),
        ),
        ({ data, packs }) => {
          const writes = read(data, contentsOf(packs));
          expect(writes === null).toBe(either.isLeft(decodePageColumns({ schema: 2, data })));
        },
      ),
      { numRuns: triesOf(1500) },
    );
    const columns = makeColumns({ seed: 5, rows: 60, packs: 3, step: 300 });
    const bytes = encodePageColumns(columns, 2);
    const contents = contentsOf(columns.packs);
    for (let at = 0; at < bytes.length; at += 1)
      for (let bit = 0; bit < 8; bit += 1) {
        const flipped = bytes.slice();
        flipped[at]! ^= 1 << bit;
        read(flipped, contents);
      }
  });

  test('know a gfn at the very end, and none beyond it', () => {
    const columns = one(KIND_ZERO, 0);
    columns.gfns[0] = GFN_MAX;
    expect(read(encodePageColumns(columns, 2), contentsOf([]))?.gfns).toEqual([GFN_MAX]);
    columns.gfns[0] = GFN_MAX + 1;
    expect(read(encodePageColumns(columns, 2), contentsOf([]))).toBeNull();
  });

  test('hold contents, kept patterns and public ones; nothing beyond them', () => {
    const [known, unknown, other] = ['aa', 'bb', 'cc'].map((name) => name.repeat(32)) as [
      string,
      string,
      string,
    ];
    const contents = contentsOf([known, unknown, other]);
    const pages = PACK_SLOTS / 2;
    const held = (kind: number, slot: number, of: { packs: string[]; index: number }) =>
      read(encodePageColumns({ ...one(kind, slot, of.index), packs: of.packs }, 2), contents)
        ?.holdings[0];
    const inPack = (kind: number, slot: number, pack: string) =>
      held(kind, slot, { packs: [pack], index: 0 });
    expect(inPack(KIND_ZERO, 0, known)).toBe(ZERO);
    expect(inPack(KIND_STORED, pages - 1, other)).toBe(FIRST_CONTENT + 2 * pages - 1);
    expect(inPack(KIND_STORED, pages, other)).toBe(UNKNOWN);
    expect(inPack(KIND_STORED, 0, unknown)).toBe(UNKNOWN);
    expect(inPack(KIND_PATTERN, pages + 1, other)).toBe(PATTERN_BASE + 1);
    expect(inPack(KIND_PATTERN, pages + 2, other)).toBe(UNKNOWN);
    expect(inPack(KIND_PATTERN, pages - 1, other)).toBe(UNKNOWN);
    for (const [slot, holding] of [
      [0, UNKNOWN],
      [1, 1],
      [FIRST_CONTENT - 1, FIRST_CONTENT - 1],
      [FIRST_CONTENT, UNKNOWN],
    ] as const)
      expect(held(KIND_PATTERN, slot, { packs: [known], index: 1 })).toBe(holding);
    expect(held(KIND_STORED, 1, { packs: [known], index: 1 })).toBeUndefined();
    expect(inPack(KIND_STORED, PACK_SLOTS, known)).toBeUndefined();
  });
});
