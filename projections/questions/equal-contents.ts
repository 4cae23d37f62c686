// Contents that are equal, though they have different numbers since some of them are held large: one number
// for each identifier. For questions that are about what pages hold, and not about how that is kept. Memory:
// some words a content that is held large and was asked for.

import { contentOf, holdingOfContent, type Holding } from '../../domain/values/holding.ts';
import { IdentifierIndex } from '../models/identifier-index.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import type { PageTable } from '../table.ts';

/** A state, and what is equal in it. */
export interface ComparedState {
  readonly state: LedgerState;
  readonly equal: EqualContents;
}

export class EqualContents {
  readonly #state: Pick<LedgerState, 'contents' | 'sharing'>;
  /** The first of equal ones that were asked for, where none of them is small; null: there is none. */
  #first: IdentifierIndex | null = null;
  readonly #known = new Map<Holding, Holding>();

  /** Of a state whose heavy half is loaded, where anything is held large. */
  constructor(state: Pick<LedgerState, 'contents' | 'sharing'>) {
    this.#state = state;
  }

  /** The number of all contents that are equal to one: that of the small one among them, if there is one. */
  one(holding: Holding): Holding {
    if (!this.#state.contents.held.isLarge(holding)) return holding;
    const known = this.#known.get(holding);
    if (known !== undefined) return known;
    const found = this.#find(holding);
    this.#known.set(holding, found);
    return found;
  }

  #find(holding: Holding): Holding {
    const { sharing } = this.#state;
    const identifier = sharing.identifierOf(contentOf(holding));
    const small = sharing.index.find(identifier, 0);
    if (small >= 0) return holdingOfContent(small);
    const among = (this.#first ??= new IdentifierIndex(sharing.column));
    const first = among.find(identifier, 0);
    if (first >= 0) return holdingOfContent(first);
    among.insert(identifier, 0, contentOf(holding));
    return holding;
  }

  areEqual(a: Holding, b: Holding): boolean {
    return a === b || this.one(a) === this.one(b);
  }

  /** A table in which equal contents have one number; the table itself where nothing was ever held large. */
  in(table: PageTable): PageTable {
    return this.#state.contents.held.hasLarge ? table.map((holding) => this.one(holding)) : table;
  }
}
