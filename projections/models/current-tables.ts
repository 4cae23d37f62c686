// The page tables of VMs where the fold stands. Few are kept in memory; any other is made of an image
// and the batches since (page-tables.ts), so this model has no state file: its images are what it
// keeps.

import type { Position } from '../../domain/ports/event-log.ts';
import { RecentMap } from '../../domain/values/recent-map.ts';
import type { Change } from '../commits.ts';
import type { Catalogue } from './catalogue.ts';
import type { VmEntry } from './vm-entry.ts';
import type { Contents } from './contents.ts';
import type { PageTables } from './page-tables.ts';
import { grownTable, takeFirsts, type PageTable } from '../table.ts';

/** Page tables kept in memory between folds. */
const TABLES_MAX = 64;

interface TablesSee {
  readonly catalogue: Catalogue;
  readonly contents: Contents;
  readonly isNew: boolean;
}

export class CurrentTables {
  /** Page tables at any capture. */
  readonly pages: PageTables;
  readonly #kept = new RecentMap<string, PageTable>({ max: TABLES_MAX });
  /** Images of what damage left are not kept: a log that is put back from a copy is folded anew. */
  #hasMetDamage = false;

  constructor(pages: PageTables) {
    this.pages = pages;
  }

  /**
   * A VM's table after its last capture before a position: the one that the fold writes to. With room
   * for so many pages at least.
   */
  async before(
    entry: VmEntry,
    contents: Contents,
    { position, pages }: { readonly position: Position; readonly pages: number },
  ): Promise<PageTable | null> {
    const kept = this.#kept.get(entry.vm);
    if (kept === undefined && entry.state.registered === null) return null;
    const last = entry.at(position - 1n);
    const table =
      kept ??
      (last === undefined
        ? await this.pages.start(entry)
        : await this.pages.at(entry, contents, last));
    const grown = grownTable(table, pages);
    if (grown !== kept) this.#kept.set(entry.vm, grown);
    return grown;
  }

  /** A copy of a VM's table where the fold stands; null before its first capture. */
  async copy(entry: VmEntry, contents: Contents): Promise<PageTable | null> {
    const last = entry.rows.last;
    if (last === undefined) return null;
    let table = this.#kept.get(entry.vm);
    if (table === undefined) {
      table = await this.pages.at(entry, contents, last);
      this.#kept.set(entry.vm, table);
    }
    return table.slice();
  }

  /** Pages hold what stands now for what they held. */
  renumber(contents: Contents): void {
    for (const table of this.#kept.values()) takeFirsts(contents, table);
  }

  /** Keeps the image of a capture that one belongs to, and forgets VMs that take no more captures. */
  async apply(change: Change, { catalogue, contents, isNew }: TablesSee): Promise<void> {
    if (change._tag === 'control' && change.event.type === 'VmRetired')
      this.#kept.delete(change.event.data.vm);
    if (change._tag === 'damage') this.#hasMetDamage = true;
    if (change._tag !== 'capture') return;
    if (change.damage !== null) this.#hasMetDamage = true;
    const { vm, capture } = change.committed;
    const table = this.#kept.get(vm);
    if (table === undefined || this.#hasMetDamage || !isNew) return;
    const entry = catalogue.vms.get(vm);
    const row = entry?.images.at(-1) === capture ? entry.capture(capture) : undefined;
    if (row !== undefined) await this.pages.saveImage({ vm, row, contents }, table);
  }
}
