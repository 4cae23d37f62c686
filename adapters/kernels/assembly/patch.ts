// Patches: a page as what it differs in from a reference. The mask is the page
// XOR the reference, so the same operation gives the page back.

const PAGE_BYTES: usize = 4096;
const STEP_BYTES: usize = 32;
/** Stretches that are counted in byte lanes before these could overflow: 64 steps, so 128 at most. */
const STRETCH_BYTES: usize = 2048;

/** The sum of the sixteen bytes, each unsigned. */
function sumBytes(counts: v128): u32 {
  const words = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(counts));
  return (
    i32x4.extract_lane(words, 0) +
    i32x4.extract_lane(words, 1) +
    i32x4.extract_lane(words, 2) +
    i32x4.extract_lane(words, 3)
  );
}

/**
 * Page XOR reference to `out`, which may be either of them; returns how many bytes differ. All three
 * are whole pages.
 */
export function patch(page: usize, reference: usize, out: usize): u32 {
  const zero = i8x16.splat(0);
  let equal: u32 = 0;
  for (let first: usize = 0; first < PAGE_BYTES; first += STRETCH_BYTES) {
    let counts = i8x16.splat(0);
    for (let at = first; at < first + STRETCH_BYTES; at += STEP_BYTES) {
      const low = v128.xor(v128.load(page + at), v128.load(reference + at));
      const high = v128.xor(v128.load(page + at, 16), v128.load(reference + at, 16));
      v128.store(out + at, low);
      v128.store(out + at, high, 16);
      // Equal bytes compare to -1.
      counts = i8x16.sub(counts, i8x16.add(i8x16.eq(low, zero), i8x16.eq(high, zero)));
    }
    equal += sumBytes(counts);
  }
  return <u32>PAGE_BYTES - equal;
}
