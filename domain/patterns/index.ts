// Pattern pages: what the rest of the ledger asks of their grammar.

export { describe, patternOf, type Described } from './describe.ts';
export {
  DESCRIPTOR_BYTES_MAX,
  encodeDescriptor,
  readDescriptor,
  regenerate,
} from './descriptor.ts';
export { pageOfExpression, stringForm, stringOfExpression, writtenForm } from './expression.ts';
export {
  ADDED_STRINGS_MAX,
  classOf,
  FIRST_ADDED_STRING,
  PUBLIC_PATTERN_MAX,
  type Pattern,
} from './grammar.ts';
export { PUBLIC_PATTERNS, publicPattern, publicPatternOf } from './public-patterns.ts';
export {
  addedPatternOf,
  initialPatterns,
  withPattern,
  type AddedPattern,
  type PatternsState,
} from './added-strings.ts';
