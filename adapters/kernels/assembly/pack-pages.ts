// Blocks of pages, packed and unpacked (docs/format.md, "Packed pages"): sequences (lz.ts), whose
// streams are coded (huffman.ts), behind a head that says how long each is and how it is coded.

import * as code from './code-tables';
import { mode, putStream, takeStream } from './huffman';
import { readyTables } from './huffman-tables';
import { numberEnd, putNumber, takeNumber } from './leb128';
import { BLOCK_BYTES_MAX, counts, joinSequences, splitSequences } from './lz';
import { extraRoom, highRoom, literalRoom, lowRoom, tokenRoom } from './lz';

const PAGE_BYTES: u32 = 4096;
/** The first byte of a block: the number of the tables. The upper bits are for what is to come. */
const FORM: u32 = code.TABLES_VERSION;
/** How a stream stands is told in four bits, of the literals in eight. */
const RAW: u32 = 15;
const LITERALS_RAW: u32 = 255;
/** Streams but for literals must save a 64th by being coded: they are short. */
const SHORT_SHIFT: u32 = 6;
const MODES_BYTES: usize = 3;

/**
 * Packs the `n` bytes at `source`, 1 to 15 whole pages, to `out`, where n + n / 8 + 128 bytes are free;
 * returns how many they take, which may be more than `n`. SLACK bytes behind the source are read.
 * Literals are coded where that saves n >> literalShift bytes of them; 0: never.
 */
export function packPages(source: usize, n: u32, out: usize, literalShift: u32): u32 {
  readyTables();
  splitSequences(source, n);
  const tokens = load<u32>(counts);
  const offsets = load<u32>(counts, 4);
  const extras = load<u32>(counts, 8);
  const literals = load<u32>(counts, 12);
  store<u8>(out, <u8>FORM);
  let to = putNumber(out + 1, tokens);
  to = putNumber(to, offsets);
  to = putNumber(to, extras);
  to = putNumber(to, literals);
  const modes = to;
  to += MODES_BYTES;
  to = putStream(tokenRoom, tokens, code.TOKENS, code.TOKEN_TABLES, RAW, SHORT_SHIFT, to);
  const tokenMode = mode;
  to = putStream(lowRoom, offsets, code.LOWS, code.LOW_TABLES, RAW, SHORT_SHIFT, to);
  store<u8>(modes, <u8>(tokenMode | (mode << 4)));
  to = putStream(highRoom, offsets, code.HIGHS, code.HIGH_TABLES, RAW, SHORT_SHIFT, to);
  const highMode = mode;
  to = putStream(extraRoom, extras, code.EXTRAS, code.EXTRA_TABLES, RAW, SHORT_SHIFT, to);
  store<u8>(modes, <u8>(highMode | (mode << 4)), 1);
  to = putStream(
    literalRoom,
    literals,
    code.LITERALS,
    code.LITERAL_TABLES,
    LITERALS_RAW,
    literalShift,
    to,
  );
  store<u8>(modes, <u8>mode, 2);
  return <u32>(to - out);
}

/** Reads a head's four counts; returns where its modes stand, 0 where these are no counts of `n` bytes. */
function takeCounts(from: usize, end: usize, n: u32): usize {
  const tokens = takeNumber(from, end);
  if (numberEnd == 0) return 0;
  const offsets = takeNumber(numberEnd, end);
  if (numberEnd == 0) return 0;
  const extras = takeNumber(numberEnd, end);
  if (numberEnd == 0) return 0;
  const literals = takeNumber(numberEnd, end);
  if (numberEnd == 0) return 0;
  // A sequence makes three bytes at least.
  if (tokens > n / 3 || offsets > tokens || extras > n || literals > n) return 0;
  store<u32>(counts, tokens);
  store<u32>(counts, offsets, 4);
  store<u32>(counts, extras, 8);
  store<u32>(counts, literals, 12);
  return numberEnd;
}

/**
 * Unpacks the `size` bytes at `source` to exactly `n` bytes at `target`: 1, or 0 where they are no
 * packed form of `n` bytes. SLACK bytes behind the source are read, and behind the target written.
 */
export function unpackPages(source: usize, size: u32, target: usize, n: u32): u32 {
  readyTables();
  if (n == 0 || n > BLOCK_BYTES_MAX || n % PAGE_BYTES != 0) return 0;
  if (size == 0 || <u32>load<u8>(source) != FORM) return 0;
  const end = source + size;
  const modes = takeCounts(source + 1, end, n);
  if (modes == 0 || end - modes < MODES_BYTES) return 0;
  const tokens = load<u32>(counts);
  const offsets = load<u32>(counts, 4);
  const extras = load<u32>(counts, 8);
  const literals = load<u32>(counts, 12);
  const tokenMode = (<u32>load<u8>(modes)) & 15;
  const lowMode = (<u32>load<u8>(modes)) >> 4;
  const highMode = (<u32>load<u8>(modes, 1)) & 15;
  const extraMode = (<u32>load<u8>(modes, 1)) >> 4;
  const literalMode = <u32>load<u8>(modes, 2);
  let at = modes + MODES_BYTES;
  at = takeStream(at, end, tokens, code.TOKENS, code.TOKEN_TABLES, RAW, tokenMode, tokenRoom);
  if (at == 0) return 0;
  at = takeStream(at, end, offsets, code.LOWS, code.LOW_TABLES, RAW, lowMode, lowRoom);
  if (at == 0) return 0;
  at = takeStream(at, end, offsets, code.HIGHS, code.HIGH_TABLES, RAW, highMode, highRoom);
  if (at == 0) return 0;
  at = takeStream(at, end, extras, code.EXTRAS, code.EXTRA_TABLES, RAW, extraMode, extraRoom);
  if (at == 0) return 0;
  at = takeStream(
    at,
    end,
    literals,
    code.LITERALS,
    code.LITERAL_TABLES,
    LITERALS_RAW,
    literalMode,
    literalRoom,
  );
  if (at != end) return 0;
  return joinSequences(target, n) ? 1 : 0;
}
