// Packed pages read slowly, bit by bit and byte by byte, as docs/format.md says and not as the kernel does
// it: what the kernel is held against.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { goldenBytes } from '../golden/golden-capture.ts';

/** The streams of a block, before they are joined. */
export interface PackedStreams {
  readonly tokens: Uint8Array;
  readonly lows: Uint8Array;
  readonly highs: Uint8Array;
  readonly extras: Uint8Array;
  readonly literals: Uint8Array;
}

export const STREAMS = ['tokens', 'lows', 'highs', 'extras', 'literals'] as const;
type StreamName = (typeof STREAMS)[number];

const PAGES_MAX = 15;
const VERSION = 1;
const LENGTH_MAX = 11;
const FOUR_LANES_FROM = 256;
const RAW = { tokens: 15, lows: 15, highs: 15, extras: 15, literals: 255 } as const;

/** What makes a block none, from wherever it is found. */
class NoBlock extends Error {}

function refuse(why: string): never {
  throw new NoBlock(why);
}

/** The 256 lengths of each fixed table, by stream: lines of a stream's name and a digit a symbol. */
export function readTables(text: string): Readonly<Record<StreamName, readonly number[][]>> {
  const tables: Record<StreamName, number[][]> = {
    tokens: [],
    lows: [],
    highs: [],
    extras: [],
    literals: [],
  };
  for (const line of text.trimEnd().split('\n')) {
    const [name, digits] = line.split(' ') as [StreamName, string];
    tables[name].push(Array.from(digits, (digit) => Number.parseInt(digit, 16)));
  }
  return tables;
}

/** The tables that are part of the format. */
export const fixedTables = (): ReturnType<typeof readTables> =>
  readTables(new TextDecoder().decode(goldenBytes('packed-pages-1/tables.txt')));

class Bytes {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number): Uint8Array {
    if (count > this.left) refuse('cut short');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  /** LEB128 of at most three bytes. */
  number(): number {
    let value = 0;
    for (let i = 0; i < 3; i += 1) {
      const byte = this.byte();
      value += (byte % 128) * 128 ** i;
      if (byte < 128) return value;
    }
    return refuse('a number of more than three bytes');
  }

  /** As `number`, for what may be below zero. */
  signed(): number {
    const value = this.number();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }
}

/** Symbols by length and code, the codes given out in order of length, then of symbol. */
function codesOf(lengths: readonly number[]): Map<number, number> {
  const codes = new Map<number, number>();
  let code = 0;
  for (let length = 1; length <= LENGTH_MAX; length += 1) {
    for (const [symbol, own] of lengths.entries())
      if (own === length) {
        codes.set(length * 2 ** LENGTH_MAX + code, symbol);
        code += 1;
      }
    code *= 2;
  }
  return codes;
}

/** A lane's symbols, and how many bytes they took. */
function readLane(
  bytes: Uint8Array,
  lane: { readonly count: number; readonly codes: ReadonlyMap<number, number> },
): { readonly symbols: number[]; readonly lengthBytes: number } {
  const symbols: number[] = [];
  let bit = 0;
  while (symbols.length < lane.count) {
    let code = 0;
    for (let length = 1; ; length += 1) {
      if (bit >= bytes.length * 8) refuse('a lane cut short');
      code = code * 2 + (Math.floor(bytes[Math.floor(bit / 8)]! / 2 ** (bit % 8)) % 2);
      bit += 1;
      const symbol = lane.codes.get(length * 2 ** LENGTH_MAX + code);
      if (symbol === undefined) continue;
      symbols.push(symbol);
      break;
    }
  }
  return { symbols, lengthBytes: Math.ceil(bit / 8) };
}

function readSentTable(bytes: Bytes): number[] {
  const lengths: number[] = [];
  while (lengths.length < 256) {
    const pair = bytes.byte();
    const length = pair % 16;
    if (length > LENGTH_MAX) refuse('a code longer than codes are');
    lengths.push(...Array.from({ length: Math.floor(pair / 16) + 1 }, () => length));
  }
  if (lengths.length > 256) refuse('a table of more than 256 symbols');
  const share = lengths.reduce((sum, length) => sum + (length === 0 ? 0 : 2 ** -length), 0);
  return share === 1 ? lengths : refuse('codes that do not fill their space');
}

function readStream(
  bytes: Bytes,
  stream: {
    readonly count: number;
    readonly mode: number;
    readonly raw: number;
    readonly tables: readonly number[][];
  },
): Uint8Array {
  const { count, mode, raw, tables } = stream;
  if (mode === raw) return bytes.take(count);
  const lengths = mode === raw - 1 ? readSentTable(bytes) : tables[mode];
  if (lengths === undefined) return refuse('a table that there is not');
  const codes = codesOf(lengths);
  if (count < FOUR_LANES_FROM) {
    const lane = readLane(bytes.rest(), { count, codes });
    bytes.take(lane.lengthBytes);
    return Uint8Array.from(lane.symbols);
  }
  const first = bytes.number();
  const laneBytes = [first, first + bytes.signed(), first + bytes.signed()];
  const out = new Uint8Array(count);
  for (let k = 0; k < 4; k += 1) {
    const isLast = k === 3;
    const own = isLast ? bytes.rest() : bytes.take(Math.max(0, laneBytes[k]!));
    const lane = readLane(own, { count: Math.ceil((count - k) / 4), codes });
    if (isLast) bytes.take(lane.lengthBytes);
    else if (lane.lengthBytes !== laneBytes[k]) refuse('a lane longer than its codes');
    for (const [i, symbol] of lane.symbols.entries()) out[4 * i + k] = symbol;
  }
  return out;
}

function readStreams(
  block: Uint8Array,
  lengthBytes: number,
  tables: ReturnType<typeof readTables>,
): PackedStreams {
  const bytes = new Bytes(block);
  if (bytes.byte() !== VERSION) refuse('another form');
  const [tokens, offsets] = [bytes.number(), bytes.number()];
  const [extras, literals] = [bytes.number(), bytes.number()];
  if (tokens > lengthBytes / 3 || offsets > tokens) refuse('too many sequences');
  if (extras > lengthBytes || literals > lengthBytes) refuse('more than a block holds');
  const [first, second, literalMode] = [bytes.byte(), bytes.byte(), bytes.byte()];
  const counts = { tokens, lows: offsets, highs: offsets, extras, literals };
  const modes = {
    tokens: first % 16,
    lows: Math.floor(first / 16),
    highs: second % 16,
    extras: Math.floor(second / 16),
    literals: literalMode,
  };
  const streams = STREAMS.map(
    (name) =>
      [
        name,
        readStream(bytes, {
          count: counts[name],
          mode: modes[name],
          raw: RAW[name],
          tables: tables[name],
        }),
      ] as const,
  );
  if (bytes.left > 0) refuse('bytes after the last stream');
  return Object.fromEntries(streams) as unknown as PackedStreams;
}

function joinStreams(streams: PackedStreams, lengthBytes: number): Uint8Array {
  const { tokens, lows, highs } = streams;
  const [extras, literals] = [new Bytes(streams.extras), new Bytes(streams.literals)];
  const out: number[] = [];
  const last = [8, 4, 1];
  let fresh = 0;
  const field = (value: number): number => {
    if (value < 7) return value;
    const extra = extras.byte();
    if (extra < 255) return 7 + extra;
    const [low, high] = extras.take(2);
    return 7 + low! + 256 * high!;
  };
  for (const token of tokens) {
    const kind = token % 4;
    const run = field(Math.floor(token / 4) % 8);
    const length = field(Math.floor(token / 32)) + (kind === 3 ? 5 : 3);
    if (out.length + run + length > lengthBytes) refuse('more than its pages');
    out.push(...literals.take(run));
    if (kind === 3) {
      if (fresh === lows.length) refuse('an offset that there is not');
      last.unshift(lows[fresh]! + 256 * highs[fresh]!);
      fresh += 1;
    } else last.unshift(...last.splice(kind, 1));
    last.length = 3;
    const offset = last[0]!;
    if (offset === 0 || offset > out.length) refuse('a match before the block');
    for (let i = 0; i < length; i += 1) out.push(out[out.length - offset]!);
  }
  out.push(...literals.take(lengthBytes - out.length));
  if (literals.left > 0 || extras.left > 0 || fresh !== lows.length) refuse('something left over');
  return Uint8Array.from(out);
}

function orNull<A>(read: () => A): A | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof NoBlock) return null;
    throw error;
  }
}

/** The streams of a packed block; null where it is none. */
export const streamsOf = (
  block: Uint8Array,
  pages: number,
  tables = fixedTables(),
): PackedStreams | null => orNull(() => readStreams(block, pages * PAGE_BYTES, tables));

/** The pages of a packed block; null where it is no block of so many pages. */
export const unpackSlowly = (
  block: Uint8Array,
  pages: number,
  tables = fixedTables(),
): Uint8Array | null =>
  pages < 1 || pages > PAGES_MAX
    ? null
    : orNull(() => joinStreams(readStreams(block, pages * PAGE_BYTES, tables), pages * PAGE_BYTES));
