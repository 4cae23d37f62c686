// What other settings would have cost, from the record alone: events and tables of blocks, no page is
// read. Cost: O(page events) of the whole history, each with its fifteen neighbours. Memory: 9 bytes a
// content, and 8 to 23 for each distinct page of a setting.
//
// How the estimates are made: a page takes its part of its block as it is stored now. A page that is a
// patch would take what its reference takes, since it is like it. A large page takes what its pages
// would, without patches; large pages of patterns alone take nothing. What a setting changes in how
// well neighbours compress together, and in the log, is not in the figures.

import { contentOf, isContent, isTold, type Holding } from '../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import type { Contents } from '../models/contents.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';
import { FreeHistory, type FreeEvents, type FreePagesOf } from './free-pages.ts';
import { PairSet } from './pair-set.ts';
import { StoredSizes } from './stored-sizes.ts';
import { walkTables } from './table-walk.ts';

export const SETTINGS = [
  'as recorded',
  'no patches',
  'patterns only',
  'no sharing between VMs',
  'pages of 16 KiB',
  'pages of 64 KiB',
  'without free pages',
] as const;

export type Setting = (typeof SETTINGS)[number];

/** What a setting of sharing would have stored. */
export interface WhatIf {
  readonly setting: Setting;
  /** Bytes of a page under the setting. */
  readonly pageBytes: number;
  /** Pages of that size that would be stored. */
  readonly pages: number;
  readonly storedBytes: number;
  readonly isEstimate: boolean;
  /** Where guests were asked which of their pages are free. */
  readonly free?: FreeEvents;
}

interface Cost {
  pages: number;
  bytes: number;
}

const nothing = (): Cost => ({ pages: 0, bytes: 0 });

/** Counts a page. What was released since takes nothing under any setting. */
function add(cost: Cost, bytes: number): void {
  if (bytes === 0) return;
  cost.pages += 1;
  cost.bytes += bytes;
}

/** Sizes of contents as they are, and as they would be if none were a patch; each worked out once. */
class PageSizes {
  readonly #contents: Contents;
  readonly #sizes: StoredSizes;
  readonly #stored: Float32Array;
  readonly #whole: Float32Array;

  constructor(contents: Contents) {
    this.#contents = contents;
    this.#sizes = new StoredSizes(contents);
    this.#stored = new Float32Array(contents.count).fill(Number.NaN);
    this.#whole = new Float32Array(contents.count).fill(Number.NaN);
  }

  stored(holding: Holding): number {
    const known = this.#stored[contentOf(holding)]!;
    if (!Number.isNaN(known)) return known;
    const bytes = this.#sizes.bytesOf(holding);
    this.#stored[contentOf(holding)] = bytes;
    return bytes;
  }

  whole(holding: Holding): number {
    const known = this.#whole[contentOf(holding)]!;
    if (!Number.isNaN(known)) return known;
    const place = this.#contents.placeOf(holding);
    const reference = place < 0 ? null : this.#contents.referenceAt(place);
    const bytes = this.#sizes.bytesOf(reference ?? holding);
    this.#whole[contentOf(holding)] = bytes;
    return bytes;
  }
}

/** Pages of several neighbours: what they would have cost if they were what is compared and stored. */
class LargePages {
  readonly pages: number;
  readonly cost = nothing();
  readonly #sizes: PageSizes;
  readonly #known = new PairSet();
  /** Large pages that the capture under way wrote to, ascending but for wiped tables. */
  #touched: number[] = [];

  constructor(pages: number, sizes: PageSizes) {
    this.pages = pages;
    this.#sizes = sizes;
  }

  touch(gfn: number): void {
    const large = Math.floor(gfn / this.pages);
    if (this.#touched.at(-1) !== large) this.#touched.push(large);
  }

  /** The capture under way is whole. */
  settle(table: Uint32Array): void {
    for (const large of this.#touched) {
      const first = large * this.pages;
      const end = Math.min(table.length, first + this.pages);
      if (this.#isNew(table, first, end)) add(this.cost, this.#bytesOf(table, first, end));
    }
    this.#touched = [];
  }

  /** Whether these neighbours were never seen, by a 64-bit hash of what they hold; never for patterns alone. */
  #isNew(table: Uint32Array, first: number, end: number): boolean {
    let low = 0x811c_9dc5;
    let high = 0x2545_f491;
    let hasContent = false;
    for (let gfn = first; gfn < end; gfn += 1) {
      const holding = table[gfn]!;
      hasContent ||= isContent(holding);
      low = Math.imul(low ^ holding, 0x0100_0193);
      low ^= low >>> 15;
      high = Math.imul(high ^ (holding + gfn - first), 0x9e37_79b1);
      high ^= high >>> 13;
    }
    return hasContent && this.#known.add(low >>> 0, (high | 1) >>> 0);
  }

  #bytesOf(table: Uint32Array, first: number, end: number): number {
    let bytes = 0;
    for (let gfn = first; gfn < end; gfn += 1)
      if (isContent(table[gfn]!)) bytes += this.#sizes.whole(table[gfn]!);
    return bytes;
  }
}

const LARGE_PAGES: readonly (readonly [Setting, number])[] = [
  ['pages of 16 KiB', 4],
  ['pages of 64 KiB', 16],
];

/**
 * What the whole history would have cost under each setting, in the order of SETTINGS; without free pages
 * where it is said how guests are asked for them, at each of their captures.
 */
export async function whatIf(ports: {
  readonly state: LedgerState;
  readonly replay: Replay;
  readonly freePagesOf?: FreePagesOf;
}): Promise<readonly WhatIf[]> {
  const { contents } = ports.state;
  const sizes = new PageSizes(contents);
  const recorded = nothing();
  const whole = nothing();
  const written = nothing();
  const apart = nothing();
  const isSeen = new Uint8Array(contents.count);
  const heldBy = new PairSet();
  const numbers = new Map<string, number>();
  const larges = LARGE_PAGES.map(([setting, pages]) => ({
    setting,
    large: new LargePages(pages, sizes),
  }));
  const free =
    ports.freePagesOf === undefined ? null : new FreeHistory(contents, ports.freePagesOf);
  await walkTables(ports, {
    page: (vm, gfn, _old, next) => {
      if (!isTold(next)) return;
      for (const { large } of larges) large.touch(gfn);
      free?.write(gfn);
      if (!isContent(next)) return;
      const bytes = sizes.whole(next);
      add(written, bytes);
      let number = numbers.get(vm);
      if (number === undefined) {
        number = numbers.size + 1;
        numbers.set(vm, number);
      }
      if (heldBy.add(number, next)) add(apart, sizes.stored(next));
      if (isSeen[contentOf(next)] === 1) return;
      isSeen[contentOf(next)] = 1;
      add(recorded, sizes.stored(next));
      add(whole, bytes);
    },
    captured: async (entry, row, { table }) => {
      for (const { large } of larges) large.settle(table);
      await free?.settle({ entry, row }, table);
    },
  });
  const row = (setting: Setting, { pages, bytes }: Cost, pageBytes = PAGE_BYTES): WhatIf => ({
    setting,
    pageBytes,
    pages,
    storedBytes: Math.round(bytes),
    isEstimate: setting !== 'as recorded',
  });
  const needed = free?.needed ?? null;
  return [
    row('as recorded', recorded),
    row('no patches', whole),
    row('patterns only', written),
    row('no sharing between VMs', apart),
    ...larges.map(({ setting, large }) => row(setting, large.cost, large.pages * PAGE_BYTES)),
    ...(needed === null
      ? []
      : [
          {
            ...row('without free pages', { pages: needed.count, bytes: needed.bytes }),
            free: free!.events,
          },
        ]),
  ];
}
