// Snappy, as far as its framed streams are read: chunks of at most 64 KiB, each compressed by itself or
// plain, with a checksum of what it holds. A chunk is u8 kind, u24 length, then of kinds 0 (compressed)
// and 1 (plain) u32 CRC-32C, masked, and data. Compressed data is its length as LEB128, then elements:
// two bits say what each is, a literal or a copy of what came before.

/** Most bytes that a chunk holds. */
export const CHUNK_BYTES_MAX = 65_536;

const CRC_MASK = 0xa282_ead8;

/** Eight tables of CRC-32C, for eight bytes at a time. */
const TABLES = new Uint32Array(8 * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1)
    crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  TABLES[byte] = crc;
}
for (let at = 256; at < TABLES.length; at += 1) {
  const before = TABLES[at - 256]!;
  TABLES[at] = (before >>> 8) ^ TABLES[before & 255]!;
}

/** The CRC-32C of bytes, masked as frames have it. */
export function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      TABLES[1792 + (crc & 255)]! ^
      TABLES[1536 + ((crc >>> 8) & 255)]! ^
      TABLES[1280 + ((crc >>> 16) & 255)]! ^
      TABLES[1024 + (crc >>> 24)]! ^
      TABLES[768 + bytes[at + 4]!]! ^
      TABLES[512 + bytes[at + 5]!]! ^
      TABLES[256 + bytes[at + 6]!]! ^
      TABLES[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at += 1) crc = (crc >>> 8) ^ TABLES[(crc ^ bytes[at]!) & 255]!;
  crc ^= 0xffff_ffff;
  return (((crc >>> 15) | (crc << 17)) + CRC_MASK) >>> 0;
}

/** The length that compressed data claims, and where its elements begin; null: it claims none. */
function lengthOf(data: Uint8Array): { readonly length: number; readonly at: number } | null {
  let length = 0;
  for (let at = 0; at < Math.min(5, data.length); at += 1) {
    length += (data[at]! & 0x7f) * 2 ** (7 * at);
    if (data[at]! < 0x80) return { length, at: at + 1 };
  }
  return null;
}

/** Decompresses data into `out`; how many bytes, or null where it is not sound or has more. */
export function unsnap(data: Uint8Array, out: Uint8Array): number | null {
  const head = lengthOf(data);
  if (head === null || head.length > out.length) return null;
  const { length } = head;
  let { at } = head;
  let done = 0;
  while (at < data.length) {
    const tag = data[at]!;
    at += 1;
    if ((tag & 3) === 0) {
      let count = (tag >>> 2) + 1;
      if (count > 60) {
        const bytes = count - 60;
        if (at + bytes > data.length) return null;
        count = 1;
        for (let i = 0; i < bytes; i += 1) count += data[at + i]! * 2 ** (8 * i);
        at += bytes;
      }
      if (at + count > data.length || done + count > length) return null;
      out.set(data.subarray(at, at + count), done);
      at += count;
      done += count;
      continue;
    }
    const bytes = tag & 3;
    const extra = bytes === 3 ? 4 : bytes;
    if (at + extra > data.length) return null;
    const count = bytes === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    let back = data[at]!;
    if (bytes === 1) back |= (tag >>> 5) << 8;
    else back += data[at + 1]! * 256;
    if (bytes === 3) back += data[at + 2]! * 65_536 + data[at + 3]! * 2 ** 24;
    at += extra;
    if (back === 0 || back > done || done + count > length) return null;
    if (back >= count) out.copyWithin(done, done - back, done - back + count);
    else for (let i = 0; i < count; i += 1) out[done + i] = out[done + i - back]!;
    done += count;
  }
  return done === length ? length : null;
}
