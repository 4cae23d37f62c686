// Descriptors: patterns as bytes (docs/format.md, "Patterns"). Version 1:
//
//   0   1  version: 1
//   1   1  class
//       -  2 to 6  unit length u8, unit
//       -  7       0, runs: (byte u8, length u16) each; or 1, number u8, phase u16
//       -  8       head length u8, tail length u8, head, tail, then the body: its class u8 and the rest
//                  as above (class 1: nothing)
//
// All integers little-endian. A descriptor may be anybody's bytes: what is read is checked against all
// that it implies, so that a page's only descriptor is the one that its bytes give.

import { assert } from '../values/assert.ts';
import { CLASS_EDGED, CLASS_STRING, CLASS_ZERO, type Grammar } from '../ports/page-engine.ts';
import { PAGE_BYTES } from '../values/page.ts';
import { classOf, EDGE_BYTES_MAX, isKnown, UNIT_BYTES } from './grammar.ts';
import type { Body, Pattern, Run } from './grammar.ts';
import { runsOf } from './runs.ts';
import { stringOf, writePattern } from './write-page.ts';

const DESCRIPTOR_VERSION = 1;
/** Most bytes of a descriptor: a pattern with all edges about the longest unit. */
export const DESCRIPTOR_BYTES_MAX = 134;

const FORM_RUNS = 0;
const FORM_ADDED = 1;
const RUN_BYTES = 3;
const LONGEST_UNIT = UNIT_BYTES.at(-1)!;

class DescriptorWriter {
  readonly #bytes = new Uint8Array(DESCRIPTOR_BYTES_MAX);
  #length = 0;

  u8(...values: readonly number[]): void {
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
  }

  u16(value: number): void {
    this.u8(value & 0xff, value >>> 8);
  }

  bytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

function writeBody(writer: DescriptorWriter, body: Body): void {
  writer.u8(classOf(body));
  if (body._tag === 'repeat') {
    writer.u8(body.unit.length);
    writer.bytes(body.unit);
  } else if (body._tag === 'added') {
    writer.u8(FORM_ADDED, body.number);
    writer.u16(body.phase);
  }
}

/** The descriptor of a pattern; zeros have none. */
export function encodeDescriptor(pattern: Pattern): Uint8Array {
  assert(pattern._tag !== 'zero', 'zeros are not described');
  const writer = new DescriptorWriter();
  writer.u8(DESCRIPTOR_VERSION);
  switch (pattern._tag) {
    case 'runs':
      writer.u8(CLASS_STRING, FORM_RUNS);
      for (const { byte, lengthBytes } of pattern.runs) {
        writer.u8(byte);
        writer.u16(lengthBytes);
      }
      break;
    case 'edged':
      writer.u8(CLASS_EDGED, pattern.head.length, pattern.tail.length);
      writer.bytes(pattern.head);
      writer.bytes(pattern.tail);
      writeBody(writer, pattern.body);
      break;
    case 'repeat':
    case 'added':
      writeBody(writer, pattern);
      break;
    default:
      pattern satisfies never;
  }
  return writer.take();
}

// ---- reading: a fault is the end of a sentence, without a byte of what was read ------------------

const u16At = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);

/** Whether no shorter unit gives this one: a shorter one would be one of UNIT_BYTES too. */
function isPrimitive(unit: Uint8Array): boolean {
  for (const period of UNIT_BYTES) {
    if (period >= unit.length) return true;
    if (unit.length % period !== 0) continue;
    let at = period;
    while (at < unit.length && unit[at] === unit[at - period]) at += 1;
    if (at === unit.length) return false;
  }
  return true;
}

function readUnit(bytes: Uint8Array): Body | string {
  const lengthBytes = bytes[1] ?? 0;
  if (!UNIT_BYTES.some((length) => length === lengthBytes))
    return `a unit of ${lengthBytes} bytes; units divide 64 or 48`;
  if (bytes.length !== 2 + lengthBytes)
    return `${bytes.length - 2} bytes for a unit of ${lengthBytes}`;
  const body: Body = { _tag: 'repeat', unit: bytes.subarray(2) };
  if (classOf(body) !== bytes[0]) return `class ${bytes[0]} for a unit of ${lengthBytes} bytes`;
  if (lengthBytes === 1) return bytes[2] === 0 ? 'a unit of zeros, which are not described' : body;
  return isPrimitive(body.unit) ? body : 'a unit that a shorter one repeats';
}

function readAdded(bytes: Uint8Array, grammar: Grammar): Body | string {
  if (bytes.length !== 5) return `a string's reference of ${bytes.length} bytes, not 5`;
  const number = bytes[2]!;
  const phase = u16At(bytes, 3);
  const unit = stringOf(grammar, number);
  if (unit === undefined) return `string ${number}, which this ledger's grammar does not have`;
  if (phase >= unit.length) return `phase ${phase} of a string of ${unit.length} bytes`;
  return { _tag: 'added', number, phase };
}

function readRuns(bytes: Uint8Array): readonly Run[] | string {
  if (bytes.length === 2 || (bytes.length - 2) % RUN_BYTES !== 0)
    return `runs of ${bytes.length - 2} bytes; each has ${RUN_BYTES}`;
  const runs: Run[] = [];
  let total = 0;
  for (let at = 2; at < bytes.length; at += RUN_BYTES) {
    const lengthBytes = u16At(bytes, at + 1);
    if (lengthBytes === 0) return 'a run of no byte';
    total += lengthBytes;
    runs.push({ byte: bytes[at]!, lengthBytes });
  }
  return total > PAGE_BYTES ? `runs of ${total} bytes in a page` : runs;
}

/** A body from its class on. */
function readBody(bytes: Uint8Array, grammar: Grammar): Body | string {
  if (bytes[0] === CLASS_ZERO)
    return bytes.length === 1 ? { _tag: 'zero' } : 'bytes after a body of zeros';
  if (bytes[0] === CLASS_STRING)
    return bytes[1] === FORM_ADDED ? readAdded(bytes, grammar) : 'a body of runs';
  return readUnit(bytes);
}

function readEdged(bytes: Uint8Array, grammar: Grammar): Pattern | string {
  const headBytes = bytes[1] ?? 0;
  const tailBytes = bytes[2] ?? 0;
  const edgeBytes = headBytes + tailBytes;
  if (edgeBytes === 0 || edgeBytes > EDGE_BYTES_MAX)
    return `edges of ${edgeBytes} bytes; there are 1 to ${EDGE_BYTES_MAX}`;
  const end = 3 + edgeBytes;
  if (bytes.length <= end) return 'no body between its edges';
  const body = readBody(bytes.subarray(end), grammar);
  if (typeof body === 'string') return body;
  return {
    _tag: 'edged',
    head: bytes.subarray(3, 3 + headBytes),
    tail: bytes.subarray(3 + headBytes, end),
    body,
  };
}

/** The byte of a body at a place in its page. */
function byteAt(body: Body, at: number, grammar: Grammar): number {
  if (body._tag === 'zero') return 0;
  if (body._tag === 'repeat') return body.unit[at % body.unit.length]!;
  const unit = stringOf(grammar, body.number)!;
  return unit[(at + body.phase) % unit.length]!;
}

/** Whether the edges are as short as they can be: the body does not go on where they begin. */
function isTight(pattern: Pattern & { readonly _tag: 'edged' }, grammar: Grammar): boolean {
  const { head, body, tail } = pattern;
  const last = head.length - 1;
  const first = PAGE_BYTES - tail.length;
  return (
    (head.length === 0 || head[last] !== byteAt(body, last, grammar)) &&
    (tail.length === 0 || tail[0] !== byteAt(body, first, grammar))
  );
}

/** Bytes that stand in every page of a pattern, where they say whether it can be one of runs. */
function sampleOf(pattern: Pattern, grammar: Grammar): Uint8Array {
  switch (pattern._tag) {
    case 'zero':
      return Uint8Array.of(0);
    case 'repeat':
      return pattern.unit;
    case 'added':
      return stringOf(grammar, pattern.number)!;
    case 'edged':
      return pattern.head.length > 0 ? pattern.head : pattern.tail;
    case 'runs':
      return new Uint8Array(0);
    default:
      return pattern satisfies never;
  }
}

const isSameRuns = (a: readonly Run[], b: readonly Run[]): boolean =>
  a.length === b.length &&
  a.every(({ byte, lengthBytes }, i) => byte === b[i]!.byte && lengthBytes === b[i]!.lengthBytes);

const scratch = new Uint8Array(PAGE_BYTES);

/** What a page of this pattern would be described as instead, or null. */
function otherwise(pattern: Pattern, grammar: Grammar): string | null {
  if (pattern._tag === 'zero' || pattern._tag === 'repeat') return null;
  if (pattern._tag === 'edged' && !isTight(pattern, grammar))
    return 'edges that go on as the body does';
  if (!isKnown(sampleOf(pattern, grammar))) return null;
  writePattern(pattern, scratch, grammar);
  const runs = runsOf(scratch);
  if (pattern._tag !== 'runs') return runs === null ? null : 'a page that runs of known bytes make';
  if (runs === null) return 'runs that are no pattern';
  if (!isSameRuns(runs, pattern.runs)) return 'runs that fewer or shorter ones make';
  const unitBytes = runs.reduce((sum, run) => sum + run.lengthBytes, 0);
  return unitBytes <= LONGEST_UNIT && UNIT_BYTES.some((length) => length === unitBytes)
    ? 'runs for what is a unit'
    : null;
}

/**
 * The pattern of a descriptor, with views of its bytes; or why it is none, as the end of a sentence.
 */
export function readDescriptor(descriptor: Uint8Array, grammar: Grammar): Pattern | string {
  if (descriptor.length < 3 || descriptor.length > DESCRIPTOR_BYTES_MAX)
    return `a descriptor of ${descriptor.length} bytes`;
  if (descriptor[0] !== DESCRIPTOR_VERSION)
    return `a descriptor of version ${descriptor[0]}, where version ${DESCRIPTOR_VERSION} is known`;
  const rest = descriptor.subarray(1);
  let pattern: Pattern | string;
  if (rest[0] === CLASS_STRING && rest[1] === FORM_RUNS) {
    const runs = readRuns(rest);
    pattern = typeof runs === 'string' ? runs : { _tag: 'runs', runs };
  } else if (rest[0] === CLASS_EDGED) pattern = readEdged(rest, grammar);
  else if (rest[0] === CLASS_ZERO) pattern = 'class 1: zeros are not described';
  else pattern = readBody(rest, grammar);
  if (typeof pattern === 'string') return pattern;
  return otherwise(pattern, grammar) ?? pattern;
}

/**
 * Writes the page that a descriptor describes, whoever wrote it. Null where it is one; else why it is
 * none, as the end of a sentence, and `into` holds anything.
 */
export function regenerate(
  descriptor: Uint8Array,
  into: Uint8Array,
  grammar: Grammar = [],
): string | null {
  const pattern = readDescriptor(descriptor, grammar);
  if (typeof pattern === 'string') return pattern;
  writePattern(pattern, into, grammar);
  return null;
}
