// The kernel against its oracle: classes and descriptors of pages of every kind.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe as suite, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { loadKernels } from '../../../adapters/kernels/engine/kernels.ts';
import {
  classifierBytes,
  PageClassifier,
} from '../../../adapters/kernels/engine/page-classifier.ts';
import { CLASS_NONE, CLASS_ZERO, type Grammar } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { describe, regenerate } from '../../../domain/patterns/index.ts';
import { anyPage, GRAMMAR, repeatedPage } from '../../support/pattern-pages.ts';
import { triesOf } from '../../support/long-run.ts';

const WINDOW_PAGES = 128;
const kernels = loadKernels({ arenaBytes: (WINDOW_PAGES + 16) * PAGE_BYTES });
const PAGES = kernels.arena;
const LIST = PAGES + WINDOW_PAGES * PAGE_BYTES;
const CLASSES = LIST + PAGE_BYTES;
const classifier = new PageClassifier({
  kernels,
  area: CLASSES + PAGE_BYTES,
  windowPages: WINDOW_PAGES,
});
const list = new Uint32Array(kernels.bytes.buffer, LIST, WINDOW_PAGES);
for (let page = 0; page < WINDOW_PAGES; page += 1) list[page] = page;

/** What the kernel says of pages at hand, one after another. */
function classify(pages: readonly Uint8Array[], grammar: Grammar) {
  classifier.useGrammar(grammar);
  for (const [i, page] of pages.entries()) kernels.bytes.set(page, PAGES + i * PAGE_BYTES);
  classifier.classify({ list: LIST, count: pages.length, pages: PAGES }, CLASSES);
  return pages.map((_, i) => {
    const patternClass = kernels.bytes[CLASSES + i]!;
    const isDescribed = patternClass !== CLASS_NONE && patternClass !== CLASS_ZERO;
    return {
      patternClass,
      descriptor: isDescribed ? classifier.descriptor(i).slice() : new Uint8Array(0),
    };
  });
}

suite('the class of a page, as the kernel says it', () => {
  test('the area of a classifier lies in the arena', () => {
    expect(classifierBytes(WINDOW_PAGES)).toBeLessThan(14 * PAGE_BYTES);
  });

  test("is the oracle's, for pages of every class and for near misses", () => {
    fc.assert(
      fc.property(anyPage, fc.constantFrom<Grammar>([], GRAMMAR), (page, grammar) => {
        expect(classify([page], grammar)).toEqual([describe(page, grammar)]);
      }),
      {
        numRuns: triesOf(1500),
      },
    );
  });

  test("is the oracle's with one byte off at any place", () => {
    const units = [[0], [0x6b], [1, 2], [0xde, 0xad, 0xbe, 0xef], [1, 2, 3]];
    for (const unit of units) {
      const page = repeatedPage(Uint8Array.from(unit));
      for (let at = 0; at < PAGE_BYTES; at += 1) {
        const near = page.slice();
        near[at]! ^= 0x10;
        const [said] = classify([near], []);
        // Exactly the places that an edge reaches leave a pattern.
        expect(said!.patternClass).toBe(at < 64 || at >= PAGE_BYTES - 64 ? 8 : 0);
      }
    }
  });

  test('is zero for a page of zeros, and for no page with one bit set anywhere', () => {
    const page = new Uint8Array(PAGE_BYTES);
    expect(classify([page, page], GRAMMAR).map((said) => said.patternClass)).toEqual([1, 1]);
    for (let bit = 0; bit < PAGE_BYTES; bit += 1) {
      page[bit] = 1 << (bit & 7);
      expect(classify([page], GRAMMAR)[0]!.patternClass).not.toBe(CLASS_ZERO);
      page[bit] = 0;
    }
  });

  test("is the oracle's in the middle of a window, and for pages listed in any order", () => {
    const pages = fc.sample(anyPage, { numRuns: WINDOW_PAGES, seed: 5 });
    expect(classify(pages, GRAMMAR)).toEqual(pages.map((page) => describe(page, GRAMMAR)));
    list.reverse();
    const reversed = classify(pages, GRAMMAR).toReversed();
    list.reverse();
    expect(reversed).toEqual(pages.map((page) => describe(page, GRAMMAR)));
  });

  test('never differs from what regenerates, over real programs', () => {
    const entries = readdirSync('/usr/bin', { withFileTypes: true }).filter((e) => e.isFile());
    let seen = 0;
    const back = new Uint8Array(PAGE_BYTES);
    for (const { name } of entries.slice(0, 150)) {
      const file = Uint8Array.from(readFileSync(join('/usr/bin', name)).subarray(0, 2 ** 20));
      // The last page of a file in a guest's page cache: what is left of it, then zeros.
      const memory = new Uint8Array(Math.ceil(file.length / PAGE_BYTES) * PAGE_BYTES);
      memory.set(file);
      for (let at = 0; at < memory.length; at += WINDOW_PAGES * PAGE_BYTES) {
        const window = memory.subarray(at, at + WINDOW_PAGES * PAGE_BYTES);
        const pages = Array.from({ length: window.length / PAGE_BYTES }, (_, page) =>
          window.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES),
        );
        for (const [i, said] of classify(pages, GRAMMAR).entries()) {
          seen += 1;
          if (said.patternClass === CLASS_NONE) continue;
          const isZero = said.patternClass === CLASS_ZERO;
          if (isZero) back.fill(0);
          expect(isZero || regenerate(said.descriptor, back, GRAMMAR) === null).toBe(true);
          expect(Buffer.compare(back, pages[i]!)).toBe(0);
        }
      }
    }
    expect(seen).toBeGreaterThan(1000);
  });
});
