// Checkpoints that were laid out, by value: the event, and a map.

import type { ControlEvent } from '../../../domain/events/control.ts';
import type { LayoutMap } from '../../../domain/events/layout-map.ts';
import { CODEC_SALTED } from '../../../domain/values/block-salt.ts';
import { CODEC_PACKED, CODEC_RAW, CODEC_ZSTD } from '../../../domain/values/pack.ts';

/** As schema 3 has it: laid out, without a note. */
export const GOLDEN_LAID_OUT: ControlEvent = {
  type: 'CheckpointTaken',
  data: {
    vm: 'web-1',
    name: 'laid-out',
    capture: 2,
    note: null,
    layout: {
      bytes: 70_000,
      map: { name: '12'.repeat(32), bytes: 148 },
      packs: ['34'.repeat(32), '56'.repeat(32)],
    },
  },
};

/** Pages of the same map in another order than that of their numbers: format 2. */
export const GOLDEN_ORDERED_GFNS = Uint32Array.from([
  900, 901, 3, 4, 5, 6, 70_002, 1024, 70_000, 70_001, 2,
]);

/** The map of two packs, the second one of a block alone. */
export const GOLDEN_LAYOUT_MAP: LayoutMap = {
  capture: 2,
  packs: [
    {
      name: '34'.repeat(32),
      sizeBytes: 96 + 900 + 16_388 + 70,
      blocks: {
        codecs: Uint8Array.of(CODEC_PACKED | CODEC_SALTED, CODEC_RAW | CODEC_SALTED, CODEC_ZSTD),
        pages: Uint8Array.of(4, 4, 1),
        lengths: Uint32Array.of(900, 16_388, 70),
        checksums: Uint32Array.of(0x0102_0304, 0xfffe_fdfc, 7),
      },
      storageEnds: Uint32Array.of(2, 3),
    },
    {
      name: '56'.repeat(32),
      sizeBytes: 96 + 500,
      blocks: {
        codecs: Uint8Array.of(CODEC_PACKED),
        pages: Uint8Array.of(2),
        lengths: Uint32Array.of(500),
        checksums: Uint32Array.of(0xa1b2_c3d4),
      },
      storageEnds: Uint32Array.of(1),
    },
  ],
  gfns: Uint32Array.of(3, 4, 5, 6, 900, 901, 1024, 70_000, 70_001, 70_002, 4_000_000_000),
};
