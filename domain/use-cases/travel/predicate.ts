// A predicate on a guest's memory, as people write it:
//
//   u64 jiffies >= 4295667296 and not bytes linux_banner == 4c696e7578
//
// A type (u8 to u64, s8 to s64, bytes), a place (an address, a symbol of the kernel, or a symbol and how
// far behind or before it), a comparison, a number in decimal or hex; bytes are compared with hex digits.
// `and`, `or`, `not` and parentheses join them. What cannot be read is neither true nor false, and makes
// the whole so where it depends on it.

import * as either from 'fp-ts/lib/Either.js';
import type { Refusal } from '../../values/refusals.ts';
import { bytesOfType, isNumberType, NUMBER_TYPES, numberIn, type NumberType } from './numbers.ts';
import type { Place } from './place.ts';

/** Longest text of a predicate, in UTF-16 units. */
const TEXT_MAX = 4096;
/** Deepest parentheses and negations. */
const DEPTH_MAX = 64;
/** Most bytes that are compared at once. */
const BYTES_MAX = 256;
const COMPARISONS = ['==', '!=', '<=', '>=', '<', '>', '='] as const;
type Comparison = (typeof COMPARISONS)[number];

/** A predicate that was understood. */
export type Predicate =
  | { readonly _tag: 'and' | 'or'; readonly all: readonly Predicate[] }
  | { readonly _tag: 'not'; readonly of: Predicate }
  | {
      readonly _tag: 'number';
      readonly type: NumberType;
      readonly place: Place;
      readonly comparison: Comparison;
      readonly value: bigint;
    }
  | {
      readonly _tag: 'bytes';
      readonly place: Place;
      readonly isEqual: boolean;
      readonly value: Uint8Array;
    };

/** Reads bytes of a place; null: they cannot be read. */
export type ReadPlace = (place: Place, lengthBytes: number) => Promise<Uint8Array | null>;

const TOKEN = /\s*(?:(?<word>[A-Za-z_.$][\w.$]*|\d\w*)|(?<sign>==|!=|<=|>=|[<>=()+,-]))/uy;
const DIGITS = /^(?:0x[0-9a-f]+|\d+)$/iu;
const HEX_BYTES = /^(?:0x)?(?:[0-9a-f]{2})+$/iu;

const ADDRESSES = 2n ** 64n;

class Unparsable extends Error {}

function tokensOf(text: string): readonly string[] {
  const tokens: string[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    const found = TOKEN.exec(text);
    if (found === null) throw new Unparsable(`${JSON.stringify(text[at])} means nothing here`);
    tokens.push(found.groups!['word'] ?? found.groups!['sign']!);
  }
  return tokens;
}

class Parser {
  readonly #tokens: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  whole(): Predicate {
    const predicate = this.#joined('or', () => this.#joined('and', () => this.#one()));
    const left = this.#tokens[this.#at];
    if (left !== undefined) throw new Unparsable(`${JSON.stringify(left)} was not expected`);
    return predicate;
  }

  #next(expected: string): string {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new Unparsable(`${expected} was expected at its end`);
    this.#at += 1;
    return token;
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }

  #joined(tag: 'and' | 'or', part: () => Predicate): Predicate {
    const all = [part()];
    while (this.#take(tag)) all.push(part());
    return all.length === 1 ? all[0]! : { _tag: tag, all };
  }

  #one(): Predicate {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw new Unparsable(`it is deeper than ${DEPTH_MAX}`);
    const predicate = this.#nested();
    this.#depth -= 1;
    return predicate;
  }

  #nested(): Predicate {
    if (this.#take('not')) return { _tag: 'not', of: this.#one() };
    if (!this.#take('(')) return this.#comparison();
    const inner = this.#joined('or', () => this.#joined('and', () => this.#one()));
    if (!this.#take(')')) throw new Unparsable('a ) was expected');
    return inner;
  }

  #comparison(): Predicate {
    const type = this.#next('a type');
    const isBytes = type === 'bytes';
    if (!isBytes && !isNumberType(type))
      throw new Unparsable(
        `a type was expected (${NUMBER_TYPES.join(', ')} or bytes), ${JSON.stringify(type)} was found`,
      );
    const isEnclosed = this.#take('(');
    const place = this.#place();
    if (isEnclosed && !this.#take(')')) throw new Unparsable('a ) was expected');
    const sign = this.#next('a comparison');
    const comparison = COMPARISONS.find((each) => each === sign);
    if (comparison === undefined)
      throw new Unparsable(
        `a comparison was expected (==, !=, <, <=, >, >=), ${JSON.stringify(sign)} was found`,
      );
    if (!isBytes) return { _tag: 'number', type, place, comparison, value: this.#valueOf(type) };
    if (comparison !== '==' && comparison !== '=' && comparison !== '!=')
      throw new Unparsable('bytes are equal or not: == or != was expected');
    return { _tag: 'bytes', place, isEqual: comparison !== '!=', value: this.#bytes() };
  }

  /** A number that a type may have. */
  #valueOf(type: NumberType): bigint {
    const value = this.#number(this.#take('-'));
    const bits = 8 * bytesOfType(type);
    const held = type.startsWith('s') ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
    if (held === value) return value;
    throw new Unparsable(`${type} is never ${value}`);
  }

  #place(): Place {
    const word = this.#next('an address or a symbol');
    if (DIGITS.test(word)) {
      const offset = BigInt(word);
      if (offset < ADDRESSES) return { symbol: null, offset };
      throw new Unparsable(`${word} is no address: these have 64 bits`);
    }
    if (!/^[A-Za-z_.$]/u.test(word))
      throw new Unparsable(`${JSON.stringify(word)} is neither an address nor a symbol`);
    if (this.#take('+')) return { symbol: word, offset: this.#number(false) };
    return { symbol: word, offset: this.#take('-') ? this.#number(true) : 0n };
  }

  #number(isNegative: boolean): bigint {
    const word = this.#next('a number');
    if (!DIGITS.test(word) || word.length > 40)
      throw new Unparsable(`a number was expected, ${JSON.stringify(word)} was found`);
    return isNegative ? -BigInt(word) : BigInt(word);
  }

  #bytes(): Uint8Array {
    const word = this.#next('bytes');
    const digits = word.replace(/^0x/iu, '');
    if (!HEX_BYTES.test(word) || digits.length > 2 * BYTES_MAX)
      throw new Unparsable(
        `1 to ${BYTES_MAX} bytes in hex were expected, ${JSON.stringify(word)} was found`,
      );
    return Uint8Array.from(digits.match(/../gu)!, (pair) => Number.parseInt(pair, 16));
  }
}

/** The predicate that a text is. BadPredicate. */
export function parsePredicate(text: string): either.Either<Refusal, Predicate> {
  try {
    if (text.length > TEXT_MAX) throw new Unparsable(`it is longer than ${TEXT_MAX} characters`);
    return either.right(new Parser(tokensOf(text)).whole());
  } catch (thrown) {
    if (thrown instanceof Unparsable)
      return either.left({ _tag: 'BadPredicate', text, why: thrown.message });
    throw thrown;
  }
}

/** The places that a predicate reads. */
export function placesIn(predicate: Predicate): readonly Place[] {
  if ('place' in predicate) return [predicate.place];
  return predicate._tag === 'not' ? placesIn(predicate.of) : predicate.all.flatMap(placesIn);
}

function holds(found: bigint, comparison: Comparison, value: bigint): boolean {
  switch (comparison) {
    case '==':
    case '=':
      return found === value;
    case '!=':
      return found !== value;
    case '<':
      return found < value;
    case '<=':
      return found <= value;
    case '>':
      return found > value;
    case '>=':
      return found >= value;
    default:
      return comparison satisfies never;
  }
}

/** Whether a predicate holds; null: it cannot be told, as something it depends on cannot be read. */
export async function evaluate(predicate: Predicate, read: ReadPlace): Promise<boolean | null> {
  switch (predicate._tag) {
    case 'and':
    case 'or': {
      const deciding = predicate._tag === 'or';
      let result: boolean | null = !deciding;
      for (const part of predicate.all) {
        const is = await evaluate(part, read);
        if (is === deciding) return deciding;
        if (is === null) result = null;
      }
      return result;
    }
    case 'not': {
      const is = await evaluate(predicate.of, read);
      return is === null ? null : !is;
    }
    case 'number': {
      const { type, place, comparison, value } = predicate;
      const bytes = await read(place, bytesOfType(type));
      return bytes === null ? null : holds(numberIn(bytes, type), comparison, value);
    }
    case 'bytes': {
      const { place, value, isEqual } = predicate;
      const bytes = await read(place, value.length);
      if (bytes === null) return null;
      return value.every((byte, i) => byte === bytes[i]) === isEqual;
    }
    default:
      return predicate satisfies never;
  }
}
