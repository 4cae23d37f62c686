// A scanner that merges pages after the fact, replayed over what a ledger says that memory held and
// when: which of the sharing it has found at an instant, and how long it took to find it.

import { assert } from '../../domain/values/assert.ts';

/** From this second on pages hold other contents; `contents` numbers them, 0: none that counts. */
export interface MemoryChange {
  readonly seconds: number;
  readonly first: number;
  readonly contents: Uint32Array;
}

export interface ScanRequest {
  readonly pages: number;
  readonly contentCount: number;
  /** Ascending in time. */
  readonly changes: readonly MemoryChange[];
  readonly pagesPerSecond: number;
  /** It takes a page only that is as it was when it looked last, as KSM does. */
  readonly looksTwice: boolean;
  /** When to tell what was found; ascending. */
  readonly atSeconds: readonly number[];
}

export interface Scanned {
  /** At each instant, of the pages that another page could stand for, the part that is found. */
  readonly found: readonly number[];
  /** From when a page could have been shared until it was, over all that were. */
  readonly meanSeconds: number;
  /** Pages that were changed before they were found. */
  readonly missed: number;
}

/** Scans round after round, at a steady pace. */
export class PageScanner {
  readonly #request: ScanRequest;
  /** What each page holds, since when, and what it held when it was last looked at. */
  readonly #held: Uint32Array;
  readonly #since: Float64Array;
  readonly #seen: Uint32Array;
  readonly #isFound: Uint8Array;
  /** Of each content: pages that hold it and that were found to; one of these. */
  readonly #holders: Uint32Array;
  readonly #foundHolders: Uint32Array;
  readonly #known: Int32Array;
  #available = 0;
  #saved = 0;
  #missed = 0;
  #latency = 0;
  #merges = 0;

  constructor(request: ScanRequest) {
    const { pages, contentCount } = request;
    this.#request = request;
    this.#held = new Uint32Array(pages);
    this.#since = new Float64Array(pages);
    this.#seen = new Uint32Array(pages);
    this.#isFound = new Uint8Array(pages);
    this.#holders = new Uint32Array(contentCount);
    this.#foundHolders = new Uint32Array(contentCount);
    this.#known = new Int32Array(contentCount).fill(-1);
  }

  run(): Scanned {
    const { pages, changes, pagesPerSecond, atSeconds } = this.#request;
    const found: number[] = [];
    let change = 0;
    let looked = 0;
    for (const seconds of atSeconds) {
      for (; looked < seconds * pagesPerSecond; looked += 1) {
        const now = looked / pagesPerSecond;
        while (change < changes.length && changes[change]!.seconds <= now)
          this.#change(changes[change++]!);
        this.#look(looked % pages, now);
      }
      found.push(this.#available === 0 ? 1 : this.#saved / this.#available);
    }
    assert(this.#saved <= this.#available, 'no more is shared than can be');
    const meanSeconds = this.#merges === 0 ? 0 : this.#latency / this.#merges;
    return { found, meanSeconds, missed: this.#missed };
  }

  #change({ seconds, first, contents }: MemoryChange): void {
    for (const [i, content] of contents.entries()) {
      const page = first + i;
      const before = this.#held[page]!;
      if (before === content) continue;
      this.#leave(page, before);
      this.#held[page] = content;
      this.#since[page] = seconds;
      if (content === 0) continue;
      this.#holders[content]! += 1;
      if (this.#holders[content]! > 1) this.#available += 1;
    }
  }

  /** A page holds something else from now on. */
  #leave(page: number, content: number): void {
    if (content === 0) return;
    const holders = this.#holders[content]!--;
    if (holders > 1) this.#available -= 1;
    if (this.#isFound[page] === 0) {
      if (holders > 1) this.#missed += 1;
      return;
    }
    this.#isFound[page] = 0;
    if (this.#foundHolders[content]!-- > 1) this.#saved -= 1;
    if (this.#known[content] === page) this.#known[content] = -1;
  }

  #look(page: number, now: number): void {
    const content = this.#held[page]!;
    const isAsSeen = this.#seen[page] === content;
    this.#seen[page] = content;
    if (content === 0 || this.#isFound[page] === 1) return;
    if (this.#request.looksTwice && !isAsSeen) return;
    this.#isFound[page] = 1;
    const other = this.#known[content]!;
    if (this.#foundHolders[content]!++ > 0) {
      this.#saved += 1;
      this.#merges += 1;
      const since = other < 0 ? 0 : this.#since[other]!;
      this.#latency += now - Math.max(this.#since[page]!, since);
    }
    if (other < 0) this.#known[content] = page;
  }
}
