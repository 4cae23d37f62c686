// Seeded memory images: what a guest's RAM looks like to a recorder, without a guest. The same
// request gives the same bytes on every machine.

import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';

/** What a page is made of. A `duplicate` is one of a few contents that every image shares. */
const PAGE_KINDS = ['zero', 'text', 'random', 'repeated', 'duplicate'] as const;
export type PageKind = (typeof PAGE_KINDS)[number];

/** How often each kind comes, relative to the others. */
export type PageMix = Readonly<Record<PageKind, number>>;

/** About what an idle Linux guest holds. */
const GUEST_MIX: PageMix = { zero: 35, text: 35, random: 10, repeated: 8, duplicate: 12 };

export interface ImageRequest {
  readonly seed: number;
  readonly pages: number;
  readonly mix?: PageMix;
}

/** Whole numbers below `below`, at random but always the same for a seed. */
export type Random = (below: number) => number;

// Globals are slow to reach from inside a test runner's context, and this is called for every byte.
const { floor, imul } = Math;

/** A small generator (mulberry32's mixing of a counter): quick, seeded, good enough for content. */
export function seededRandom(seed: number): Random {
  let counter = seed >>> 0;
  return (below) => {
    counter = (counter + 0x6d2b_79f5) >>> 0;
    let mixed = imul(counter ^ (counter >>> 15), counter | 1);
    mixed ^= mixed + imul(mixed ^ (mixed >>> 7), mixed | 61);
    return floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Distinct contents that stand for shared libraries, the same in every image. */
const DUPLICATES = 16;
const WORDS = 'kernel page list node table inode cache queue timer event state module name path'
  .split(' ')
  .map((word) => new TextEncoder().encode(word));

function fillRandom(page: Uint8Array, random: Random): void {
  for (let i = 0; i < page.length; i += 1) page[i] = random(256);
}

/** Words, small numbers and runs of zeros: compresses about as a guest's data does. */
function fillText(page: Uint8Array, random: Random): void {
  let at = 0;
  while (at < page.length) {
    const word = WORDS[random(WORDS.length)]!;
    page.set(word.subarray(0, page.length - at), at);
    at += word.length;
    for (let digits = random(5); digits > 0 && at < page.length; digits -= 1, at += 1)
      page[at] = 0x30 + random(10);
    at += random(6);
  }
}

function fillRepeated(page: Uint8Array, random: Random): void {
  const period = 2 ** random(4);
  const unit = Uint8Array.from({ length: period }, () => random(256));
  // Never all zero: that is a kind of its own.
  unit[0] = 1 + random(255);
  for (let i = 0; i < page.length; i += 1) page[i] = unit[i % period]!;
}

/** Makes `page` one of a kind; whatever it held is gone. */
export function fillPage(page: Uint8Array, kind: PageKind, random: Random): void {
  page.fill(0);
  switch (kind) {
    case 'zero':
      return;
    case 'text':
      return fillText(page, random);
    case 'random':
      return fillRandom(page, random);
    case 'repeated':
      return fillRepeated(page, random);
    case 'duplicate':
      return fillText(page, seededRandom(0xd0b1e + random(DUPLICATES)));
  }
}

function drawKind(mix: PageMix, random: Random): PageKind {
  const total = PAGE_KINDS.reduce((sum, kind) => sum + mix[kind], 0);
  let left = random(total);
  for (const kind of PAGE_KINDS) {
    if (left < mix[kind]) return kind;
    left -= mix[kind];
  }
  return 'zero';
}

/** The bytes of page `gfn`: a view. */
export const pageAt = (image: Uint8Array, gfn: number): Uint8Array =>
  image.subarray(gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);

/** A memory image of so many pages. */
export function makeImage(request: ImageRequest): Uint8Array {
  const random = seededRandom(request.seed);
  const mix = request.mix ?? GUEST_MIX;
  const image = new Uint8Array(request.pages * PAGE_BYTES);
  for (let gfn = 0; gfn < request.pages; gfn += 1)
    fillPage(pageAt(image, gfn), drawKind(mix, random), random);
  return image;
}

export interface ChangeRequest {
  readonly seed: number;
  /** Exactly so many pages differ afterwards. */
  readonly changedPages: number;
  readonly mix?: PageMix;
}

function drawPages(draw: {
  readonly count: number;
  readonly pages: number;
  readonly random: Random;
}): Set<number> {
  assert(draw.count <= draw.pages, 'no more pages change than an image has');
  const drawn = new Set<number>();
  while (drawn.size < draw.count) drawn.add(draw.random(draw.pages));
  return drawn;
}

/** A copy of the image in which exactly `changedPages` pages differ. */
export function changeImage(image: Uint8Array, request: ChangeRequest): Uint8Array {
  const random = seededRandom(request.seed);
  const mix = request.mix ?? GUEST_MIX;
  const changed = image.slice();
  const pages = image.length / PAGE_BYTES;
  for (const gfn of drawPages({ count: request.changedPages, pages, random })) {
    const page = pageAt(changed, gfn);
    fillPage(page, drawKind(mix, random), random);
    // A page that came out as it was is no change: one byte makes it one.
    const before = pageAt(image, gfn);
    if (page.every((byte, i) => byte === before[i])) page[random(PAGE_BYTES)]! ^= 0x5a;
  }
  return changed;
}

export interface SeriesRequest extends ImageRequest {
  /** Images in the series, the first one included. */
  readonly captures: number;
  /** Pages that differ from one image to the next. */
  readonly changedPages: number;
}

/** Images of one guest, one after the other. */
export function* imageSeries(request: SeriesRequest): Generator<Uint8Array> {
  let image = makeImage(request);
  for (let capture = 1; capture <= request.captures; capture += 1) {
    yield image;
    image = changeImage(image, { ...request, seed: request.seed * 1000 + capture });
  }
}
