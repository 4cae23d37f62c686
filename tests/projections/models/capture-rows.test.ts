// Captures as they are kept: what comes back is what went in, whatever a commit says, and what is asked of
// all of them needs no row.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CaptureRows, type CaptureRow } from '../../../projections/models/capture-rows.ts';
import type { StateBytes } from '../../../domain/ports/derived-files.ts';
import { inMemory } from '../../../projections/models/kept-bytes.ts';
import { StateReader, StateUnfit, StateWriter } from '../../../projections/models/state-bytes.ts';
import { inFile } from '../../support/disks/map-state-files.ts';
import { goldenCatalogue } from '../../support/golden/golden-catalogue.ts';

const GOLDEN = goldenCatalogue().vms.get('web')!.rows.at(0)!;

const hex = (bytes: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((of) => Buffer.from(of).toString('hex'));
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value || 0);

const someRow: fc.Arbitrary<CaptureRow> = fc.record({
  capture: fc.nat(),
  position: u64,
  // Logs of others may have ids and digests of any length.
  id: fc.oneof(hex(16), hex(7)),
  timeMs: number,
  recordedAtMs: number,
  written: fc.nat(),
  stored: fc.integer(),
  merged: number,
  pattern: number,
  unchanged: fc.nat(),
  broken: fc.nat(),
  addedBytes: fc.maxSafeNat(),
  pauseMs: fc.option(number),
  mode: fc.constantFrom('image', 'migrate'),
  source: fc.string(),
  revision: fc.maxSafeNat(),
  range: fc.record({ firstRevision: fc.nat(), count: fc.nat(), fromPosition: u64 }),
  hasDevice: fc.boolean(),
  note: fc.constantFrom(null, 'before the upgrade', 'after'),
  image: fc.option(
    fc.record({
      name: fc.string(),
      bytes: fc.nat(),
      timeNs: fc.oneof(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
        fc.constantFrom('0', '-0', '007', '99999999999999999999'),
      ),
    }),
  ),
  attachments: fc.constantFrom([], GOLDEN.attachments),
  hash: fc.oneof(hex(32), fc.constant('')),
  isWiped: fc.boolean(),
  damage: fc.option(fc.string()),
}) as fc.Arbitrary<CaptureRow>;

/** Rows in log order, of which none but the numbers and positions is as it were in a ledger. */
const someRows = fc
  .uniqueArray(someRow, { maxLength: 12, selector: ({ position }) => position })
  .map((rows) =>
    rows
      .toSorted((a, b) => (a.position < b.position ? -1 : 1))
      .map((row, i) => ({ ...row, capture: 2 * i + 1 })),
  );

function rowsOf(rows: readonly CaptureRow[]): CaptureRows {
  const kept = new CaptureRows();
  for (const row of rows) kept.push(row);
  return kept;
}

function bytesOf(rows: CaptureRows): Uint8Array {
  const writer = new StateWriter();
  rows.save(writer);
  return writer.bytes().slice();
}

const loaded = (bytes: Uint8Array | StateBytes): CaptureRows =>
  CaptureRows.load(new StateReader(bytes));

describe('captures that are kept', () => {
  test('come back as they were, and more can follow them', () => {
    fc.assert(
      fc.property(someRows, fc.nat(12), (rows, at) => {
        for (const where of [inMemory, inFile]) {
          const before = loaded(where(bytesOf(rowsOf(rows.slice(0, at)))));
          for (const row of rows.slice(at)) before.push(row);
          const after = loaded(where(bytesOf(before)));
          expect(before.slice(0)).toEqual(rows);
          expect(before.all).toEqual(rows);
          expect(after.all).toEqual(rows);
          expect(bytesOf(after)).toEqual(bytesOf(rowsOf(rows)));
        }
      }),
    );
  });

  test('are found without a row, as among all rows', () => {
    fc.assert(
      fc.property(someRows, u64, fc.nat(24), number, (rows, position, capture, timeMs) => {
        const kept = loaded(inFile(bytesOf(rowsOf(rows))));
        const isAsked = (of: number): boolean => of % 3 > 0;
        const asked = rows.filter((row) => isAsked(row.capture) && row.timeMs <= timeMs);
        const latest = Math.max(...asked.map((row) => row.timeMs));
        expect(kept.indexAt(position)).toBe(rows.findLastIndex((row) => row.position <= position));
        expect(kept.indexOf(capture)).toBe(rows.findLastIndex((row) => row.capture <= capture));
        expect(kept.at(kept.indexAtTime(timeMs, isAsked))).toEqual(
          asked.findLast((row) => row.timeMs === latest),
        );
        expect(kept.areWhole()).toBe(rows.every((row) => row.damage === null && !row.isWiped));
        expect(kept.addedBytes).toBe(rows.reduce((sum, { addedBytes }) => sum + addedBytes, 0));
      }),
    );
  });

  test('have one row each, whoever asks', () => {
    const kept = loaded(bytesOf(rowsOf([GOLDEN])));
    const row = kept.at(0);
    expect(row).toEqual(GOLDEN);
    expect(kept.last).toBe(row);
    expect(kept.all[0]).toBe(row);
    expect(kept.slice(0)[0]).toBe(row);
    expect([kept.at(-1), kept.at(1)]).toEqual([undefined, undefined]);
  });

  test('take little more than their records, where they say the same in words', () => {
    const one = bytesOf(rowsOf([GOLDEN])).length;
    const rows = Array.from({ length: 1000 }, (_, i) => ({ ...GOLDEN, position: BigInt(i) }));
    expect(bytesOf(rowsOf(rows)).length - one).toBe(999 * 192);
  });

  test('are the same ones while anybody has them, of ever so many', () => {
    const rows = Array.from({ length: 2000 }, (_, i) => ({
      ...GOLDEN,
      capture: i + 1,
      position: BigInt(i),
    }));
    const kept = rowsOf(rows);
    const had = kept.slice(0, 400);
    expect(kept.slice(0)).toEqual(rows);
    for (const [i, row] of had.entries()) expect(kept.at(i)).toBe(row);
  });

  test('are not taken up cut off, nor made where they say what is not there', () => {
    const later = { ...GOLDEN, position: GOLDEN.position + 1n };
    const bytes = bytesOf(rowsOf([GOLDEN, later]));
    expect(loaded(bytes).length).toBe(2);
    for (let length = 0; length < bytes.length; length += 7)
      expect(() => loaded(bytes.subarray(0, length))).toThrow(StateUnfit);
    const astray = bytes.slice();
    // The number of what the first says in words, behind the column's length.
    astray[4 + 184] = 1;
    const rows = loaded(astray);
    expect(rows.at(1)).toEqual(later);
    expect(() => rows.at(0)).toThrow(StateUnfit);
  });
});
