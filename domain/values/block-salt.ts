// The salt of a stored block: random bytes behind it, inside its length and its checksum. The checksum
// stands in an event, and without a salt it would tell who has no pack which blocks are equal, also
// across groups, and whether a guess at one is right. Under a salt every checksum is as likely as any.

/** Bytes of a salt: as many as a CRC-32 has, so that it hides all of it. */
export const SALT_BYTES = 4;
/** In a block's codec: a salt follows what is stored. */
export const CODEC_SALTED = 0x10;
const CRC_BITS = 32;
const CRC_POLYNOMIAL = 0xedb8_8320;

/** How a block is stored, without what says that it is salted. */
export const codecOf = (codec: number): number => codec & ~CODEC_SALTED;

/** Bytes of salt at the end of a block. */
export const saltBytesOf = (codec: number): number =>
  (codec & CODEC_SALTED) === 0 ? 0 : SALT_BYTES;

/** The stored bytes of a block without its salt; of a block shorter than that, none. */
export function unsalted(stored: Uint8Array, codec: number): Uint8Array {
  return stored.subarray(0, Math.max(0, stored.length - saltBytesOf(codec)));
}

/** The CRC-32 of a block and the salt behind it (as a little-endian u32), from that of the block. */
export function saltedChecksum(checksum: number, salt: number): number {
  let state = ~checksum ^ salt;
  for (let bit = 0; bit < CRC_BITS; bit += 1)
    state = (state & 1) === 0 ? state >>> 1 : (state >>> 1) ^ CRC_POLYNOMIAL;
  return ~state >>> 0;
}
