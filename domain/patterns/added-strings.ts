// Strings that widen a ledger's grammar of patterns. A number never changes its meaning, and nothing is
// taken away: what was recorded under it is read by it. The grammar built in comes first, so a string
// whose pages it describes already is refused, and no page gets another pattern by what is added.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { PatternAdded } from '../events/control.ts';
import { PAGE_BYTES } from '../values/page.ts';
import { CLASS_NONE, type AddedString } from '../ports/page-engine.ts';
import type { Refusal } from '../values/refusals.ts';
import { patternOf } from './describe.ts';
import { stringForm, stringOfExpression, writtenForm } from './expression.ts';
import { ADDED_STRINGS_MAX, classOf, FIRST_ADDED_STRING } from './grammar.ts';
import { isRotation } from './periods.ts';

export interface AddedPattern extends AddedString {
  /** As its event has it. */
  readonly expression: string;
}

/** In the order in which they were added. */
export type PatternsState = readonly AddedPattern[];

export const initialPatterns: PatternsState = [];

/** What pages of a string are already, for people; null: no pattern. */
function knownAs(state: PatternsState, unit: Uint8Array): string | null {
  const page = Uint8Array.from({ length: PAGE_BYTES }, (_, i) => unit[i % unit.length]!);
  const pattern = patternOf(page);
  if (pattern !== null && classOf(pattern) !== CLASS_NONE) return writtenForm(pattern);
  const same = state.find((added) => isRotation(added.unit, unit));
  return same === undefined ? null : `pattern ${same.number}, ${same.expression}`;
}

/** The string of an expression with the number that it would have, or why it is not added. */
export function addedPatternOf(
  state: PatternsState,
  expression: string,
): Either<Refusal, PatternAdded> {
  const unit = stringOfExpression(expression);
  if (either.isLeft(unit)) return either.left({ _tag: 'BadExpression', why: unit.left });
  const known = knownAs(state, unit.right);
  if (known !== null) return either.left({ _tag: 'PatternKnown', known });
  if (state.length >= ADDED_STRINGS_MAX)
    return either.left({ _tag: 'TooManyPatterns', patternsMax: ADDED_STRINGS_MAX });
  const pattern = state.reduce(
    (next, { number }) => Math.max(next, number + 1),
    FIRST_ADDED_STRING,
  );
  return either.right({ pattern, expression: stringForm(unit.right) });
}

/** The strings with one more. Of two that bear one number the first counts. */
export function withPattern(
  state: PatternsState,
  { pattern: number, expression }: PatternAdded,
): PatternsState {
  const unit = stringOfExpression(expression);
  if (either.isLeft(unit) || state.some((added) => added.number === number)) return state;
  return [...state, { number, unit: unit.right, expression }];
}
