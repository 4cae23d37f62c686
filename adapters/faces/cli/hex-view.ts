// Bytes as people read them: lines of 16, with what of them is text; of what changed, those before above
// those after.

/** Bytes in a line. */
const LINE_BYTES = 16;
const OFFSET_DIGITS = 4;
const ADDRESS_DIGITS = 8;

const isPrintable = (byte: number): boolean => byte >= 0x20 && byte < 0x7f;

const asHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');

const asText = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => (isPrintable(byte) ? String.fromCharCode(byte) : '.')).join('');

/** A range as lines: offset, sign, bytes, text. */
export function* hexLines(range: {
  readonly offset: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}): Generator<string> {
  const width = 3 * LINE_BYTES - 1;
  for (let at = 0; at < range.before.length; at += LINE_BYTES) {
    const offset = (range.offset + at).toString(16).padStart(OFFSET_DIGITS, '0');
    for (const [sign, bytes] of [
      ['-', range.before.subarray(at, at + LINE_BYTES)],
      ['+', range.after.subarray(at, at + LINE_BYTES)],
    ] as const)
      yield `  ${offset} ${sign} ${asHex(bytes).padEnd(width)}  |${asText(bytes)}|`;
  }
}

/** Bytes from an address on, as lines: address, bytes, text. */
export function* dumpLines(of: {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}): Generator<string> {
  const width = 3 * LINE_BYTES - 1;
  for (let at = 0; at < of.bytes.length; at += LINE_BYTES) {
    const line = of.bytes.subarray(at, at + LINE_BYTES);
    const address = (of.address + BigInt(at)).toString(16).padStart(ADDRESS_DIGITS, '0');
    yield `${address}  ${asHex(line).padEnd(width)}  |${asText(line)}|`;
  }
}
