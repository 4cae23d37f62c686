// Rows of changes, as `log` and subscribers have them: filtered, expanded to page events where asked,
// from any place on. Rows come in arrays of bounded length, made when they are taken.
//
// Invariant: a row is made only after the fold has come past its change, so it says what the fold says.

import { RecentMap } from '../../domain/values/recent-map.ts';
import { toHex } from '../../domain/values/identifier.ts';
import { KIND_BROKE } from '../../domain/events/pages-written.ts';
import { contentOf, isContent, type Holding } from '../../domain/values/holding.ts';
import type { CaptureChange, Change } from '../commits.ts';
import type { Contents } from '../models/contents.ts';
import { foldedKinds } from '../models/folded-kinds.ts';
import type { IdentifierColumn } from '../models/identifier-index.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { applyWrites, grownTable, type PageTable } from '../table.ts';
import { eventRows, holdsType, pageRows, type EventRow, type RankedRow } from './event-rows.ts';
import { RANK_FIRST, type Rank } from '../subscriptions/cursor.ts';

/** Rows in an array. */
const ROWS_MAX = 1024;
/** Page tables kept, of the VMs that were expanded last. */
const TABLES_MAX = 16;
const NO_TABLE: PageTable = new Uint32Array(0);

export interface RowFilter {
  readonly vm: string | null;
  /** A page event type: the batches that hold one, or, expanded, those page events alone. */
  readonly type: string | null;
  readonly isExpanded: boolean;
}

/** Hex of a holding's identifier; null for a pattern or a page that is not known. */
export function identifierIn(column: IdentifierColumn, holding: Holding): string | null {
  if (!isContent(holding)) return null;
  const bytes = column.read(contentOf(holding));
  return bytes === null ? null : toHex(bytes);
}

/** Makes the identifiers anew from the log where their file is gone. */
export async function ensureIdentifiers(
  state: LedgerState,
  column: IdentifierColumn,
): Promise<void> {
  const { count } = state.contents;
  if (count === 0) return;
  await column.ready?.();
  // Of what was before history only the last record is sure to be there.
  const isWhole = state.catalogue.history !== null || column.read(0) !== null;
  if (!isWhole || column.read(count - 1) === null) await state.rebuild();
}

/** Takes up to ROWS_MAX rows. */
function take(rows: Iterator<EventRow>): EventRow[] {
  const taken: EventRow[] = [];
  while (taken.length < ROWS_MAX) {
    const next = rows.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}

export class RowLister {
  readonly #state: LedgerState;
  readonly #column: () => IdentifierColumn;
  readonly #filter: RowFilter;
  /** Tables of VMs as of the capture that was expanded last. */
  readonly #tables = new RecentMap<string, { readonly capture: number; readonly table: PageTable }>(
    { max: TABLES_MAX },
  );
  /** What the kept tables' numbers are of. */
  #contents: Contents;

  constructor(
    models: { readonly state: LedgerState; readonly column: () => IdentifierColumn },
    filter: RowFilter,
  ) {
    this.#state = models.state;
    this.#contents = models.state.contents;
    this.#column = models.column;
    this.#filter = filter;
  }

  /** Rows of a change that the filter lets through and that rank after `after`. */
  async *rows(change: Change, after: Rank = RANK_FIRST): AsyncGenerator<readonly EventRow[]> {
    const { vm } = this.#filter;
    if (change._tag === 'damage') return;
    if (change._tag === 'capture' && vm !== null && change.committed.vm !== vm) return;
    await this.#state.foldPast(change.position);
    if (change._tag === 'capture' && this.#state.catalogue.isRepeated(change)) return;
    const before = change._tag === 'capture' ? await this.#before(change) : NO_TABLE;
    const rows = this.#selected(change, { after, before });
    for (;;) {
      await this.#state.foldPast(change.position);
      const taken = take(rows);
      if (taken.length > 0) yield taken;
      if (taken.length < ROWS_MAX) break;
    }
    if (change._tag === 'capture') this.#advance(change);
  }

  /** The state's contents. Where they were folded anew, kept tables may have other numbers. */
  #contentsNow(): Contents {
    const { contents } = this.#state;
    if (contents !== this.#contents) this.#tables.clear();
    this.#contents = contents;
    return contents;
  }

  *#selected(
    change: Change,
    from: { readonly after: Rank; readonly before: PageTable },
  ): Generator<EventRow> {
    const { after, before } = from;
    const { vm, type, isExpanded } = this.#filter;
    const identifierOf = (holding: Holding): string | null => identifierIn(this.#column(), holding);
    for (const ranked of eventRows(change)) {
      const { row, rank, columns } = ranked;
      if (vm !== null && row.vm !== vm) continue;
      if (rank > after && this.#isWanted(change, ranked)) yield row;
      if (!isExpanded || columns === null || change._tag !== 'capture') continue;
      const of = { change, columns, after };
      for (const page of pageRows(this.#state, of, { before, identifierOf }))
        if (type === null || page.type === type) yield page;
    }
  }

  #isWanted(change: Change, { row, columns }: RankedRow): boolean {
    const { type, isExpanded } = this.#filter;
    if (type === null || row.type === type) return true;
    if (isExpanded || columns === null || change._tag !== 'capture') return false;
    return holdsType(this.#state, { change, columns }, type);
  }

  /** The VM's table just before a capture, where a row needs it. */
  async #before(change: CaptureChange): Promise<PageTable> {
    const { type, isExpanded } = this.#filter;
    if (!isExpanded || (type !== null && type !== 'SharingBroken')) return NO_TABLE;
    const isBreaking = change.batches.some((columns) =>
      foldedKinds(this.#state, change, columns).some((kind) => (kind & KIND_BROKE) !== 0),
    );
    if (!isBreaking) return NO_TABLE;
    const { vm, capture } = change.committed;
    const contents = this.#contentsNow();
    const kept = this.#tables.get(vm);
    if (kept?.capture === capture - 1) return kept.table;
    const entry = this.#state.catalogue.vms.get(vm);
    const last = entry?.at(change.position - 1n);
    if (entry === undefined || last === undefined) return NO_TABLE;
    const table = await this.#state.tables.at(entry, contents, last);
    this.#keep(vm, { capture: last.capture, table });
    return table;
  }

  #keep(vm: string, kept: { readonly capture: number; readonly table: PageTable }): void {
    this.#tables.set(vm, kept);
  }

  /** The VM's table, if it is kept, is from now on as after this capture. */
  #advance(change: CaptureChange): void {
    const { vm, capture } = change.committed;
    const contents = this.#contentsNow();
    const kept = this.#tables.get(vm);
    if (kept === undefined) return;
    const isWiped = this.#state.catalogue.vms.get(vm)?.capture(capture)?.isWiped ?? true;
    if (isWiped || kept.capture !== capture - 1) {
      this.#tables.delete(vm);
      return;
    }
    const table = grownTable(kept.table, this.#state.catalogue.vms.get(vm)?.pagesAt(capture) ?? 0);
    applyWrites(table, contents, { batches: change.batches, isWiped: false });
    this.#keep(vm, { capture, table });
  }
}
