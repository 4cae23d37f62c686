import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { loadKernels } from '../../../adapters/kernels/engine/kernels.ts';
import { SKETCH_FEATURES } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { mixedImage, randomBytes, textBytes } from './random-pages.ts';
import { triesOf } from '../../support/long-run.ts';

const PAGES_MAX = 32;
const NO_FEATURE = 0xffff_ffff;
const kernels = loadKernels({ arenaBytes: (PAGES_MAX + 1) * PAGE_BYTES });
const PAGES = kernels.arena + PAGE_BYTES;

/** The kernel's sketches; what lies behind them is looked at too. */
function sketchesOf(pages: Uint8Array): number[][] {
  const count = pages.length / PAGE_BYTES;
  const end = kernels.arena + count * SKETCH_FEATURES * 4;
  kernels.bytes.fill(0x5a, end, end + 64);
  kernels.bytes.set(pages, PAGES);
  kernels.similarity({ pages: PAGES, count }, kernels.arena);
  expect(kernels.bytes.subarray(end, end + 64).every((byte) => byte === 0x5a)).toBe(true);
  return Array.from({ length: count }, (_, page) => [
    ...new Uint32Array(
      kernels.bytes.buffer,
      kernels.arena + page * SKETCH_FEATURES * 4,
      SKETCH_FEATURES,
    ),
  ]);
}

function mix(number: number): number {
  let mixed = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

const GEAR = Array.from({ length: 256 }, (_, byte) => mix(byte + 1));

/** The sketch as the header of assembly/similarity.ts states it, each window hashed afresh. */
function expectedSketch(page: Uint8Array): number[] {
  const numbers = new Set<number>();
  for (let end = 32; end <= PAGE_BYTES; end += 1) {
    let hash = 0;
    for (let at = end - 32; at < end; at += 1) hash = (hash * 2 + GEAR[page[at]!]!) >>> 0;
    if (hash < 2 ** 26) numbers.add(mix(hash));
  }
  const least = [...numbers].toSorted((a, b) => a - b).slice(0, SKETCH_FEATURES);
  return [...least, ...Array.from({ length: SKETCH_FEATURES - least.length }, () => NO_FEATURE)];
}

const shared = (a: readonly number[], b: readonly number[]): number =>
  a.filter((feature) => feature !== NO_FEATURE && b.includes(feature)).length;

test('the sketch of a page is the least anchors of all its windows, in any batch', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1 }),
      fc.integer({ min: 1, max: 6 }),
      fc.nat({ max: PAGE_BYTES }),
      (seed, count, zeros) => {
        const pages = mixedImage(count, seed);
        pages.fill(0, 0, zeros);
        const expected = Array.from({ length: count }, (_, page) =>
          expectedSketch(pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)),
        );
        expect(sketchesOf(pages)).toEqual(expected);
      },
    ),
    { numRuns: triesOf(12) },
  );
});

test('a page that repeats itself has few features', () => {
  for (const period of [1, 3, 16]) {
    const page = randomBytes(PAGE_BYTES, 5 + period).map((_, at, all) => all[at % period]!);
    const [sketch] = sketchesOf(page);
    expect(sketch!.filter((feature) => feature !== NO_FEATURE).length).toBeLessThanOrEqual(period);
  }
});

test('a stretch of bytes is known again where it lies elsewhere in another page', () => {
  let equal = 0;
  let others = 0;
  for (let seed = 1; seed <= 100; seed += 1) {
    const page = textBytes(PAGE_BYTES, seed);
    const moved = randomBytes(PAGE_BYTES, seed);
    moved.set(page.subarray(0, PAGE_BYTES - 24), 24);
    const [a, b, c] = sketchesOf(
      Uint8Array.from([...page, ...moved, ...randomBytes(PAGE_BYTES, seed + 1000)]),
    );
    equal += shared(a!, b!);
    others += shared(a!, c!);
  }
  expect(equal / (100 * SKETCH_FEATURES)).toBeGreaterThan(0.9);
  expect(others).toBe(0);
});
