// What the events of synthetic histories have in common.

import { crc32 } from 'node:zlib';
import type { CaptureCommitted } from '../../domain/events/control.ts';
import { batchesHash } from '../../domain/evidence.ts';
import { CODEC_RAW, type BlockTable } from '../../domain/values/pack.ts';
import { BLOCK_PAGES, PAGE_BYTES } from '../../domain/values/page.ts';
import { sha256 } from '../../index.ts';

/** What tells one synthetic capture from another. */
type Told = Pick<
  CaptureCommitted,
  | 'vm'
  | 'capture'
  | 'timeMs'
  | 'firstRevision'
  | 'written'
  | 'stored'
  | 'merged'
  | 'pattern'
  | 'unchanged'
>;

/** The commit of a capture whose batches these are. */
export const committedOf = (
  batches: readonly { readonly data: Uint8Array }[],
  told: Told,
): CaptureCommitted => ({
  ...told,
  batches: batches.length,
  hash: batchesHash(
    sha256,
    batches.map(({ data }) => sha256(data)),
  ),
  unknown: 0,
  pauseMs: null,
  mode: 'image',
  source: 'synthetic',
  note: null,
  attachments: [],
  image: null,
});

/** Raw blocks of so many pages; checksums are of what is stored, if that is there. */
export function rawBlocks(pages: number, stored: Uint8Array | null): BlockTable {
  const count = Math.ceil(pages / BLOCK_PAGES);
  const inBlock = new Uint8Array(count).fill(BLOCK_PAGES);
  if (pages % BLOCK_PAGES !== 0) inBlock[count - 1] = pages % BLOCK_PAGES;
  const blockBytes = BLOCK_PAGES * PAGE_BYTES;
  return {
    codecs: new Uint8Array(count).fill(CODEC_RAW),
    pages: inBlock,
    lengths: Uint32Array.from(inBlock, (of) => of * PAGE_BYTES),
    checksums: Uint32Array.from(inBlock, (_, i) =>
      stored === null ? 0 : crc32(stored.subarray(i * blockBytes, (i + 1) * blockBytes)),
    ),
  };
}
