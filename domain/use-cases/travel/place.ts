// A place in a guest's memory as people write it: an address, a symbol of the kernel, or how far behind or
// before a symbol.

/** Where something lies: behind a symbol, or behind 0. */
export interface Place {
  /** Null: the offset is the address. */
  readonly symbol: string | null;
  readonly offset: bigint;
}

const DIGITS = String.raw`0x[0-9a-f]{1,16}|\d{1,20}`;
const ADDRESS = new RegExp(`^(?:${DIGITS})$`, 'iu');
const SYMBOL = new RegExp(
  String.raw`^(?<symbol>[a-z_.$][\w.$]{0,511})(?:(?<sign>[+-])(?<digits>${DIGITS}))?$`,
  'iu',
);

const ADDRESSES = 2n ** 64n;

/** The place that a text is; null: it is none. */
export function placeIn(text: string): Place | null {
  if (ADDRESS.test(text)) {
    const offset = BigInt(text);
    return offset < ADDRESSES ? { symbol: null, offset } : null;
  }
  const found = SYMBOL.exec(text)?.groups;
  if (found === undefined) return null;
  const distance = BigInt(found['digits'] ?? 0);
  return { symbol: found['symbol']!, offset: found['sign'] === '-' ? -distance : distance };
}
