// Deterministic pages for the kernels' tests.

import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** A generator of 32-bit numbers (xorshift) from a seed other than 0. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** Bytes that do not compress. */
export function randomBytes(lengthBytes: number, seed: number): Uint8Array {
  const next = numbers(seed);
  return Uint8Array.from({ length: lengthBytes }, () => next() >>> 24);
}

const WORDS = ['page', 'ledger', 'capture', 'the', 'of', 'guest', 'memory', 'checkpoint', '\n'];

/** Bytes that compress, as text does. */
export function textBytes(lengthBytes: number, seed: number): Uint8Array {
  const next = numbers(seed);
  let text = '';
  while (text.length < lengthBytes) text += `${WORDS[next() % WORDS.length]!} `;
  return new TextEncoder().encode(text).subarray(0, lengthBytes);
}

/** An image in which zero pages, text, and random bytes alternate irregularly. */
export function mixedImage(pageCount: number, seed: number): Uint8Array {
  const image = new Uint8Array(pageCount * PAGE_BYTES);
  const next = numbers(seed);
  for (let page = 0; page < pageCount; page += 1) {
    const kind = next() % 4;
    if (kind === 0) continue;
    const bytes = kind === 1 ? randomBytes(PAGE_BYTES, next()) : textBytes(PAGE_BYTES, next());
    image.set(bytes, page * PAGE_BYTES);
  }
  return image;
}
