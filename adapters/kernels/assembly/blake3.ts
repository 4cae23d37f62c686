// BLAKE3's compression function, four inputs at once: lane l of every vector belongs to input l. The
// rounds are straight-line code with the message permutation written out (m2 stands where the
// permutation moves word 2), because state and message then stay in registers or fixed stack slots;
// a loop over rounds has to move 16 vectors each time. Hence one long function. The optimizer inlines
// the small ones.

/** Chaining values of four inputs, word i of all four in vector i. */
const CHAIN_WORDS: i32 = 8;

function zipLow32(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
}

function zipHigh32(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
}

function zipLow64(a: v128, b: v128): v128 {
  return v128.shuffle<i64>(a, b, 0, 2);
}

function zipHigh64(a: v128, b: v128): v128 {
  return v128.shuffle<i64>(a, b, 1, 3);
}

function add3(a: v128, b: v128, c: v128): v128 {
  return i32x4.add(i32x4.add(a, c), b);
}

/** The exclusive or of two vectors, each word rotated right by 16 bits; the next three alike. */
function turn16(a: v128, b: v128): v128 {
  const c = v128.xor(a, b);
  return v128.or(i32x4.shr_u(c, 16), i32x4.shl(c, 16));
}

function turn12(a: v128, b: v128): v128 {
  const c = v128.xor(a, b);
  return v128.or(i32x4.shr_u(c, 12), i32x4.shl(c, 20));
}

function turn8(a: v128, b: v128): v128 {
  const c = v128.xor(a, b);
  return v128.or(i32x4.shr_u(c, 8), i32x4.shl(c, 24));
}

function turn7(a: v128, b: v128): v128 {
  const c = v128.xor(a, b);
  return v128.or(i32x4.shr_u(c, 7), i32x4.shl(c, 25));
}

/** Sets the four chaining values at `chain` to the key (32 bytes at `key`). */
export function startChain(chain: usize, key: usize): void {
  for (let word = 0; word < CHAIN_WORDS; word += 1)
    v128.store(chain + ((<usize>word) << 4), i32x4.splat(load<i32>(key + ((<usize>word) << 2))));
}

/** Writes the four chaining values at `chain` to `out`, 32 bytes each, back to back. */
export function storeChain(chain: usize, out: usize): void {
  for (let half: usize = 0; half < 2; half += 1) {
    const from = chain + (half << 6);
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from, 32);
    const d = v128.load(from, 48);
    const to = out + (half << 4);
    const lowAb = zipLow32(a, b);
    const lowCd = zipLow32(c, d);
    v128.store(to, zipLow64(lowAb, lowCd));
    v128.store(to, zipHigh64(lowAb, lowCd), 32);
    const highAb = zipHigh32(a, b);
    const highCd = zipHigh32(c, d);
    v128.store(to, zipLow64(highAb, highCd), 64);
    v128.store(to, zipHigh64(highAb, highCd), 96);
  }
}

/**
 * Compresses one whole block of 64 bytes of each input into the chaining values at `chain`. Input
 * l's chunk counter is l times `counterStep`.
 */
export function compress4(
  block0: usize,
  block1: usize,
  block2: usize,
  block3: usize,
  chain: usize,
  counterStep: i32,
  flags: i32,
): void {
  let t0: v128;
  let t1: v128;
  let t2: v128;
  let t3: v128;
  let low: v128;
  let high: v128;
  t0 = v128.load(block0, 0);
  t1 = v128.load(block1, 0);
  t2 = v128.load(block2, 0);
  t3 = v128.load(block3, 0);
  low = zipLow32(t0, t1);
  high = zipLow32(t2, t3);
  const m0 = zipLow64(low, high);
  const m1 = zipHigh64(low, high);
  low = zipHigh32(t0, t1);
  high = zipHigh32(t2, t3);
  const m2 = zipLow64(low, high);
  const m3 = zipHigh64(low, high);
  t0 = v128.load(block0, 16);
  t1 = v128.load(block1, 16);
  t2 = v128.load(block2, 16);
  t3 = v128.load(block3, 16);
  low = zipLow32(t0, t1);
  high = zipLow32(t2, t3);
  const m4 = zipLow64(low, high);
  const m5 = zipHigh64(low, high);
  low = zipHigh32(t0, t1);
  high = zipHigh32(t2, t3);
  const m6 = zipLow64(low, high);
  const m7 = zipHigh64(low, high);
  t0 = v128.load(block0, 32);
  t1 = v128.load(block1, 32);
  t2 = v128.load(block2, 32);
  t3 = v128.load(block3, 32);
  low = zipLow32(t0, t1);
  high = zipLow32(t2, t3);
  const m8 = zipLow64(low, high);
  const m9 = zipHigh64(low, high);
  low = zipHigh32(t0, t1);
  high = zipHigh32(t2, t3);
  const m10 = zipLow64(low, high);
  const m11 = zipHigh64(low, high);
  t0 = v128.load(block0, 48);
  t1 = v128.load(block1, 48);
  t2 = v128.load(block2, 48);
  t3 = v128.load(block3, 48);
  low = zipLow32(t0, t1);
  high = zipLow32(t2, t3);
  const m12 = zipLow64(low, high);
  const m13 = zipHigh64(low, high);
  low = zipHigh32(t0, t1);
  high = zipHigh32(t2, t3);
  const m14 = zipLow64(low, high);
  const m15 = zipHigh64(low, high);

  let v0 = v128.load(chain);
  let v1 = v128.load(chain, 16);
  let v2 = v128.load(chain, 32);
  let v3 = v128.load(chain, 48);
  let v4 = v128.load(chain, 64);
  let v5 = v128.load(chain, 80);
  let v6 = v128.load(chain, 96);
  let v7 = v128.load(chain, 112);
  let v8 = i32x4.splat(0x6a09e667);
  let v9 = i32x4.splat(0xbb67ae85);
  let v10 = i32x4.splat(0x3c6ef372);
  let v11 = i32x4.splat(0xa54ff53a);
  let v12 = i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(counterStep));
  let v13 = i32x4.splat(0);
  let v14 = i32x4.splat(64);
  let v15 = i32x4.splat(flags);

  // Round 1.
  v4 = turn12(v4, (v8 = i32x4.add(v8, (v12 = turn16(v12, (v0 = add3(v0, v4, m0)))))));
  v4 = turn7(v4, (v8 = i32x4.add(v8, (v12 = turn8(v12, (v0 = add3(v0, v4, m1)))))));
  v5 = turn12(v5, (v9 = i32x4.add(v9, (v13 = turn16(v13, (v1 = add3(v1, v5, m2)))))));
  v5 = turn7(v5, (v9 = i32x4.add(v9, (v13 = turn8(v13, (v1 = add3(v1, v5, m3)))))));
  v6 = turn12(v6, (v10 = i32x4.add(v10, (v14 = turn16(v14, (v2 = add3(v2, v6, m4)))))));
  v6 = turn7(v6, (v10 = i32x4.add(v10, (v14 = turn8(v14, (v2 = add3(v2, v6, m5)))))));
  v7 = turn12(v7, (v11 = i32x4.add(v11, (v15 = turn16(v15, (v3 = add3(v3, v7, m6)))))));
  v7 = turn7(v7, (v11 = i32x4.add(v11, (v15 = turn8(v15, (v3 = add3(v3, v7, m7)))))));
  v5 = turn12(v5, (v10 = i32x4.add(v10, (v15 = turn16(v15, (v0 = add3(v0, v5, m8)))))));
  v5 = turn7(v5, (v10 = i32x4.add(v10, (v15 = turn8(v15, (v0 = add3(v0, v5, m9)))))));
  v6 = turn12(v6, (v11 = i32x4.add(v11, (v12 = turn16(v12, (v1 = add3(v1, v6, m10)))))));
  v6 = turn7(v6, (v11 = i32x4.add(v11, (v12 = turn8(v12, (v1 = add3(v1, v6, m11)))))));
  v7 = turn12(v7, (v8 = i32x4.add(v8, (v13 = turn16(v13, (v2 = add3(v2, v7, m12)))))));
  v7 = turn7(v7, (v8 = i32x4.add(v8, (v13 = turn8(v13, (v2 = add3(v2, v7, m13)))))));
  v4 = turn12(v4, (v9 = i32x4.add(v9, (v14 = turn16(v14, (v3 = add3(v3, v4, m14)))))));
  v4 = turn7(v4, (v9 = i32x4.add(v9, (v14 = turn8(v14, (v3 = add3(v3, v4, m15)))))));
  // Round 2.
  v4 = turn12(v4, (v8 = i32x4.add(v8, (v12 = turn16(v12, (v0 = add3(v0, v4, m2)))))));
  v4 = turn7(v4, (v8 = i32x4.add(v8, (v12 = turn8(v12, (v0 = add3(v0, v4, m6)))))));
  v5 = turn12(v5, (v9 = i32x4.add(v9, (v13 = turn16(v13, (v1 = add3(v1, v5, m3)))))));
  v5 = turn7(v5, (v9 = i32x4.add(v9, (v13 = turn8(v13, (v1 = add3(v1, v5, m10)))))));
  v6 = turn12(v6, (v10 = i32x4.add(v10, (v14 = turn16(v14, (v2 = add3(v2, v6, m7)))))));
  v6 = turn7(v6, (v10 = i32x4.add(v10, (v14 = turn8(v14, (v2 = add3(v2, v6, m0)))))));
  v7 = turn12(v7, (v11 = i32x4.add(v11, (v15 = turn16(v15, (v3 = add3(v3, v7, m4)))))));
  v7 = turn7(v7, (v11 = i32x4.add(v11, (v15 = turn8(v15, (v3 = add3(v3, v7, m13)))))));
  v5 = turn12(v5, (v10 = i32x4.add(v10, (v15 = turn16(v15, (v0 = add3(v0, v5, m1)))))));
  v5 = turn7(v5, (v10 = i32x4.add(v10, (v15 = turn8(v15, (v0 = add3(v0, v5, m11)))))));
  v6 = turn12(v6, (v11 = i32x4.add(v11, (v12 = turn16(v12, (v1 = add3(v1, v6, m12)))))));
  v6 = turn7(v6, (v11 = i32x4.add(v11, (v12 = turn8(v12, (v1 = add3(v1, v6, m5)))))));
  v7 = turn12(v7, (v8 = i32x4.add(v8, (v13 = turn16(v13, (v2 = add3(v2, v7, m9)))))));
  v7 = turn7(v7, (v8 = i32x4.add(v8, (v13 = turn8(v13, (v2 = add3(v2, v7, m14)))))));
  v4 = turn12(v4, (v9 = i32x4.add(v9, (v14 = turn16(v14, (v3 = add3(v3, v4, m15)))))));
  v4 = turn7(v4, (v9 = i32x4.add(v9, (v14 = turn8(v14, (v3 = add3(v3, v4, m8)))))));
  // Round 3.
  v4 = turn12(v4, (v8 = i32x4.add(v8, (v12 = turn16(v12, (v0 = add3(v0, v4, m3)))))));
  v4 = turn7(v4, (v8 = i32x4.add(v8, (v12 = turn8(v12, (v0 = add3(v0, v4, m4)))))));
  v5 = turn12(v5, (v9 = i32x4.add(v9, (v13 = turn16(v13, (v1 = add3(v1, v5, m10)))))));
  v5 = turn7(v5, (v9 = i32x4.add(v9, (v13 = turn8(v13, (v1 = add3(v1, v5, m12)))))));
  v6 = turn12(v6, (v10 = i32x4.add(v10, (v14 = turn16(v14, (v2 = add3(v2, v6, m13)))))));
  v6 = turn7(v6, (v10 = i32x4.add(v10, (v14 = turn8(v14, (v2 = add3(v2, v6, m2)))))));
  v7 = turn12(v7, (v11 = i32x4.add(v11, (v15 = turn16(v15, (v3 = add3(v3, v7, m7)))))));
  v7 = turn7(v7, (v11 = i32x4.add(v11, (v15 = turn8(v15, (v3 = add3(v3, v7, m14)))))));
  v5 = turn12(v5, (v10 = i32x4.add(v10, (v15 = turn16(v15, (v0 = add3(v0, v5, m6)))))));
  v5 = turn7(v5, (v10 = i32x4.add(v10, (v15 = turn8(v15, (v0 = add3(v0, v5, m5)))))));
  v6 = turn12(v6, (v11 = i32x4.add(v11, (v12 = turn16(v12, (v1 = add3(v1, v6, m9)))))));
  v6 = turn7(v6, (v11 = i32x4.add(v11, (v12 = turn8(v12, (v1 = add3(v1, v6, m0)))))));
  v7 = turn12(v7, (v8 = i32x4.add(v8, (v13 = turn16(v13, (v2 = add3(v2, v7, m11)))))));
  v7 = turn7(v7, (v8 = i32x4.add(v8, (v13 = turn8(v13, (v2 = add3(v2, v7, m15)))))));
  v4 = turn12(v4, (v9 = i32x4.add(v9, (v14 = turn16(v14, (v3 = add3(v3, v4, m8)))))));
  v4 = turn7(v4, (v9 = i32x4.add(v9, (v14 = turn8(v14, (v3 = add3(v3, v4, m1)))))));
  // Round 4.
  v4 = turn12(v4, (v8 = i32x4.add(v8, (v12 = turn16(v12, (v0 = add3(v0, v4, m10)))))));
  v4 = turn7(v4, (v8 = i32x4.add(v8, (v12 = turn8(v12, (v0 = add3(v0, v4, m7)))))));
  v5 = turn12(v5, (v9 = i32x4.add(v9, (v13 = turn16(v13, (v1 = add3(v1, v5, m12)))))));
  v5 = turn7(v5, (v9 = i32x4.add(v9, (v13 = turn8(v13, (v1 = add3(v1, v5, m9)))))));
  v6 = turn12(v6, (v10 = i32x4.add(v10, (v14 = turn16(v14, (v2 = add3(v2, v6, m14)))))));
  v6 = turn7(v6, (v10 = i32x4.add(v10, (v14 = turn8(v14, (v2 = add3(v2, v6, m3)))))));
  v7 = turn12(v7, (v11 = i32x4.add(v11, (v15 = turn16(v15, (v3 = add3(v3, v7, m13)))))));
  v7 = turn7(v7, (v11 = i32x4.add(v11, (v15 = turn8(v15, (v3 = add3(v3, v7, m15)))))));
  v5 = turn12(v5, (v10 = i32x4.add(v10, (v15 = turn16(v15, (v0 = add3(v0, v5, m4)))))));
  v5 = turn7(v5, (v10 = i32x4.add(v10, (v15 = turn8(v15, (v0 = add3(v0, v5, m0)))))));
  v6 = turn12(v6, (v11 = i32x4.add(v11, (v12 = turn16(v12, (v1 = add3(v1, v6, m11)))))));
  v6 = turn7(v6, (v11 = i32x4.add(v11, (v12 = turn8(v12, (v1 = add3(v1, v6, m2)))))));
  v7 = turn12(v7, (v8 = i32x4.add(v8, (v13 = turn16(v13, (v2 = add3(v2, v7, m5)))))));
  v7 = turn7(v7, (v8 = i32x4.add(v8, (v13 = turn8(v13, (v2 = add3(v2, v7, m8)))))));
  v4 = turn12(v4, (v9 = i32x4.add(v9, (v14 = turn16(v14, (v3 = add3(v3, v4, m1)))))));
  v4 = turn7(v4, (v9 = i32x4.add(v9, (v14 = turn8(v14, (v3 = add3(v3, v4, m6)))))));
  // Round 5.
  v4 = turn12(v4, (v8 = i32x4.add(v8, (v12 = turn16(v12, (v0 = add3(v0, v4, m12)))))));
  v4 = turn7(v4, (v8 = i32x4.add(v8, (v12 = turn8(v12, (v0 = add3(v0, v4, m13)))))));
  v5 = turn12(v5, (v9 = i32x4.add(v9, (v13 = turn16(v13, (v1 = add3(v1, v5, m9)))))));
  v5 = turn7(v5, (v9 = i32x4.add(v9, (v13 = turn8(v13, (v1 = add3(v1, v5, m11)))))));
  v6 = turn12(v6, (v10 = i32x4.add(v10, (v14 = turn16(v14, (v2 = add3(v2, v6, m15)))))));
  v6 = turn7(v6, (v10 = i32x4.add(v10, (v14 = turn8(v14, (v2 = add3(v2, v6, m10)))))));
  v7 = turn12(v7, (v11 = i32x4.add(v11, (v15 = turn16(v15, (v3 = add3(v3, v7, m14)))))));
  v7 = turn7(v7, (v11 = i32x4.add(v11, (v15 = turn8(v15, (v3 = add3(v3, v7, m8)))))));
  v5 = turn12(v5, (v10 = i32x4.add(v10, (v15 = turn16(v15, (v0 = add3(v0, v5, m7)))))));
  v5 = turn7(v5, (v10 = i32x4.add(v10, (v15 = turn8(v15, (v0 = add3(v0, v5, m2)))))));
  v6 = turn12(v6, (v11 = i32x4.add(v11, (v12 = turn16(v12, (v1 = add3(v1, v6, m5)))))));
  v6 = turn7(v6, (v11 = i32x4.add(v11, (v12 = turn8(v12, (v1 = add3(v1, v6, m3)))))));
  v7 = turn12(v7, (v8 = i32x4.add(v8, (v13 = turn16(v13, (v2 = add3(v2, v7, m0)))))));
  v7 = turn7(v7, (v8 = i32x4.add(v8, (v13 = turn8(v13, (v2 = add3(v2, v7, m1)))))));
  v4 = turn12(v4, (v9 = i32x4.add(v9, (v14 = turn16(v14, (v3 = add3(v3, v4, m6)))))));
  v4 = turn7(v4, (v9 = i32x4.add(v9, (v14 = turn8(v14, (v3 = add3(v3, v4, m4)))))));
  // Round 6.
  v4 = turn12(v4, (v8 = i32x4.add(v8, (v12 = turn16(v12, (v0 = add3(v0, v4, m9)))))));
  v4 = turn7(v4, (v8 = i32x4.add(v8, (v12 = turn8(v12, (v0 = add3(v0, v4, m14)))))));
  v5 = turn12(v5, (v9 = i32x4.add(v9, (v13 = turn16(v13, (v1 = add3(v1, v5, m11)))))));
  v5 = turn7(v5, (v9 = i32x4.add(v9, (v13 = turn8(v13, (v1 = add3(v1, v5, m5)))))));
  v6 = turn12(v6, (v10 = i32x4.add(v10, (v14 = turn16(v14, (v2 = add3(v2, v6, m8)))))));
  v6 = turn7(v6, (v10 = i32x4.add(v10, (v14 = turn8(v14, (v2 = add3(v2, v6, m12)))))));
  v7 = turn12(v7, (v11 = i32x4.add(v11, (v15 = turn16(v15, (v3 = add3(v3, v7, m15)))))));
  v7 = turn7(v7, (v11 = i32x4.add(v11, (v15 = turn8(v15, (v3 = add3(v3, v7, m1)))))));
  v5 = turn12(v5, (v10 = i32x4.add(v10, (v15 = turn16(v15, (v0 = add3(v0, v5, m13)))))));
  v5 = turn7(v5, (v10 = i32x4.add(v10, (v15 = turn8(v15, (v0 = add3(v0, v5, m3)))))));
  v6 = turn12(v6, (v11 = i32x4.add(v11, (v12 = turn16(v12, (v1 = add3(v1, v6, m0)))))));
  v6 = turn7(v6, (v11 = i32x4.add(v11, (v12 = turn8(v12, (v1 = add3(v1, v6, m10)))))));
  v7 = turn12(v7, (v8 = i32x4.add(v8, (v13 = turn16(v13, (v2 = add3(v2, v7, m2)))))));
  v7 = turn7(v7, (v8 = i32x4.add(v8, (v13 = turn8(v13, (v2 = add3(v2, v7, m6)))))));
  v4 = turn12(v4, (v9 = i32x4.add(v9, (v14 = turn16(v14, (v3 = add3(v3, v4, m4)))))));
  v4 = turn7(v4, (v9 = i32x4.add(v9, (v14 = turn8(v14, (v3 = add3(v3, v4, m7)))))));
  // Round 7.
  v4 = turn12(v4, (v8 = i32x4.add(v8, (v12 = turn16(v12, (v0 = add3(v0, v4, m11)))))));
  v4 = turn7(v4, (v8 = i32x4.add(v8, (v12 = turn8(v12, (v0 = add3(v0, v4, m15)))))));
  v5 = turn12(v5, (v9 = i32x4.add(v9, (v13 = turn16(v13, (v1 = add3(v1, v5, m5)))))));
  v5 = turn7(v5, (v9 = i32x4.add(v9, (v13 = turn8(v13, (v1 = add3(v1, v5, m0)))))));
  v6 = turn12(v6, (v10 = i32x4.add(v10, (v14 = turn16(v14, (v2 = add3(v2, v6, m1)))))));
  v6 = turn7(v6, (v10 = i32x4.add(v10, (v14 = turn8(v14, (v2 = add3(v2, v6, m9)))))));
  v7 = turn12(v7, (v11 = i32x4.add(v11, (v15 = turn16(v15, (v3 = add3(v3, v7, m8)))))));
  v7 = turn7(v7, (v11 = i32x4.add(v11, (v15 = turn8(v15, (v3 = add3(v3, v7, m6)))))));
  v5 = turn12(v5, (v10 = i32x4.add(v10, (v15 = turn16(v15, (v0 = add3(v0, v5, m14)))))));
  v5 = turn7(v5, (v10 = i32x4.add(v10, (v15 = turn8(v15, (v0 = add3(v0, v5, m10)))))));
  v6 = turn12(v6, (v11 = i32x4.add(v11, (v12 = turn16(v12, (v1 = add3(v1, v6, m2)))))));
  v6 = turn7(v6, (v11 = i32x4.add(v11, (v12 = turn8(v12, (v1 = add3(v1, v6, m12)))))));
  v7 = turn12(v7, (v8 = i32x4.add(v8, (v13 = turn16(v13, (v2 = add3(v2, v7, m3)))))));
  v7 = turn7(v7, (v8 = i32x4.add(v8, (v13 = turn8(v13, (v2 = add3(v2, v7, m4)))))));
  v4 = turn12(v4, (v9 = i32x4.add(v9, (v14 = turn16(v14, (v3 = add3(v3, v4, m7)))))));
  v4 = turn7(v4, (v9 = i32x4.add(v9, (v14 = turn8(v14, (v3 = add3(v3, v4, m13)))))));

  v128.store(chain, v128.xor(v0, v8), 0);
  v128.store(chain, v128.xor(v1, v9), 16);
  v128.store(chain, v128.xor(v2, v10), 32);
  v128.store(chain, v128.xor(v3, v11), 48);
  v128.store(chain, v128.xor(v4, v12), 64);
  v128.store(chain, v128.xor(v5, v13), 80);
  v128.store(chain, v128.xor(v6, v14), 96);
  v128.store(chain, v128.xor(v7, v15), 112);
}
