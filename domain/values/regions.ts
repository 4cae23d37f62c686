// Regions: runs of contiguous pages, cut where their content says so, so that two hosts that hold the same
// pages one after the other cut them alike wherever their runs begin and end. A page is known here by its
// tag, the first 48 bits of its keyed identifier: enough to choose a host by, and never to take content by.
// Data plane: typed arrays, one pass over a page table.

/** Bytes of an identifier, or of a digest, that are told. */
export const TAG_BYTES = 6;
/** Tags are below this number. */
const TAGS = 2 ** (8 * TAG_BYTES);
const WORD = 2 ** 32;
/** In a column of tags: the page holds no content, or one that is not known. */
export const NO_TAG = -1;
/** Most pages of a region: those of a large page. */
export const REGION_PAGES_MAX = 512;
/** A region ends, else, behind one in so many pages. */
export const REGION_MEAN = 8;

/** How regions are cut, and which are left out. */
export interface RegionRule {
  /** A region ends behind a page whose tag this divides; from 1. */
  readonly mean: number;
  /** Shorter ones are left out; from 1. */
  readonly leastPages: number;
}

/** Runs of a page table, in the order of their pages: a row a run, rows of all columns the same. */
export interface Runs {
  readonly count: number;
  readonly gfns: Uint32Array;
  readonly lengths: Uint16Array;
  readonly starts: Float64Array;
  readonly digests: Float64Array;
}

/** Regions that a host holds, each once, digests ascending: a row a region. */
export interface Regions {
  readonly count: number;
  /** Tag of its first page. */
  readonly starts: Float64Array;
  /** Of the tags of all its pages, in their order. */
  readonly digests: Float64Array;
  readonly lengths: Uint16Array;
  /** How often the host has it; at most 65,535. */
  readonly replicas: Uint16Array;
  /** Where it is first: the number of a point among those that the host holds, and a page of that. */
  readonly places: Uint16Array;
  readonly gfns: Uint32Array;
}

/** The tag of an identifier. */
export function tagOf(identifier: Uint8Array): number {
  let tag = 0;
  for (let i = TAG_BYTES - 1; i >= 0; i -= 1) tag = tag * 256 + identifier[i]!;
  return tag;
}

/** Whether a number can be a tag. */
export const isTag = (tag: number): boolean => tag >= 0 && tag < TAGS;

/** Of two halves that are mixed page by page: 48 bits. */
const digestOf = (low: number, high: number): number => (high & 0xffff) * WORD + (low >>> 0);

const mixed = (state: number, word: number): number => {
  const x = Math.imul(state ^ word, 0x9e37_79b1);
  return x ^ (x >>> 15);
};

/** The runs of a page table of tags. O(pages). */
export function runsOf(tags: Float64Array, { mean, leastPages }: RegionRule): Runs {
  const gfns = new Uint32Array(tags.length);
  const lengths = new Uint16Array(tags.length);
  const starts = new Float64Array(tags.length);
  const digests = new Float64Array(tags.length);
  let count = 0;
  let first = 0;
  let low = 1;
  let high = 2;
  for (let gfn = 0; gfn < tags.length; gfn += 1) {
    const tag = tags[gfn]!;
    if (tag === NO_TAG) {
      first = gfn + 1;
      continue;
    }
    if (first === gfn) {
      low = 1;
      high = 2;
    }
    low = mixed(low, tag % WORD);
    high = mixed(high, low ^ Math.floor(tag / WORD));
    const length = gfn + 1 - first;
    const isLast = gfn + 1 === tags.length || tags[gfn + 1] === NO_TAG;
    if (!isLast && length < REGION_PAGES_MAX && tag % mean !== 0) continue;
    if (length >= leastPages) {
      gfns[count] = first;
      lengths[count] = length;
      starts[count] = tags[first]!;
      digests[count] = digestOf(low, high);
      count += 1;
    }
    first = gfn + 1;
  }
  return {
    count,
    gfns: gfns.slice(0, count),
    lengths: lengths.slice(0, count),
    starts: starts.slice(0, count),
    digests: digests.slice(0, count),
  };
}

const REPLICAS_MAX = 2 ** 16 - 1;

/** The rows of regions that these numbers name, in their order. */
export function rowsOf(regions: Regions, rows: readonly number[]): Regions {
  const picked = <C extends Float64Array | Uint16Array | Uint32Array>(column: C, made: C): C => {
    for (const [i, row] of rows.entries()) made[i] = column[row]!;
    return made;
  };
  const { length } = rows;
  return {
    count: length,
    starts: picked(regions.starts, new Float64Array(length)),
    digests: picked(regions.digests, new Float64Array(length)),
    lengths: picked(regions.lengths, new Uint16Array(length)),
    replicas: picked(regions.replicas, new Uint16Array(length)),
    places: picked(regions.places, new Uint16Array(length)),
    gfns: picked(regions.gfns, new Uint32Array(length)),
  };
}

/** Whether a row of regions is the same as a run. */
const isRow = (regions: Regions, row: number, runs: Runs, run: number): boolean =>
  regions.starts[row] === runs.starts[run] && regions.lengths[row] === runs.lengths[run];

/** The regions of a host that holds these points, by the runs of each. O(runs). */
export function regionsOf(points: readonly Runs[]): Regions {
  const most = points.reduce((sum, { count }) => sum + count, 0);
  const all: Regions = {
    count: most,
    starts: new Float64Array(most),
    digests: new Float64Array(most),
    lengths: new Uint16Array(most),
    replicas: new Uint16Array(most),
    places: new Uint16Array(most),
    gfns: new Uint32Array(most),
  };
  const rows = new Map<number, number>();
  for (const [place, runs] of points.entries())
    for (let run = 0; run < runs.count; run += 1) {
      const digest = runs.digests[run]!;
      const known = rows.get(digest);
      if (known !== undefined) {
        // Two that differ and have one digest: the first stands, the other is not told.
        if (isRow(all, known, runs, run) && all.replicas[known]! < REPLICAS_MAX)
          all.replicas[known]! += 1;
        continue;
      }
      const row = rows.size;
      rows.set(digest, row);
      all.starts[row] = runs.starts[run]!;
      all.digests[row] = digest;
      all.lengths[row] = runs.lengths[run]!;
      all.replicas[row] = 1;
      all.places[row] = place;
      all.gfns[row] = runs.gfns[run]!;
    }
  return rowsOf(
    all,
    [...rows].toSorted(([a], [b]) => a - b).map(([, row]) => row),
  );
}

/** The regions of most pages, as many as there may be; of equals those of lower digests. */
export function longestRegions(regions: Regions, most: number): Regions {
  if (regions.count <= most) return regions;
  const rows = Array.from({ length: regions.count }, (_, row) => row);
  const { lengths } = regions;
  const kept = rows.toSorted((a, b) => lengths[b]! - lengths[a]! || a - b).slice(0, most);
  return rowsOf(
    regions,
    kept.toSorted((a, b) => a - b),
  );
}

/** Regions of both, digests ascending; null: some are in both. O(rows log rows). */
export function mergedRegions(one: Regions, other: Regions): Regions | null {
  const both = <C extends Float64Array | Uint16Array | Uint32Array>(a: C, b: C, made: C): C => {
    made.set(a);
    made.set(b, a.length);
    return made;
  };
  const count = one.count + other.count;
  const all: Regions = {
    count,
    starts: both(one.starts, other.starts, new Float64Array(count)),
    digests: both(one.digests, other.digests, new Float64Array(count)),
    lengths: both(one.lengths, other.lengths, new Uint16Array(count)),
    replicas: both(one.replicas, other.replicas, new Uint16Array(count)),
    places: both(one.places, other.places, new Uint16Array(count)),
    gfns: both(one.gfns, other.gfns, new Uint32Array(count)),
  };
  const order = Array.from({ length: count }, (_, row) => row);
  const sorted = rowsOf(
    all,
    order.toSorted((a, b) => all.digests[a]! - all.digests[b]!),
  );
  const { digests } = sorted;
  return digests.some((digest, row) => row > 0 && digest === digests[row - 1]) ? null : sorted;
}

/** Pages of all regions, each region once. */
export const pagesIn = ({ lengths }: Pick<Regions, 'lengths'>): number =>
  lengths.reduce((sum, length) => sum + length, 0);

/** What a VM and a host have in common. */
export interface Common {
  readonly regions: number;
  readonly pages: number;
  /** Pages among these that the VM uses. */
  readonly used: number;
}

/** The rows of regions by their digests: for look-ups. */
export const regionIndex = ({ digests }: Regions): ReadonlyMap<number, number> =>
  new Map(Array.from(digests, (digest, row) => [digest, row]));

/** Regions that a host holds, with their rows by their digests. */
export interface HeldRegions {
  readonly regions: Regions;
  readonly index: ReadonlyMap<number, number>;
}

/** The numbers of the runs of a VM that are among any of these. */
function* runsAmong(runs: Runs, holds: readonly HeldRegions[]): Generator<number> {
  for (let run = 0; run < runs.count; run += 1) {
    const isHeld = holds.some(({ regions, index }) => {
      const row = index.get(runs.digests[run]!);
      return row !== undefined && isRow(regions, row, runs, run);
    });
    if (isHeld) yield run;
  }
}

/** The pages of a VM that a host holds, ascending. */
export function* pagesAmong(runs: Runs, holds: readonly HeldRegions[]): Generator<number> {
  for (const run of runsAmong(runs, holds)) {
    const first = runs.gfns[run]!;
    for (let i = 0; i < runs.lengths[run]!; i += 1) yield first + i;
  }
}

/** The runs of a VM that a host holds; `used`: where [gfn] is 1, the VM uses the page. O(runs + pages). */
export function commonOf(
  runs: Runs,
  of: { readonly holds: readonly HeldRegions[]; readonly used: Uint8Array },
): Common {
  const { holds, used: isUsed } = of;
  let count = 0;
  let pages = 0;
  let used = 0;
  for (const run of runsAmong(runs, holds)) {
    const first = runs.gfns[run]!;
    const end = first + runs.lengths[run]!;
    count += 1;
    pages += end - first;
    for (let gfn = first; gfn < end; gfn += 1) used += isUsed[gfn] ?? 0;
  }
  return { regions: count, pages, used };
}
