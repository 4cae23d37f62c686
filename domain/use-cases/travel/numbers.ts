// Numbers as a guest of a little-endian machine has them in its memory.

export const NUMBER_TYPES = ['u8', 'u16', 'u32', 'u64', 's8', 's16', 's32', 's64'] as const;
/** Their sign, and how many bits. */
export type NumberType = (typeof NUMBER_TYPES)[number];

export const isNumberType = (word: string): word is NumberType =>
  (NUMBER_TYPES as readonly string[]).includes(word);

export const bytesOfType = (type: NumberType): number => Number(type.slice(1)) / 8;

/** The number that bytes are. */
export function numberIn(bytes: Uint8Array, type: NumberType): bigint {
  let value = 0n;
  for (let i = bytesOfType(type) - 1; i >= 0; i -= 1) value = (value << 8n) | BigInt(bytes[i]!);
  return type.startsWith('s') ? BigInt.asIntN(bytesOfType(type) * 8, value) : value;
}
