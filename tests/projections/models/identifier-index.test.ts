import { hash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { StateReader, StateUnfit, StateWriter } from '../../../projections/models/state-bytes.ts';
import {
  IdentifierIndex,
  IndexUnfit,
  MemoryIdentifierColumn,
} from '../../../projections/models/identifier-index.ts';
import { seededRandom } from '../../support/images.ts';
import { triesOf } from '../../support/long-run.ts';

const SLOT_BYTES = 8;
const CAPACITY_LARGE = 2 ** 20;

const digest = (n: number): Uint8Array => hash('sha256', `identifier ${n}`, 'buffer');

/** A column of the identifiers of these numbers. */
function columnOf(numbers: readonly number[]): Uint8Array {
  const column = new Uint8Array(numbers.length * IDENTIFIER_BYTES);
  for (const [row, n] of numbers.entries()) column.set(digest(n), row * IDENTIFIER_BYTES);
  return column;
}

class Model {
  readonly column = new MemoryIdentifierColumn();
  readonly contents = new Map<number, number>();
  index: IdentifierIndex;

  constructor(capacity?: number) {
    this.index = new IdentifierIndex(this.column, capacity);
  }

  /** Looks a number up, and takes it in where it is new. */
  take(n: number): void {
    const identifiers = columnOf([n]);
    const expected = this.contents.get(n) ?? -1;
    const found = this.index.find(identifiers, 0);
    if (found !== expected) throw new TypeError(`${n}: found ${found}, expected ${expected}`);
    if (expected >= 0) return;
    const content = this.contents.size;
    this.column.append(content, identifiers);
    this.index.insert(identifiers, 0, content);
    this.contents.set(n, content);
  }
}

describe('the identifier index', () => {
  test('finds what a map finds, however small it begins', () => {
    const numbers = fc.array(fc.nat({ max: 300 }), { maxLength: 400 });
    fc.assert(
      fc.property(numbers, fc.constantFrom(2, 3, 16, 1024), (taken, capacity) => {
        const model = new Model(capacity);
        for (const n of taken) model.take(n);
        expect(model.index.count).toBe(model.contents.size);
        for (const [n, content] of model.contents)
          expect(model.index.find(columnOf([0, n]), 1)).toBe(content);
      }),
      { numRuns: triesOf(40) },
    );
  });

  test('tells identifiers apart that begin alike', () => {
    const column = new MemoryIdentifierColumn();
    const index = new IdentifierIndex(column, 4);
    const alike = Array.from({ length: 200 }, (_, n) => {
      const identifier = new Uint8Array(IDENTIFIER_BYTES).fill(0xff);
      identifier[31] = n;
      return identifier;
    });
    for (const [content, identifier] of alike.entries()) {
      expect(index.find(identifier, 0)).toBe(-1);
      column.append(content, identifier);
      index.insert(identifier, 0, content);
    }
    expect(alike.map((identifier) => index.find(identifier, 0))).toEqual([...alike.keys()]);
  });

  test('doubles while it is small, so that it is never over 0.7 full', () => {
    const model = new Model();
    let isPower = true;
    let fullest = 0;
    for (let n = 0; n < 5000; n += 1) {
      model.take(n);
      const capacity = model.index.byteLength / SLOT_BYTES;
      isPower &&= Math.log2(capacity) % 1 === 0;
      fullest = Math.max(fullest, model.index.count / capacity);
    }
    expect(isPower).toBe(true);
    expect(fullest).toBeLessThanOrEqual(0.7);
    expect(fullest).toBeGreaterThan(0.69);
    for (let n = 0; n < 5000; n += 1) model.take(n);
  });

  test('grows by two fifths where it is large, also where it lies, and finds everything afterwards', () => {
    const column = new MemoryIdentifierColumn();
    const index = new IdentifierIndex(column, CAPACITY_LARGE);
    const random = seededRandom(11);
    const count = Math.floor(CAPACITY_LARGE * 1.4 * 0.7) + 2;
    const identifiers = new Uint8Array(count * IDENTIFIER_BYTES);
    const words = new Uint32Array(identifiers.buffer);
    for (let row = 0; row < count; row += 1) {
      // Some crowd at the table's end, and go on at its beginning, where others crowd.
      words[row * 8] = random(2 ** 32);
      if (row % 500 === 0) words[row * 8] = 2 ** 32 - 1 - random(1000);
      if (row % 500 === 1) words[row * 8] = random(1000);
      words[row * 8 + 7] = row;
    }
    column.append(0, identifiers);
    index.insertAll(identifiers, { first: 0, rows: count }, () => {
      throw new TypeError('no two are equal');
    });
    expect(index.count).toBe(count);
    expect(index.byteLength / SLOT_BYTES).toBe(Math.ceil(Math.ceil(CAPACITY_LARGE * 1.4) * 1.4));
    let wrong = 0;
    for (let row = 0; row < count; row += 1) if (index.find(identifiers, row) !== row) wrong += 1;
    expect(wrong).toBe(0);
    expect(index.find(columnOf([1]), 0)).toBe(-1);
    const writer = new StateWriter();
    index.save(writer);
    const loaded = IdentifierIndex.load(new StateReader(writer.bytes()), column);
    expect(loaded.byteLength).toBe(index.byteLength);
    expect(loaded.find(identifiers, count - 1)).toBe(count - 1);
  });

  test('takes many in as one after the other', () => {
    const batches = fc.array(fc.array(fc.nat({ max: 400 }), { maxLength: 300 }), { maxLength: 6 });
    fc.assert(
      fc.property(batches, fc.constantFrom(2, 16, 1024), (taken, capacity) => {
        const column = new MemoryIdentifierColumn();
        const index = new IdentifierIndex(column, capacity);
        const firsts = new Map<number, number>();
        let first = 0;
        for (const numbers of taken) {
          const identifiers = columnOf(numbers);
          column.append(first, identifiers);
          const expected: [number, number][] = [];
          for (const [row, n] of numbers.entries())
            if (firsts.has(n)) expected.push([first + row, firsts.get(n)!]);
            else firsts.set(n, first + row);
          const known: [number, number][] = [];
          const batch = { first, rows: numbers.length };
          index.insertAll(identifiers, batch, (content, held) => known.push([content, held]));
          expect(known).toEqual(expected);
          first += numbers.length;
        }
        expect(index.count).toBe(firsts.size);
        for (const [n, content] of firsts) expect(index.find(columnOf([n]), 0)).toBe(content);
      }),
      { numRuns: triesOf(60) },
    );
  });

  test('reads back from its state', () => {
    const model = new Model();
    for (let n = 0; n < 3000; n += 1) model.take(n);
    const writer = new StateWriter();
    model.index.save(writer);
    model.index = IdentifierIndex.load(new StateReader(writer.bytes()), model.column);
    expect(model.index.count).toBe(3000);
    for (let n = 2000; n < 6000; n += 1) model.take(n);
  });

  test('does not load from a state of an impossible size', () => {
    const load = (count: number, words: number): IdentifierIndex => {
      const writer = new StateWriter().u32(count).column(new Uint32Array(words));
      return IdentifierIndex.load(new StateReader(writer.bytes()), new MemoryIdentifierColumn());
    };
    expect(() => load(0, 0)).toThrow(StateUnfit);
    expect(() => load(0, 3)).toThrow(StateUnfit);
    expect(() => load(8, 20)).toThrow(StateUnfit);
    expect(load(7, 20).count).toBe(7);
  });

  test('says so when the column does not hold what it points at', () => {
    const model = new Model();
    model.take(1);
    model.column.clear();
    expect(() => model.index.find(columnOf([1]), 0)).toThrow(IndexUnfit);
    expect(model.index.find(columnOf([2]), 0)).toBe(-1);
  });
});

describe('removing', () => {
  /** Identifiers whose first words collide often, so that entries are far from their homes. */
  const crowded = (number: number): Uint8Array => {
    const identifier = new Uint8Array(IDENTIFIER_BYTES);
    const view = new DataView(identifier.buffer);
    view.setUint32(0, (number % 7) * 0x2492_4924, true);
    view.setUint32(4, number, true);
    return identifier;
  };

  test('leaves exactly the others to be found, however crowded the table is', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 40 })), { maxLength: 200 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 64, max: 80 }), (some, capacity) => {
        const column = new MemoryIdentifierColumn();
        for (let number = 0; number <= 40; number += 1) column.append(number, crowded(number));
        const index = new IdentifierIndex(column, capacity);
        const held = new Set<number>();
        for (const [isAdded, number] of some) {
          expect(index.remove(crowded(number), 0, number)).toBe(held.delete(number));
          if (!isAdded) continue;
          index.insert(crowded(number), 0, number);
          held.add(number);
          expect(index.count).toBe(held.size);
        }
        for (let number = 0; number <= 40; number += 1)
          expect(index.find(crowded(number), 0)).toBe(held.has(number) ? number : -1);
      }),
    );
  });
});
