// A Bloom filter of a sample of tags (regions.ts): from how many of a VM's sampled tags it has, the number
// of pages that a host has in common with the VM is estimated before any region is fetched. It says of a tag
// that it is there where it is, and of one in a hundred of others. Tags are parts of keyed identifiers, so
// who has not the group's key can ask it nothing.

import { NO_TAG } from './regions.ts';

/** Bits for each tag, and hashes: one in a hundred of others passes, as (1 - e^(-7/10))^7 says. */
const BITS_A_TAG = 10;
const HASHES = 7;
/** The share of tags that are not in a filter, and that it takes for one of its own, at most. */
export const FALSE_RATE = 0.01;
/** Bits of the smallest filter and of the largest, as powers of two: 128 bytes and 64 KiB. */
const BITS_LOG_MIN = 10;
export const BITS_LOG_MAX = 19;
/** The sample is one in 2^this at most. */
export const SAMPLE_LOG_MAX = 16;

const WORD = 2 ** 32;

/** A filter of the tags whose upper bits are zero, as many as `sampleLog` says. */
export interface TagFilter {
  readonly sampleLog: number;
  readonly bitsLog: number;
  /** 2^bitsLog bits, the lowest of a byte first. */
  readonly bits: Uint8Array;
}

/** Whether a tag is of the sample of one in 2^sampleLog. */
export const isSampled = (tag: number, sampleLog: number): boolean =>
  (Math.floor(tag / WORD) & ((1 << sampleLog) - 1)) === 0;

function mixed(word: number): number {
  let x = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return x ^ (x >>> 16);
}

/** Does something with each bit of a tag until it answers false. */
function everyBit(tag: number, bitsLog: number, does: (bit: number) => boolean): boolean {
  const low = (tag % WORD) | 0;
  const first = mixed(low);
  const step = mixed(low ^ Math.imul(Math.floor(tag / WORD) + 1, 0x9e37_79b1)) | 1;
  for (let i = 0; i < HASHES; i += 1)
    if (!does(((first + Math.imul(i, step)) >>> 0) >>> (32 - bitsLog))) return false;
  return true;
}

/** A filter of tags, each perhaps several times; of a sample of them where they are many. */
export function filterOf(tags: Iterable<number>): TagFilter {
  const distinct = new Set(tags);
  distinct.delete(NO_TAG);
  const most = 2 ** BITS_LOG_MAX / BITS_A_TAG;
  let sampleLog = 0;
  let sample = [...distinct];
  while (sample.length > most && sampleLog < SAMPLE_LOG_MAX) {
    sampleLog += 1;
    sample = sample.filter((tag) => isSampled(tag, sampleLog));
  }
  let bitsLog = BITS_LOG_MIN;
  while (bitsLog < BITS_LOG_MAX && 2 ** bitsLog < sample.length * BITS_A_TAG) bitsLog += 1;
  const bits = new Uint8Array(2 ** bitsLog / 8);
  for (const tag of sample)
    everyBit(tag, bitsLog, (bit) => {
      bits[bit >>> 3]! |= 1 << (bit & 7);
      return true;
    });
  return { sampleLog, bitsLog, bits };
}

/** Whether a filter has a tag of the sample, or takes it for one of its own. */
export const has = ({ bitsLog, bits }: TagFilter, tag: number): boolean =>
  everyBit(tag, bitsLog, (bit) => (bits[bit >>> 3]! & (1 << (bit & 7))) !== 0);

/** How many pages of these tags the host of a filter has, as far as the sample says. O(pages). */
export function estimateOf(filter: TagFilter, tags: Float64Array): number {
  let asked = 0;
  let met = 0;
  for (const tag of tags) {
    if (tag === NO_TAG || !isSampled(tag, filter.sampleLog)) continue;
    asked += 1;
    if (has(filter, tag)) met += 1;
  }
  const found = Math.max(0, met - FALSE_RATE * (asked - met));
  return Math.round(found * 2 ** filter.sampleLog);
}
