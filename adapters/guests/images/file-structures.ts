// Files that are known by more than a magic number, as theirs is short, or they have none: each by as
// much of its structure as memory does not have by chance.

import type { ForeignFormatName } from './foreign-formats.ts';

/** Bytes of a file's start. */
interface Start {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

const SECTOR_BYTES = 512;
const PARTITION_TABLE_AT = 446;
const EXT_AT = 1024;
const TEXT_BYTES = 4096;
const TEXT_BYTES_MIN = 16;
/** Text of fewer different characters may be a filling that a test wrote. */
const TEXT_CHARACTERS_MIN = 20;

const u16 = ({ view, bytes }: Start, at: number): number =>
  at + 2 <= bytes.length ? view.getUint16(at, true) : 0;
const u32 = ({ view, bytes }: Start, at: number): number =>
  at + 4 <= bytes.length ? view.getUint32(at, true) : 0;

/** Two bytes, the method, and no flag that is reserved. */
const isGzip = ({ bytes }: Start): boolean =>
  bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8 && bytes[3]! < 0x20;

/** compress: two bytes, and bits of a code with its flag. */
const isCompress = ({ bytes }: Start): boolean =>
  bytes[0] === 0x1f && bytes[1] === 0x9d && bytes[2]! >= 0x89 && bytes[2]! <= 0x90;

/** A block, or the end, follows the level. */
function isBzip2({ bytes }: Start): boolean {
  const text = latin1(bytes.subarray(0, 10));
  const level = text.charAt(3);
  const then = text.slice(4);
  const isWhole = then === '1AY&SY' || then === '\x17\x72\x45\x38\x50\x90';
  return text.startsWith('BZh') && level >= '1' && level <= '9' && isWhole;
}

/** Frames of zstd that are to be skipped, and those of lz4, differ in four bits. */
const isSkippableFrame = (start: Start): boolean => u32(start, 0) >>> 4 === 0x184d2a5;

/** Properties, a dictionary of a power of two, and no size. */
function isLzma(start: Start): boolean {
  const dictionary = u32(start, 1);
  const isPower = dictionary >= 4096 && (dictionary & (dictionary - 1)) === 0;
  return (
    start.bytes[0] === 0x5d &&
    isPower &&
    u32(start, 5) === 2 ** 32 - 1 &&
    u32(start, 9) === 2 ** 32 - 1
  );
}

/** A header's checksum, which counts its own field as spaces. */
function isTar({ bytes }: Start): boolean {
  if (bytes.length < SECTOR_BYTES) return false;
  const said = /^ *([0-7]{1,7})[ \0]/u.exec(latin1(bytes.subarray(148, 156)))?.[1];
  if (said === undefined) return false;
  let sum = 8 * 0x20;
  for (let i = 0; i < SECTOR_BYTES; i += 1) if (i < 148 || i >= 156) sum += bytes[i]!;
  return sum === Number.parseInt(said, 8);
}

/** The magic of ext2 to ext4, and fields that have few values. */
function isExt(start: Start): boolean {
  if (u16(start, EXT_AT + 56) !== 0xef53) return false;
  const state = u16(start, EXT_AT + 58);
  const onError = u16(start, EXT_AT + 60);
  return state < 16 && onError >= 1 && onError <= 3 && u32(start, EXT_AT + 24) <= 6;
}

/** Four partitions that are active or not, and at least one that has a kind and a size. */
function hasPartitions(start: Start): boolean {
  if (u16(start, SECTOR_BYTES - 2) !== 0xaa55) return false;
  const entries = [0, 1, 2, 3].map((i) => PARTITION_TABLE_AT + i * 16);
  return (
    entries.every((at) => start.bytes[at] === 0 || start.bytes[at] === 0x80) &&
    entries.some((at) => start.bytes[at + 4] !== 0 && u32(start, at + 12) !== 0)
  );
}

const isPortableExecutable = (start: Start): boolean =>
  u16(start, 0) === 0x5a4d && u32(start, u32(start, 60)) === 0x4550;

const isElf = (start: Start): boolean => u32(start, 0) === 0x464c457f;
const ELF_CORE = 4;
/** The type of an ELF file, in its own order of bytes. */
const elfType = (start: Start): number =>
  start.bytes[5] === 2 ? (start.bytes[16]! << 8) | start.bytes[17]! : u16(start, 16);

/** JSON, HTML, XML, scripts, tables, logs: lines of many different characters, up to zeros if any. */
function isText({ bytes }: Start): boolean {
  const first = bytes.subarray(0, TEXT_BYTES);
  const zero = first.indexOf(0);
  const text = zero < 0 ? first : first.subarray(0, zero);
  if (zero >= 0 && first.subarray(zero).some((byte) => byte !== 0)) return false;
  if (text.length < TEXT_BYTES_MIN || !text.every(isOfText)) return false;
  const opens = /^(?:\xef\xbb\xbf)?\s*(?:[[{]\s*["[{]|<[!?a-z]|#!|-----BEGIN )/iu;
  if (opens.test(latin1(text.subarray(0, 64)))) return true;
  return text.includes(0x0a) && new Set(text).size >= TEXT_CHARACTERS_MIN;
}

const isOfText = (byte: number): boolean =>
  (byte >= 0x20 && byte !== 0x7f) || (byte >= 0x09 && byte <= 0x0d) || byte === 0x1b;

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** Foreign formats, and one that is read. */
type FormatName = ForeignFormatName | 'elf';

const STRUCTURES: readonly (readonly [FormatName, (start: Start) => boolean])[] = [
  ['elf', (start) => isElf(start) && elfType(start) === ELF_CORE],
  ['elf-other', isElf],
  ['compressed', isGzip],
  ['compressed', isCompress],
  ['compressed', isBzip2],
  ['compressed', isSkippableFrame],
  ['compressed', isLzma],
  ['archive', isTar],
  ['executable', isPortableExecutable],
  ['file-system', isExt],
  ['file-system', hasPartitions],
  ['text', isText],
];

/** The format whose structure the bytes of a file's start have; null: none. */
export function formatOfStructure(bytes: Uint8Array): FormatName | null {
  const start = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
  return STRUCTURES.find(([, isOf]) => isOf(start))?.[0] ?? null;
}
