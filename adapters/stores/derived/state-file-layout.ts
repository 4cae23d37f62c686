// Headers of derived files (docs/format.md, "State files" and "Keys"). All integers little-endian.
//
// A state file:
//   0   4  magic "PLST"
//   4   4  format version: 2
//   8   8  bytes of the payload
//  16   4  CRC-32 of bytes 0 to 15
//  20   -  payload
//   -   4  CRC-32 of each 16,384 bytes of the payload; the last ones may be fewer
//
// One of before, with format version 1, has after the bytes of the payload:
//  16   4  CRC-32 of the payload
//  20   4  CRC-32 of bytes 0 to 19
//  24   -  payload
//
// A file of fingerprints:
//   0   4  magic "PLFP"
//   4   4  format version: 1
//   8   4  capture
//  12   4  pages
//  16   8  first 8 bytes of a digest of the commit
//  24   4  CRC-32 of the body
//  28 128  name of the VM, NUL padded
// 156   4  CRC-32 of bytes 0 to 155
// 160   -  body: 24 bytes a page, in gfn order

import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import { isName, NAME_CHARACTERS_MAX } from '../../../domain/events/streams.ts';

const STATE_MAGIC = 0x5453_4c50;
const STATE_FORMAT = 2;
const FIRST_STATE_FORMAT = 1;
export const STATE_HEADER_BYTES = 20;
export const FIRST_STATE_HEADER_BYTES = 24;
/** Bytes of a payload that have a checksum of their own. */
export const STATE_BLOCK_BYTES = 16 * 1024;
export const STATE_CHECK_BYTES = 4;

const FINGERPRINTS_MAGIC = 0x5046_4c50;
const FINGERPRINTS_FORMAT = 1;
const FINGERPRINTS_VM_AT = 28;
const FINGERPRINTS_CHECK_AT = FINGERPRINTS_VM_AT + NAME_CHARACTERS_MAX;
export const FINGERPRINTS_HEADER_BYTES = FINGERPRINTS_CHECK_AT + 4;

/** Blocks of a payload of so many bytes. */
export const stateBlocks = (payloadBytes: number): number =>
  Math.ceil(payloadBytes / STATE_BLOCK_BYTES);

/** What a file of fingerprints says of itself. */
export interface FingerprintsHeader {
  readonly vm: string;
  readonly capture: number;
  /** What tells the capture's commit from any other. */
  readonly commit: bigint;
  readonly pageCount: number;
  readonly bodyCrc: number;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Sets the last four bytes of a header to the CRC-32 of those before. */
function seal(header: Uint8Array): Uint8Array {
  const checkAt = header.length - 4;
  viewOf(header).setUint32(checkAt, crc32(header.subarray(0, checkAt)), true);
  return header;
}

const isSealed = (header: Uint8Array): boolean =>
  viewOf(header).getUint32(header.length - 4, true) ===
  crc32(header.subarray(0, header.length - 4));

/** The header of a state file with a payload of so many bytes. */
export function encodeStateHeader(payloadBytes: number): Uint8Array {
  const header = new Uint8Array(STATE_HEADER_BYTES);
  const view = viewOf(header);
  view.setUint32(0, STATE_MAGIC, true);
  view.setUint32(4, STATE_FORMAT, true);
  view.setBigUint64(8, BigInt(payloadBytes), true);
  return seal(header);
}

const isStateHeader = (header: Uint8Array, format: number): boolean =>
  isSealed(header) &&
  viewOf(header).getUint32(0, true) === STATE_MAGIC &&
  viewOf(header).getUint32(4, true) === format;

/** The header of a state file of before; null: it is none, or damaged. */
export function decodeFirstStateHeader(
  header: Uint8Array,
): { readonly payloadBytes: number; readonly payloadCrc: number } | null {
  if (header.length !== FIRST_STATE_HEADER_BYTES || !isStateHeader(header, FIRST_STATE_FORMAT))
    return null;
  const view = viewOf(header);
  return {
    payloadBytes: Number(view.getBigUint64(8, true)),
    payloadCrc: view.getUint32(16, true),
  };
}

/** Bytes of the payload, as a header says; null: of something else, damaged, or of another format. */
export function decodeStateHeader(header: Uint8Array): number | null {
  if (header.length !== STATE_HEADER_BYTES || !isStateHeader(header, STATE_FORMAT)) return null;
  const view = viewOf(header);
  return Number(view.getBigUint64(8, true));
}

export function encodeFingerprintsHeader(fingerprints: FingerprintsHeader): Uint8Array {
  assert(isName(fingerprints.vm), 'fingerprints are of a VM with a name that names may be');
  const header = new Uint8Array(FINGERPRINTS_HEADER_BYTES);
  const view = viewOf(header);
  view.setUint32(0, FINGERPRINTS_MAGIC, true);
  view.setUint32(4, FINGERPRINTS_FORMAT, true);
  view.setUint32(8, fingerprints.capture, true);
  view.setUint32(12, fingerprints.pageCount, true);
  view.setBigUint64(16, fingerprints.commit, true);
  view.setUint32(24, fingerprints.bodyCrc, true);
  header.set(new TextEncoder().encode(fingerprints.vm), FINGERPRINTS_VM_AT);
  return seal(header);
}

/** The header, or null: of something else, damaged, or of another format. */
export function decodeFingerprintsHeader(header: Uint8Array): FingerprintsHeader | null {
  if (header.length !== FINGERPRINTS_HEADER_BYTES || !isSealed(header)) return null;
  const view = viewOf(header);
  if (view.getUint32(0, true) !== FINGERPRINTS_MAGIC) return null;
  if (view.getUint32(4, true) !== FINGERPRINTS_FORMAT) return null;
  const padded = header.subarray(FINGERPRINTS_VM_AT, FINGERPRINTS_CHECK_AT);
  const end = padded.indexOf(0);
  const vm = new TextDecoder().decode(padded.subarray(0, end < 0 ? padded.length : end));
  return {
    vm,
    capture: view.getUint32(8, true),
    pageCount: view.getUint32(12, true),
    commit: view.getBigUint64(16, true),
    bodyCrc: view.getUint32(24, true),
  };
}
