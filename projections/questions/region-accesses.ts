// Accesses to a VM's memory, by large page: how many of its pages were accessed in an interval, and how
// often. What is known of them: the pages that captures wrote, each once a capture, and those that guests
// asked for which ran from one of them before their memory was there. A page that a guest reads and has, or
// that came to it unasked, nobody sees: where nothing is told of a region, nobody may have read it, or many.

import type { Measure } from '../../domain/large-pages.ts';
import { pagesOf, type Trace } from '../../domain/requests.ts';
import { regionsIn } from '../../domain/region-pages.ts';
import { REGION_PAGES } from '../../domain/values/page.ts';
import type { PageColumns } from '../../domain/events/pages-written.ts';
import { decodeBatches } from '../commits.ts';
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';
import { grownTable, holdingsOf, unknownTable, type PageTable } from '../table.ts';
import type { ComparedState } from './equal-contents.ts';

/** Accesses in an interval. Memory: a byte a page, and 6 a region. */
export class RegionAccesses {
  readonly #seen: Uint8Array;
  readonly #distinct: Uint16Array;
  readonly #total: Uint32Array;

  constructor(pages: number) {
    const regions = regionsIn(pages);
    this.#seen = new Uint8Array(regions * REGION_PAGES);
    this.#distinct = new Uint16Array(regions);
    this.#total = new Uint32Array(regions);
  }

  get regions(): number {
    return this.#distinct.length;
  }

  /** A page was accessed; one behind the last whole region is none of any. */
  note(gfn: number): void {
    if (gfn >= this.#seen.length) return;
    const region = Math.floor(gfn / REGION_PAGES);
    this.#total[region]! += 1;
    if (this.#seen[gfn] === 1) return;
    this.#seen[gfn] = 1;
    this.#distinct[region]! += 1;
  }

  /** The pages of a trace were. */
  noteTrace(trace: Trace | undefined): void {
    for (const [first, last] of pagesOf(trace ?? []))
      for (let gfn = first; gfn <= last && gfn < this.#seen.length; gfn += 1) this.note(gfn);
  }

  /** What a region's activity is. */
  activityOf(region: number, measure: Measure): number {
    return (measure === 'distinct' ? this.#distinct : this.#total)[region]!;
  }
}

/**
 * Pages that batches wrote. Where pages are held large some are stored anew only to be held otherwise: that
 * they hold what they held is told by their contents, from the capture before the interval on.
 */
class WrittenPages {
  readonly #compared: ComparedState;
  readonly #table: PageTable | null;

  private constructor(compared: ComparedState, table: PageTable | null) {
    this.#compared = compared;
    this.#table = table;
  }

  static async after(
    compared: ComparedState,
    entry: VmEntry,
    { since, pages }: { readonly since: number; readonly pages: number },
  ): Promise<WrittenPages> {
    const { tables, contents } = compared.state;
    if (!contents.held.hasLarge) return new WrittenPages(compared, null);
    const row = entry.capture(since);
    const table = row === undefined ? unknownTable(0) : await tables.at(entry, contents, row);
    return new WrittenPages(compared, grownTable(table.slice(), pages));
  }

  /** Pages of a batch, the next one in log order. */
  in(columns: PageColumns): Iterable<number> {
    return this.#table === null ? columns.gfns : this.#written(this.#table, columns);
  }

  *#written(table: PageTable, columns: PageColumns): Generator<number> {
    const { equal, state } = this.#compared;
    for (const [row, holding] of holdingsOf(state.contents, columns).entries()) {
      const gfn = columns.gfns[row]!;
      if (!equal.areEqual(table[gfn]!, holding)) yield gfn;
      table[gfn] = holding;
    }
  }
}

/** An interval of a VM's history: accesses after one capture, up to another. */
export interface Interval {
  readonly entry: VmEntry;
  readonly since: number;
  readonly row: CaptureRow;
}

/**
 * The accesses of an interval; null: not all that was written in it is known, or there is no interval.
 * O(page events in it).
 */
export async function accessesIn(
  compared: ComparedState,
  { entry, since, row }: Interval,
): Promise<RegionAccesses | null> {
  const { state } = compared;
  const rows = entry.between(since, row.capture);
  if (since < 1 || rows.length === 0 || rows.length < row.capture - since) return null;
  const accesses = new RegionAccesses(entry.pagesAt(row.capture));
  const written = await WrittenPages.after(compared, entry, {
    since,
    pages: entry.pagesAt(row.capture),
  });
  for (const each of rows) {
    if (each.isWiped || each.damage !== null) return null;
    const { batches, damage } = decodeBatches(await state.tables.events(entry.vm, each));
    if (damage !== null) return null;
    for (const columns of batches) for (const gfn of written.in(columns)) accesses.note(gfn);
  }
  const traces = state.traces.get(entry.vm);
  for (let capture = since; capture <= row.capture; capture += 1)
    accesses.noteTrace(traces?.get(capture));
  return accesses;
}
