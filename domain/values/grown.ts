// Bytes that grow: by doubling, so that what is appended is copied about once.

/** The bytes where there is room for so many, else a longer copy; zeros follow what they held. */
export function grown(
  bytes: Uint8Array<ArrayBuffer>,
  lengthBytes: number,
): Uint8Array<ArrayBuffer> {
  if (lengthBytes <= bytes.length) return bytes;
  const longer = new Uint8Array(Math.max(lengthBytes, 2 * bytes.length));
  longer.set(bytes);
  return longer;
}
