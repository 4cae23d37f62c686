// Recognising pages of patterns: what the kernel takes for a page, over an image like a guest's, and
// what a page takes to be made again from its descriptor, each against memcpy of as much.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadKernels } from '../../adapters/kernels/engine/kernels.ts';
import { classifierBytes, PageClassifier } from '../../adapters/kernels/engine/page-classifier.ts';
import { assert } from '../../domain/values/assert.ts';
import { CLASS_NONE, CLASS_ZERO, type Grammar } from '../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { regenerate } from '../../domain/patterns/index.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { writeGuestImage } from './guest-data.ts';
import { Memcpy } from './limits.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const WINDOW_PAGES = 128;
/** Recognition reads less than memcpy does, and writes nothing. */
const RECOGNITION_AT_MOST = 0.6;
/** A page is written once; its unit is repeated in steps that double. */
const REGENERATION_AT_MOST = 6;
const COLUMNS_BYTES = 64 * PAGE_BYTES;
/** Strings added to the grammar, each of another length. */
const STRINGS = 16;

const added: Grammar = Array.from({ length: STRINGS }, (_, i) => ({
  number: 64 + i,
  unit: Uint8Array.from({ length: 65 + 60 * i }, (_byte, at) => (at * 31 + i) & 0xff),
}));

/** An image in the kernels' memory, and a classifier beside it. */
class LoadedImage {
  readonly pages: number;
  readonly #kernels;
  readonly #classifier: PageClassifier;
  readonly #list: number;
  readonly #classes: number;

  constructor(image: Buffer) {
    this.pages = image.length / PAGE_BYTES;
    this.#kernels = loadKernels({ arenaBytes: COLUMNS_BYTES + image.length });
    const { arena, bytes } = this.#kernels;
    assert(classifierBytes(WINDOW_PAGES) < COLUMNS_BYTES / 2, 'columns lie before the pages');
    this.#list = arena;
    this.#classes = arena + PAGE_BYTES;
    const area = arena + COLUMNS_BYTES / 2;
    this.#classifier = new PageClassifier({
      kernels: this.#kernels,
      area,
      windowPages: WINDOW_PAGES,
    });
    const list = new Uint32Array(bytes.buffer, this.#list, WINDOW_PAGES);
    for (let page = 0; page < WINDOW_PAGES; page += 1) list[page] = page;
    bytes.set(image, arena + COLUMNS_BYTES);
  }

  useGrammar(grammar: Grammar): void {
    this.#classifier.useGrammar(grammar);
  }

  /**
   * Classifies every page; `see` gets each class and its page's descriptor. Gives how many were seen at
   * the first look to be no pattern.
   */
  classify(see?: (patternClass: number, descriptor: Uint8Array) => void): number {
    let rejected = 0;
    const { arena, bytes } = this.#kernels;
    for (let first = 0; first < this.pages; first += WINDOW_PAGES) {
      const count = Math.min(WINDOW_PAGES, this.pages - first);
      const pages = arena + COLUMNS_BYTES + first * PAGE_BYTES;
      rejected += this.#classifier.classify({ list: this.#list, count, pages }, this.#classes);
      if (see === undefined) continue;
      for (let i = 0; i < count; i += 1)
        see(bytes[this.#classes + i]!, this.#classifier.descriptor(i));
    }
    return rejected;
  }

  /** Nanoseconds a page. */
  sample(): number {
    const start = performance.now();
    this.classify();
    return ((performance.now() - start) * 1e6) / this.pages;
  }
}

/** Nanoseconds that a page takes to be made again. */
function regenerationNs(descriptors: readonly Uint8Array[], into: Uint8Array): number {
  const room = into.length / PAGE_BYTES;
  const start = performance.now();
  for (const [i, descriptor] of descriptors.entries()) {
    const at = (i % room) * PAGE_BYTES;
    const fault = regenerate(descriptor, into.subarray(at, at + PAGE_BYTES));
    assert(fault === null, 'what is described can be made again');
  }
  return ((performance.now() - start) * 1e6) / descriptors.length;
}

const shareText = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

async function run(context: BenchContext): Promise<readonly Row[]> {
  const bytes = (context.isQuick ? 16 : 256) * MIB;
  const samples = context.isQuick ? 3 : 15;
  const path = join(context.folder, `patterns-${bytes}.raw`);
  context.tell('an image like a guest’s');
  writeGuestImage({ path, pages: bytes / PAGE_BYTES, seed: 9 });
  const image = new LoadedImage(readFileSync(path));
  const descriptors: Uint8Array[] = [];
  let zeros = 0;
  const rejected = image.classify((patternClass, descriptor) => {
    if (patternClass === CLASS_ZERO) zeros += 1;
    else if (patternClass !== CLASS_NONE) descriptors.push(descriptor.slice());
  });
  const memcpy = new Memcpy(bytes);
  const target = new Uint8Array(bytes);
  const times = { copy: [0], plain: [0], widened: [0], regenerated: [0] };
  for (let sample = -2; sample < samples; sample += 1) {
    const one = { copy: PAGE_BYTES / memcpy.sample(), plain: 0, widened: 0, regenerated: 0 };
    image.useGrammar([]);
    one.plain = image.sample();
    image.useGrammar(added);
    one.widened = image.sample();
    one.regenerated = regenerationNs(descriptors, target);
    for (const key of ['copy', 'plain', 'widened', 'regenerated'] as const) {
      if (sample === 0) times[key].length = 0;
      times[key].push(one[key]);
    }
  }
  const limit = { what: 'memcpy of a page', figure: figureOf(times.copy, 'ns') };
  return [
    rowOf({
      what: 'a page recognised, over the mix',
      measured: figureOf(times.plain, 'ns'),
      limit,
      target: { sense: 'at most', bound: RECOGNITION_AT_MOST },
      note: `${shareText(zeros, image.pages)} zeros, ${shareText(descriptors.length, image.pages)} other patterns, descriptors written`,
    }),
    rowOf({
      what: 'pages seen at the first look to be no pattern, of all that are none',
      measured: figureOf([(100 * rejected) / (image.pages - zeros - descriptors.length)], '%'),
      note: 'without added strings, which every page is tried for',
    }),
    rowOf({
      what: `the same with ${STRINGS} added strings of as many lengths`,
      measured: figureOf(times.widened, 'ns'),
      limit,
    }),
    rowOf({
      what: 'a page made again from its descriptor',
      measured: figureOf(times.regenerated, 'ns'),
      limit,
      target: { sense: 'at most', bound: REGENERATION_AT_MOST },
      note: 'the descriptor is checked in full; on one thread',
    }),
  ];
}

export const patterns: Bench = {
  name: 'patterns',
  title: 'Pages of patterns',
  run,
};
