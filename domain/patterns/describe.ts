// Which pattern a page is, if any. This is the rule in words and the oracle of the kernel
// (adapters/kernels/assembly/patterns.ts), which asks it itself about pages of known strings.

import { assert } from '../values/assert.ts';
import { CLASS_NONE, type Grammar } from '../ports/page-engine.ts';
import { PAGE_BYTES } from '../values/page.ts';
import { encodeDescriptor } from './descriptor.ts';
import { classOf, EDGE_BYTES_MAX, UNIT_BYTES, type Body, type Pattern } from './grammar.ts';
import { offsetOf } from './periods.ts';
import { runsOf } from './runs.ts';
import { writePattern } from './write-page.ts';

/** What no edge reaches: every pattern's body stands here. */
const MIDDLE_START = EDGE_BYTES_MAX;
const MIDDLE_END = PAGE_BYTES - EDGE_BYTES_MAX;

export interface Described {
  readonly patternClass: number;
  /** Empty for zeros and where no pattern describes the page. */
  readonly descriptor: Uint8Array;
}

function hasPeriod(page: Uint8Array, period: number): boolean {
  for (let i = MIDDLE_START + period; i < MIDDLE_END; i += 1)
    if (page[i] !== page[i - period]) return false;
  return true;
}

/** What the middle repeats, laid out from the page's start. */
function repeatedIn(page: Uint8Array): Body | null {
  const period = UNIT_BYTES.find((lengthBytes) => hasPeriod(page, lengthBytes));
  if (period === undefined) return null;
  const unit = new Uint8Array(period);
  for (let i = MIDDLE_START; i < MIDDLE_START + period; i += 1) unit[i % period] = page[i]!;
  return period === 1 && unit[0] === 0 ? { _tag: 'zero' } : { _tag: 'repeat', unit };
}

/** A string of the grammar that the middle repeats. */
function addedIn(page: Uint8Array, grammar: Grammar): Body | null {
  for (const { number, unit } of grammar) {
    const offset = offsetOf(unit, page.subarray(MIDDLE_START, MIDDLE_START + 2 * unit.length - 1));
    if (offset < 0) continue;
    // The unit's first byte stands here, so the page begins this far into it.
    const start = (MIDDLE_START + offset) % unit.length;
    if (hasPeriod(page, unit.length))
      return { _tag: 'added', number, phase: (unit.length - start) % unit.length };
  }
  return null;
}

/** The pattern of a page whose middle is the body's: its edges are where it differs. */
function withEdges(page: Uint8Array, body: Body, grammar: Grammar): Pattern | null {
  const whole = new Uint8Array(PAGE_BYTES);
  writePattern(body, whole, grammar);
  let headEnd = MIDDLE_START;
  while (headEnd > 0 && page[headEnd - 1] === whole[headEnd - 1]) headEnd -= 1;
  let tailStart = MIDDLE_END;
  while (tailStart < PAGE_BYTES && page[tailStart] === whole[tailStart]) tailStart += 1;
  const edgeBytes = headEnd + PAGE_BYTES - tailStart;
  if (edgeBytes === 0) return body;
  if (edgeBytes > EDGE_BYTES_MAX) return null;
  return { _tag: 'edged', head: page.slice(0, headEnd), body, tail: page.slice(tailStart) };
}

/** The pattern of a page, or null. */
export function patternOf(page: Uint8Array, grammar: Grammar = []): Pattern | null {
  assert(page.length === PAGE_BYTES, 'a page is described whole');
  const repeated = repeatedIn(page);
  const found = repeated === null ? null : withEdges(page, repeated, grammar);
  if (found !== null && found._tag !== 'edged') return found;
  const runs = runsOf(page);
  if (runs !== null) return { _tag: 'runs', runs };
  if (repeated !== null) return found;
  const added = addedIn(page, grammar);
  return added === null ? null : withEdges(page, added, grammar);
}

/** The class of a page and its only descriptor. */
export function describe(page: Uint8Array, grammar: Grammar = []): Described {
  const pattern = patternOf(page, grammar);
  if (pattern === null) return { patternClass: CLASS_NONE, descriptor: new Uint8Array(0) };
  return {
    patternClass: classOf(pattern),
    descriptor: pattern._tag === 'zero' ? new Uint8Array(0) : encodeDescriptor(pattern),
  };
}
