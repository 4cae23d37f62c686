// zstd frames as blocks of pages are stored in. What is decoded may be anybody's bytes, so a frame's
// header is read, and its blocks walked, before anything is allocated: its content size, and that it ends
// where the stored bytes end, so that no second frame asks for more.

import { assert } from '../../../domain/values/assert.ts';
import { ZSTD_LEVEL_MAX } from '../../../domain/ports/page-engine.ts';
import { compress, decompress } from './zstd.ts';

const ZSTD_MAGIC = 0xfd2f_b528;
const ZSTD_BLOCK_RLE = 1;
const ZSTD_BLOCK_RESERVED = 3;
const ZSTD_BLOCK_HEADER_BYTES = 3;
const ZSTD_CHECKSUM_BYTES = 4;

/** What is wrong with a block, for its message. */
export interface BlockFault {
  readonly found: string;
  readonly expected: string;
}

/** A frame of these bytes. */
export function packFrame(content: Uint8Array, level: number): Uint8Array {
  assert(level >= 1 && level <= ZSTD_LEVEL_MAX, 'a level is one of those that are used');
  return compress(content, level);
}

/** What a zstd frame says it holds, and where it ends; or why it is none, as a sentence's end. */
type Frame = { readonly contentBytes: number; readonly lengthBytes: number } | string;

/** Bytes of the content size field, by the frame header's two top bits. */
function contentSizeBytes(descriptor: number): number {
  const flag = descriptor >>> 6;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  return flag === 0 ? Number(isSingleSegment) : 2 ** flag;
}

function readContentSize(view: DataView, field: { at: number; lengthBytes: number }): number {
  switch (field.lengthBytes) {
    case 1:
      return view.getUint8(field.at);
    case 2:
      return view.getUint16(field.at, true) + 256;
    case 4:
      return view.getUint32(field.at, true);
    default:
      return Number(view.getBigUint64(field.at, true));
  }
}

/** Where the frame's blocks end, from the first one at `at`; or why they do not. */
function endOfBlocks(view: DataView, first: number): number | string {
  let at = first;
  for (;;) {
    if (at + ZSTD_BLOCK_HEADER_BYTES > view.byteLength) return 'a zstd frame cut short';
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const type = (header >>> 1) & 3;
    if (type === ZSTD_BLOCK_RESERVED) return 'a zstd block of the reserved type';
    at += ZSTD_BLOCK_HEADER_BYTES + (type === ZSTD_BLOCK_RLE ? 1 : header >>> 3);
    if ((header & 1) === 1) return at;
  }
}

/** Reads a frame's header and walks its blocks, without decoding them. */
function readFrame(bytes: Uint8Array): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 5 || view.getUint32(0, true) !== ZSTD_MAGIC) return 'no zstd frame';
  const descriptor = view.getUint8(4);
  if ((descriptor & 0x0b) !== 0) return 'a zstd frame with a dictionary or a reserved bit';
  const sizeBytes = contentSizeBytes(descriptor);
  if (sizeBytes === 0) return 'a zstd frame without a content size';
  const at = (descriptor & 0x20) === 0 ? 6 : 5;
  if (bytes.byteLength < at + sizeBytes) return 'a zstd frame cut short';
  const contentBytes = readContentSize(view, { at, lengthBytes: sizeBytes });
  const end = endOfBlocks(view, at + sizeBytes);
  if (typeof end === 'string') return end;
  const checksumBytes = (descriptor & 0x04) === 0 ? 0 : ZSTD_CHECKSUM_BYTES;
  return { contentBytes, lengthBytes: end + checksumBytes };
}

/** The `contentBytes` bytes that a frame holds, or what is wrong with it. */
export function unpackFrame(packed: Uint8Array, contentBytes: number): Uint8Array | BlockFault {
  const frame = readFrame(packed);
  if (typeof frame === 'string')
    return { found: frame, expected: `one zstd frame of ${contentBytes} bytes` };
  if (frame.contentBytes !== contentBytes)
    return {
      found: `a zstd frame of ${frame.contentBytes} bytes of content`,
      expected: `${contentBytes}`,
    };
  if (frame.lengthBytes !== packed.byteLength)
    return {
      found: `a zstd frame that ends at byte ${frame.lengthBytes}`,
      expected: `byte ${packed.byteLength}`,
    };
  try {
    return decompress(packed, contentBytes);
  } catch (error) {
    return {
      found: `content that zstd refuses (${String(error)})`,
      expected: `${contentBytes} bytes`,
    };
  }
}
