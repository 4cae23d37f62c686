// The grammar of pattern pages (after US9152573). A page is a pattern where it is
//
//   zeros, or a unit of 1 to 64 bytes over and over   (zero, repeat)
//   runs of known bytes, perhaps over and over        (runs)
//   a string over and over that the grammar was given (added)
//   one of the first or the last, but for a few bytes at its head or tail (edged)
//
// The page decides which: the first that fits, with the shortest unit and the shortest edges. So a page
// has one pattern or none, a pattern one page, and both have one descriptor (descriptor.ts).

import {
  CLASS_BYTE,
  CLASS_EDGED,
  CLASS_PERIOD,
  CLASS_STRING,
  CLASS_WORD16,
  CLASS_WORD32,
  CLASS_WORD64,
  CLASS_ZERO,
} from '../ports/page-engine.ts';

/** Lengths of the units that are found without being known: what divides 64 or 48. */
export const UNIT_BYTES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64] as const;

/**
 * Most bytes of a page's head and tail together. With a cache line of edges and one of a unit, a
 * descriptor is a thirtieth of a page at most; and since what lies further from both ends is never
 * an edge, a look at the page's middle decides whether it can be a pattern at all.
 */
export const EDGE_BYTES_MAX = 64;

/**
 * Bytes that Linux fills memory with when it looks for mistakes in its use (include/linux/poison.h):
 * in use 5a; freed by the journals 5b, 5c; freed 6b and at an object's end a5; pools freed a7 and
 * allocated a9; free pages aa; red zones bb and cc, which also fills memory of the start-up.
 */
export const KNOWN_BYTES = Uint8Array.of(
  0x5a,
  0x5b,
  0x5c,
  0x6b,
  0xa5,
  0xa7,
  0xa9,
  0xaa,
  0xbb,
  0xcc,
);

/** Most runs of known bytes in a unit. */
export const RUNS_MAX = 16;
/** Longest unit of runs that is repeated; a page without such a unit is one itself. */
export const RUNS_UNIT_BYTES_MAX = 2048;
/** Longest string that can be added to the grammar. */
export const STRING_BYTES_MAX = 1024;

/** The first number that an added string can have; those below are for the list of public patterns. */
export const FIRST_ADDED_STRING = 64;
/** The last number of a public pattern: they stand in a byte. */
export const PUBLIC_PATTERN_MAX = 255;
/** Most strings that can be added. */
export const ADDED_STRINGS_MAX = PUBLIC_PATTERN_MAX - FIRST_ADDED_STRING + 1;

/** What a page holds from end to end, or between its edges. */
export type Body =
  | { readonly _tag: 'zero' }
  /** `unit[i]` stands at every offset that leaves i when divided by the unit's length. */
  | { readonly _tag: 'repeat'; readonly unit: Uint8Array }
  /** The string of this number, over and over; the page begins `phase` bytes into it. */
  | { readonly _tag: 'added'; readonly number: number; readonly phase: number };

/** One known byte, over and over. */
export interface Run {
  readonly byte: number;
  readonly lengthBytes: number;
}

export type Pattern =
  | Body
  /** The runs make a unit, which the page repeats, or the whole page. */
  | { readonly _tag: 'runs'; readonly runs: readonly Run[] }
  | {
      readonly _tag: 'edged';
      readonly head: Uint8Array;
      readonly body: Body;
      readonly tail: Uint8Array;
    };

function classOfUnit(lengthBytes: number): number {
  switch (lengthBytes) {
    case 1:
      return CLASS_BYTE;
    case 2:
      return CLASS_WORD16;
    case 4:
      return CLASS_WORD32;
    case 8:
      return CLASS_WORD64;
    default:
      return CLASS_PERIOD;
  }
}

/** The class of a pattern's pages. */
export function classOf(pattern: Pattern): number {
  switch (pattern._tag) {
    case 'zero':
      return CLASS_ZERO;
    case 'repeat':
      return classOfUnit(pattern.unit.length);
    case 'runs':
    case 'added':
      return CLASS_STRING;
    case 'edged':
      return CLASS_EDGED;
    default:
      return pattern satisfies never;
  }
}

const IS_KNOWN = Uint8Array.from({ length: 256 }, (_, byte) => Number(KNOWN_BYTES.includes(byte)));

/** Whether all bytes are among KNOWN_BYTES. */
export function isKnown(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i += 1) if (IS_KNOWN[bytes[i]!] === 0) return false;
  return true;
}
