import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  BYTES,
  ColumnReader,
  ColumnWriter,
  NUMBERS,
  SLOTS,
} from '../../../domain/events/short-columns.ts';

const hexOf = (writer: ColumnWriter): string => Buffer.from(writer.bytes()).toString('hex');

/** Runs of a few numbers, and numbers on their own. */
const values = fc
  .array(fc.tuple(fc.nat({ max: 255 }), fc.integer({ min: 1, max: 9 }), fc.boolean()))
  .map((runs) =>
    runs.flatMap(([first, count, isRising]) =>
      Array.from({ length: count }, (_, i) => Math.min(255, isRising ? first + i : first)),
    ),
  );

describe('short columns', () => {
  test.each([
    ['bytes that are all one', BYTES, [7, 7, 7, 7, 7], '010507'],
    ['bytes that differ', BYTES, [200, 1, 200], '00c801c8'],
    ['equal numbers', NUMBERS, [300, 300], '0102ac02'],
    ['slots that follow each other', SLOTS, [128, 129, 130, 5], '010380010105'],
    ['slots that do not', SLOTS, [5, 3, 1], '00050301'],
    ['nothing', SLOTS, [], '00'],
  ])('write %s shortest', (_what, form, column, hex) => {
    expect(hexOf(new ColumnWriter().column(column, form))).toBe(hex);
    const read = new ColumnReader(Buffer.from(hex, 'hex'));
    expect([...read.column(new Uint16Array(column.length), form, 8191)]).toEqual(column);
    expect(read.isDone).toBe(true);
  });

  test('read back as they were written', () => {
    fc.assert(
      fc.property(values, fc.constantFrom(BYTES, NUMBERS, SLOTS), (column, form) => {
        const bytes = new ColumnWriter().column(column, form).bytes();
        const read = new ColumnReader(bytes);
        expect([...read.column(new Uint16Array(column.length), form, 255)]).toEqual(column);
        expect(read.isDone).toBe(true);
      }),
    );
  });

  test('of any bytes fill no more than was asked for, with nothing above what is allowed', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.constantFrom(BYTES, NUMBERS, SLOTS),
        (bytes, form) => {
          const reader = new ColumnReader(bytes);
          const into = reader.column(new Uint16Array(20), form, 99);
          expect(Math.max(...into)).toBeLessThanOrEqual(99);
        },
      ),
    );
  });

  test.each([
    ['a run of none', '0100050405'],
    ['a run past the end', '010505'],
    ['a run that rises too high', '01046201'],
    ['another way', '0200000000'],
    ['too few bytes', '00010203'],
    ['a number of too many bytes', '00808080808001010101'],
  ])('with %s fail for good', (_what, hex) => {
    const reader = new ColumnReader(Buffer.from(hex, 'hex'));
    reader.column(new Uint16Array(4), SLOTS, 99);
    expect(reader.hasFailed).toBe(true);
    expect(reader.isDone).toBe(false);
    expect(reader.number(9)).toBe(0);
  });

  test('give no names that there are no bytes for', () => {
    const reader = new ColumnReader(new Uint8Array(33));
    expect(reader.names(2)).toEqual([]);
    expect(reader.hasFailed).toBe(true);
  });
});
