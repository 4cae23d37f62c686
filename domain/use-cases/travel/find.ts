// Where bytes stood in memory, over all of its history: each distinct page is looked at once, in the
// order in which they are stored, and the page index says who held it from when to when. Bytes that lie
// across two pages are found by the half of them that says more; whoever held a page with that half has
// a page beside it at that time, and those are looked at in the same way.

import { isTold, type Holding } from '../../values/holding.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { refuse } from '../../values/refused.ts';
import { beginsWith, endsWith, insidePages, type IndexOf, type Needle } from './needle.ts';

/** Places that are told of at most, and matches in distinct pages that are kept for them. */
export const PLACES_MAX = 2 ** 18;

/** From a capture to the first at which something is so no longer; Infinity: it is so still. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A page of a VM, for a time. */
export interface PageSpan extends Span {
  readonly vm: string;
  readonly gfn: number;
}

/** Where bytes stood: from an offset in a page on, into the next one where they have no room. */
export interface FoundPlace extends PageSpan {
  readonly offset: number;
}

/** Distinct pages one after the other, and what each is. */
export interface StoredPages {
  readonly holdings: ArrayLike<Holding>;
  readonly bytes: Uint8Array;
}

/** What a search is done with. */
export interface FindPorts {
  /** These pages, or all that are there, each once and in the order in which they are stored. */
  pages(which: readonly Holding[] | 'all'): AsyncIterable<StoredPages>;
  /** Who held them, of those who are asked about. */
  holders(holdings: readonly Holding[]): Promise<ReadonlyMap<Holding, readonly PageSpan[]>>;
  /** What a page held, in the order of the captures. */
  versions(vm: string, gfn: number): Promise<readonly (Span & { readonly holding: Holding })[]>;
  /** Which page came behind another, by 1, or before it, by -1, in the memory of its VM. */
  neighbours(
    page: { readonly vm: string; readonly gfn: number },
    by: 1 | -1,
  ): readonly (Span & { readonly gfn: number })[];
  readonly indexOf: IndexOf;
}

const common = (a: Span, b: Span): Span => ({
  from: Math.max(a.from, b.from),
  to: Math.min(a.to, b.to),
});

const isSome = ({ from, to }: Span): boolean => from < to;

/** Lists by what they are of, so many entries in all. */
class Bounded<A> {
  readonly of = new Map<Holding, A[]>();
  #count = 0;

  add(holding: Holding, value: A): void {
    this.#count += 1;
    if (this.#count > PLACES_MAX) throw refuse({ _tag: 'FoundTooOften', most: PLACES_MAX });
    const list = this.of.get(holding);
    if (list === undefined) this.of.set(holding, [value]);
    else list.push(value);
  }
}

/** A half that a page has: of which cut, and at which end. */
interface Half {
  readonly cut: number;
  readonly isHead: boolean;
}

/** A page that has one half, while the page beside it may have the other. */
interface Pair extends Half {
  /** Of the page where the bytes begin. */
  readonly page: PageSpan;
}

export class ByteFinder {
  readonly #ports: FindPorts;
  readonly #needle: Needle;
  readonly #inside = new Bounded<number>();
  readonly #halves = new Bounded<Half>();
  readonly #places: FoundPlace[] = [];

  constructor(ports: FindPorts, needle: Needle) {
    this.#ports = ports;
    this.#needle = needle;
  }

  /** The places, in the order of VM, page, offset and capture. Refused where they are too many. */
  async find(): Promise<readonly FoundPlace[]> {
    for await (const stored of this.#ports.pages('all')) this.#take(stored);
    await this.#placeInside();
    await this.#placeAcross(await this.#pairs());
    return joined(this.#places);
  }

  #take({ holdings, bytes }: StoredPages): void {
    const { heads, tails } = this.#needle;
    for (const { page, offset } of insidePages(bytes, this.#needle, this.#ports.indexOf))
      this.#inside.add(holdings[page]!, offset);
    for (let i = 0; i < holdings.length; i += 1) {
      const page = bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      for (const cut of heads)
        if (endsWith(page, this.#needle, cut))
          this.#halves.add(holdings[i]!, { cut, isHead: true });
      for (const cut of tails)
        if (beginsWith(page, this.#needle, cut))
          this.#halves.add(holdings[i]!, { cut, isHead: false });
    }
  }

  #place(place: FoundPlace): void {
    if (this.#places.length >= PLACES_MAX)
      throw refuse({ _tag: 'FoundTooOften', most: PLACES_MAX });
    this.#places.push(place);
  }

  async #placeInside(): Promise<void> {
    const offsets = this.#inside.of;
    for (const [holding, pages] of await this.#ports.holders([...offsets.keys()]))
      for (const page of pages)
        for (const offset of offsets.get(holding)!) this.#place({ ...page, offset });
  }

  /** Pages beside those that have a half, by what they held meanwhile. */
  async #pairs(): Promise<Bounded<Pair>> {
    const pairs = new Bounded<Pair>();
    const halves = this.#halves.of;
    for (const [holding, pages] of await this.#ports.holders([...halves.keys()]))
      for (const page of pages)
        for (const isHead of [true, false]) {
          const own = halves.get(holding)!.filter((half) => half.isHead === isHead);
          if (own.length === 0) continue;
          for await (const { holding: beside, gfn, ...span } of this.#beside(page, isHead ? 1 : -1))
            for (const half of own)
              pairs.add(beside, {
                ...half,
                page: { vm: page.vm, gfn: isHead ? page.gfn : gfn, ...span },
              });
        }
    return pairs;
  }

  /** What the page beside another held while that held what it does. */
  async *#beside(page: PageSpan, by: 1 | -1) {
    for (const neighbour of this.#ports.neighbours(page, by)) {
      const { gfn } = neighbour;
      const meanwhile = common(neighbour, page);
      if (!isSome(meanwhile)) continue;
      for (const { holding, ...held } of await this.#ports.versions(page.vm, gfn)) {
        const span = common(held, meanwhile);
        if (isSome(span) && isTold(holding)) yield { ...span, gfn, holding };
      }
    }
  }

  async #placeAcross({ of: pairs }: Bounded<Pair>): Promise<void> {
    for await (const { holdings, bytes } of this.#ports.pages([...pairs.keys()]))
      for (let i = 0; i < holdings.length; i += 1) {
        const beside = bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
        for (const { page, cut, isHead } of pairs.get(holdings[i]!)!) {
          const hasOther = (isHead ? beginsWith : endsWith)(beside, this.#needle, cut);
          if (hasOther) this.#place({ ...page, offset: PAGE_BYTES - cut });
        }
      }
  }
}

/** Places in order, those of the same bytes that go on where others end as one. */
function joined(places: readonly FoundPlace[]): readonly FoundPlace[] {
  const order = (a: FoundPlace, b: FoundPlace): number =>
    (a.vm < b.vm ? -1 : Number(a.vm > b.vm)) ||
    a.gfn - b.gfn ||
    a.offset - b.offset ||
    a.from - b.from;
  const found: FoundPlace[] = [];
  for (const place of places.toSorted(order)) {
    const last = found.at(-1);
    const goesOn =
      last?.vm === place.vm &&
      last.gfn === place.gfn &&
      last.offset === place.offset &&
      last.to === place.from;
    if (goesOn) found[found.length - 1] = { ...last, to: place.to };
    else found.push(place);
  }
  return found;
}
