// A codec of blocks with kernels of its own.

import { BlockCodec, CODEC_BYTES } from '../../../adapters/kernels/codec/codec.ts';
import { loadKernels, PACKING_SLACK_BYTES } from '../../../adapters/kernels/engine/kernels.ts';

export function blockCodec(): BlockCodec {
  const kernels = loadKernels({ arenaBytes: CODEC_BYTES + PACKING_SLACK_BYTES });
  return new BlockCodec({ kernels, area: kernels.arena });
}
