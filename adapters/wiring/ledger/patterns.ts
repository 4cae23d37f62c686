// The grammar of patterns of a ledger: what is recognised, and what is added to it.

import { assert } from '../../../domain/values/assert.ts';
import { CLASS_STRING } from '../../../domain/ports/page-engine.ts';
import {
  PUBLIC_PATTERNS,
  publicPattern,
  type AddedPattern,
} from '../../../domain/patterns/index.ts';
import { decideLedger } from '../../../domain/ledger.ts';
import { LEDGER_STREAM } from '../../../domain/events/streams.ts';
import type { Ledger } from './ledger.ts';
import { patternClassName } from '../../../projections/questions/pattern-classes.ts';

/** Something that the ledger recognises in pages. */
export interface PatternRow {
  /** The number of a public pattern; null: a class of the grammar, whose patterns have none. */
  readonly pattern: number | null;
  readonly class: string | null;
  /** Its written form; of a class, one of all its patterns. */
  readonly expression: string;
  readonly origin: 'grammar' | 'public' | 'added';
  /** What it is, for people. */
  readonly meaning: string;
}

const FORMS: readonly (readonly [patternClass: number, expression: string, meaning: string])[] = [
  [1, String.raw`\x00{4096}`, 'zeros'],
  [2, 'A{4096}', 'one byte'],
  [3, '(?:AB){2048}', 'one word of 16 bits'],
  [4, '(?:ABCD){1024}', 'one word of 32 bits'],
  [5, '(?:ABCDEFGH){512}', 'one word of 64 bits'],
  [6, '(?:A...)+', 'a unit whose length divides 64 or 48: 3, 6, 12, 16, 24, 32, 48 or 64 bytes'],
  [7, '(?:A{n}B{n}...)+', 'runs of the bytes that Linux poisons memory with; added strings'],
  [8, '...(?:A...)+...', 'one of these but for at most 64 bytes at its ends'],
];

const classRows = (): PatternRow[] =>
  FORMS.map(([patternClass, expression, meaning]) => ({
    pattern: null,
    class: patternClassName(patternClass),
    expression,
    origin: 'grammar',
    meaning,
  }));

const publicRows = (): PatternRow[] =>
  PUBLIC_PATTERNS.map(({ expression, origin }, i) => ({
    pattern: i + 1,
    // A descriptor's second byte is its class.
    class: patternClassName(publicPattern(i + 1)[1]!),
    expression,
    origin: 'public',
    meaning: origin,
  }));

/** The classes of the grammar, the public patterns, and the strings that were added, in this order. */
export function listPatterns(ledger: Ledger): readonly PatternRow[] {
  const added = ledger.state.catalogue.facts.patterns.map(
    ({ number, expression, unit }): PatternRow => ({
      pattern: number,
      class: patternClassName(CLASS_STRING),
      expression,
      origin: 'added',
      meaning: `a string of ${unit.length} bytes`,
    }),
  );
  return [...classRows(), ...publicRows(), ...added];
}

/**
 * Widens the grammar by the string of an expression, for the captures that follow: what it is from now
 * on. Refused where it is no string, known already, or one too many. Whoever reads the log reads it.
 */
export async function addPattern(ledger: Ledger, expression: string): Promise<AddedPattern> {
  const [event] = await ledger.decide(LEDGER_STREAM, () =>
    decideLedger(ledger.state.catalogue.facts)({ _tag: 'AddPattern', expression }),
  );
  assert(event?.type === 'PatternAdded', 'adding a string is one event, or refused');
  const { pattern } = event.data;
  const added = ledger.state.catalogue.facts.patterns.find(({ number }) => number === pattern);
  assert(added !== undefined, 'what was appended is folded');
  return added;
}
