// Patterns of pages: the grammar of domain/patterns in the kernel. Its oracle is
// domain/patterns/describe.ts; a test holds them equal.
//
// A body's unit stands everywhere but within 64 bytes of the page's ends. So two cache lines in the
// middle say whether the page can be a pattern at all, and nearly every page leaves there. Pages that
// known strings may make are left to the oracle: CLASS_ASK.

const PAGE_BYTES: usize = 4096;
/** What no edge reaches. */
const MIDDLE_START: usize = 64;
const MIDDLE_END: usize = 4032;
/** Where the page is looked at first, a multiple of 64, and the next multiple of 48. */
const PROBE: usize = 2048;
const PROBE_48: usize = 2064;

export const CLASS_NONE: u8 = 0;
const CLASS_ZERO: u8 = 1;
const CLASS_BYTE: u8 = 2;
const CLASS_WORD16: u8 = 3;
const CLASS_WORD32: u8 = 4;
const CLASS_WORD64: u8 = 5;
const CLASS_PERIOD: u8 = 6;
const CLASS_EDGED: u8 = 8;
/** For the oracle to say: perhaps a page of known strings. */
const CLASS_ASK: u8 = 255;

const DESCRIPTOR_VERSION: u8 = 1;
const EDGE_BYTES_MAX: usize = 64;

/**
 * 64 bytes of the body as they stand at the page's start, and where its tail may begin: that is a
 * multiple of 64 and of 48.
 */
const UNIT = memory.data(64, 16);

/** For each low and each high half of a byte, the groups of known bytes that it occurs in. */
const LOW_HALVES = memory.data<u8>([0, 0, 0, 0, 0, 4, 0, 4, 0, 4, 5, 11, 17, 0, 0, 0], 16);
const HIGH_HALVES = memory.data<u8>([0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 4, 8, 16, 0, 0, 0], 16);

/** Whether all bytes of a vector are known ones: those of KNOWN_BYTES in domain/patterns. */
function areKnown(bytes: v128): bool {
  const low = v128.swizzle(v128.load(LOW_HALVES), v128.and(bytes, i8x16.splat(0x0f)));
  const high = v128.swizzle(v128.load(HIGH_HALVES), i8x16.shr_u(bytes, 4));
  return i8x16.all_true(v128.and(low, high));
}

function isKnown(page: usize): bool {
  for (let at: usize = 0; at < PAGE_BYTES; at += 16)
    if (!areKnown(v128.load(page + at))) return false;
  return true;
}

/** Whether the middle repeats the 64 bytes at PROBE; the cheapest way to see that most do not. */
function repeats64(page: usize): bool {
  const unit0 = v128.load(page + PROBE);
  const unit1 = v128.load(page + PROBE, 16);
  const unit2 = v128.load(page + PROBE, 32);
  const unit3 = v128.load(page + PROBE, 48);
  for (let at = page + MIDDLE_START; at < page + MIDDLE_END; at += 128) {
    const low = v128.or(
      v128.or(v128.xor(v128.load(at), unit0), v128.xor(v128.load(at, 16), unit1)),
      v128.or(v128.xor(v128.load(at, 32), unit2), v128.xor(v128.load(at, 48), unit3)),
    );
    const high = v128.or(
      v128.or(v128.xor(v128.load(at, 64), unit0), v128.xor(v128.load(at, 80), unit1)),
      v128.or(v128.xor(v128.load(at, 96), unit2), v128.xor(v128.load(at, 112), unit3)),
    );
    if (v128.any_true(v128.or(low, high))) return false;
  }
  return true;
}

/** Whether byte i is byte i - period all through the middle, for any period. */
function repeatsAfter(page: usize, period: usize): bool {
  const end = page + MIDDLE_END - period;
  let at = page + MIDDLE_START;
  for (; at + 16 <= end; at += 16)
    if (v128.any_true(v128.xor(v128.load(at), v128.load(at + period)))) return false;
  for (; at < end; at += 1) if (load<u8>(at) != load<u8>(at + period)) return false;
  return true;
}

/** Whether the 64 bytes at UNIT are one word over and over. */
function repeatsWord(word: u64): bool {
  const words = i64x2.splat(<i64>word);
  const low = v128.or(v128.xor(v128.load(UNIT), words), v128.xor(v128.load(UNIT, 16), words));
  const high = v128.or(v128.xor(v128.load(UNIT, 32), words), v128.xor(v128.load(UNIT, 48), words));
  return !v128.any_true(v128.or(low, high));
}

/** The length of the shortest unit that the first `bytes` bytes at UNIT repeat. */
function shortestUnit(bytes: usize): usize {
  // Nearly all patterns are of one byte.
  const word = load<u64>(UNIT);
  if (word == rotr<u64>(word, 8) && repeatsWord(word)) return 1;
  let unit = bytes;
  // A unit that a third of it repeats has a length of both families, and is found as the other's.
  while ((unit & 1) == 0) {
    const half = unit >> 1;
    if (memory.compare(UNIT, UNIT + half, half) != 0) break;
    unit = half;
  }
  return unit;
}

function classOfUnit(unit: usize): u8 {
  if (unit == 1) return load<u8>(UNIT) == 0 ? CLASS_ZERO : CLASS_BYTE;
  if (unit == 2) return CLASS_WORD16;
  if (unit == 4) return CLASS_WORD32;
  return unit == 8 ? CLASS_WORD64 : CLASS_PERIOD;
}

/** Whether 64 bytes are those at UNIT. */
function areUnit(at: usize): bool {
  const low = v128.or(
    v128.xor(v128.load(at), v128.load(UNIT)),
    v128.xor(v128.load(at, 16), v128.load(UNIT, 16)),
  );
  const high = v128.or(
    v128.xor(v128.load(at, 32), v128.load(UNIT, 32)),
    v128.xor(v128.load(at, 48), v128.load(UNIT, 48)),
  );
  return !v128.any_true(v128.or(low, high));
}

/** Where the page's head ends: the bytes at its start that are not as the body goes on. */
function headEnd(page: usize): usize {
  if (areUnit(page)) return 0;
  let at = MIDDLE_START;
  while (load<u8>(page + at - 1) == load<u8>(UNIT + at - 1)) at -= 1;
  return at;
}

function tailStart(page: usize): usize {
  if (areUnit(page + MIDDLE_END)) return PAGE_BYTES;
  let at: usize = 0;
  while (load<u8>(page + MIDDLE_END + at) == load<u8>(UNIT + at)) at += 1;
  return MIDDLE_END + at;
}

/** Writes class, unit length and unit, as a body has them; returns where they end. */
function writeBody(out: usize, bodyClass: u8, unit: usize): usize {
  store<u8>(out, bodyClass);
  if (bodyClass == CLASS_ZERO) return out + 1;
  store<u8>(out, <u8>unit, 1);
  memory.copy(out + 2, UNIT, unit);
  return out + 2 + unit;
}

/** A page whose middle repeats the first `bytes` bytes at UNIT: its class, and its descriptor to `out`. */
function describeRepeated(page: usize, bytes: usize, out: usize, length: usize): u8 {
  const unit = shortestUnit(bytes);
  const bodyClass = classOfUnit(unit);
  const start = headEnd(page);
  const end = tailStart(page);
  const tail = PAGE_BYTES - end;
  store<u8>(out, DESCRIPTOR_VERSION);
  if (start + tail == 0) {
    if (bodyClass == CLASS_ZERO) return CLASS_ZERO;
    store<u8>(length, <u8>(writeBody(out + 1, bodyClass, unit) - out));
    return bodyClass;
  }
  if (areKnown(v128.load(page + PROBE)) && isKnown(page)) return CLASS_ASK;
  if (start + tail > EDGE_BYTES_MAX) return CLASS_NONE;
  store<u8>(out, CLASS_EDGED, 1);
  store<u8>(out, <u8>start, 2);
  store<u8>(out, <u8>tail, 3);
  memory.copy(out + 4, page, start);
  memory.copy(out + 4 + start, page + end, tail);
  store<u8>(length, <u8>(writeBody(out + 4 + start + tail, bodyClass, unit) - out));
  return CLASS_EDGED;
}

/** Whether the middle repeats after one of the periods of the strings that were added. */
function mayBeAdded(page: usize, periods: usize, periodCount: u32): bool {
  for (let i: u32 = 0; i < periodCount; i += 1) {
    const period = <usize>load<u16>(periods + ((<usize>i) << 1));
    if (load<u64>(page + PROBE) != load<u64>(page + PROBE + period)) continue;
    if (repeatsAfter(page, period)) return true;
  }
  return false;
}

/** All bits of 128 bytes, in one vector. */
function bitsOf(at: usize): v128 {
  const low = v128.or(
    v128.or(v128.load(at), v128.load(at, 16)),
    v128.or(v128.load(at, 32), v128.load(at, 48)),
  );
  const high = v128.or(
    v128.or(v128.load(at, 64), v128.load(at, 80)),
    v128.or(v128.load(at, 96), v128.load(at, 112)),
  );
  return v128.or(low, high);
}

/** Whether the page is zeros: most patterns are, and nothing else needs to be known of them. */
function isZero(page: usize): bool {
  for (let at = page; at < page + PAGE_BYTES; at += 256)
    if (v128.any_true(v128.or(bitsOf(at), bitsOf(at + 128)))) return false;
  return true;
}

/** What the look at a page's middle says: which of the matches it is worth to try. */
const MAY_REPEAT_64: u8 = 1;
const MAY_REPEAT_48: u8 = 2;
const MAY_BE_KNOWN: u8 = 4;
const MAY_BE_ZERO: u8 = 8;

/**
 * The look at a page's middle. It takes no branch, so that the looks at many pages, each of which waits
 * for memory, go on at once.
 */
export function probe(page: usize): u8 {
  const unit = v128.load(page + PROBE);
  const repeats64 = !v128.any_true(v128.xor(unit, v128.load(page + PROBE, 64)));
  const repeats48 = !v128.any_true(v128.xor(unit, v128.load(page + PROBE, 48)));
  return (
    (<u8>!v128.any_true(unit) * MAY_BE_ZERO) |
    (<u8>repeats64 * MAY_REPEAT_64) |
    (<u8>repeats48 * MAY_REPEAT_48) |
    (<u8>areKnown(unit) * MAY_BE_KNOWN)
  );
}

/**
 * The class of a page of which `probe` said `hint`. Its descriptor, if it has one, goes to `out` and the descriptor's length (u8) to
 * `length`. `periods` holds the lengths (u16) of the strings that were added.
 */
export function matchPattern(
  page: usize,
  hint: u8,
  periods: usize,
  periodCount: u32,
  out: usize,
  length: usize,
): u8 {
  if ((hint & MAY_BE_ZERO) != 0 && isZero(page)) return CLASS_ZERO;
  if ((hint & MAY_REPEAT_64) != 0 && repeats64(page)) {
    memory.copy(UNIT, page + PROBE, 64);
    return describeRepeated(page, 64, out, length);
  }
  if ((hint & MAY_REPEAT_48) != 0 && repeatsAfter(page, 48)) {
    memory.copy(UNIT, page + PROBE_48, 64);
    return describeRepeated(page, 48, out, length);
  }
  if ((hint & MAY_BE_KNOWN) != 0 && isKnown(page)) return CLASS_ASK;
  return mayBeAdded(page, periods, periodCount) ? CLASS_ASK : CLASS_NONE;
}
