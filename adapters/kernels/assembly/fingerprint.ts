// Fingerprints: NH, a keyed universal hash, in three Toeplitz passes; 24 bytes a page.
//
// A page is 128 groups of 8 words m[0..7] of 32 bits (little-endian). With the key as groups
// k[0..7] of the same shape, pass p gives, modulo 2^64,
//   sum over groups t = 0..127 and lanes l = 0..3 of
//     (m[t][l] + k[t+p][l] mod 2^32) * (m[t][l+4] + k[t+p][l+4] mod 2^32)
// so the key has 130 groups (4,160 bytes). The three sums stand little-endian, back to back.
//
// Bound: two different pages, chosen without knowledge of the key or of any fingerprint, have equal
// fingerprints with probability at most 2^-96 over the key: 2^-32 a pass by the theorem on NH
// (Black, Halevi, Krawczyk, Krovetz, Rogaway, "UMAC: Fast and Secure Message Authentication",
// CRYPTO '99), and the passes multiply although they share key words (the same paper's theorem on
// the Toeplitz construction). The proof carries over to four lanes: let t be the last group in which
// the pages differ, in lane l. Lane l's key group t + p is met at a differing place by pass p and
// later passes only, so, all other key words fixed, it makes pass p's sums equal with probability at
// most 2^-32 whatever the earlier passes gave. The key is pseudo-random, derived with HKDF, so its
// advantage comes on top. Fingerprints never leave the host: who sees them can solve for the key.

const PAGE_BYTES: usize = 4096;
const GROUP_BYTES: usize = 32;
const FINGERPRINT_BYTES: usize = 24;

/** Adds the products of one group in one pass, all four lanes, to `sum`. */
function addProducts(sum: v128, left: v128, right: v128): v128 {
  const low = i64x2.add(sum, i64x2.extmul_low_i32x4_u(left, right));
  return i64x2.add(low, i64x2.extmul_high_i32x4_u(left, right));
}

function total(sum: v128): u64 {
  return <u64>i64x2.extract_lane(sum, 0) + <u64>i64x2.extract_lane(sum, 1);
}

/** The fingerprints of `count` consecutive pages, 24 bytes each, to `out`. */
export function fingerprint(pages: usize, count: u32, key: usize, out: usize): void {
  for (let i: u32 = 0; i < count; i += 1) {
    let sum0 = i64x2.splat(0);
    let sum1 = i64x2.splat(0);
    let sum2 = i64x2.splat(0);
    // Key groups t and t + 1 are kept from the round before: of the variants tried (keys loaded
    // afresh, two and four groups a round, a sum for each half) this one needs fewest registers.
    let left0 = v128.load(key);
    let right0 = v128.load(key, 16);
    let left1 = v128.load(key, 32);
    let right1 = v128.load(key, 48);
    const page = pages + <usize>i * PAGE_BYTES;
    for (let at: usize = 0; at < PAGE_BYTES; at += GROUP_BYTES) {
      const left = v128.load(page + at);
      const right = v128.load(page + at, 16);
      const left2 = v128.load(key + at, 64);
      const right2 = v128.load(key + at, 80);
      sum0 = addProducts(sum0, i32x4.add(left, left0), i32x4.add(right, right0));
      sum1 = addProducts(sum1, i32x4.add(left, left1), i32x4.add(right, right1));
      sum2 = addProducts(sum2, i32x4.add(left, left2), i32x4.add(right, right2));
      left0 = left1;
      right0 = right1;
      left1 = left2;
      right1 = right2;
    }
    const row = out + <usize>i * FINGERPRINT_BYTES;
    store<u64>(row, total(sum0));
    store<u64>(row, total(sum1), 8);
    store<u64>(row, total(sum2), 16);
  }
}
