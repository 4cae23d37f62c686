// Content identifiers: keyed BLAKE3-256 of a page, 32 bytes, shown as hex.

const DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.codePointAt(0)!);
const DECODER = new TextDecoder('latin1');
/** By the codes of characters: the values of digits. */
const VALUES = new Uint8Array(128);
for (const [value, code] of DIGITS.entries()) VALUES[code] = value;

/** Lower-case hex of bytes. */
export function toHex(bytes: Uint8Array): string {
  const digits = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i]!;
    digits[2 * i] = DIGITS[byte >> 4]!;
    digits[2 * i + 1] = DIGITS[byte & 15]!;
  }
  return DECODER.decode(digits);
}

/** Bytes of lower-case hex of even length; the caller has checked the alphabet. */
export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >>> 1);
  for (let i = 0; i < bytes.length; i += 1)
    bytes[i] = (VALUES[text.charCodeAt(2 * i)]! << 4) | VALUES[text.charCodeAt(2 * i + 1)]!;
  return bytes;
}
