// Patterns: a page has one descriptor, and a descriptor one page.

import { describe as suite, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as either from 'fp-ts/lib/Either.js';
import {
  CLASS_EDGED,
  CLASS_NONE,
  CLASS_STRING,
  CLASS_ZERO,
} from '../../../domain/ports/page-engine.ts';
import type { Grammar } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import {
  describe,
  DESCRIPTOR_BYTES_MAX,
  encodeDescriptor,
  pageOfExpression,
  PUBLIC_PATTERNS,
  publicPattern,
  publicPatternOf,
  readDescriptor,
  regenerate,
} from '../../../domain/patterns/index.ts';
import { offsetOf, primitiveUnit, shortestPeriod } from '../../../domain/patterns/periods.ts';
import { anyPage, GRAMMAR, repeatedPage } from '../../support/pattern-pages.ts';

const back = (descriptor: Uint8Array, grammar: Grammar = GRAMMAR): Uint8Array => {
  const page = new Uint8Array(PAGE_BYTES).fill(0xee);
  expect(regenerate(descriptor, page, grammar)).toBeNull();
  return page;
};

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

const classOfPage = (page: Uint8Array): number => describe(page, GRAMMAR).patternClass;

suite('a page that is described', () => {
  test('comes back from its descriptor, byte for byte', () => {
    let described = 0;
    fc.assert(
      fc.property(anyPage, (page) => {
        const { patternClass, descriptor } = describe(page, GRAMMAR);
        const isDescribed = patternClass !== CLASS_NONE && patternClass !== CLASS_ZERO;
        expect(descriptor.length > 0).toBe(isDescribed);
        expect(descriptor.length).toBeLessThanOrEqual(DESCRIPTOR_BYTES_MAX);
        if (isDescribed) described += 1;
        expect(!isDescribed || isSame(back(descriptor), page)).toBe(true);
      }),
      { numRuns: 800 },
    );
    expect(described).toBeGreaterThan(200);
  });

  test('is in the class of its shortest unit', () => {
    const classes: readonly (readonly [readonly number[], number])[] = [
      [[0], 1],
      [[0, 0, 0], 1],
      [[7], 2],
      [[7, 7, 7, 7], 2],
      [[7, 8], 3],
      [[7, 8, 7, 8, 7, 8], 3],
      [[1, 2, 3], 6],
      [[0xde, 0xad, 0xbe, 0xef], 4],
      [[1, 2, 3, 4, 5, 6, 7, 8], 5],
      [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 6],
    ];
    for (const [unit, patternClass] of classes)
      expect([unit, classOfPage(repeatedPage(Uint8Array.from(unit)))]).toEqual([
        unit,
        patternClass,
      ]);
  });

  test('may differ in 64 bytes at its ends together, and in no more', () => {
    const edges = (head: number, tail: number): Uint8Array => {
      const page = new Uint8Array(PAGE_BYTES);
      page.fill(1, 0, head).fill(2, PAGE_BYTES - tail);
      return page;
    };
    for (const [head, tail] of [
      [1, 0],
      [0, 1],
      [64, 0],
      [0, 64],
      [32, 32],
      [63, 1],
    ] as const)
      expect(classOfPage(edges(head, tail))).toBe(CLASS_EDGED);
    for (const [head, tail] of [
      [65, 0],
      [0, 65],
      [64, 1],
      [33, 32],
    ] as const)
      expect(classOfPage(edges(head, tail))).toBe(CLASS_NONE);
  });

  test.each([
    [8, 6],
    [24, CLASS_STRING],
    [96, CLASS_STRING],
    [192, CLASS_STRING],
    [320, CLASS_STRING],
    [696, CLASS_STRING],
    [1024, CLASS_STRING],
    [2032, CLASS_STRING],
  ])('may be of freed objects of %i bytes, at any phase', (size, patternClass) => {
    const object = new Uint8Array(size + 16).fill(0x6b, 0, size);
    object.set([0xa5], size - 1);
    object.fill(0xbb, size, size + 8).fill(0x5a, size + 8);
    const [wrong, lost]: number[][] = [[], []];
    for (let phase = 0; phase < object.length; phase += 7) {
      const page = repeatedPage(object, phase);
      const said = describe(page);
      if (said.patternClass !== patternClass) wrong!.push(phase);
      if (!isSame(back(said.descriptor, []), page)) lost!.push(phase);
    }
    expect({ wrong, lost }).toEqual({ wrong: [], lost: [] });
  });

  test('of an added string is one only with the grammar that has it', () => {
    const page = repeatedPage(GRAMMAR[0]!.unit, 3);
    expect(describe(page).patternClass).toBe(CLASS_NONE);
    const { patternClass, descriptor } = describe(page, GRAMMAR);
    expect(patternClass).toBe(CLASS_STRING);
    expect(regenerate(descriptor, new Uint8Array(PAGE_BYTES))).toMatch(/grammar does not have/u);
    expect(isSame(back(descriptor), page)).toBe(true);
  });
});

suite('a descriptor that is read', () => {
  test('describes a page whose only descriptor it is, or is none', () => {
    const tampered = anyPage.chain((page) => {
      const { descriptor } = describe(page, GRAMMAR);
      return fc
        .array(fc.tuple(fc.nat({ max: 140 }), fc.oneof(fc.nat({ max: 255 }), fc.nat({ max: 9 }))), {
          maxLength: 3,
        })
        .chain((changes) =>
          fc.nat({ max: 3 }).map((cut) => {
            const bytes = descriptor.slice(0, Math.max(0, descriptor.length - (cut > 1 ? 0 : cut)));
            for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
            return bytes;
          }),
        );
    });
    const page = new Uint8Array(PAGE_BYTES);
    let [read, refused] = [0, 0];
    fc.assert(
      fc.property(tampered, (bytes) => {
        const fault = regenerate(bytes, page, GRAMMAR);
        if (fault === null) read += 1;
        else refused += 1;
        const isOnly = fault !== null || isSame(describe(page, GRAMMAR).descriptor, bytes);
        expect(isOnly).toBe(true);
      }),
      { numRuns: 1500 },
    );
    expect(Math.min(read, refused)).toBeGreaterThan(100);
  });

  test('is none where a shorter or an earlier form says the same', () => {
    const refusals: readonly (readonly [string, readonly number[]])[] = [
      ['a descriptor of 0 bytes', []],
      ['version 2', [2, 2, 1, 7]],
      ['zeros, which are not described', [1, 2, 1, 0]],
      ['class 3 for a unit of 1', [1, 3, 1, 7]],
      ['class 9 for a unit of 1', [1, 9, 1, 7]],
      ['units divide 64 or 48', [1, 6, 5, 1, 2, 3, 4, 5]],
      ['a unit that a shorter one repeats', [1, 3, 2, 7, 7]],
      ['1 bytes for a unit of 2', [1, 3, 2, 7]],
      ['zeros are not described', [1, 1, 0]],
      ['edges of 0 bytes', [1, 8, 0, 0, 1]],
      ['edges of 66 bytes', [1, 8, 33, 33, ...new Uint8Array(66).fill(1), 1]],
      ['no body between its edges', [1, 8, 1, 0, 7]],
      ['edges that go on as the body does', [1, 8, 1, 0, 0, 1]],
      ['edges that go on as the body does', [1, 8, 0, 1, 7, 2, 1, 7]],
      ['bytes after a body of zeros', [1, 8, 0, 1, 7, 1, 7]],
      ['runs of known bytes make', [1, 8, 0, 1, 0xa5, 2, 1, 0x6b]],
      ['runs for what is a unit', [1, 7, 0, 0xaa, 1, 0]],
      ['a run of no byte', [1, 7, 0, 0xaa, 0, 0, 0xbb, 0, 0]],
      ['runs that are no pattern', [1, 7, 0, 0xff, 5, 0]],
      ['runs that fewer or shorter ones make', [1, 7, 0, 0xaa, 5, 0, 0xaa, 5, 0, 0xbb, 1, 0]],
      ['runs of 5000 bytes in a page', [1, 7, 0, 0xaa, 0x88, 0x13]],
      ['string 9, which', [1, 7, 1, 9, 0, 0]],
      ['phase 5 of a string of 5', [1, 7, 1, 64, 5, 0]],
      ['a body of runs', [1, 8, 0, 1, 7, 7, 0, 0xaa, 5, 0]],
      ['a body of runs', [1, 7]],
    ];
    for (const [part, bytes] of refusals) {
      const said = readDescriptor(Uint8Array.from(bytes), GRAMMAR);
      expect([
        bytes,
        typeof said === 'string' && (said.includes(part) || bytes.length === 2),
      ]).toEqual([bytes, true]);
    }
  });

  test('is refused without a word of what it holds', () => {
    const secret = new TextEncoder().encode('hunter'.repeat(8));
    const said = readDescriptor(Uint8Array.of(1, 6, 48, ...secret), []);
    expect(said).toBe('a unit that a shorter one repeats');
  });
});

suite('public patterns', () => {
  test('have distinct numbers from 1, and are found by their descriptors', () => {
    for (let number = 1; number <= PUBLIC_PATTERNS.length; number += 1) {
      expect(publicPatternOf(publicPattern(number))).toBe(number);
      const page = pageOfExpression(PUBLIC_PATTERNS[number - 1]!.expression);
      expect(either.isRight(page) && isSame(page.right, back(publicPattern(number), []))).toBe(
        true,
      );
    }
  });

  test('are nothing else: what is not in the list has no number', () => {
    for (let byte = 1; byte < 256; byte += 1) {
      const { descriptor } = describe(repeatedPage(Uint8Array.of(byte)));
      const number = publicPatternOf(descriptor);
      expect(number === 0 || isSame(publicPattern(number), descriptor)).toBe(true);
    }
    expect(publicPatternOf(Uint8Array.of(1, 2, 1, 0x01))).toBe(0);
    expect(publicPatternOf(Uint8Array.of(1, 7, 1, 40, 0, 0))).toBe(0);
    expect(publicPatternOf(Uint8Array.of(1, 7, 1, 64, 1, 0))).toBe(0);
    expect(publicPatternOf(new Uint8Array(0))).toBe(0);
  });

  test('have a number of an added string, for the page that begins with it', () => {
    const { descriptor } = describe(repeatedPage(GRAMMAR[0]!.unit), GRAMMAR);
    expect(publicPatternOf(descriptor)).toBe(64);
    expect(publicPattern(64)).toEqual(descriptor);
    const unassigned = readDescriptor(publicPattern(199), GRAMMAR);
    expect(unassigned).toMatch(/string 199/u);
  });

  test('the first is the one of set bits, and none is of zeros', () => {
    expect([...publicPattern(1)]).toEqual([1, 2, 1, 0xff]);
    expect(() => encodeDescriptor({ _tag: 'zero' })).toThrow('not described');
  });
});

suite('periods', () => {
  const words = fc
    .array(fc.nat({ max: 1 }), { minLength: 1, maxLength: 40 })
    .map((w) => Uint8Array.from(w));

  test('the shortest is the least that every byte agrees with', () => {
    fc.assert(
      fc.property(words, (word) => {
        const agrees = (p: number): boolean => word.every((b, i) => i < p || b === word[i - p]);
        let least = 1;
        while (!agrees(least)) least += 1;
        expect(shortestPeriod(word)).toBe(least);
        expect(repeatedPage(primitiveUnit(word))).toEqual(repeatedPage(word));
      }),
    );
  });

  test('a string is found where it first occurs', () => {
    fc.assert(
      fc.property(words, words, (part, word) => {
        expect(offsetOf(part, word)).toBe(
          Buffer.from(word).toString('latin1').indexOf(Buffer.from(part).toString('latin1')),
        );
      }),
    );
  });
});
