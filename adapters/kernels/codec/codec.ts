// The codec of blocks of pages (docs/format.md, "Packs"): packed by the kernels, zstd, or raw where
// neither pays. What is decoded may be anybody's bytes, so nothing is believed in this order: the table's
// row against the bytes at hand, the checksum, which is over the salt too, what the block itself says
// (the kernels for packed pages, zstd-frame.ts for a frame), the length that came out.

import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import { codecOf, saltBytesOf, unsalted } from '../../../domain/values/block-salt.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import {
  CODEC_PACKED,
  CODEC_PATTERN,
  CODEC_RAW,
  CODEC_ZSTD,
  PACKED_PAGES_MAX,
} from '../../../domain/values/pack.ts';
import type { BlockTable } from '../../../domain/values/pack.ts';
import type { Compression, Grammar } from '../../../domain/ports/page-engine.ts';
import {
  BLOCK_PAGES_MAX,
  PACK_PAGES_MAX,
  PACK_PATTERNS_MAX,
  PAGE_BYTES,
} from '../../../domain/values/page.ts';
import { PACKED_ROOM_BYTES, PACKING_SLACK_BYTES, type Kernels } from '../engine/kernels.ts';
import { decodePatternBlock } from './pattern-blocks.ts';
import { packFrame, unpackFrame, type BlockFault } from './zstd-frame.ts';

/** A compressed block over this share of its raw bytes is stored raw: decoding must pay. */
const RAW_SHARE = 15 / 16;
/** Literals of packed pages are coded where that saves this share of them, as a shift. */
const LITERAL_SHIFT = 4;

/** Offsets in a codec's area: pages, then what they are packed to. */
const PAGES = 0;
const PACKED = PAGES + (PACKED_PAGES_MAX + 1) * PAGE_BYTES;
/** Bytes of the area that a codec works in. */
export const CODEC_BYTES =
  PACKED + Math.ceil((PACKED_ROOM_BYTES + PACKING_SLACK_BYTES) / PAGE_BYTES) * PAGE_BYTES;

/** A block of pages as it is stored. */
export interface EncodedBlock {
  readonly codec: number;
  /** May be a view of the input, or of the kernels' memory: valid until the next block. */
  readonly bytes: Uint8Array;
  readonly checksum: number;
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

/** Who asks for a block's pages: where it stands, and the strings that widen the grammar of patterns. */
export interface BlockQuestion {
  readonly place: BlockPlace;
  readonly grammar?: Grammar;
}

/** Codes blocks with some kernels, in an area of their memory that the caller sets aside. */
export class BlockCodec {
  readonly #kernels: Kernels;
  readonly #area: number;
  /** Where pages of patterns are made, which are more than fit into the area; null: none were yet. */
  #patterns: Uint8Array | null = null;

  /** `area` is the address of CODEC_BYTES, a multiple of PAGE_BYTES, with PACKING_SLACK_BYTES behind. */
  constructor({ kernels, area }: { readonly kernels: Kernels; readonly area: number }) {
    this.#kernels = kernels;
    this.#area = area;
  }

  /**
   * Encodes whole pages as one block, at most BLOCK_PAGES_MAX, of packed ones PACKED_PAGES_MAX. Pages in
   * the kernels' memory are not copied; PACKING_SLACK_BYTES behind them are read.
   */
  encode(pages: Uint8Array, how: Compression): EncodedBlock {
    assert(pages.byteLength > 0 && pages.byteLength % PAGE_BYTES === 0, 'a block is whole pages');
    assert(pages.byteLength <= BLOCK_PAGES_MAX * PAGE_BYTES, 'a block is no larger than it may be');
    const bytes = how.codec === CODEC_ZSTD ? packFrame(pages, how.level) : this.#pack(pages);
    if (bytes.byteLength > pages.byteLength * RAW_SHARE)
      return { codec: CODEC_RAW, bytes: pages, checksum: crc32(pages) };
    return { codec: how.codec, bytes, checksum: crc32(bytes) };
  }

  /**
   * Checks and decodes one block: its pages, back to back, as a view that is valid until the next block
   * is coded, perhaps of the stored bytes. Pages that patterns describe are regenerated. Stored bytes in
   * the kernels' memory are not copied; PACKING_SLACK_BYTES behind them are read.
   */
  decode(block: StoredBlock, { place, grammar = [] }: BlockQuestion): Uint8Array {
    const contentBytes = block.pages * PAGE_BYTES;
    if (contentBytes === 0) throw damaged(place, { found: 'no page', expected: 'at least one' });
    const checksum = crc32(block.bytes);
    if (checksum !== block.checksum)
      throw damaged(place, {
        found: `CRC-32 ${checksum.toString(16)}`,
        expected: block.checksum.toString(16),
      });
    const bytes = unsalted(block.bytes, block.codec);
    const content = this.#contentOf({ ...block, bytes }, grammar);
    if ('found' in content) throw damaged(place, content);
    if (content.byteLength !== contentBytes)
      throw damaged(place, {
        found: `${content.byteLength} bytes of content`,
        expected: `${contentBytes}`,
      });
    return content;
  }

  /** Block `block` of a run whose table was checked, from byte `offsetBytes` of it. */
  decodeAt(
    run: BlockRun,
    at: { readonly block: number; readonly offsetBytes: number },
    grammar: Grammar = [],
  ): Uint8Array {
    const { block, offsetBytes } = at;
    const { blocks } = run;
    return this.decode(
      {
        bytes: run.bytes.subarray(offsetBytes, offsetBytes + blocks.lengths[block]!),
        codec: blocks.codecs[block]!,
        pages: blocks.pages[block]!,
        checksum: blocks.checksums[block]!,
      },
      { place: { label: run.label, block, offsetBytes }, grammar },
    );
  }

  /** What a block without its salt holds, which a checksum has vouched for. */
  #contentOf(block: StoredBlock, grammar: Grammar): Uint8Array | BlockFault {
    const { bytes, pages } = block;
    switch (codecOf(block.codec)) {
      case CODEC_RAW:
        return bytes;
      case CODEC_ZSTD:
        return unpackFrame(bytes, pages * PAGE_BYTES);
      case CODEC_PATTERN:
        return this.#regenerated(bytes, pages, grammar);
      case CODEC_PACKED:
        return this.#unpack(bytes, pages * PAGE_BYTES);
      default:
        return {
          found: `codec ${block.codec}`,
          expected: '0 (raw), 1 (zstd), 2 (patterns) or 3 (packed pages), or 16 more (salted)',
        };
    }
  }

  #regenerated(bytes: Uint8Array, pages: number, grammar: Grammar): Uint8Array | BlockFault {
    const expected = `descriptors of ${pages} patterns`;
    if (pages > BLOCK_PAGES_MAX) return { found: `${pages} patterns`, expected };
    this.#patterns ??= new Uint8Array(BLOCK_PAGES_MAX * PAGE_BYTES);
    const content = this.#patterns.subarray(0, pages * PAGE_BYTES);
    const found = decodePatternBlock(bytes, content, grammar);
    return found === null ? content : { found, expected };
  }

  /** The address of bytes in the kernels' memory: where they lie, or a copy in the area. */
  #addressOf(bytes: Uint8Array, offset: number): number {
    const memory = this.#kernels.bytes;
    if (bytes.buffer === memory.buffer) return bytes.byteOffset;
    memory.set(bytes, this.#area + offset);
    return this.#area + offset;
  }

  #pack(pages: Uint8Array): Uint8Array {
    const { byteLength: lengthBytes } = pages;
    assert(lengthBytes <= PACKED_PAGES_MAX * PAGE_BYTES, 'packed pages are not too many');
    const out = this.#area + PACKED;
    const at = this.#addressOf(pages, PAGES);
    const packedBytes = this.#kernels.packPages({ at, lengthBytes }, out, LITERAL_SHIFT);
    return this.#kernels.bytes.subarray(out, out + packedBytes);
  }

  #unpack(packed: Uint8Array, lengthBytes: number): Uint8Array | BlockFault {
    const { byteLength } = packed;
    const at = this.#area + PAGES;
    const expected = `packed pages, ${lengthBytes} bytes of them`;
    if (lengthBytes > PACKED_PAGES_MAX * PAGE_BYTES || byteLength > PACKED_ROOM_BYTES)
      return { found: `${byteLength} bytes that stand for ${lengthBytes}`, expected };
    const from = this.#addressOf(packed, PACKED);
    return this.#kernels.unpackPages({ at: from, lengthBytes: byteLength }, { at, lengthBytes })
      ? this.#kernels.bytes.subarray(at, at + lengthBytes)
      : { found: 'no such block', expected };
  }
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
