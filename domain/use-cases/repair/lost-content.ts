// What of one sharing group is lost, by identifier: what a repair looks for in other places.

import { IDENTIFIER_BYTES } from '../../ports/page-engine.ts';
import { addTo } from '../../values/grouped.ts';
import { toHex } from '../../values/identifier.ts';
import { isContent, type Holding } from '../../values/holding.ts';

/** A content or a kept pattern that cannot be read. */
export interface LostHolding {
  readonly holding: Holding;
  readonly identifier: Uint8Array;
  /** The VM that stored it. */
  readonly vm: string;
}

/** Where the word of an identifier lies that most others are told from it by. */
const WORD_AT = 8;

const wordAt = (identifiers: Uint8Array, row: number): number => {
  const at = row * IDENTIFIER_BYTES + WORD_AT;
  const [a, b, c, d] = identifiers.subarray(at, at + 4);
  return (a! | (b! << 8) | (c! << 16) | (d! << 24)) >>> 0;
};

const hexAt = (identifiers: Uint8Array, row: number): string =>
  toHex(identifiers.subarray(row * IDENTIFIER_BYTES, (row + 1) * IDENTIFIER_BYTES));

export class LostContent {
  /** By identifier: of VMs that share nothing, several may be of one. */
  readonly #contents = new Map<string, Holding[]>();
  readonly #patterns = new Map<string, Holding[]>();
  readonly #words = new Set<number>();
  /** VMs of which patterns are lost: a pattern is its VM's own. */
  readonly patternVms: ReadonlySet<string>;

  constructor(lost: Iterable<LostHolding>) {
    const vms = new Set<string>();
    for (const { holding, identifier, vm } of lost) {
      const of = isContent(holding) ? this.#contents : this.#patterns;
      addTo(of, toHex(identifier), holding);
      if (isContent(holding)) this.#words.add(wordAt(identifier, 0));
      else vms.add(vm);
    }
    this.patternVms = vms;
  }

  /** Whether nothing is looked for any more. */
  get isFound(): boolean {
    return this.#contents.size === 0 && this.#patterns.size === 0;
  }

  /** Whether pages are looked for still, beside patterns. */
  get hasContents(): boolean {
    return this.#contents.size > 0;
  }

  /** Identifiers of the patterns that are looked for still. */
  patterns(): readonly string[] {
    return [...this.#patterns.keys()];
  }

  /** Whether a page is looked for that has the identifier in a row of some. */
  isContentLost(identifiers: Uint8Array, row: number): boolean {
    return this.#words.has(wordAt(identifiers, row)) && this.#contents.has(hexAt(identifiers, row));
  }

  /** What a page that was found stands for: it is not looked for any more. */
  takeContent(identifiers: Uint8Array, row: number): readonly Holding[] {
    return this.isContentLost(identifiers, row)
      ? taken(this.#contents, hexAt(identifiers, row))
      : [];
  }

  /** What a pattern that was found stands for. */
  takePattern(identifier: Uint8Array): readonly Holding[] {
    return taken(this.#patterns, toHex(identifier));
  }
}

function taken(of: Map<string, Holding[]>, key: string): readonly Holding[] {
  const holdings = of.get(key) ?? [];
  of.delete(key);
  return holdings;
}
