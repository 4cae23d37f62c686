// The bytes of an advertisement (docs/format.md, "Advertisements"): a filter and the regions that a host
// holds, in little-endian columns. Read from others: sizes are checked before anything is made of them.
//
//   u8 1 | u8 sampleLog | u8 bitsLog | u8 0 | u32 mean | u32 leastPages | u32 regions | u32 leftOut |
//   filter, 2^bitsLog / 8 | starts, 6 each | digests, 6 each, ascending | u16 lengths | u16 replicas |
//   u16 places | u32 gfns

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import {
  isTag,
  REGION_PAGES_MAX,
  TAG_BYTES,
  type RegionRule,
  type Regions,
} from '../values/regions.ts';
import { BITS_LOG_MAX, SAMPLE_LOG_MAX, type TagFilter } from '../values/tag-filter.ts';

const VERSION = 1;
const HEADER_BYTES = 20;
/** Most regions that are told; the shortest of more are left out. */
export const ADVERTISED_REGIONS_MAX = 2 ** 18;
const REGION_BYTES = 2 * TAG_BYTES + 2 + 2 + 2 + 4;
const BITS_LOG_MIN = 3;

/** What a host says that it holds. */
export interface Advertisement {
  readonly rule: RegionRule;
  readonly filter: TagFilter;
  readonly regions: Regions;
  /** Regions that are not told, as there were too many. */
  readonly leftOut: number;
}

/** Bytes with numbers in them, one behind the other. */
class Columns {
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  tags(column: Float64Array, how: 'read' | 'write'): void {
    for (let i = 0; i < column.length; i += 1, this.#at += TAG_BYTES)
      if (how === 'write') {
        this.#view.setUint32(this.#at, column[i]! % 2 ** 32, true);
        this.#view.setUint16(this.#at + 4, Math.floor(column[i]! / 2 ** 32), true);
      } else
        column[i] =
          this.#view.getUint16(this.#at + 4, true) * 2 ** 32 + this.#view.getUint32(this.#at, true);
  }

  shorts(column: Uint16Array, how: 'read' | 'write'): void {
    for (let i = 0; i < column.length; i += 1, this.#at += 2)
      if (how === 'write') this.#view.setUint16(this.#at, column[i]!, true);
      else column[i] = this.#view.getUint16(this.#at, true);
  }

  words(column: Uint32Array, how: 'read' | 'write'): void {
    for (let i = 0; i < column.length; i += 1, this.#at += 4)
      if (how === 'write') this.#view.setUint32(this.#at, column[i]!, true);
      else column[i] = this.#view.getUint32(this.#at, true);
  }
}

function pass(columns: Columns, regions: Regions, how: 'read' | 'write'): void {
  columns.tags(regions.starts, how);
  columns.tags(regions.digests, how);
  columns.shorts(regions.lengths, how);
  columns.shorts(regions.replicas, how);
  columns.shorts(regions.places, how);
  columns.words(regions.gfns, how);
}

const bytesOf = (filterBytes: number, regions: number): number =>
  HEADER_BYTES + filterBytes + regions * REGION_BYTES;

/** The bytes of an advertisement. */
export function encodeAdvertisement(of: Advertisement): Uint8Array {
  const { rule, filter, regions, leftOut } = of;
  const bytes = new Uint8Array(bytesOf(filter.bits.length, regions.count));
  bytes.set([VERSION, filter.sampleLog, filter.bitsLog, 0]);
  const head = Uint32Array.of(rule.mean, rule.leastPages, regions.count, leftOut);
  new Columns(bytes, 4).words(head, 'write');
  bytes.set(filter.bits, HEADER_BYTES);
  pass(new Columns(bytes, HEADER_BYTES + filter.bits.length), regions, 'write');
  return bytes;
}

/** What is wrong with regions that somebody tells; null: nothing. */
function doubtOf({ lengths, digests, replicas, starts }: Regions): string | null {
  for (let row = 0; row < lengths.length; row += 1) {
    if (lengths[row] === 0 || lengths[row]! > REGION_PAGES_MAX || replicas[row] === 0)
      return `region ${row} has ${lengths[row]!} pages ${replicas[row]!} times; 1 to ${REGION_PAGES_MAX}, at least once, were expected`;
    if (!isTag(starts[row]!) || (row > 0 && digests[row]! <= digests[row - 1]!))
      return `region ${row} is not behind the one before`;
  }
  return null;
}

/** An advertisement of bytes that somebody sent, or what is wrong with them, as a sentence. */
export function decodeAdvertisement(bytes: Uint8Array): Either<string, Advertisement> {
  const [version, sampleLog = 0, bitsLog = 0] = bytes;
  if (bytes.length < HEADER_BYTES || version !== VERSION)
    return either.left(
      `${bytes.length} bytes of version ${version ?? 0}; version ${VERSION} was expected, of ${HEADER_BYTES} bytes at least`,
    );
  const head = new Uint32Array(4);
  new Columns(bytes, 4).words(head, 'read');
  const [mean = 0, leastPages = 0, count = 0, leftOut = 0] = head;
  if (sampleLog > SAMPLE_LOG_MAX || bitsLog > BITS_LOG_MAX || bitsLog < BITS_LOG_MIN)
    return either.left(`a filter of 2^${bitsLog} bits and a sample of 1 in 2^${sampleLog}`);
  if (count > ADVERTISED_REGIONS_MAX || mean === 0 || leastPages === 0)
    return either.left(`${count} regions, cut at 1 in ${mean} and from ${leastPages} pages on`);
  const filterBytes = 2 ** bitsLog / 8;
  const expected = bytesOf(filterBytes, count);
  if (bytes.length !== expected)
    return either.left(`${bytes.length} bytes; ${expected} were expected for ${count} regions`);
  const bits = bytes.slice(HEADER_BYTES, HEADER_BYTES + filterBytes);
  const regions: Regions = {
    count,
    starts: new Float64Array(count),
    digests: new Float64Array(count),
    lengths: new Uint16Array(count),
    replicas: new Uint16Array(count),
    places: new Uint16Array(count),
    gfns: new Uint32Array(count),
  };
  pass(new Columns(bytes, HEADER_BYTES + filterBytes), regions, 'read');
  const doubt = doubtOf(regions);
  if (doubt !== null) return either.left(doubt);
  const filter = { sampleLog, bitsLog, bits };
  return either.right({ rule: { mean, leastPages }, filter, regions, leftOut });
}
