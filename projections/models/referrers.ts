// How many patches that lie somewhere refer to each content: counted when it is first asked, and kept up
// from then on.

import { contentOf, isContent, type Holding } from '../../domain/values/holding.ts';
import type { AnyPack } from './packs.ts';

/** The contents whose patches are counted. */
interface CountedContents {
  readonly count: number;
  readonly all: Iterable<AnyPack>;
  liesAt(pack: AnyPack, slot: number): boolean;
  firstOf(holding: Holding): Holding;
}

export class Referrers {
  readonly #contents: CountedContents;
  /** By content; null: nobody asked. */
  #counts: Uint32Array | null = null;

  constructor(contents: CountedContents) {
    this.#contents = contents;
  }

  /** Whether they are counted, so that they are to be kept up. */
  get areCounted(): boolean {
    return this.#counts !== null;
  }

  /** They are counted anew when they are asked for. */
  forget(): void {
    this.#counts = null;
  }

  /** So many more patches refer to it, where they are counted. */
  add(of: Holding, by: number): void {
    const counts = this.#counts;
    // As `referenceAt` tells it: what is counted and what is taken back have to be of one content.
    const reference = this.#contents.firstOf(of);
    if (counts === null || !isContent(reference)) return;
    const content = contentOf(reference);
    if (content >= counts.length) {
      this.#counts = new Uint32Array(Math.max(this.#contents.count, 2 * counts.length));
      this.#counts.set(counts);
    }
    this.#counts![content]! += by;
  }

  #counted(): Uint32Array {
    if (this.#counts === null) {
      this.#counts = new Uint32Array(this.#contents.count + 1);
      for (const pack of this.#contents.all)
        for (const [i, slot] of pack.patches.slots.entries())
          if (this.#contents.liesAt(pack, slot)) this.add(pack.references[i]!, 1);
    }
    return this.#counts;
  }

  /** Whether any refer to a content. */
  has(holding: Holding): boolean {
    return isContent(holding) && (this.#counted()[contentOf(holding)] ?? 0) > 0;
  }

  /** By content. */
  all(): Uint32Array {
    const { count } = this.#contents;
    const all = new Uint32Array(count);
    all.set(this.#counted().subarray(0, count));
    return all;
  }
}
