// An advertisement by value: what its golden file holds.

import type { Advertisement } from '../../../domain/events/advertisement.ts';

export const GOLDEN_ADVERTISEMENT: Advertisement = {
  rule: { mean: 8, leastPages: 2 },
  filter: { sampleLog: 1, bitsLog: 6, bits: Uint8Array.of(1, 2, 4, 8, 16, 32, 64, 128) },
  regions: {
    count: 2,
    starts: Float64Array.of(0x0605_0403_0201, 7),
    digests: Float64Array.of(0x0102_0304_0506, 0xffee_ddcc_bbaa),
    lengths: Uint16Array.of(512, 2),
    replicas: Uint16Array.of(1, 3),
    places: Uint16Array.of(0, 1),
    gfns: Uint32Array.of(4096, 70_000),
  },
  leftOut: 5,
};
