// The first half of packing a block of pages (docs/format.md, "Packed pages"): the block becomes
// sequences, each a run of literals and a match, in four streams; and back. It is made for memory:
// a match may lie at one of the last three offsets, which then costs a token alone. Those are found by
// comparing sixteen bytes at once, down to three equal ones: words with the same high bytes, records
// of one size, runs of one byte.
//
// Nothing here trusts a stream. `joinSequences` reads and writes the rooms below, and at most SLACK
// bytes behind its target; whatever it met, it is done after as many steps as there are tokens.

/** Bytes around a source that are read, and behind a target that are written. */
export const SLACK: usize = 64;
/** A block has no more bytes: places in it are told in 16 bits. */
export const BLOCK_BYTES_MAX: u32 = 15 * 4096;
/** A match at one of the last offsets, and one at an offset of its own, are at least this long. */
export const REPEATED_MIN: u32 = 3;
export const FRESH_MIN: u32 = 5;

const HASH_BITS: u32 = 13;
const PLACES_BYTES: usize = 2 << HASH_BITS;
const PRIME: u64 = 0x9e37_79b1_85eb_ca87;
/** A field of a token with this value goes on among the extras. */
const FIELD_MAX: u32 = 7;
/** An extra with this value is followed by the number itself, in 16 bits. */
const EXTRA_MAX: u32 = 255;
/** The first bytes of a block are literals, so that each of the first three offsets points into it. */
const HEAD_BYTES: usize = 8;
/** No match begins in the last bytes, so that sixteen can be compared from wherever one does. */
const TAIL_BYTES: usize = 16;
const VECTOR_BYTES: usize = 16;
/** A token's kind that is no place among the last offsets. */
const KIND_FRESH: u32 = 3;
const KIND_NONE: u32 = 4;
/** The last offsets at first, 16 bits each, the newest lowest. */
const FIRST_OFFSETS: u64 = 8 | (4 << 16) | (1 << 32);

/** Where a hash of five bytes was last, as a place in the block. */
const places = memory.data(16384, 16);
/** Rooms of the streams. None is longer than a block, and no block has more tokens than a third of it. */
export const tokenRoom = memory.data(32768, 16);
export const lowRoom = memory.data(32768, 16);
export const highRoom = memory.data(32768, 16);
export const extraRoom = memory.data(65536, 16);
export const literalRoom = memory.data(65536 + 64, 16);
/** How long the streams are: tokens, offsets, extras, literals, u32 each. */
export const counts = memory.data(16, 16);

function hashOf(word: u64): usize {
  return <usize>(((word << 24) * PRIME) >> (64 - HASH_BITS));
}

function placeOf(word: u64): usize {
  return places + (hashOf(word) << 1);
}

/** A bit for each of sixteen bytes: whether they are equal. */
function equalBits(a: v128, at: usize): u32 {
  return <u32>i8x16.bitmask(i8x16.eq(a, v128.load(at)));
}

/** How far the bytes at `at` go on as those at `from` do. */
function equalLength(at: usize, from: usize, end: usize): u32 {
  let to = at;
  for (let other = from; to < end; to += VECTOR_BYTES, other += VECTOR_BYTES) {
    const differing = equalBits(v128.load(to), other) ^ 0xffff;
    if (differing != 0) {
      to += ctz(differing);
      break;
    }
  }
  return <u32>((to < end ? to : end) - at);
}

/** Puts what of a token's field goes on among the extras, if it does; returns where the next one goes. */
function putExtra(at: usize, field: u32): usize {
  const value = field - FIELD_MAX;
  store<u8>(at, value);
  if (field < FIELD_MAX + EXTRA_MAX) return at + <usize>(field >= FIELD_MAX);
  store<u8>(at, EXTRA_MAX);
  store<u16>(at, value, 1);
  return at + 3;
}

/** Splits the `n` bytes at `source` into sequences, whose streams go to the rooms. */
export function splitSequences(source: usize, n: u32): void {
  memory.fill(places, 0, PLACES_BYTES);
  let tokens = tokenRoom;
  let literals = literalRoom;
  let extras = extraRoom;
  let offsets: usize = 0;
  const end = source + n;
  const last = end - TAIL_BYTES;
  let anchor = source;
  let here = source + HEAD_BYTES;
  let offset0: usize = 8;
  let offset1: usize = 4;
  let offset2: usize = 1;
  let misses: u32 = 0;
  while (here < last) {
    // Where the next bytes go on as those at one of the last offsets before them.
    const bytes = v128.load(here);
    const equal0 = equalBits(bytes, here - offset0);
    const equal1 = equalBits(bytes, here - offset1);
    const equal2 = equalBits(bytes, here - offset2);
    const three0 = equal0 & (equal0 >> 1) & (equal0 >> 2);
    const three1 = equal1 & (equal1 >> 1) & (equal1 >> 2);
    const three2 = equal2 & (equal2 >> 1) & (equal2 >> 2);
    const first = ctz(three0 | three1 | three2 | 0x100);
    // A match at another offset counts where it begins before that. Where nothing was found for
    // long, fewer places are looked at: noise has no matches.
    const stop = here + first;
    const step: usize = 1 + min(misses >> 4, 3);
    let kind = KIND_NONE;
    let offset: usize = 0;
    let at = here;
    for (; at < stop; at += step) {
      const word = load<u64>(at);
      const place = placeOf(word);
      const candidate = source + <usize>load<u16>(place);
      store<u16>(place, <u16>(at - source));
      if ((load<u64>(candidate) ^ word) << 24 == 0) {
        kind = KIND_FRESH;
        offset = at - candidate;
        break;
      }
    }
    let length: u32;
    if (kind == KIND_FRESH) {
      length = FRESH_MIN + equalLength(at + FRESH_MIN, at + FRESH_MIN - offset, end);
      // It may begin up to eight literals earlier.
      const differing = load<u64>(at - 8) ^ load<u64>(at - offset - 8);
      const equal = differing == 0 ? 8 : <u32>(clz(differing) >> 3);
      const earlier = min(equal, min(<u32>(at - anchor), <u32>(at - offset - source)));
      at -= earlier;
      length += earlier;
    } else if (first < 8) {
      at = stop;
      const length0 = ctz(~(equal0 >> first));
      const length1 = ctz(~(equal1 >> first));
      const length2 = ctz(~(equal2 >> first));
      const isSecond = length1 > length0;
      const better = max(length0, length1);
      const isThird = length2 > better;
      kind = isThird ? 2 : <u32>isSecond;
      offset = isThird ? offset2 : isSecond ? offset1 : offset0;
      length = max(better, length2);
      if (first + length == <u32>VECTOR_BYTES)
        length += equalLength(at + length, at + length - offset, end);
      store<u16>(placeOf(load<u64>(at)), <u16>(at - source));
    } else {
      here += 8;
      misses += 1;
      continue;
    }
    misses = 0;
    // A sequence. What is put for some of them only is written for all, and passed over.
    const run = <u32>(at - anchor);
    const over = length - (kind == KIND_FRESH ? FRESH_MIN : REPEATED_MIN);
    v128.store(literals, v128.load(anchor));
    if (run > 16) memory.copy(literals + 16, anchor + 16, run - 16);
    literals += run;
    store<u8>(tokens, kind | (min(run, FIELD_MAX) << 2) | (min(over, FIELD_MAX) << 5));
    tokens += 1;
    extras = putExtra(extras, run);
    extras = putExtra(extras, over);
    store<u8>(lowRoom + offsets, <u8>offset);
    store<u8>(highRoom + offsets, <u8>(offset >> 8));
    offsets += <usize>(kind == KIND_FRESH);
    offset2 = kind < 2 ? offset2 : offset1;
    offset1 = kind < 1 ? offset1 : offset0;
    offset0 = offset;
    here = at + length;
    anchor = here;
    if (here < last) store<u16>(placeOf(load<u64>(here - 2)), <u16>(here - 2 - source));
  }
  // What is left is literals, and has no token.
  const rest = <u32>(end - anchor);
  memory.copy(literals, anchor, rest);
  store<u32>(counts, <u32>(tokens - tokenRoom));
  store<u32>(counts, <u32>offsets, 4);
  store<u32>(counts, <u32>(extras - extraRoom), 8);
  store<u32>(counts, <u32>(literals + rest - literalRoom), 12);
}

/** Row o of 17: byte i is i modulo o, so a swizzle by it repeats o bytes (row 0 is not used). */
const repeats = memory.data(17 * 16, 16);
/** Of o bytes, how many a vector holds of whole repetitions. */
const strides = memory.data(32, 16);
for (let o: usize = 1; o <= 16; o += 1) {
  for (let i: usize = 0; i < 16; i += 1) store<u8>(repeats + o * 16 + i, <u8>(i % o));
  store<u8>(strides + o, <u8>(16 - (16 % o)));
}

/**
 * Joins the sequences in the rooms, of which there are as many bytes as `counts` says: true where they
 * make exactly the `n` bytes at `target`.
 */
export function joinSequences(target: usize, n: u32): bool {
  const end = target + n;
  const tokensEnd = tokenRoom + load<u32>(counts);
  const offsets = <usize>load<u32>(counts, 4);
  const extrasEnd = extraRoom + load<u32>(counts, 8);
  const literalsEnd = literalRoom + load<u32>(counts, 12);
  let literal = literalRoom;
  let extra = extraRoom;
  let fresh: usize = 0;
  let to = target;
  let last = FIRST_OFFSETS;
  for (let at = tokenRoom; at < tokensEnd; at += 1) {
    const token = <u32>load<u8>(at);
    const kind = <u64>(token & 3);
    let run = <usize>((token >> 2) & 7);
    let over = <usize>(token >> 5);
    const isFresh = kind == KIND_FRESH;
    // The next extra is read for every field, and used by those that go on. That there are so many
    // is seen at the end.
    const runGoesOn = <usize>(run == FIELD_MAX);
    run += (<usize>load<u8>(extra)) & (0 - runGoesOn);
    extra += runGoesOn;
    if (run == FIELD_MAX + EXTRA_MAX) {
      run = <usize>FIELD_MAX + <usize>load<u16>(extra);
      extra += 2;
    }
    const overGoesOn = <usize>(over == FIELD_MAX);
    over += (<usize>load<u8>(extra)) & (0 - overGoesOn);
    extra += overGoesOn;
    if (over == FIELD_MAX + EXTRA_MAX) {
      over = <usize>FIELD_MAX + <usize>load<u16>(extra);
      extra += 2;
    }
    const length = over + (isFresh ? FRESH_MIN : REPEATED_MIN);
    if (to + run + length > end) return false;
    v128.store(to, v128.load(literal));
    for (let i: usize = 16; i < run; i += 16) v128.store(to + i, v128.load(literal + i));
    literal += run;
    to += run;
    const named = (<u64>load<u8>(lowRoom + fresh)) | ((<u64>load<u8>(highRoom + fresh)) << 8);
    const offset = isFresh ? named : (last >> (kind << 4)) & 0xffff;
    fresh += <usize>isFresh;
    // The offset comes first; those that stood before its place move up by one.
    const moved = (<u64>-1) >> (48 - (kind << 4));
    last = (last & ~moved) | ((last << 16) & moved) | offset;
    const back = <usize>offset;
    // 0 wraps, so that one comparison refuses it as well as what lies before the block.
    if (back - 1 >= to - target) return false;
    const row = back < 16 ? back : 16;
    const from = to - back;
    const bytes = v128.swizzle(v128.load(from), v128.load(repeats + (row << 4)));
    v128.store(to, bytes);
    if (length > 16) {
      if (back >= 16)
        for (let i: usize = 16; i < length; i += 16) v128.store(to + i, v128.load(from + i));
      else {
        const stride = <usize>load<u8>(strides + row);
        for (let i = stride; i < length; i += stride) v128.store(to + i, bytes);
      }
    }
    to += length;
  }
  const rest = <usize>(end - to);
  if (literal + rest != literalsEnd || fresh != offsets || extra != extrasEnd) return false;
  memory.copy(to, literal, rest);
  return true;
}
