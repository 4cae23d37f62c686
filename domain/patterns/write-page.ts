// Pages from patterns: what a restore writes instead of reading.

import { assert } from '../values/assert.ts';
import type { Grammar } from '../ports/page-engine.ts';
import { PAGE_BYTES } from '../values/page.ts';
import type { Body, Pattern, Run } from './grammar.ts';

/** Bytes that are written one by one before more are copied at once. */
const FIRST_BYTES = 128;

/** Fills `into` with a unit over and over, beginning `phase` bytes into it. */
function repeat(unit: Uint8Array, into: Uint8Array, phase = 0): void {
  if (unit.length === 1) {
    into.fill(unit[0]!);
    return;
  }
  const { length } = unit;
  const begun = Math.min(length * Math.ceil(FIRST_BYTES / length), into.length);
  for (let i = 0, from = phase; i < begun; i += 1) {
    into[i] = unit[from]!;
    from = from + 1 === length ? 0 : from + 1;
  }
  // A whole number of units is there, or all; it is repeated further on, twice as much each time.
  for (let done = begun; done < into.length; done *= 2)
    into.copyWithin(done, 0, Math.min(done, into.length - done));
}

/** The string that a number stands for. */
export const stringOf = (grammar: Grammar, number: number): Uint8Array | undefined =>
  grammar.find((added) => added.number === number)?.unit;

function writeBody(body: Body, into: Uint8Array, grammar: Grammar): void {
  switch (body._tag) {
    case 'zero':
      into.fill(0);
      break;
    case 'repeat':
      repeat(body.unit, into);
      break;
    case 'added': {
      const unit = stringOf(grammar, body.number);
      assert(unit !== undefined, 'a pattern is written with the grammar it was read with');
      repeat(unit, into, body.phase);
      break;
    }
    default:
      body satisfies never;
  }
}

/** The bytes of runs, one after another. */
export function runsBytes(runs: readonly Run[]): Uint8Array {
  const bytes = new Uint8Array(runs.reduce((sum, run) => sum + run.lengthBytes, 0));
  let at = 0;
  for (const { byte, lengthBytes } of runs) {
    bytes.fill(byte, at, at + lengthBytes);
    at += lengthBytes;
  }
  return bytes;
}

/** Writes the page that a pattern describes. */
export function writePattern(pattern: Pattern, into: Uint8Array, grammar: Grammar): void {
  assert(into.length === PAGE_BYTES, 'a pattern is a page');
  switch (pattern._tag) {
    case 'runs':
      repeat(runsBytes(pattern.runs), into);
      break;
    case 'edged':
      writeBody(pattern.body, into, grammar);
      into.set(pattern.head, 0);
      into.set(pattern.tail, PAGE_BYTES - pattern.tail.length);
      break;
    case 'zero':
    case 'repeat':
    case 'added':
      writeBody(pattern, into, grammar);
      break;
    default:
      pattern satisfies never;
  }
}
