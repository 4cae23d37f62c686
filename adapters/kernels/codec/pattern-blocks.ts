// Blocks of patterns (docs/format.md, "Packs"): the descriptors of a block's pages one after another,
// each after its length (u16, little-endian). Decoding one regenerates its pages.

import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import { CODEC_PATTERN } from '../../../domain/values/pack.ts';
import type { Grammar, StoredBlocks } from '../../../domain/ports/page-engine.ts';
import { BLOCK_PAGES_MAX, PACK_PATTERNS_MAX, PAGE_BYTES } from '../../../domain/values/page.ts';
import { DESCRIPTOR_BYTES_MAX, regenerate } from '../../../domain/patterns/index.ts';

const LENGTH_BYTES = 2;

/** Blocks of the pages that these descriptors describe: as many as fit in each, in their order. */
export function encodePatternBlocks(descriptors: readonly Uint8Array[]): StoredBlocks {
  const count = descriptors.length;
  assert(count <= PACK_PATTERNS_MAX, 'no more patterns are stored at once than a pack has');
  const bytes = new Uint8Array(count * (LENGTH_BYTES + DESCRIPTOR_BYTES_MAX));
  const blocks = Math.ceil(count / BLOCK_PAGES_MAX);
  const pages = new Uint8Array(blocks);
  const lengths = new Uint32Array(blocks);
  const checksums = new Uint32Array(blocks);
  let end = 0;
  for (let block = 0; block < blocks; block += 1) {
    const start = end;
    const first = block * BLOCK_PAGES_MAX;
    const held = descriptors.slice(first, first + BLOCK_PAGES_MAX);
    for (const descriptor of held) {
      const { length } = descriptor;
      assert(length > 0 && length <= DESCRIPTOR_BYTES_MAX, 'a descriptor has a length of its own');
      bytes.set([length & 0xff, length >>> 8], end);
      bytes.set(descriptor, end + LENGTH_BYTES);
      end += LENGTH_BYTES + length;
    }
    pages[block] = held.length;
    lengths[block] = end - start;
    checksums[block] = crc32(bytes.subarray(start, end));
  }
  return {
    bytes: bytes.slice(0, end),
    codecs: new Uint8Array(blocks).fill(CODEC_PATTERN),
    pages,
    lengths,
    checksums,
  };
}

/** Makes the pages of a block of patterns, all of `into`; what was found where it is none, without its bytes. */
export function decodePatternBlock(
  stored: Uint8Array,
  into: Uint8Array,
  grammar: Grammar,
): string | null {
  const pageCount = into.byteLength / PAGE_BYTES;
  let at = 0;
  for (let page = 0; page < pageCount; page += 1) {
    if (at + LENGTH_BYTES > stored.length) return `the descriptors of ${page} patterns`;
    const start = at + LENGTH_BYTES;
    const end = start + (stored[at]! | (stored[at + 1]! << 8));
    if (end > stored.length) return `a descriptor of pattern ${page} cut short`;
    const fault = regenerate(
      stored.subarray(start, end),
      into.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES),
      grammar,
    );
    if (fault !== null) return `in the descriptor of pattern ${page} ${fault}`;
    at = end;
  }
  return at === stored.length ? null : `${stored.length - at} bytes after its last descriptor`;
}
