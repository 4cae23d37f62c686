// The second half of packing a block of pages (docs/format.md, "Packed pages"): a stream of bytes as
// Huffman codes of at most eleven bits. The codes are those of a fixed collection (code-tables.ts), so
// that none is made or sent for a block; where a stream is unlike all of them, a table of its own
// goes before it. A long stream is cut into four lanes, byte i to lane i modulo 4, so that four codes
// are read at once.
//
// Nothing here trusts what it reads: lengths are compared with what is at hand before they are used,
// a lane that asks for more bits than it has gets those behind it (never more than SLACK bytes behind
// the source), and is refused for it at the end.

import { CODE_LENGTHS, TABLES } from './code-tables';

/** No code is longer. */
const BITS: u32 = 11;
const ENTRIES: u32 = 1 << BITS;
const MASK: u64 = <u64>(ENTRIES - 1);
/** Set above the bits at hand: how far it has come down tells how many were used. */
const MARK: u64 = 1 << 63;
const LENGTHS_BYTES: usize = 512;
const CODES_BYTES: usize = 1024;
const ENTRIES_BYTES: usize = <usize>ENTRIES * 2;
/** Shorter streams are one lane. */
const LANES_FROM: u32 = 256;
/** Shorter streams are not coded. */
const CODED_FROM: u32 = 16;
/** Of streams longer than this, one byte in four is counted to choose a table. */
const COUNTED_WHOLE: u32 = 2048;
/** A table is made for streams at least so long, */
const OWN_FROM: u32 = 2048;
/** where beside its own bytes, about, */
const OWN_BYTES: u32 = 128;
/** it saves this share (as a shift) of the stream's: it costs time, also to who reads it. */
const OWN_SHIFT: u32 = 4;
/** The number that a table sent with a block has here, after all fixed ones. */
const OWN: u32 = TABLES;

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
function count(from: usize, n: u32, step: u32): void {
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
function bitsWith(table: u32): u32 {
  const from = lengths + <usize>table * LENGTHS_BYTES;
  let sum = i32x4.splat(0);
  for (let i: usize = 0; i < 512; i += 16)
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.load(histogram + i), v128.load(from + i)));
  const pairs = i64x2.add(i64x2.extend_low_i32x4_u(sum), i64x2.extend_high_i32x4_u(sum));
  return <u32>(i64x2.extract_lane(pairs, 0) + i64x2.extract_lane(pairs, 1));
}

/** Of `tables` tables from `first` on the one that takes the fewest bits, and from bit 8 on how many. */
function choose(first: u32, tables: u32): u64 {
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
function leastBits(): u32 {
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
function makeTable(n: u32): void {
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
function putTable(out: usize): usize {
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
function takeTable(from: usize, end: usize): usize {
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

/** The codes of every `stride`th byte from `from` on, as bits from the low end of each byte. */
function putLane(from: usize, end: usize, stride: usize, codesAt: usize, out: usize): usize {
  let to = out;
  let bits: u64 = 0;
  let used: u64 = 0;
  let at = from;
  const two = stride * 2;
  const three = stride * 3;
  const four = stride * 4;
  for (; at + three < end; at += four) {
    const a = load<u32>(codesAt + ((<usize>load<u8>(at)) << 2));
    const b = load<u32>(codesAt + ((<usize>load<u8>(at + stride)) << 2));
    const c = load<u32>(codesAt + ((<usize>load<u8>(at + two)) << 2));
    const d = load<u32>(codesAt + ((<usize>load<u8>(at + three)) << 2));
    const lengthA = a >> 16;
    const lengthAB = lengthA + (b >> 16);
    const lengthC = c >> 16;
    const ab = (<u64>(a & 0xffff)) | ((<u64>(b & 0xffff)) << lengthA);
    const cd = (<u64>(c & 0xffff)) | ((<u64>(d & 0xffff)) << lengthC);
    bits |= (ab | (cd << lengthAB)) << used;
    used += lengthAB + lengthC + (d >> 16);
    store<u64>(to, bits);
    to += <usize>(used >> 3);
    bits >>= used & 0x38;
    used &= 7;
  }
  for (; at < end; at += stride) {
    const a = load<u32>(codesAt + ((<usize>load<u8>(at)) << 2));
    bits |= (<u64>(a & 0xffff)) << used;
    used += a >> 16;
    store<u64>(to, bits);
    to += <usize>(used >> 3);
    bits >>= used & 0x38;
    used &= 7;
  }
  if (used > 0) {
    store<u8>(to, <u8>bits);
    to += 1;
  }
  return to;
}

/** A number as LEB128: seven bits a byte, the lowest first, all but the last with the top bit. */
export function putNumber(out: usize, value: u32): usize {
  let to = out;
  let rest = value;
  for (; rest >= 128; rest >>= 7) {
    store<u8>(to, <u8>(rest | 128));
    to += 1;
  }
  store<u8>(to, <u8>rest);
  return to + 1;
}

/** Where the number that was read last ended; 0 where there was none below 2^21. */
export let numberEnd: usize = 0;

/** Reads a number of at most three bytes; `numberEnd` says where it ended. */
export function takeNumber(from: usize, end: usize): u32 {
  let value: u32 = 0;
  for (let i: usize = 0; i < 3 && from + i < end; i += 1) {
    const byte = <u32>load<u8>(from + i);
    value |= (byte & 127) << (7 * <u32>i);
    if (byte < 128) {
      numberEnd = from + i + 1;
      return value;
    }
  }
  numberEnd = 0;
  return 0;
}

function zigzag(value: i32): u32 {
  return <u32>((value << 1) ^ (value >> 31));
}

function zagzig(value: u32): i32 {
  return (<i32>(value >> 1)) ^ -(<i32>(value & 1));
}

/** Room in front of four lanes for the numbers that say how long they are: 3 bytes each. */
const LANE_NUMBERS: usize = 9;

/** The codes of a stream, in one lane or four behind their lengths. */
function putLanes(from: usize, n: u32, codesAt: usize, out: usize): usize {
  const end = from + n;
  if (n < LANES_FROM) return putLane(from, end, 1, codesAt, out);
  const start = out + LANE_NUMBERS;
  const end0 = putLane(from, end, 4, codesAt, start);
  const end1 = putLane(from + 1, end, 4, codesAt, end0);
  const end2 = putLane(from + 2, end, 4, codesAt, end1);
  const end3 = putLane(from + 3, end, 4, codesAt, end2);
  const length0 = <i32>(end0 - start);
  let to = putNumber(out, <u32>length0);
  to = putNumber(to, zigzag(<i32>(end1 - end0) - length0));
  to = putNumber(to, zigzag(<i32>(end2 - end1) - length0));
  const lengthBytes = end3 - start;
  memory.copy(to, start, lengthBytes);
  return to + lengthBytes;
}

/** How the stream that was put last stands there: by a table of its set, `raw` - 1 or `raw`. */
export let mode: u32 = 0;

/**
 * Puts the `n` bytes at `from`: as codes where these save n >> shift bytes (0: never), else as they
 * are. `tables` tables from `first` on may be used. Returns where they end and leaves in `mode` how
 * they stand there: a table's number among these, raw - 1 for one that is sent, `raw` for none.
 */
export function putStream(
  from: usize,
  n: u32,
  first: u32,
  tables: u32,
  raw: u32,
  shift: u32,
  out: usize,
): usize {
  if (n >= CODED_FROM && shift > 0) {
    const step: u32 = n > COUNTED_WHOLE ? 4 : 1;
    count(from, n, step);
    const choice = choose(first, tables);
    const fixedBytes = (<u32>(choice >> 8) * step) >> 3;
    let table = (<u32>choice) & 0xff;
    let bytes = fixedBytes;
    let to = out;
    const otherwise = fixedBytes + (n >> shift) < n ? fixedBytes : n;
    if (n >= OWN_FROM && ((leastBits() * step) >> 3) + OWN_BYTES + (n >> OWN_SHIFT) < otherwise) {
      if (step != 1) count(from, n, 1);
      makeTable(n);
      table = OWN;
      to = putTable(out);
      bytes = (bitsWith(OWN) >> 3) + <u32>(to - out);
    }
    if (bytes + (n >> shift) < n) {
      to = putLanes(from, n, codes + <usize>table * CODES_BYTES, to);
      if (<u32>(to - out) < n) {
        mode = table == OWN ? raw - 1 : table - first;
        return to;
      }
    }
  }
  mode = raw;
  memory.copy(out, from, n);
  return out + n;
}

/** 57 bits or more of a lane from bit `bit` on; behind `end`, whatever is there. */
function peek(lane: usize, bit: usize, end: usize): u64 {
  const at = lane + (bit >> 3);
  return load<u64>(at < end ? at : end) >> (bit & 7);
}

function entryOf(entriesAt: usize, bits: u64): u32 {
  return <u32>load<u16>(entriesAt + ((<usize>(bits & MASK)) << 1));
}

/** Takes `n` bytes in one lane; returns where it ends. */
function takeLane(at: usize, end: usize, n: u32, entriesAt: usize, out: usize): usize {
  let bit: usize = 0;
  let to = out;
  const stop = out + n;
  for (; to + 5 <= stop; to += 5) {
    let bits = peek(at, bit, end) | MARK;
    const a = entryOf(entriesAt, bits);
    store<u8>(to, <u8>(a >> 8));
    bits >>= <u64>a;
    const b = entryOf(entriesAt, bits);
    store<u8>(to, <u8>(b >> 8), 1);
    bits >>= <u64>b;
    const c = entryOf(entriesAt, bits);
    store<u8>(to, <u8>(c >> 8), 2);
    bits >>= <u64>c;
    const d = entryOf(entriesAt, bits);
    store<u8>(to, <u8>(d >> 8), 3);
    bits >>= <u64>d;
    const e = entryOf(entriesAt, bits);
    store<u8>(to, <u8>(e >> 8), 4);
    bits >>= <u64>e;
    bit += <usize>clz(bits);
  }
  for (; to < stop; to += 1) {
    const a = entryOf(entriesAt, peek(at, bit, end));
    store<u8>(to, <u8>(a >> 8));
    bit += <usize>(a & 255);
  }
  const ended = at + ((bit + 7) >> 3);
  return ended <= end ? ended : 0;
}

/** Takes the next symbol of a lane to `to`; returns where the one after it begins. */
function takeOne(lane: usize, bit: usize, end: usize, entriesAt: usize, to: usize): usize {
  const a = entryOf(entriesAt, peek(lane, bit, end));
  store<u8>(to, <u8>(a >> 8));
  return bit + <usize>(a & 255);
}

/** Takes `n` bytes in four lanes behind their lengths; returns where they end, 0 where they do not. */
function takeLanes(from: usize, end: usize, n: u32, entriesAt: usize, out: usize): usize {
  const length0 = takeNumber(from, end);
  if (numberEnd == 0) return 0;
  const length1 = <i32>length0 + zagzig(takeNumber(numberEnd, end));
  if (numberEnd == 0) return 0;
  const length2 = <i32>length0 + zagzig(takeNumber(numberEnd, end));
  if (numberEnd == 0 || length1 < 0 || length2 < 0) return 0;
  const lane0 = numberEnd;
  const lane1 = lane0 + <usize>length0;
  const lane2 = lane1 + <usize>length1;
  const lane3 = lane2 + <usize>length2;
  // Each is below 2^22, so the sum does not wrap.
  if (lane3 > end) return 0;
  let bit0: usize = 0;
  let bit1: usize = 0;
  let bit2: usize = 0;
  let bit3: usize = 0;
  let to = out;
  const stop = out + n;
  for (; to + 20 <= stop; to += 20) {
    let bits0 = peek(lane0, bit0, end) | MARK;
    let bits1 = peek(lane1, bit1, end) | MARK;
    let bits2 = peek(lane2, bit2, end) | MARK;
    let bits3 = peek(lane3, bit3, end) | MARK;
    const entry00 = entryOf(entriesAt, bits0);
    const entry10 = entryOf(entriesAt, bits1);
    const entry20 = entryOf(entriesAt, bits2);
    const entry30 = entryOf(entriesAt, bits3);
    store<u8>(to, <u8>(entry00 >> 8));
    bits0 >>= <u64>entry00;
    store<u8>(to, <u8>(entry10 >> 8), 1);
    bits1 >>= <u64>entry10;
    store<u8>(to, <u8>(entry20 >> 8), 2);
    bits2 >>= <u64>entry20;
    store<u8>(to, <u8>(entry30 >> 8), 3);
    bits3 >>= <u64>entry30;
    const entry01 = entryOf(entriesAt, bits0);
    const entry11 = entryOf(entriesAt, bits1);
    const entry21 = entryOf(entriesAt, bits2);
    const entry31 = entryOf(entriesAt, bits3);
    store<u8>(to, <u8>(entry01 >> 8), 4);
    bits0 >>= <u64>entry01;
    store<u8>(to, <u8>(entry11 >> 8), 5);
    bits1 >>= <u64>entry11;
    store<u8>(to, <u8>(entry21 >> 8), 6);
    bits2 >>= <u64>entry21;
    store<u8>(to, <u8>(entry31 >> 8), 7);
    bits3 >>= <u64>entry31;
    const entry02 = entryOf(entriesAt, bits0);
    const entry12 = entryOf(entriesAt, bits1);
    const entry22 = entryOf(entriesAt, bits2);
    const entry32 = entryOf(entriesAt, bits3);
    store<u8>(to, <u8>(entry02 >> 8), 8);
    bits0 >>= <u64>entry02;
    store<u8>(to, <u8>(entry12 >> 8), 9);
    bits1 >>= <u64>entry12;
    store<u8>(to, <u8>(entry22 >> 8), 10);
    bits2 >>= <u64>entry22;
    store<u8>(to, <u8>(entry32 >> 8), 11);
    bits3 >>= <u64>entry32;
    const entry03 = entryOf(entriesAt, bits0);
    const entry13 = entryOf(entriesAt, bits1);
    const entry23 = entryOf(entriesAt, bits2);
    const entry33 = entryOf(entriesAt, bits3);
    store<u8>(to, <u8>(entry03 >> 8), 12);
    bits0 >>= <u64>entry03;
    store<u8>(to, <u8>(entry13 >> 8), 13);
    bits1 >>= <u64>entry13;
    store<u8>(to, <u8>(entry23 >> 8), 14);
    bits2 >>= <u64>entry23;
    store<u8>(to, <u8>(entry33 >> 8), 15);
    bits3 >>= <u64>entry33;
    const entry04 = entryOf(entriesAt, bits0);
    const entry14 = entryOf(entriesAt, bits1);
    const entry24 = entryOf(entriesAt, bits2);
    const entry34 = entryOf(entriesAt, bits3);
    store<u8>(to, <u8>(entry04 >> 8), 16);
    bits0 >>= <u64>entry04;
    store<u8>(to, <u8>(entry14 >> 8), 17);
    bits1 >>= <u64>entry14;
    store<u8>(to, <u8>(entry24 >> 8), 18);
    bits2 >>= <u64>entry24;
    store<u8>(to, <u8>(entry34 >> 8), 19);
    bits3 >>= <u64>entry34;
    bit0 += <usize>clz(bits0);
    bit1 += <usize>clz(bits1);
    bit2 += <usize>clz(bits2);
    bit3 += <usize>clz(bits3);
  }
  for (; to < stop; to += 4) {
    bit0 = takeOne(lane0, bit0, end, entriesAt, to);
    if (to + 1 < stop) bit1 = takeOne(lane1, bit1, end, entriesAt, to + 1);
    if (to + 2 < stop) bit2 = takeOne(lane2, bit2, end, entriesAt, to + 2);
    if (to + 3 < stop) bit3 = takeOne(lane3, bit3, end, entriesAt, to + 3);
  }
  const ended = lane3 + ((bit3 + 7) >> 3);
  const areWhole =
    lane0 + ((bit0 + 7) >> 3) == lane1 &&
    lane1 + ((bit1 + 7) >> 3) == lane2 &&
    lane2 + ((bit2 + 7) >> 3) == lane3;
  return areWhole && ended <= end ? ended : 0;
}

/**
 * The inverse of putStream: `n` bytes, which stand between `from` and `end` as `how` says, to `out`.
 * Returns where they end, 0 where they are damaged.
 */
export function takeStream(
  from: usize,
  end: usize,
  n: u32,
  first: u32,
  tables: u32,
  raw: u32,
  how: u32,
  out: usize,
): usize {
  if (how == raw) {
    if (<usize>n > end - from) return 0;
    memory.copy(out, from, n);
    return from + n;
  }
  let at = from;
  let table = first + how;
  if (how == raw - 1) {
    table = OWN;
    at = takeTable(from, end);
    if (at == 0) return 0;
  } else if (how >= tables) return 0;
  const entriesAt = entries + <usize>table * ENTRIES_BYTES;
  return n < LANES_FROM
    ? takeLane(at, end, n, entriesAt, out)
    : takeLanes(at, end, n, entriesAt, out);
}
