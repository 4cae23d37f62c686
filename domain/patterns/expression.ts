// The written form of patterns: a regular expression over bytes, as people read and write it.
//
//   expression  item ...
//   item        byte, (?:byte ...) or (byte ...); each perhaps followed by {count}, the group's bytes too
//   byte        \xHH, a printable ASCII character that means nothing else, or \ and one that does
//
// A page's expression gives its 4,096 bytes. A string to add ends with + instead of a count.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { Grammar } from '../ports/page-engine.ts';
import { PAGE_BYTES } from '../values/page.ts';
import { STRING_BYTES_MAX, type Body, type Pattern } from './grammar.ts';
import { primitiveUnit, shortestPeriod } from './periods.ts';
import { runsBytes, stringOf } from './write-page.ts';

/** Far more than any page's expression has. */
const EXPRESSION_CHARACTERS_MAX = 5 * PAGE_BYTES;

// ---- printing ------------------------------------------------------------------------------------

const byteText = (byte: number): string => `\\x${byte.toString(16).padStart(2, '0')}`;

/** Bytes, equal ones that follow each other as one with a count. */
function bytesText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    let end = at + 1;
    while (end < bytes.length && bytes[end] === bytes[at]) end += 1;
    text += byteText(bytes[at]!) + (end - at > 1 ? `{${end - at}}` : '');
    at = end;
  }
  return text;
}

/** A unit over and over for this many bytes, the last one perhaps in part. */
function repeatedText(unit: Uint8Array, lengthBytes: number): string {
  const count = Math.floor(lengthBytes / unit.length);
  const rest = unit.subarray(0, lengthBytes % unit.length);
  if (unit.length === 1) return `${byteText(unit[0]!)}{${count}}`;
  return `(?:${bytesText(unit)})${count > 1 ? `{${count}}` : ''}${bytesText(rest)}`;
}

/** The unit as it stands from a place in the page on. */
function unitFrom(body: Body, grammar: Grammar, start: number): Uint8Array {
  if (body._tag === 'zero') return Uint8Array.of(0);
  const unit =
    body._tag === 'repeat' ? body.unit : (stringOf(grammar, body.number) ?? Uint8Array.of(0));
  const first = (start + (body._tag === 'added' ? body.phase : 0)) % unit.length;
  const turned = new Uint8Array(unit.length);
  turned.set(unit.subarray(first), 0);
  turned.set(unit.subarray(0, first), unit.length - first);
  return turned;
}

/** The written form of a pattern. It shows what the page holds: a guest's bytes. */
export function writtenForm(pattern: Pattern, grammar: Grammar = []): string {
  switch (pattern._tag) {
    case 'runs': {
      const unit = runsBytes(pattern.runs);
      return unit.length === PAGE_BYTES ? bytesText(unit) : repeatedText(unit, PAGE_BYTES);
    }
    case 'edged': {
      const { head, body, tail } = pattern;
      const between = PAGE_BYTES - head.length - tail.length;
      const unit = unitFrom(body, grammar, head.length);
      return bytesText(head) + repeatedText(unit, between) + bytesText(tail);
    }
    case 'zero':
    case 'repeat':
    case 'added':
      return repeatedText(unitFrom(pattern, grammar, 0), PAGE_BYTES);
    default:
      return pattern satisfies never;
  }
}

/** The written form of a string in the grammar. */
export const stringForm = (unit: Uint8Array): string => `(?:${bytesText(unit)})+`;

// ---- parsing -------------------------------------------------------------------------------------

const BYTE = /\\x([0-9a-f]{2})|\\([!-/:-@[-`{-~])|([ -~])/iuy;
const COUNT = /\{(\d{1,5})\}/uy;
const GROUP = /\((?:\?:)?/uy;
/** Characters that stand for themselves only after a backslash. */
const META = String.raw`\()[]{}.*+?^$|`;

/** Reads an expression from left to right; a fault is the end of a sentence. */
class ExpressionReader {
  readonly #text: string;
  readonly #bytes = new Uint8Array(PAGE_BYTES);
  #length = 0;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Whether a + ends the expression here; it is taken. */
  takePlus(): boolean {
    const isThere = this.#text.slice(this.#at) === '+';
    if (isThere) this.#at += 1;
    return isThere;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  #take(token: RegExp): RegExpExecArray | null {
    token.lastIndex = this.#at;
    const match = token.exec(this.#text);
    if (match !== null) this.#at = token.lastIndex;
    return match;
  }

  /** Repeats what stands from `start` on as often as a count says, if one follows. */
  #repeat(start: number): string | null {
    const match = this.#take(COUNT);
    if (match === null) return null;
    const count = Number(match[1]);
    if (count === 0) return `a count of 0 at character ${match.index + 1}`;
    const lengthBytes = this.#length - start;
    if (start + count * lengthBytes > PAGE_BYTES) return `more bytes than a page's ${PAGE_BYTES}`;
    for (let i = 1; i < count; i += 1) {
      this.#bytes.copyWithin(this.#length, start, start + lengthBytes);
      this.#length += lengthBytes;
    }
    return null;
  }

  #byte(): string | null {
    const at = this.#at;
    const match = this.#take(BYTE);
    const [, code, escaped, plain] = match ?? [];
    const isMeta = plain !== undefined && META.includes(plain);
    if (match === null || isMeta)
      return `no byte at character ${at + 1}: write \\xHH, a printable character, or \\ before one of ${META}`;
    if (this.#length === PAGE_BYTES) return `more bytes than a page's ${PAGE_BYTES}`;
    const character = escaped ?? plain;
    this.#bytes[this.#length] =
      code === undefined ? character!.charCodeAt(0) : Number.parseInt(code, 16);
    this.#length += 1;
    return this.#repeat(this.#length - 1);
  }

  #group(): string | null {
    const start = this.#length;
    while (this.#text[this.#at] !== ')') {
      if (this.isAtEnd) return 'a group that does not end';
      const fault = this.#byte();
      if (fault !== null) return fault;
    }
    this.#at += 1;
    if (this.#length === start) return 'a group of no byte';
    return this.#repeat(start);
  }

  /** Reads one item: null, or what is wrong with it. */
  item(): string | null {
    return this.#take(GROUP) === null ? this.#byte() : this.#group();
  }
}

const tooLong = (text: string): string | null =>
  text.length > EXPRESSION_CHARACTERS_MAX
    ? `it has ${text.length} characters, more than ${EXPRESSION_CHARACTERS_MAX}`
    : null;

/** The page that an expression gives; left: why it gives none, as the end of a sentence. */
export function pageOfExpression(text: string): Either<string, Uint8Array> {
  const long = tooLong(text);
  if (long !== null) return either.left(long);
  const reader = new ExpressionReader(text);
  while (!reader.isAtEnd) {
    const fault = reader.item();
    if (fault !== null) return either.left(fault);
  }
  const { bytes } = reader;
  return bytes.length === PAGE_BYTES
    ? either.right(bytes)
    : either.left(`it gives ${bytes.length} bytes; a page has ${PAGE_BYTES}`);
}

/**
 * The string that an expression repeats, shortest: one item and +, or what a whole page repeats. Left:
 * why it is none, as the end of a sentence.
 */
export function stringOfExpression(text: string): Either<string, Uint8Array> {
  const long = tooLong(text);
  if (long !== null) return either.left(long);
  const reader = new ExpressionReader(text);
  const fault = text === '' ? 'it is empty' : reader.item();
  if (fault !== null) return either.left(fault);
  if (reader.takePlus()) return checked(primitiveUnit(reader.bytes));
  const page = pageOfExpression(text);
  if (either.isLeft(page))
    return either.left(`${page.left}; a data string and its repetition are (?:STRING)+`);
  return checked(page.right.slice(0, shortestPeriod(page.right)));
}

const checked = (unit: Uint8Array): Either<string, Uint8Array> =>
  unit.length > STRING_BYTES_MAX
    ? either.left(`it repeats ${unit.length} bytes; a string has at most ${STRING_BYTES_MAX}`)
    : either.right(unit);
