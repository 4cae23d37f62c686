// What stands for what: of contents, and of patterns, that are equal there is one, and others are aliases
// of it.

import {
  contentOf,
  holdingOfContent,
  holdingOfPattern,
  isContent,
  isKeptPattern,
  keptPatternOf,
  type Content,
  type Holding,
  type KeptPattern,
} from '../../domain/values/holding.ts';

/** What stands for a number in the end: what stands for one that is gone may be gone itself since. */
function endOf(aliases: ReadonlyMap<number, number>, number: number): number {
  let end = number;
  for (let next = aliases.get(end); next !== undefined; next = aliases.get(end)) end = next;
  return end;
}

export class Aliases {
  /** Alias -> first content, as content numbers. */
  readonly contents = new Map<Content, Content>();
  /** Lost pattern -> the one of equal descriptors that stands for it, as pattern numbers. */
  readonly patterns = new Map<KeptPattern, KeptPattern>();
  /** Whether a later content stands for an earlier one; and for how many aliases that was found out. */
  readonly #renewed = { aliases: 0, isAny: false };

  /** Whether anything stands for anything. */
  get areAny(): boolean {
    return this.contents.size > 0 || this.patterns.size > 0;
  }

  /** The first of the contents, or patterns, equal to one; anything else as it is. */
  firstOf(holding: Holding): Holding {
    if (!this.areAny) return holding;
    if (isKeptPattern(holding))
      return holdingOfPattern(endOf(this.patterns, keptPatternOf(holding)));
    return isContent(holding)
      ? holdingOfContent(endOf(this.contents, contentOf(holding)))
      : holding;
  }

  /** Whether a later content stands for an earlier one, which page tables of before name. */
  get hasRenewed(): boolean {
    const renewed = this.#renewed;
    if (renewed.aliases !== this.contents.size) {
      renewed.aliases = this.contents.size;
      renewed.isAny = [...this.contents].some(([alias, first]) => first > alias);
    }
    return renewed.isAny || this.patterns.size > 0;
  }
}
