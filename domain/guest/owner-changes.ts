// Whose the pages are that differ between two points: by who owns them at the later one, and whose they
// were at the earlier one where that was somebody else.

import type { FrameOwners, OwnedPages, PageOwner } from './owner-table.ts';

/** An owner, and its pages that differ. */
export interface ChangedPages extends OwnedPages {
  /** Of them those that were somebody else's before, most first; null: it is not known whose. */
  readonly before: readonly OwnedPages[] | null;
}

/** Both are the same owner: a process under the same name. */
const isSame = (a: PageOwner, b: PageOwner): boolean =>
  a.owner === b.owner && a.pid === b.pid && a.command === b.command;

/** More owners than there may be. */
const OWNERS_MAX = 2 ** 24;

/** Counts pages that differ, by their owners at both points. */
export class OwnerChanges {
  readonly #after: FrameOwners;
  readonly #before: FrameOwners | null;
  /** Pages by the numbers of both their owners. */
  readonly #pages = new Map<number, number>();

  /** Before: null where it is not known whose pages were. */
  constructor(of: { readonly before: FrameOwners | null; readonly after: FrameOwners }) {
    this.#before = of.before;
    this.#after = of.after;
  }

  /** A page differs that is this frame at either point; null: no address leads to it there. */
  add(frames: { readonly before: number | null; readonly after: number | null }): void {
    const before = this.#before?.numberOf(frames.before) ?? 0;
    const pair = this.#after.numberOf(frames.after) * OWNERS_MAX + before;
    this.#pages.set(pair, (this.#pages.get(pair) ?? 0) + 1);
  }

  /** Owners of the pages at the later point, that of most pages first. */
  rows(): readonly ChangedPages[] {
    const rows = new Map<number, { pages: number; before: OwnedPages[] }>();
    const byPages = (a: OwnedPages, b: OwnedPages): number => b.pages - a.pages;
    for (const [pair, pages] of this.#pages) {
      const after = Math.floor(pair / OWNERS_MAX);
      const row = rows.get(after) ?? { pages: 0, before: [] };
      row.pages += pages;
      const was = this.#before?.named(pair % OWNERS_MAX) ?? null;
      if (was !== null && !isSame(was, this.#after.named(after)))
        row.before.push({ ...was, pages });
      rows.set(after, row);
    }
    return [...rows]
      .map(([after, { pages, before }]) => ({
        ...this.#after.named(after),
        pages,
        before: this.#before === null ? null : before.toSorted(byPages),
      }))
      .toSorted(byPages);
  }
}
