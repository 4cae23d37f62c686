// Descriptors of version 1 stay readable, and stay what is written (tests/golden/patterns-1).

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe as suite, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import {
  decodePatternBlock,
  encodePatternBlocks,
} from '../../../adapters/kernels/codec/pattern-blocks.ts';
import type { Grammar } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { describe, pageOfExpression, regenerate } from '../../../domain/patterns/index.ts';
import { GOLDEN_FOLDER, goldenBytes } from '../../support/golden/golden-capture.ts';

const GRAMMAR: Grammar = [{ number: 64, unit: new TextEncoder().encode('hello') }];

const GOLDEN: Readonly<Record<string, string>> = {
  byte: String.raw`\xaa{4096}`,
  word16: String.raw`(?:\x124){2048}`,
  word32: String.raw`(?:\xde\xad\xbe\xef){1024}`,
  word64: String.raw`(?:\x11A\xff{6}){512}`,
  period: String.raw`(?:\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c){341}\x01\x02\x03\x04`,
  runs: String.raw`(?:\x6b{191}\xa5){21}\x6b{64}`,
  'runs-of-a-page': String.raw`\xaa{2000}\xbb{2096}`,
  added: 'lo(?:hello){818}hell',
  'edged-zeros': String.raw`\x07\x08\x09\x00{4092}\xff`,
  'edged-word64': String.raw`\x9d\x6e\xac\x57\x00{4}(?:\x11A\xff{6}){511}`,
  'edged-added': String.raw`(?:hello){818}hell\x21\x0a`,
};

const golden = (name: string): Uint8Array => goldenBytes(`patterns-1/${name}.bin`);

suite('descriptors of version 1', () => {
  test('have a golden file for each form', () => {
    const files = readdirSync(join(GOLDEN_FOLDER, 'patterns-1')).toSorted();
    expect(files).toEqual(
      [...Object.keys(GOLDEN), 'block'].map((name) => `${name}.bin`).toSorted(),
    );
  });

  test.each(Object.entries(GOLDEN))('%s', (name, expression) => {
    const page = pageOfExpression(expression);
    const back = new Uint8Array(PAGE_BYTES);
    expect(regenerate(golden(name), back, GRAMMAR)).toBeNull();
    expect(page).toEqual(either.right(back));
    expect(describe(back, GRAMMAR).descriptor).toEqual(golden(name));
  });

  test('a block of patterns', () => {
    const names = ['byte', 'edged-zeros', 'added'];
    expect(encodePatternBlocks(names.map(golden)).bytes).toEqual(golden('block'));
    const pages = names.map((name) => {
      const page = new Uint8Array(PAGE_BYTES);
      regenerate(golden(name), page, GRAMMAR);
      return page;
    });
    // Whatever lay there before.
    const decoded = new Uint8Array(names.length * PAGE_BYTES).fill(0x5a);
    expect(decodePatternBlock(golden('block'), decoded, GRAMMAR)).toBeNull();
    expect(Buffer.from(decoded).equals(Buffer.concat(pages))).toBe(true);
  });
});
