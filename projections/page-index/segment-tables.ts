// Page tables as they were before the events that a segment is made of: what a write put an end to.

import { assert } from '../../domain/values/assert.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { grownTable, unknownTable, type PageTable } from '../table.ts';
import { KIND_HELD, type RecentEvents } from './recent-events.ts';

/** Page tables kept from one segment to the next. */
const TABLES_MAX = 16;

export class SegmentTables {
  readonly #state: LedgerState;
  readonly #kept = new Map<number, { readonly capture: number; readonly table: PageTable }>();

  constructor(state: LedgerState) {
    this.#state = state;
  }

  clear(): void {
    this.#kept.clear();
  }

  /**
   * Tables just before the first of the events, with room for all pages that the VMs have now, by the
   * VMs' numbers; `vms` are the names. O(pages).
   */
  async before(recent: RecentEvents, vms: readonly string[]): Promise<Map<number, PageTable>> {
    const { catalogue, contents, tables: images } = this.#state;
    const tables = new Map<number, PageTable>();
    for (const number of recent.vms()) {
      const first = recent.captures.find(({ vm }) => vm === number)!;
      const entry = catalogue.vms.get(vms[number]!);
      assert(entry !== undefined, 'a VM that was captured is in the catalogue');
      const isStart = first.kinds[0] === KIND_HELD;
      const before = isStart ? undefined : entry.rows.at(entry.rows.indexOf(first.capture - 1));
      const kept = this.#kept.get(number);
      let table = unknownTable(0);
      if (before !== undefined)
        table =
          kept?.capture === before.capture ? kept.table : await images.at(entry, contents, before);
      tables.set(number, grownTable(table, entry.pagesAt(Infinity)));
    }
    return tables;
  }

  /** Keeps tables that the events were applied to, for the next segment. */
  keep(recent: RecentEvents, tables: ReadonlyMap<number, PageTable>): void {
    this.#kept.clear();
    for (const [number, table] of tables) {
      if (this.#kept.size === TABLES_MAX) break;
      const { capture } = recent.captures.findLast(({ vm }) => vm === number)!;
      this.#kept.set(number, { capture, table });
    }
  }
}
