// A set of what pages hold and packs keep, a bit a content and a bit a pattern.

import { contentOf, isContent, isKeptPattern, keptPatternOf, type Holding } from './holding.ts';
import { NumberSet } from './number-set.ts';

/** Contents and kept patterns. Anything else is never in it. */
export class HoldingSet {
  readonly #contents = new NumberSet();
  readonly #patterns = new NumberSet();

  has(holding: Holding): boolean {
    if (isContent(holding)) return this.#contents.has(contentOf(holding));
    return isKeptPattern(holding) && this.#patterns.has(keptPatternOf(holding));
  }

  /** False: it was there, or is of neither kind. */
  add(holding: Holding): boolean {
    if (isContent(holding)) return this.#contents.add(contentOf(holding));
    return isKeptPattern(holding) && this.#patterns.add(keptPatternOf(holding));
  }

  addAll(holdings: Uint32Array): void {
    for (const holding of holdings) this.add(holding);
  }
}
