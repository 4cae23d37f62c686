// Classes and descriptors of pages in the kernels' memory: the kernel says nearly all of them, and the
// oracle (domain/patterns) those of pages that known strings may make. Works in an area that the caller
// sets aside; what it says of a window of pages is there until the next one.

import { assert } from '../../../domain/values/assert.ts';
import { CLASS_NONE, CLASS_ZERO } from '../../../domain/ports/page-engine.ts';
import type { Descriptors, Grammar } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { DESCRIPTOR_BYTES_MAX, describe } from '../../../domain/patterns/index.ts';
import { CLASS_ASK, DESCRIPTOR_STRIDE } from './kernels.ts';
import type { Kernels, PageList } from './kernels.ts';

/** Lengths of added strings, 16 bits each. */
const PERIODS = 0;
const PERIODS_MAX = 256;
const LENGTHS = PERIODS + PERIODS_MAX * Uint16Array.BYTES_PER_ELEMENT;

/** Bytes of the area that a classifier of windows of this many pages works in. */
export const classifierBytes = (windowPages: number): number =>
  LENGTHS + windowPages * (1 + DESCRIPTOR_STRIDE);

export class PageClassifier {
  readonly #kernels: Kernels;
  readonly #area: number;
  readonly #windowPages: number;
  #grammar: Grammar = [];
  #periodCount = 0;

  /** `area` is the address of classifierBytes(windowPages), a multiple of 8. */
  constructor(place: {
    readonly kernels: Kernels;
    readonly area: number;
    readonly windowPages: number;
  }) {
    this.#kernels = place.kernels;
    this.#area = place.area;
    this.#windowPages = place.windowPages;
  }

  useGrammar(grammar: Grammar): void {
    const periods = new Set(grammar.map(({ unit }) => unit.length));
    assert(periods.size <= PERIODS_MAX, 'there are no more added strings than numbers for them');
    const { buffer } = this.#kernels.bytes;
    new Uint16Array(buffer, this.#area + PERIODS, PERIODS_MAX).set([...periods]);
    this.#periodCount = periods.size;
    this.#grammar = grammar;
  }

  /**
   * Classes of the listed pages, a byte each, to `out`; their descriptors are there from now on. Returns
   * how many of them were seen at the first look to be no pattern.
   */
  classify(pages: PageList, out: number): number {
    assert(
      pages.count <= this.#windowPages,
      'no more pages are classified at once than a window has',
    );
    const { bytes } = this.#kernels;
    const rejected = this.#kernels.classify(pages, {
      classes: out,
      descriptors: this.#descriptorAt(0),
      lengths: this.#area + LENGTHS,
      periods: this.#area + PERIODS,
      periodCount: this.#periodCount,
    });
    const classes = bytes.subarray(out, out + pages.count);
    for (let i = classes.indexOf(CLASS_ASK); i >= 0; i = classes.indexOf(CLASS_ASK, i + 1))
      classes[i] = this.#ask(pages, i);
    return rejected;
  }

  /** The descriptor of the ith page listed last; empty unless its class is above CLASS_ZERO. A view. */
  descriptor(i: number): Uint8Array {
    const at = this.#descriptorAt(i);
    return this.#kernels.bytes.subarray(at, at + this.#kernels.bytes[this.#area + LENGTHS + i]!);
  }

  #descriptorAt(i: number): number {
    return this.#area + LENGTHS + this.#windowPages + i * DESCRIPTOR_STRIDE;
  }

  /** The class of the ith page listed as the oracle says it; its descriptor is put where the others are. */
  #ask({ list, pages }: PageList, i: number): number {
    const { bytes } = this.#kernels;
    const number = new Uint32Array(bytes.buffer, list, i + 1)[i]!;
    const at = pages + number * PAGE_BYTES;
    const said = describe(bytes.subarray(at, at + PAGE_BYTES), this.#grammar);
    bytes.set(said.descriptor, this.#descriptorAt(i));
    bytes[this.#area + LENGTHS + i] = said.descriptor.length;
    return said.patternClass;
  }
}

/** Collects descriptors in order; its room is allocated once and used again after each `take`. */
export class DescriptorColumn {
  readonly #bytes: Uint8Array;
  readonly #ends: Uint32Array;
  #count = 0;
  #usedBytes = 0;

  constructor({ rowsMax }: { readonly rowsMax: number }) {
    this.#bytes = new Uint8Array(rowsMax * DESCRIPTOR_BYTES_MAX);
    this.#ends = new Uint32Array(rowsMax);
  }

  add(descriptor: Uint8Array): void {
    this.#bytes.set(descriptor, this.#usedBytes);
    this.#usedBytes += descriptor.length;
    this.#ends[this.#count] = this.#usedBytes;
    this.#count += 1;
  }

  /** The descriptors added since the last take, in arrays of exactly their size. */
  take(): Descriptors {
    const ends = this.#ends.slice(0, this.#count);
    const bytes = this.#bytes.slice(0, this.#usedBytes);
    this.#count = 0;
    this.#usedBytes = 0;
    return { ends, bytes };
  }
}

/** Whether pages of a class have a descriptor. */
export const isDescribed = (pageClass: number): boolean =>
  pageClass !== CLASS_NONE && pageClass !== CLASS_ZERO;
