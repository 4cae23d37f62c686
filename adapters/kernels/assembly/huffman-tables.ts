// Tables of Huffman codes of at most eleven bits: those of a fixed collection (code-tables.ts), the choice
// among them for what was counted, and one made for a block, sent before its codes.

import { CODE_LENGTHS, TABLES } from './code-tables';

/** No code is longer. */
const BITS: u32 = 11;
const ENTRIES: u32 = 1 << BITS;
/** The bits that an entry is found by. */
export const MASK: u64 = <u64>(ENTRIES - 1);
const LENGTHS_BYTES: usize = 512;
const CODES_BYTES: usize = 1024;
const ENTRIES_BYTES: usize = <usize>ENTRIES * 2;
/** The number that a table sent with a block has here, after all fixed ones. */
export const OWN: u32 = TABLES;

/** Of each table: 256 codes (u32: code, and its length from bit 16 on). */
const codes = memory.data(65 * 1024, 16);
/** 256 lengths, u16 each. */
const lengths = memory.data(65 * 512, 16);
/**
 * What the next eleven bits begin with: u16, the length of a code and from bit 8 on its symbol. A shift
 * takes the lowest six bits of a number for how far, so an entry is that as it is.
 */
const entries = memory.data(65 * 4096, 16);
const counters = memory.data(4 * 512, 16);
const histogram = memory.data(512, 16);
/** By length: the next code that is free. */
const nextCodes = memory.data(64, 16);
const NEXT_CODES_BYTES: usize = 64;
/** log2(1 + i / 16) in sixteenths. */
const LOGARITHMS = memory.data<u8>([0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15]);
let isReady = false;

/** Where the codes of a table are. */
export function codesOf(table: u32): usize {
  return codes + <usize>table * CODES_BYTES;
}

/** Where its entries are. */
export function entriesOf(table: u32): usize {
  return entries + <usize>table * ENTRIES_BYTES;
}

/** A code of so many bits with its first bit lowest: bits are read from the low end. */
function reversed(code: u32, length: u32): u32 {
  let bits = code;
  bits = ((bits & 0x5555) << 1) | ((bits >> 1) & 0x5555);
  bits = ((bits & 0x3333) << 2) | ((bits >> 2) & 0x3333);
  bits = ((bits & 0x0f0f) << 4) | ((bits >> 4) & 0x0f0f);
  bits = ((bits & 0x00ff) << 8) | (bits >> 8);
  return bits >> (16 - length);
}

/** Codes and entries of a table, from its lengths: canonical, shorter codes first, then by symbol. */
function expandTable(table: u32): void {
  const lengthsAt = lengths + <usize>table * LENGTHS_BYTES;
  const codesAt = codes + <usize>table * CODES_BYTES;
  const entriesAt = entries + <usize>table * ENTRIES_BYTES;
  memory.fill(nextCodes, 0, NEXT_CODES_BYTES);
  for (let symbol: usize = 0; symbol < 512; symbol += 2) {
    const next = nextCodes + ((<usize>load<u16>(lengthsAt + symbol)) << 2);
    store<u32>(next, load<u32>(next) + 1);
  }
  let code: u32 = 0;
  for (let length: usize = 1; length <= BITS; length += 1) {
    const next = nextCodes + (length << 2);
    const own = load<u32>(next);
    store<u32>(next, code);
    code = (code + own) << 1;
  }
  for (let symbol: u32 = 0; symbol < 256; symbol += 1) {
    const length = <u32>load<u16>(lengthsAt + ((<usize>symbol) << 1));
    if (length == 0) continue;
    const next = nextCodes + ((<usize>length) << 2);
    const bits = reversed(load<u32>(next), length);
    store<u32>(next, load<u32>(next) + 1);
    store<u32>(codesAt + ((<usize>symbol) << 2), bits | (length << 16));
    for (let entry = bits; entry < ENTRIES; entry += 1 << length)
      store<u16>(entriesAt + ((<usize>entry) << 1), <u16>((symbol << 8) | length));
  }
}

/** Makes the fixed tables, once. */
export function readyTables(): void {
  if (isReady) return;
  isReady = true;
  for (let table: u32 = 0; table < TABLES; table += 1) {
    const from = CODE_LENGTHS + <usize>table * 128;
    const to = lengths + <usize>table * LENGTHS_BYTES;
    for (let symbol: usize = 0; symbol < 256; symbol += 2) {
      const two = load<u8>(from + (symbol >> 1));
      store<u16>(to + (symbol << 1), <u16>(two & 15));
      store<u16>(to + (symbol << 1), <u16>(two >> 4), 2);
    }
    expandTable(table);
  }
}

/** Counts the bytes of every `step`th group of four. No count reaches 2^15. */
export function count(from: usize, n: u32, step: u32): void {
  memory.fill(counters, 0, 4 * 512);
  const stop = from + (n & ~3);
  let at = from;
  for (; at < stop; at += <usize>step * 4) {
    const word = load<u32>(at);
    const a = counters + ((<usize>(word & 255)) << 1);
    const b = counters + 512 + ((<usize>((word >> 8) & 255)) << 1);
    const c = counters + 1024 + ((<usize>((word >> 16) & 255)) << 1);
    const d = counters + 1536 + ((<usize>(word >> 24)) << 1);
    store<u16>(a, load<u16>(a) + 1);
    store<u16>(b, load<u16>(b) + 1);
    store<u16>(c, load<u16>(c) + 1);
    store<u16>(d, load<u16>(d) + 1);
  }
  if (step == 1)
    for (; at < from + n; at += 1) {
      const counter = counters + ((<usize>load<u8>(at)) << 1);
      store<u16>(counter, load<u16>(counter) + 1);
    }
  for (let i: usize = 0; i < 512; i += 16) {
    const low = i16x8.add(v128.load(counters + i), v128.load(counters + i, 512));
    const high = i16x8.add(v128.load(counters + i, 1024), v128.load(counters + i, 1536));
    v128.store(histogram + i, i16x8.add(low, high));
  }
}

/** Bits that a table takes for what was counted. */
export function bitsWith(table: u32): u32 {
  const from = lengths + <usize>table * LENGTHS_BYTES;
  let sum = i32x4.splat(0);
  for (let i: usize = 0; i < 512; i += 16)
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.load(histogram + i), v128.load(from + i)));
  const pairs = i64x2.add(i64x2.extend_low_i32x4_u(sum), i64x2.extend_high_i32x4_u(sum));
  return <u32>(i64x2.extract_lane(pairs, 0) + i64x2.extract_lane(pairs, 1));
}

/** Of `tables` tables from `first` on the one that takes the fewest bits, and from bit 8 on how many. */
export function choose(first: u32, tables: u32): u64 {
  let least: u32 = u32.MAX_VALUE;
  let chosen = first;
  for (let table = first; table < first + tables; table += 1) {
    const bits = bitsWith(table);
    if (bits < least) {
      least = bits;
      chosen = table;
    }
  }
  return (<u64>chosen) | ((<u64>least) << 8);
}

/** log2 in sixteenths, of what is above 0. */
function logarithm(value: u32): u32 {
  const zeros = clz(value);
  return ((31 - zeros) << 4) + <u32>load<u8>(LOGARITHMS + <usize>(((value << zeros) >> 27) & 15));
}

/** About how many bits the best of all tables takes for what was counted. */
export function leastBits(): u32 {
  let total: u32 = 0;
  let sum: u32 = 0;
  for (let i: usize = 0; i < 512; i += 2) {
    const times = <u32>load<u16>(histogram + i);
    if (times == 0) continue;
    total += times;
    sum += times * logarithm(times);
  }
  return (total * logarithm(total) - sum) >> 4;
}

/** Changes lengths by one until the codes fill all of the space, which takes `used` entries now. */
function fit(at: usize, used: u32): void {
  let taken = used;
  // The longest codes first: they change the least.
  for (let length = BITS - 1; taken > ENTRIES && length > 0; length -= 1)
    for (let symbol: usize = 0; symbol < 512 && taken > ENTRIES; symbol += 2)
      if (load<u16>(at + symbol) == <u16>length) {
        store<u16>(at + symbol, <u16>(length + 1));
        taken -= 1 << (BITS - 1 - length);
      }
  // The longest ones again: what is left free is a multiple of what the longest code takes, so that
  // each round shortens one at least, unless there is but one symbol, of one bit.
  for (let before: u32 = 0; taken < ENTRIES && taken != before;) {
    before = taken;
    for (let length: u32 = 2; length <= BITS; length += 1)
      for (let symbol: usize = 0; symbol < 512; symbol += 2)
        if (load<u16>(at + symbol) == <u16>length && taken + (1 << (BITS - length)) <= ENTRIES) {
          store<u16>(at + symbol, <u16>(length - 1));
          taken += 1 << (BITS - length);
        }
  }
  // Then another symbol, which does not come, gets the other code of one bit.
  if (taken < ENTRIES) store<u16>(at + (load<u16>(at) == 0 ? 0 : 2), 1);
}

/**
 * Makes a table for what was counted, of `n` bytes. Lengths are whole numbers near to what
 * information theory gives, since a block's table has to be made quickly.
 */
export function makeTable(n: u32): void {
  const at = lengths + <usize>OWN * LENGTHS_BYTES;
  let used: u32 = 0;
  for (let i: usize = 0; i < 512; i += 2) {
    const times = <u32>load<u16>(histogram + i);
    let length: u32 = 0;
    if (times > 0) {
      // The least for which times x 2^length is at least n / sqrt(2).
      const share = (n * 128 + times * 181 - 1) / (times * 181);
      length = share <= 2 ? 1 : min(BITS, 32 - clz(share - 1));
      used += 1 << (BITS - length);
    }
    store<u16>(at + i, <u16>length);
  }
  fit(at, used);
  expandTable(OWN);
}

/** A table as it is sent: each run of symbols of one length as length and, from bit 4 on, run - 1. */
export function putTable(out: usize): usize {
  const at = lengths + <usize>OWN * LENGTHS_BYTES;
  let to = out;
  for (let symbol: u32 = 0; symbol < 256;) {
    const length = load<u16>(at + ((<usize>symbol) << 1));
    let run: u32 = 1;
    while (
      run < 16 &&
      symbol + run < 256 &&
      load<u16>(at + ((<usize>(symbol + run)) << 1)) == length
    )
      run += 1;
    store<u8>(to, <u8>(length | (<u16>((run - 1) << 4))));
    to += 1;
    symbol += run;
  }
  return to;
}

/** The inverse; 0 where it is no table, or ends behind `end`. */
export function takeTable(from: usize, end: usize): usize {
  const to = lengths + <usize>OWN * LENGTHS_BYTES;
  let at = from;
  let used: u32 = 0;
  for (let symbol: u32 = 0; symbol < 256;) {
    if (at >= end) return 0;
    const pair = <u32>load<u8>(at);
    const length = pair & 15;
    const run = (pair >> 4) + 1;
    at += 1;
    if (length > BITS || symbol + run > 256) return 0;
    if (length > 0) used += run << (BITS - length);
    for (let i: u32 = 0; i < run; i += 1)
      store<u16>(to + ((<usize>(symbol + i)) << 1), <u16>length);
    symbol += run;
  }
  if (used != ENTRIES) return 0;
  expandTable(OWN);
  return at;
}
