// Public patterns: content that many systems fill memory
// with, so that naming it tells nothing of one guest. Only these stand in events in clear, by number;
// a number is that of the holding (domain/sharing.ts). Numbers never change their meaning: the list
// only grows, and `patterns add` gives those from FIRST_ADDED_STRING on.

import * as either from 'fp-ts/lib/Either.js';
import { assert } from '../values/assert.ts';
import { describe } from './describe.ts';
import { encodeDescriptor } from './descriptor.ts';
import { pageOfExpression } from './expression.ts';
import { FIRST_ADDED_STRING } from './grammar.ts';
import { UNTOLD } from '../values/holding.ts';
import { toHex } from '../values/identifier.ts';

export interface PublicPattern {
  /** Its written form. */
  readonly expression: string;
  /** Where it comes from, for people. */
  readonly origin: string;
}

/** Public pattern n stands at n - 1. Never reordered, only added to. */
export const PUBLIC_PATTERNS: readonly PublicPattern[] = [
  { expression: String.raw`\xff{4096}`, origin: 'all bits set; erased flash' },
  { expression: String.raw`\xaa{4096}`, origin: 'Linux: free page (PAGE_POISON)' },
  { expression: String.raw`\x6b{4096}`, origin: 'Linux: freed object (POISON_FREE)' },
  { expression: String.raw`\x6b{4095}\xa5`, origin: 'Linux: end of a freed object (POISON_END)' },
  { expression: String.raw`\x5a{4096}`, origin: 'Linux: object before its use (POISON_INUSE)' },
  { expression: String.raw`\xbb{4096}`, origin: 'Linux: red zone of a free object' },
  {
    expression: String.raw`\xcc{4096}`,
    origin: 'Linux: red zone, freed start-up memory; x86: int3',
  },
  { expression: String.raw`\xa5{4096}`, origin: 'Linux: POISON_END; other kernels: freed memory' },
  { expression: String.raw`\x5b{4096}`, origin: 'Linux: freed by JBD (JBD_POISON_FREE)' },
  { expression: String.raw`\x5c{4096}`, origin: 'Linux: freed by JBD2 (JBD2_POISON_FREE)' },
  { expression: String.raw`\xa7{4096}`, origin: 'Linux: freed DMA pool (POOL_POISON_FREED)' },
  { expression: String.raw`\xa9{4096}`, origin: 'Linux: DMA pool (POOL_POISON_ALLOCATED)' },
  {
    expression: String.raw`(?:\x11\x41\xff{6}){512}`,
    origin: 'Linux: erased kernel stack (STACKLEAK_POISON, 64 bits)',
  },
  {
    expression: String.raw`\x9d\x6e\xac\x57\x00{4}(?:\x11\x41\xff{6}){511}`,
    origin: 'Linux: the same with the end of the stack (STACK_END_MAGIC)',
  },
  { expression: String.raw`(?:\xef\xbe\xad\xde){1024}`, origin: '0xdeadbeef, little-endian' },
  { expression: String.raw`(?:\xde\xad\xbe\xef){1024}`, origin: '0xdeadbeef, big-endian' },
  { expression: String.raw`\xfe{4096}`, origin: 'Linux: KASAN shadow of a red zone of pages' },
  { expression: String.raw`\xfc{4096}`, origin: 'Linux: KASAN shadow of a red zone of a slab' },
  { expression: String.raw`\xfb{4096}`, origin: 'Linux: KASAN shadow of freed objects' },
  { expression: String.raw`\xf8{4096}`, origin: 'Linux: KASAN shadow of unmapped vmalloc space' },
  { expression: String.raw`\x90{4096}`, origin: 'x86: nop' },
  { expression: String.raw`\xcd{4096}`, origin: 'Windows: debug heap, allocated' },
  { expression: String.raw`\xdd{4096}`, origin: 'Windows: debug heap, freed' },
  { expression: String.raw`\xfd{4096}`, origin: 'Windows: debug heap, guard' },
  { expression: String.raw`(?:\xee\xfe){2048}`, origin: 'Windows: heap, freed (0xfeeefeee)' },
  { expression: String.raw`(?:\x0d\xf0\xad\xba){1024}`, origin: 'Windows: heap, 0xbaadf00d' },
];

function described({ expression }: PublicPattern): Uint8Array {
  const page = pageOfExpression(expression);
  assert(either.isRight(page), 'public patterns are well written');
  const { descriptor } = describe(page.right);
  assert(descriptor.length > 0, 'public patterns are patterns');
  return descriptor;
}

interface Table {
  readonly descriptors: readonly Uint8Array[];
  /** Numbers by descriptors in hex. */
  readonly numbers: ReadonlyMap<string, number>;
}

let table: Table | null = null;

/** The list in its binary form, made when it is first asked for: most commands do without. */
function publicTable(): Table {
  if (table !== null) return table;
  const descriptors = PUBLIC_PATTERNS.map(described);
  const numbers = new Map(descriptors.map((descriptor, i) => [toHex(descriptor), i + 1]));
  assert(numbers.size === descriptors.length, 'public patterns are distinct');
  assert(
    numbers.size < UNTOLD,
    'public patterns leave room for what is none, and for added strings',
  );
  table = { descriptors, numbers };
  return table;
}

const addedDescriptor = (number: number): Uint8Array =>
  encodeDescriptor({ _tag: 'added', number, phase: 0 });

/**
 * The descriptor of a public pattern: of one in the list, or of the page that begins with the added
 * string of this number. Whether a string was added under it, reading the descriptor tells.
 */
export const publicPattern = (number: number): Uint8Array =>
  publicTable().descriptors[number - 1] ?? addedDescriptor(number);

/** The number of the public pattern that a descriptor is, or 0. */
export function publicPatternOf(descriptor: Uint8Array): number {
  const text = toHex(descriptor);
  const known = publicTable().numbers.get(text);
  if (known !== undefined) return known;
  const number = descriptor[3] ?? 0;
  return number >= FIRST_ADDED_STRING && text === toHex(addedDescriptor(number)) ? number : 0;
}
