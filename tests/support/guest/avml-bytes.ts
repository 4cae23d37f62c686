// A dump as avml writes it compressed, by the formats of avml and of snappy's frames: what it says of the
// bytes is computed here on its own.

import { rangeHeader, u32le, u64le, type MemoryRun } from './dump-bytes.ts';

/** CRC-32C, bit by bit, masked as frames have it. */
function crcOf(bytes: Uint8Array): Buffer {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) * 0x82f6_3b78);
  }
  crc = ~crc >>> 0;
  return u32le((((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0);
}

const leb = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];

/** Compressed: a byte that is repeated 8 times or more becomes copies of itself, all else is literal. */
export function snapped(bytes: Uint8Array): Buffer {
  const parts: Buffer[] = [Buffer.from(leb(bytes.length))];
  const literal = (from: number, to: number): void => {
    for (let at = from; at < to; at += 256) {
      const part = bytes.subarray(at, Math.min(to, at + 256));
      parts.push(Buffer.from([60 << 2, part.length - 1]), Buffer.from(part));
    }
  };
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    let end = at + 1;
    while (end < bytes.length && bytes[end] === bytes[at]) end += 1;
    if (end - at >= 8) {
      literal(from, at + 1);
      for (let left = end - at - 1; left > 0; left -= 64)
        parts.push(Buffer.from([((Math.min(64, left) - 1) << 2) | 2, 1, 0]));
      from = end;
    }
    at = end;
  }
  literal(from, bytes.length);
  return Buffer.concat(parts);
}

const chunk = (kind: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([u32le(kind + bytes.length * 256), bytes]);

/** A framed stream: every third chunk is plain, and one that is to be skipped stands before them. */
function framed(bytes: Uint8Array): Buffer {
  const chunks = [chunk(0xff, Buffer.from('sNaPpY')), chunk(0xfe, Buffer.alloc(5))];
  for (let at = 0; at < bytes.length; at += 65_536) {
    const part = bytes.subarray(at, at + 65_536);
    const isPlain = (at / 65_536) % 3 === 2;
    chunks.push(
      chunk(isPlain ? 1 : 0, Buffer.concat([crcOf(part), isPlain ? part : snapped(part)])),
    );
  }
  return Buffer.concat(chunks);
}

/** A compressed dump. */
export const avmlDump = (runs: readonly MemoryRun[]): Buffer =>
  Buffer.concat(
    runs.flatMap((run) => {
      const stream = framed(run.bytes);
      return [rangeHeader('AVML', 2, run), stream, u64le(stream.length)];
    }),
  );
