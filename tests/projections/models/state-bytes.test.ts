// What is written of a state is read back, wherever it lies: values, runs of words, and parts that are kept.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { copyOf, GrowingBytes } from '../../../projections/models/kept-bytes.ts';
import { Records } from '../../../projections/models/records.ts';
import { StateReader, StateUnfit, StateWriter } from '../../../projections/models/state-bytes.ts';
import { inFile } from '../../support/disks/map-state-files.ts';
import { triesOf } from '../../support/long-run.ts';

const runsOf = (words: Uint32Array): Uint8Array => new StateWriter().runs(words).bytes().slice();

/** Words of which many are alike. */
const words = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom(0, 1, 7, 0xffff_ffff)), {
    maxLength: 30,
  })
  .map((runs) => Uint32Array.from(runs.flatMap(([count, word]) => Array(count).fill(word))));

describe('runs of words', () => {
  test('are read as they were written', () => {
    fc.assert(
      fc.property(words, (of) => {
        const reader = new StateReader(new StateWriter().runs(of).u32(4711).bytes());
        expect(reader.runs(of.length)).toEqual(of);
        expect(reader.u32()).toBe(4711);
      }),
    );
  });

  test('take few bytes where they are long', () => {
    const of = new Uint32Array(1_000_000);
    of.fill(0xffff_ffff, 500_000);
    of[77] = 5;
    expect(runsOf(of).length).toBeLessThan(100);
    expect(new StateReader(runsOf(of)).runs(of.length)).toEqual(of);
  });

  test('that end early, are too many, or more than they say are none', () => {
    const bytes = runsOf(Uint32Array.of(1, 1, 1, 1, 2, 3));
    expect(() => new StateReader(bytes).runs(5)).toThrow(StateUnfit);
    for (let end = 0; end < bytes.length; end += 1)
      expect(() => new StateReader(bytes.slice(0, end)).runs(6)).toThrow(StateUnfit);
    const uneven = bytes.slice();
    new DataView(uneven.buffer).setUint32(4, 40, true);
    expect(() => new StateReader(uneven).runs(6)).toThrow(StateUnfit);
    new DataView(uneven.buffer).setUint32(4, 0, true);
    expect(() => new StateReader(uneven).runs(6)).toThrow(StateUnfit);
  });
});

/** Bytes that differ from their neighbours, so many. */
const someBytes = (count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => (i * 7 + (i >> 8)) & 0xff);

describe('parts of a state that are kept', () => {
  test('are written where they were put, of what another writer has too', () => {
    const kept = someBytes(200_000);
    const inner = new StateWriter().u32(1).kept(inFile(kept)).u32(2);
    const writer = new StateWriter().kept(inFile(kept)).text('between').columnOf(inner).u32(3);
    const plain = new StateWriter().u32(1).raw(kept).u32(2).bytes().slice();
    const expected = new StateWriter().raw(kept).text('between').column(plain).u32(3).bytes();
    expect(writer.length).toBe(expected.length);
    expect(writer.bytes()).toEqual(expected);
    const pieces = Array.from(writer.pieces(), (piece) => piece.slice());
    expect(Buffer.concat(pieces).equals(expected)).toBe(true);
  });

  test('are as they were when they were put, though they grow', () => {
    const growing = new GrowingBytes(1000);
    growing.append(someBytes(2500));
    const writer = new StateWriter().kept(growing);
    growing.append(someBytes(2500));
    expect(writer.bytes()).toEqual(someBytes(2500));
    expect(copyOf(growing, 2500, 2500)).toEqual(someBytes(2500));
  });

  test('are read as what is in memory', () => {
    const column = someBytes(9000);
    const written = new StateWriter().u32(7).column(column).u64(8n).text('of it').column(column);
    const reader = new StateReader(inFile(written.u32(9).bytes()));
    expect(reader.u32()).toBe(7);
    expect(reader.column()).toEqual(column);
    expect(reader.u64()).toBe(8n);
    expect(reader.text()).toBe('of it');
    const kept = reader.kept();
    expect(reader.u32()).toBe(9);
    expect(() => reader.u32()).toThrow(StateUnfit);
    expect(copyOf(kept, 100, 50)).toEqual(column.subarray(100, 150));
  });
});

describe('records', () => {
  const WIDTH = 12;
  const recordOf = (i: number): Uint8Array =>
    new StateWriter()
      .u32(i)
      .u64(BigInt(i) << 33n)
      .bytes();
  const pushed = (records: Records, count: number): Records => {
    for (let left = count; left > 0; left -= 1) records.push(recordOf(records.length));
    return records;
  };
  const bytesOf = (records: Records): Uint8Array => {
    const writer = new StateWriter();
    records.save(writer);
    return writer.bytes().slice();
  };

  test('are found among those that are kept and those that came since, in any order', () => {
    fc.assert(
      fc.property(fc.nat(9000), fc.nat(9000), fc.array(fc.nat(18_000)), (kept, more, asked) => {
        const before = bytesOf(pushed(new Records(WIDTH), kept));
        const records = pushed(Records.load(new StateReader(inFile(before)), WIDTH), more);
        expect(records.length).toBe(kept + more);
        for (const number of asked)
          for (const i of [number, number + 1, number - 1]) {
            if (i < 0 || i >= records.length) continue;
            expect(records.u32(i, 0)).toBe(i);
            expect(records.u64(i, 4)).toBe(BigInt(i) << 33n);
            expect(records.bytes(i, 0, 4)).toEqual(recordOf(i).subarray(0, 4));
          }
        expect(bytesOf(records)).toEqual(bytesOf(pushed(new Records(WIDTH), kept + more)));
      }),
      { numRuns: triesOf(20) },
    );
  });

  test('that are cut off are none', () => {
    const bytes = new StateWriter().column(new Uint8Array(WIDTH + 1)).bytes();
    expect(() => Records.load(new StateReader(bytes), WIDTH)).toThrow(StateUnfit);
  });
});
