import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import { InvariantError } from '../../../domain/values/assert.ts';
import {
  decodePageColumns,
  encodePageColumns,
  fitsEvent,
  hasReference,
  holdsContent,
  KIND_BROKE,
  KIND_MASK,
  KIND_MERGED,
  KIND_PATTERN,
  KIND_STORED,
  KIND_ZERO,
  pageColumnsSchema,
  SHORT_ROWS_MAX,
  type PageColumns,
} from '../../../domain/events/pages-written.ts';
import { BYTES, ColumnWriter } from '../../../domain/events/short-columns.ts';
import { BATCH_ROWS_MAX, EVENT_BYTES_MAX, PACK_SLOTS } from '../../../domain/values/page.ts';
import { damaged, GFN_MAX, makeColumns, pageColumns } from '../../support/arbitraries.ts';
import { triesOf } from '../../support/long-run.ts';

/** Columns as plain arrays, for comparing. */
const plain = (columns: PageColumns) => ({
  ...columns,
  kinds: [...columns.kinds],
  gfns: [...columns.gfns],
  packIndexes: [...columns.packIndexes],
  slots: [...columns.slots],
});

function decoded(bytes: Uint8Array): PageColumns {
  const columns = decodePageColumns({ schema: 2, data: bytes });
  if (either.isLeft(columns)) throw columns.left;
  return columns.right;
}

const reasonOf = (bytes: Uint8Array): string => {
  const columns = decodePageColumns({ schema: 2, data: bytes });
  if (either.isRight(columns)) return 'it was read';
  expect(columns.left.code).toBe('EVENT_INVALID');
  return columns.left.message;
};

/** The most packs that fit beside so many rows. */
function packsBeside(rows: number): number {
  let packs = 0;
  while (fitsEvent({ rows, packs: packs + 1 })) packs += 1;
  return packs;
}

describe('page columns', () => {
  test('read back as they were written', () => {
    fc.assert(
      fc.property(pageColumns, (columns) => {
        expect(plain(decoded(encodePageColumns(columns, 2)))).toEqual(plain(columns));
      }),
      { numRuns: triesOf(150) },
    );
  });

  test.each([
    { rows: BATCH_ROWS_MAX, packs: 0, step: 1 },
    { rows: BATCH_ROWS_MAX, packs: 1, step: 200 },
    { rows: BATCH_ROWS_MAX, packs: packsBeside(BATCH_ROWS_MAX), step: 200_000 },
    { rows: 1, packs: packsBeside(1), step: 2 },
    { rows: 0, packs: 0, step: 1 },
  ])('read back at the limits: $rows rows, $packs packs', (shape) => {
    const columns = makeColumns({ seed: 7, ...shape });
    const bytes = encodePageColumns(columns, 2);
    expect(bytes.length).toBeLessThanOrEqual(EVENT_BYTES_MAX);
    expect(plain(decoded(bytes))).toEqual(plain(columns));
  });

  test('that fit an event never take more than one, whatever stands in them', () => {
    const shapes = fc.nat({ max: BATCH_ROWS_MAX }).chain((rows) =>
      fc.record({
        rows: fc.constant(rows),
        packs: fc.nat({ max: packsBeside(rows) }),
        seed: fc.nat(),
        step: fc.constantFrom(1, 200_000),
      }),
    );
    fc.assert(
      fc.property(shapes, (shape) => {
        expect(encodePageColumns(makeColumns(shape), 2).length).toBeLessThanOrEqual(
          EVENT_BYTES_MAX,
        );
      }),
      { numRuns: triesOf(12) },
    );
    expect(fitsEvent({ rows: BATCH_ROWS_MAX + 1, packs: 0 })).toBe(false);
    expect(fitsEvent({ rows: 0, packs: EVENT_BYTES_MAX / 32 })).toBe(false);
  });

  test('leave the bytes beside theirs alone: they may lie inside a larger buffer', () => {
    const columns = makeColumns({ seed: 3, rows: 20, packs: 2, step: 9 });
    const bytes = encodePageColumns(columns, 2);
    const larger = new Uint8Array(bytes.length + 11).fill(0xee);
    larger.set(bytes, 5);
    expect(plain(decoded(larger.subarray(5, 5 + bytes.length)))).toEqual(plain(columns));
  });

  test('take three bytes a row where pages follow each other in one pack, and a slot', () => {
    const rows = 1000;
    const columns = { ...makeColumns({ seed: 1, rows, packs: 1, step: 1 }) };
    columns.kinds.fill(KIND_STORED);
    expect(encodePageColumns(columns, 2).length).toBe(32 + 32 + rows * (1 + 1 + 1 + 2));
  });

  test('whose gfns do not ascend are our own fault', () => {
    const columns = makeColumns({ seed: 1, rows: 3, packs: 0, step: 1 });
    columns.gfns[2] = columns.gfns[1]!;
    expect(() => encodePageColumns(columns, 2)).toThrow(InvariantError);
  });
});

describe('kinds', () => {
  test('refer to a page or a pattern unless they are zero', () => {
    const kinds = [KIND_ZERO, KIND_STORED, KIND_MERGED, KIND_PATTERN];
    expect(kinds.filter(hasReference)).toEqual([KIND_STORED, KIND_MERGED, KIND_PATTERN]);
    expect(kinds.filter(holdsContent)).toEqual([KIND_STORED, KIND_MERGED]);
    expect(hasReference(KIND_MERGED | KIND_BROKE)).toBe(true);
    expect(hasReference(KIND_ZERO | KIND_BROKE)).toBe(false);
  });
});

/** What is out of bounds in columns that were read, or null. */
function faultIn({ kinds, gfns, packIndexes, slots, packs }: PageColumns): string | null {
  if ([gfns, packIndexes, slots].some(({ length }) => length !== kinds.length)) return 'uneven';
  for (const [row, gfn] of gfns.entries()) {
    if (gfn > GFN_MAX || (row > 0 && gfn <= gfns[row - 1]!)) return `gfn ${gfn} in row ${row}`;
    if (!hasReference(kinds[row]!)) continue;
    const last = (kinds[row]! & KIND_MASK) === KIND_PATTERN ? packs.length : packs.length - 1;
    if (packIndexes[row]! > last) return `pack ${packIndexes[row]} in row ${row}`;
    if (slots[row]! >= PACK_SLOTS) return `slot ${slots[row]} in row ${row}`;
  }
  return null;
}

describe('bytes that are no page columns', () => {
  const columns = makeColumns({ seed: 5, rows: 200, packs: 3, step: 300 });
  const bytes = encodePageColumns(columns, 2);
  const withWord = (at: number, value: number): Uint8Array => {
    const changed = bytes.slice();
    new DataView(changed.buffer).setUint32(at, value, true);
    return changed;
  };

  test('are read as columns within their bounds, or refused', () => {
    fc.assert(
      fc.property(
        pageColumns.chain((some) => damaged(encodePageColumns(some, 2))),
        (changed) => {
          const read = decodePageColumns({ schema: 2, data: changed });
          expect(either.isLeft(read) ? read.left.code : faultIn(read.right)).toBe(
            either.isLeft(read) ? 'EVENT_INVALID' : null,
          );
        },
      ),
      { numRuns: triesOf(400) },
    );
  });

  test('are refused when any length is cut', () => {
    for (let length = 0; length < bytes.length; length += 1)
      expect(reasonOf(bytes.subarray(0, length))).not.toBe('it was read');
  });

  test.each([
    ['rows', 8],
    ['bytes of gfns', 20],
    ['bytes of packs', 24],
    ['references', 28],
  ])('are refused before anything is allocated for a hostile number of %s', (_, at) => {
    expect(reasonOf(withWord(at, 0xffff_ffff))).toMatch(/claims 4294967295|columns need/u);
  });

  test('are refused where a reference leads out of the table of packs, or out of a pack', () => {
    const one: PageColumns = {
      ...makeColumns({ seed: 5, rows: 1, packs: 1, step: 1 }),
      kinds: Uint8Array.of(KIND_STORED),
    };
    one.slots[0] = PACK_SLOTS;
    expect(reasonOf(encodePageColumns(one, 2))).toContain(`slot ${PACK_SLOTS}`);
    one.slots[0] = PACK_SLOTS - 1;
    one.packIndexes[0] = 1;
    expect(reasonOf(encodePageColumns(one, 2))).toContain('pack 1 of 1');
  });

  test('are refused where a gfn is beyond the largest VM', () => {
    const one = makeColumns({ seed: 5, rows: 1, packs: 0, step: 2 });
    one.gfns[0] = GFN_MAX + 1;
    expect(reasonOf(encodePageColumns(one, 2))).toContain('gfns');
  });
});

describe('short page columns', () => {
  const short = pageColumns.filter(({ kinds }) => kinds.length <= SHORT_ROWS_MAX);
  const read = (data: Uint8Array) => decodePageColumns({ schema: 3, data });
  const reason = (data: Uint8Array): string => {
    const found = read(data);
    return either.isRight(found) ? 'it was read' : `${found.left.code} ${found.left.message}`;
  };
  const columns = makeColumns({ seed: 5, rows: 200, packs: 3, step: 300 });

  test('read back as they were written', () => {
    fc.assert(
      fc.property(short, (some) => {
        const found = read(encodePageColumns(some, 3));
        if (either.isLeft(found)) throw found.left;
        expect(plain(found.right)).toEqual(plain(some));
      }),
      { numRuns: triesOf(150) },
    );
  });

  test('are those of small batches, where events may be short', () => {
    const of = (rows: number, areEventsShort: boolean): number =>
      pageColumnsSchema('PagesWritten', { kinds: new Uint8Array(rows) }, areEventsShort);
    expect([of(SHORT_ROWS_MAX, true), of(SHORT_ROWS_MAX + 1, true), of(1, false)]).toEqual([
      3, 2, 2,
    ]);
  });

  test('take a byte or two a row of pages here and there, and little beside', () => {
    const rows = 45;
    const stored: PageColumns = {
      ...makeColumns({ seed: 1, rows, packs: 1, step: 100 }),
      kinds: new Uint8Array(rows).fill(KIND_STORED),
      packIndexes: new Uint16Array(rows),
      slots: Uint16Array.from({ length: rows }, (_, slot) => slot),
    };
    expect(encodePageColumns(stored, 3).length).toBeLessThan(32 + 20 + 2 * rows);
  });

  test('that are damaged are read as columns within their bounds, or refused', () => {
    fc.assert(
      fc.property(
        short.chain((some) => damaged(encodePageColumns(some, 3))),
        (changed) => {
          const found = read(changed);
          expect(either.isLeft(found) ? found.left.code : faultIn(found.right)).toBe(
            either.isLeft(found) ? 'EVENT_INVALID' : null,
          );
        },
      ),
      { numRuns: triesOf(400) },
    );
  });

  test('are refused when any length is cut', () => {
    const bytes = encodePageColumns(columns, 3);
    for (let length = 0; length < bytes.length; length += 1)
      expect(reason(bytes.subarray(0, length))).toContain('EVENT_INVALID');
  });

  test('are refused for more rows than a small batch has, before anything is made', () => {
    const head = [1, 0, 0];
    const writer = (rows: number): ColumnWriter =>
      new ColumnWriter().numbers([...head, rows, 0, 0]);
    const kinds = writer(SHORT_ROWS_MAX + 1).column(new Uint8Array(SHORT_ROWS_MAX + 1), BYTES);
    expect(reason(kinds.bytes())).toContain('its head does not fit');
    expect(reason(writer(2 ** 32 - 1).bytes())).toContain('its head does not fit');
  });

  test('are refused where a reference leads out of the packs, and a gfn out of a VM', () => {
    const one: PageColumns = {
      ...makeColumns({ seed: 5, rows: 1, packs: 1, step: 1 }),
      kinds: Uint8Array.of(KIND_STORED),
    };
    const found = (change: Partial<PageColumns>): string =>
      reason(encodePageColumns({ ...one, ...change }, 3));
    expect(found({})).toBe('it was read');
    expect(found({ packIndexes: Uint16Array.of(1) })).toContain('pack 1 of 1');
    expect(found({ slots: Uint16Array.of(PACK_SLOTS) })).toContain('its columns do not fit');
    expect(found({ kinds: Uint8Array.of(KIND_STORED | 4) })).toContain('has the kind 5');
    expect(found({ gfns: Uint32Array.of(GFN_MAX + 1) })).toContain('EVENT_INVALID');
    const two = { kinds: Uint8Array.of(0, 0), packIndexes: new Uint16Array(2) };
    const gfns = Uint32Array.of(GFN_MAX, GFN_MAX + 1);
    expect(found({ ...two, gfns, slots: new Uint16Array(2) })).toContain('its gfns');
  });
});
