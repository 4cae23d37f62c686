// Rows as JSON: positions and addresses are bigints in them, of which JSON knows nothing.

import { toHex } from './identifier.ts';

/** Bytes; null: it is something else. */
function bytesOf(value: unknown): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  // A Buffer has told already, in its own way, what it is.
  const isTold = typeof value === 'object' && value !== null && 'type' in value && 'data' in value;
  if (!isTold || value.type !== 'Buffer' || !Array.isArray(value.data)) return null;
  const data: readonly unknown[] = value.data;
  return Uint8Array.from(data, Number);
}

/**
 * For `JSON.stringify(row, jsonValue)`, of any row that a ledger gives: bigints (positions, addresses, numbers of
 * 64 bits) as decimal strings, bytes as lower-case hex.
 */
export function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  const bytes = bytesOf(value);
  return bytes === null ? value : toHex(bytes);
}
