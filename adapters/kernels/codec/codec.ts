// The codec of blocks of pages (docs/format.md, "Packs"): zstd, or raw where that does not pay. What
// is decoded may be anybody's bytes, so nothing is believed in this order: the table's row against
// the bytes at hand, the checksum, which is over the salt too, the frame (zstd-frame.ts), the length
// that came out.

import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import { codecOf, saltBytesOf, unsalted } from '../../../domain/values/block-salt.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { CODEC_PATTERN, CODEC_RAW, CODEC_ZSTD } from '../../../domain/values/pack.ts';
import type { BlockTable } from '../../../domain/values/pack.ts';
import { ZSTD_LEVEL_MAX, type Grammar } from '../../../domain/ports/page-engine.ts';
import {
  BLOCK_PAGES_MAX,
  PACK_PAGES_MAX,
  PACK_PATTERNS_MAX,
  PAGE_BYTES,
} from '../../../domain/values/page.ts';
import { decodePatternBlock } from './pattern-blocks.ts';
import { compress } from './zstd.ts';
import { unpackFrame, type BlockFault } from './zstd-frame.ts';

/** zstd's level for blocks written while recording. */
const ZSTD_LEVEL = 1;
/** A compressed block over this share of its raw bytes is stored raw: decoding must pay. */
const RAW_SHARE = 15 / 16;

/** A block of pages as it is stored. */
export interface EncodedBlock {
  readonly codec: number;
  /** May be a view of the input. */
  readonly bytes: Uint8Array;
  readonly checksum: number;
}

/** Encodes whole pages, at most BLOCK_PAGES_MAX, as one block. */
export function encodeBlock(pages: Uint8Array, level: number = ZSTD_LEVEL): EncodedBlock {
  assert(pages.byteLength > 0 && pages.byteLength % PAGE_BYTES === 0, 'a block is whole pages');
  assert(pages.byteLength <= BLOCK_PAGES_MAX * PAGE_BYTES, 'a block is no larger than it may be');
  assert(level >= 1 && level <= ZSTD_LEVEL_MAX, 'a level is one of those that are used');
  const packed = compress(pages, level);
  if (packed.byteLength > pages.byteLength * RAW_SHARE)
    return { codec: CODEC_RAW, bytes: pages, checksum: crc32(pages) };
  return { codec: CODEC_ZSTD, bytes: packed, checksum: crc32(packed) };
}

/** Where a block stands, for messages. */
export interface BlockPlace {
  readonly label: string;
  readonly block: number;
  /** From the first byte of the blocks at hand. */
  readonly offsetBytes: number;
}

function damaged(place: BlockPlace, fault: BlockFault): LedgerError {
  const { label, block, offsetBytes } = place;
  const { found, expected } = fault;
  return new LedgerError(
    'PACK_DAMAGED',
    `block ${block} of ${label}, at offset ${offsetBytes} of the blocks read, has ${found}; ` +
      `expected ${expected}. Run "pageledger verify" to see what it affects; put the pack back ` +
      'from a copy of the ledger',
    { label, block, offsetBytes, found, expected },
  );
}

/** A stored block with its row of the table. */
export interface StoredBlock {
  readonly bytes: Uint8Array;
  readonly codec: number;
  readonly pages: number;
  readonly checksum: number;
}

function regenerateBlock(block: StoredBlock, place: BlockPlace, grammar: Grammar): Uint8Array {
  const content = decodePatternBlock(block.bytes, block.pages, grammar);
  if (typeof content !== 'string') return content;
  throw damaged(place, { found: content, expected: `descriptors of ${block.pages} patterns` });
}

/**
 * Checks and decodes one block: its pages, back to back, perhaps as a view of the stored bytes. Pages
 * that patterns describe are regenerated.
 */
export function decodeBlock(
  block: StoredBlock,
  place: BlockPlace,
  grammar: Grammar = [],
): Uint8Array {
  const contentBytes = block.pages * PAGE_BYTES;
  if (contentBytes === 0) throw damaged(place, { found: 'no page', expected: 'at least one' });
  const checksum = crc32(block.bytes);
  if (checksum !== block.checksum)
    throw damaged(place, {
      found: `CRC-32 ${checksum.toString(16)}`,
      expected: block.checksum.toString(16),
    });
  const codec = codecOf(block.codec);
  const bytes = unsalted(block.bytes, block.codec);
  if (codec === CODEC_PATTERN) return regenerateBlock({ ...block, bytes }, place, grammar);
  if (codec !== CODEC_RAW && codec !== CODEC_ZSTD)
    throw damaged(place, {
      found: `codec ${block.codec}`,
      expected: '0 (raw), 1 (zstd) or 2 (patterns), or 16 more (salted)',
    });
  const content = codec === CODEC_RAW ? bytes : unpackFrame(bytes, contentBytes);
  if ('found' in content) throw damaged(place, content);
  if (content.byteLength !== contentBytes)
    throw damaged(place, {
      found: `${content.byteLength} bytes of content`,
      expected: `${contentBytes}`,
    });
  return content;
}

/** Blocks of one pack, back to back. */
export interface BlockRun {
  readonly bytes: Uint8Array;
  readonly blocks: BlockTable;
  readonly label: string;
}

/**
 * Checks that the table accounts for exactly the bytes at hand and for no more pages than a pack
 * has; returns the number of pages.
 */
export function checkTable({ bytes, blocks, label }: BlockRun): number {
  const count = blocks.lengths.length;
  const columns = [blocks.codecs.length, blocks.pages.length, blocks.checksums.length];
  assert(
    columns.every((length) => length === count),
    'the columns of a block table are of one length',
  );
  let offsetBytes = 0;
  let pages = 0;
  for (let block = 0; block < count; block += 1) {
    const place = { label, block, offsetBytes };
    const lengthBytes = blocks.lengths[block]!;
    const contentBytes = blocks.pages[block]! * PAGE_BYTES;
    const saltBytes = saltBytesOf(blocks.codecs[block]!);
    if (lengthBytes > contentBytes + saltBytes)
      throw damaged(place, {
        found: `${lengthBytes} stored bytes`,
        expected: `at most the ${contentBytes} of its pages and ${saltBytes} of its salt`,
      });
    pages += blocks.pages[block]!;
    if (pages > PACK_PAGES_MAX + PACK_PATTERNS_MAX)
      throw damaged(place, {
        found: `page ${pages}`,
        expected: `at most ${PACK_PAGES_MAX} contents and ${PACK_PATTERNS_MAX} patterns`,
      });
    offsetBytes += lengthBytes;
    if (offsetBytes > bytes.byteLength)
      throw damaged(place, {
        found: `its end at byte ${offsetBytes}`,
        expected: `at most ${bytes.byteLength}, all that was read`,
      });
  }
  if (offsetBytes !== bytes.byteLength)
    throw damaged(
      { label, block: count, offsetBytes },
      { found: `${bytes.byteLength - offsetBytes} bytes after the last block`, expected: 'none' },
    );
  return pages;
}

/** Block `block` of a run whose table was checked, from byte `offsetBytes` of it. */
export function decodeBlockAt(
  run: BlockRun,
  at: { readonly block: number; readonly offsetBytes: number },
  grammar: Grammar = [],
): Uint8Array {
  const { block, offsetBytes } = at;
  const { blocks } = run;
  return decodeBlock(
    {
      bytes: run.bytes.subarray(offsetBytes, offsetBytes + blocks.lengths[block]!),
      codec: blocks.codecs[block]!,
      pages: blocks.pages[block]!,
      checksum: blocks.checksums[block]!,
    },
    { label: run.label, block, offsetBytes },
    grammar,
  );
}
