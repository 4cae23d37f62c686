// What has changed of an advertisement since an earlier one (docs/format.md, "Advertisements"): the regions
// that are told no more, by their digests, and an advertisement of those that are new. Of its filter, where
// both are as long, the bits that differ.
//
//   u32 gone | digests, 6 each, ascending | an advertisement of the new regions

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { mergedRegions, regionIndex, rowsOf, TAG_BYTES, type Regions } from '../values/regions.ts';
import type { TagFilter } from '../values/tag-filter.ts';
import {
  ADVERTISED_REGIONS_MAX,
  decodeAdvertisement,
  encodeAdvertisement,
  type Advertisement,
} from './advertisement.ts';

const COUNT_BYTES = 4;

/** Whether a row says the same in two advertisements. */
function isSame(a: Regions, row: number, b: Regions, other: number): boolean {
  return (
    a.starts[row] === b.starts[other] &&
    a.lengths[row] === b.lengths[other] &&
    a.replicas[row] === b.replicas[other] &&
    a.places[row] === b.places[other] &&
    a.gfns[row] === b.gfns[other]
  );
}

/** Rows of regions that others do not have, or have otherwise. O(rows). */
function rowsNotIn(regions: Regions, others: Regions): readonly number[] {
  const index = regionIndex(others);
  const rows: number[] = [];
  for (let row = 0; row < regions.count; row += 1) {
    const other = index.get(regions.digests[row]!);
    if (other === undefined || !isSame(regions, row, others, other)) rows.push(row);
  }
  return rows;
}

/** A filter with the bits in which it differs from another, or the filter of such bits again. */
function differing(filter: TagFilter, before: TagFilter): TagFilter {
  if (filter.bitsLog !== before.bitsLog) return filter;
  return { ...filter, bits: filter.bits.map((byte, i) => byte ^ before.bits[i]!) };
}

/** The bytes of what is otherwise in an advertisement than in the one before. */
export function encodeChange(before: Advertisement, after: Advertisement): Uint8Array {
  const gone = rowsNotIn(before.regions, after.regions);
  const come = rowsOf(after.regions, rowsNotIn(after.regions, before.regions));
  const told = encodeAdvertisement({
    ...after,
    filter: differing(after.filter, before.filter),
    regions: come,
  });
  const bytes = new Uint8Array(COUNT_BYTES + gone.length * TAG_BYTES + told.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, gone.length, true);
  for (const [i, row] of gone.entries()) {
    const digest = before.regions.digests[row]!;
    view.setUint32(COUNT_BYTES + i * TAG_BYTES, digest % 2 ** 32, true);
    view.setUint16(COUNT_BYTES + i * TAG_BYTES + 4, Math.floor(digest / 2 ** 32), true);
  }
  bytes.set(told, COUNT_BYTES + gone.length * TAG_BYTES);
  return bytes;
}

/** The advertisement after a change that somebody sent, or what is wrong with that, as a sentence. */
export function decodeChange(
  before: Advertisement,
  bytes: Uint8Array,
): Either<string, Advertisement> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length < COUNT_BYTES ? 0 : view.getUint32(0, true);
  const end = COUNT_BYTES + count * TAG_BYTES;
  if (bytes.length < end || count > before.regions.count)
    return either.left(
      `${bytes.length} bytes of a change in which ${count} regions of ${before.regions.count} go`,
    );
  const index = regionIndex(before.regions);
  const gone = new Set<number>();
  for (let at = COUNT_BYTES; at < end; at += TAG_BYTES) {
    const row = index.get(view.getUint16(at + 4, true) * 2 ** 32 + view.getUint32(at, true));
    if (row === undefined) return either.left('a region goes that was not told');
    gone.add(row);
  }
  const rows = Array.from({ length: before.regions.count }, (_, row) => row);
  const kept = rowsOf(
    before.regions,
    rows.filter((row) => !gone.has(row)),
  );
  const told = decodeAdvertisement(bytes.subarray(end));
  if (either.isLeft(told)) return told;
  const regions = mergedRegions(kept, told.right.regions);
  if (regions === null) return either.left('a region comes that is there');
  if (regions.count > ADVERTISED_REGIONS_MAX)
    return either.left(`${regions.count} regions; at most ${ADVERTISED_REGIONS_MAX} were expected`);
  const filter = differing(told.right.filter, before.filter);
  return either.right({ ...told.right, filter, regions });
}
