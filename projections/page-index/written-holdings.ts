// Who held what from when to when, out of the versions of pages: of what no record of holdings names.

import type { Holding } from '../../domain/values/holding.ts';
import type { ContentHolders } from './holding-records.ts';
import { VERSION_WORDS } from './recent-events.ts';

export class WrittenHoldings {
  readonly #holders: ReadonlyMap<Holding, ContentHolders>;
  /** By VM and page: which of them the page holds. */
  readonly #held = new Map<number, Map<number, ContentHolders>>();

  constructor(holders: readonly ContentHolders[]) {
    this.#holders = new Map(holders.map((each) => [each.content, each]));
  }

  #pagesOf(vm: number): Map<number, ContentHolders> {
    let pages = this.#held.get(vm);
    if (pages === undefined) {
      pages = new Map();
      this.#held.set(vm, pages);
    }
    return pages;
  }

  /** Takes records of versions in, those of one page in their order. */
  take(words: Uint32Array, count: number): void {
    for (let at = 0; at < count * VERSION_WORDS; at += VERSION_WORDS) {
      const [vm, gfn, capture] = [words[at]!, words[at + 1]!, words[at + 2]!];
      const pages = this.#pagesOf(vm);
      const before = pages.get(gfn);
      const next = this.#holders.get(words[at + 3]!);
      if (before === next) continue;
      before?.end({ vm, gfn, capture });
      next?.begin({ vm, gfn, capture });
      if (next === undefined) pages.delete(gfn);
      else pages.set(gfn, next);
    }
  }
}
