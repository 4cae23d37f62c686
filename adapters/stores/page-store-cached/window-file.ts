// A window of a pack as it lies in the cache: the bytes, and before them what they are. A file that is
// cut short, altered, or another window's is told from a sound one, and then fetched again.
//
//   0   4  magic "PLCW"
//   4   4  format version, u32 little-endian: 1
//   8  32  the pack's name, as bytes
//  40   8  offset of the window in the pack, u64
//  48   8  size of the whole pack, u64
//  56   4  bytes of the window, u32
//  60   4  CRC-32 (IEEE) of the bytes 0 to 59 and of the window
//  64   -  the window
//
// The format lives as long as the cache does: another version is a file to be fetched again.

import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';

const MAGIC = 0x5743_4c50;
const FORMAT = 1;
const NAME_BYTES = 32;
export const WINDOW_HEADER_BYTES = 64;
const CHECKED_BYTES = 60;

/** A part of a pack that is fetched and kept as one. */
export interface WindowId {
  /** The pack's. */
  readonly name: string;
  readonly offsetBytes: number;
}

/** A window's bytes, and the size of its pack; the last window of a pack is short. */
export interface Window {
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
}

const checksumOf = (header: Uint8Array, bytes: Uint8Array): number =>
  crc32(bytes, crc32(header.subarray(0, CHECKED_BYTES)));

/** The header of a window's file. */
export function windowHeader(id: WindowId, window: Window): Uint8Array {
  const header = new Uint8Array(WINDOW_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT, true);
  header.set(Buffer.from(id.name, 'hex'), 8);
  view.setBigUint64(8 + NAME_BYTES, BigInt(id.offsetBytes), true);
  view.setBigUint64(48, BigInt(window.sizeBytes), true);
  view.setUint32(56, window.bytes.length, true);
  view.setUint32(CHECKED_BYTES, checksumOf(header, window.bytes), true);
  return header;
}

/** The window that a file holds, a view of it; null where it is not soundly the one that is meant. */
export function readWindow(file: Uint8Array, id: WindowId, windowBytes: number): Window | null {
  assert(id.offsetBytes % windowBytes === 0, 'a window begins at a multiple of its size');
  if (file.length < WINDOW_HEADER_BYTES) return null;
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const bytes = file.subarray(WINDOW_HEADER_BYTES);
  if (view.getUint32(56, true) !== bytes.length) return null;
  if (view.getUint32(CHECKED_BYTES, true) !== checksumOf(file, bytes)) return null;
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== FORMAT) return null;
  const name = Buffer.from(file.buffer, file.byteOffset + 8, NAME_BYTES).toString('hex');
  if (name !== id.name || view.getBigUint64(40, true) !== BigInt(id.offsetBytes)) return null;
  const sizeBytes = Number(view.getBigUint64(48, true));
  // Written by a program with other ideas: a window is whole, or it ends with its pack.
  if (bytes.length !== Math.min(windowBytes, sizeBytes - id.offsetBytes)) return null;
  return { bytes, sizeBytes };
}
