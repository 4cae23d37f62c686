// The codes of a stream in one lane, or in four: byte i in lane i modulo 4, so that four codes are read at
// once.
//
// A lane that asks for more bits than it has gets those behind it (never more than SLACK bytes behind the
// source), and is refused for it at the end.

import { MASK } from './huffman-tables';
import { numberEnd, putNumber, takeNumber, zagzig, zigzag } from './leb128';

/** Set above the bits at hand: how far it has come down tells how many were used. */
const MARK: u64 = 1 << 63;
/** Shorter streams are one lane. */
export const LANES_FROM: u32 = 256;

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

/** Room in front of four lanes for the numbers that say how long they are: 3 bytes each. */
const LANE_NUMBERS: usize = 9;

/** The codes of a stream, in one lane or four behind their lengths. */
export function putLanes(from: usize, n: u32, codesAt: usize, out: usize): usize {
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

/** 57 bits or more of a lane from bit `bit` on; behind `end`, whatever is there. */
function peek(lane: usize, bit: usize, end: usize): u64 {
  const at = lane + (bit >> 3);
  return load<u64>(at < end ? at : end) >> (bit & 7);
}

function entryOf(entriesAt: usize, bits: u64): u32 {
  return <u32>load<u16>(entriesAt + ((<usize>(bits & MASK)) << 1));
}

/** Takes `n` bytes in one lane; returns where it ends. */
export function takeLane(at: usize, end: usize, n: u32, entriesAt: usize, out: usize): usize {
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
export function takeLanes(from: usize, end: usize, n: u32, entriesAt: usize, out: usize): usize {
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
