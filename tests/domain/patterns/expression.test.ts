import { describe as suite, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as either from 'fp-ts/lib/Either.js';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import {
  pageOfExpression,
  patternOf,
  PUBLIC_PATTERNS,
  stringForm,
  stringOfExpression,
  writtenForm,
} from '../../../domain/patterns/index.ts';
import { anyText } from '../../support/any-text.ts';
import { anyPage, GRAMMAR, repeatedPage } from '../../support/pattern-pages.ts';
import { triesOf } from '../../support/long-run.ts';

const leftOf = (text: string): string => {
  const read = pageOfExpression(text);
  return either.isLeft(read) ? read.left : 'a page';
};
const form = (page: Uint8Array): string => writtenForm(patternOf(page, GRAMMAR)!, GRAMMAR);

suite('the written form of a pattern', () => {
  test('gives the page again that it was written of', () => {
    fc.assert(
      fc.property(anyPage, (page) => {
        const pattern = patternOf(page, GRAMMAR);
        if (pattern === null) return;
        const read = pageOfExpression(writtenForm(pattern, GRAMMAR));
        expect(either.isRight(read) && Buffer.compare(read.right, page)).toBe(0);
      }),
      { numRuns: triesOf(700) },
    );
  });

  test('is a regular expression that matches the page and no page with another byte', () => {
    const latin1 = (page: Uint8Array): string => Buffer.from(page).toString('latin1');
    fc.assert(
      fc.property(anyPage, fc.nat({ max: PAGE_BYTES - 1 }), (page, at) => {
        const pattern = patternOf(page, GRAMMAR);
        if (pattern === null) return;
        const expression = new RegExp(`^${writtenForm(pattern, GRAMMAR)}$`, 'su');
        expect(expression.test(latin1(page))).toBe(true);
        const other = page.slice();
        other[at]! ^= 0x55;
        expect(expression.test(latin1(other))).toBe(false);
      }),
      { numRuns: triesOf(300) },
    );
  });

  test.each([
    [String.raw`\x00{4096}`, repeatedPage(Uint8Array.of(0))],
    [String.raw`(?:\xde\xad\xbe\xef){1024}`, repeatedPage(Uint8Array.of(0xde, 0xad, 0xbe, 0xef))],
    [String.raw`(?:\x01\x02{2}){1365}\x01`, repeatedPage(Uint8Array.of(1, 2, 2))],
    [String.raw`\x6b{4095}\xa5`, repeatedPage(Uint8Array.of(0x6b)).fill(0xa5, 4095)],
    [String.raw`\x01\x00{4093}\x02{2}`, new Uint8Array(PAGE_BYTES).fill(1, 0, 1).fill(2, 4094)],
    [String.raw`(?:\x6c{2}\x6f\x68\x65){819}\x6c`, repeatedPage(GRAMMAR[0]!.unit, 2)],
  ])('is short: %s', (text, page) => {
    expect(form(page)).toBe(text);
  });

  test('of a public pattern is as the list has it', () => {
    for (const { expression } of PUBLIC_PATTERNS) {
      const page = pageOfExpression(expression);
      expect(either.isRight(page) && form(page.right)).toBe(expression);
    }
  });
});

suite('an expression that is read', () => {
  test('may have printable characters, escaped ones, and groups', () => {
    const read = pageOfExpression(String.raw`(?:ab\.\x0A\\){2}(c-{3}){4}x{4070}`);
    expect(either.isRight(read) && Buffer.from(read.right.subarray(0, 30)).toString()).toBe(
      'ab.\n\\ab.\n\\c---c---c---c---xxxx',
    );
  });

  test.each([
    ['', 'gives 0 bytes'],
    ['abc', 'gives 3 bytes; a page has 4096'],
    ['a{4097}', "more bytes than a page's 4096"],
    ['a{99999}', "more bytes than a page's 4096"],
    ['(?:abcd){1025}', "more bytes than a page's 4096"],
    ['a{4096}b', "more bytes than a page's 4096"],
    ['a{0}', 'a count of 0 at character 2'],
    ['(?:ab', 'a group that does not end'],
    ['(?:){3}', 'a group of no byte'],
    ['((a))', 'no byte at character 2'],
    ['a*', 'no byte at character 2'],
    ['[ab]', 'no byte at character 1'],
    ['a|b', 'no byte at character 2'],
    ['a)', 'no byte at character 2'],
    ['\\', 'no byte at character 1'],
    ['\\d', 'no byte at character 1'],
    ['\\x4', 'no byte at character 1'],
    ['é', 'no byte at character 1'],
    ['a{1', 'no byte at character 2'],
    ['a+', 'no byte at character 2'],
  ])('%j is none: %s', (text, why) => {
    expect(leftOf(text)).toContain(why);
  });

  test('that is longer than any page needs is none, and so is any text at once', () => {
    expect(leftOf('a'.repeat(30_000))).toContain('30000 characters');
    fc.assert(
      fc.property(anyText({ maxLength: 60 }), (text) => {
        expect(either.isLeft(pageOfExpression(text))).toBe(true);
      }),
    );
  });
});

suite('an expression of a string to add', () => {
  const text = (expression: string): string => {
    const read = stringOfExpression(expression);
    return either.isLeft(read) ? read.left : Buffer.from(read.right).toString('latin1');
  };

  test.each([
    ['(?:hello)+', 'hello'],
    ['(hello)+', 'hello'],
    ['(?:abab)+', 'ab'],
    ['(?:ab){6}+', 'ab'],
    ['x+', 'x'],
    ['(?:hello){819}h', 'hello'],
    [String.raw`(?:\x68\x69\x21)+`, 'hi!'],
  ])('%s repeats %j', (expression, unit) => {
    expect(text(expression)).toBe(unit);
  });

  test.each([
    ['', 'it is empty'],
    ['(?:hello)', 'gives 5 bytes; a page has 4096; a data string and its repetition are'],
    ['ab+', 'no byte at character 3'],
    ['(?:ab)+c', 'no byte at character 7'],
    ['(?:a{1024}b)+', 'it repeats 1025 bytes; a string has at most 1024'],
    ['a{4095}b', 'it repeats 4096 bytes'],
  ])('%j is none: %s', (expression, why) => {
    expect(text(expression)).toContain(why);
  });

  test('is what is written of the string', () => {
    for (const { unit } of GRAMMAR)
      expect(stringOfExpression(stringForm(unit))).toEqual(either.right(unit));
  });
});
