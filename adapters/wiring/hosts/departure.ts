// A point's memory on its way to another host, at the source: what its pages are known by, and those of
// them that the target asks for.

import { contentOf, holdingOfContent, isContent, ZERO } from '../../../domain/values/holding.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import { assert } from '../../../domain/values/assert.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import { ensureIdentifiers } from '../../../projections/questions/row-lister.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { labelOf, tableOf, type VmPoint } from '../ledger/vm-point.ts';
import { readPoint } from '../points/point-reader.ts';
import { deviceStateOf } from '../restore/restore.ts';
import { PagePatches, type SentPages } from './page-patches.ts';

/** What a page is announced as. */
export const PAGE_ZERO = 0;
export const PAGE_CONTENT = 1;
/** A pattern: it is known by no identifier, and is sent. */
export const PAGE_PATTERN = 2;
/** As in the capture that was sent before over the same link: it is known there, whatever it is. */
export const PAGE_AS_BEFORE = 3;

/** Pages announced at once. */
export const ANNOUNCED_PAGES = 4096;

/** Consecutive pages, by what they are and what contents among them are known by. */
export interface AnnouncedPages {
  readonly firstPage: number;
  /** A byte a page. */
  readonly kinds: Uint8Array;
  /** IDENTIFIER_BYTES for each page that is a content. */
  readonly identifiers: Uint8Array;
}

/** Which of some announced pages a target asks for, counted from the first of them. */
export interface WantedPages {
  /** Pages that were announced. */
  readonly count: number;
  /** Ascending. */
  readonly pages: readonly number[];
  /** Of pages among these: the identifier of what the target has that may be similar. */
  readonly references: ReadonlyMap<number, Uint8Array>;
}

/** What a target is told of a capture before its pages. */
export interface OfferedCapture {
  readonly vm: string;
  readonly capture: number;
  readonly group: string;
  readonly keyCheck: string;
  readonly memoryMap: MemoryMap;
  readonly argv: readonly string[] | null;
  readonly timeMs: number;
  readonly pauseMs: number | null;
  readonly mode: string;
  readonly source: string;
  readonly pages: number;
  readonly hasDevice: boolean;
}

/** A point that is sent. */
export class Departure {
  readonly offer: OfferedCapture;
  readonly #ledger: Ledger;
  readonly #point: VmPoint;
  readonly #table: Uint32Array;
  /** What the target has recorded of the VM last; null: nothing, or another memory. */
  readonly #before: Uint32Array | null;
  /** Where [gfn] is 1, the target has the page or it is zero. */
  readonly #held: Uint8Array;
  /** Contents that pages may be sent as patches of, where this ledger has them too. */
  readonly #references: Uint32Array;

  private constructor(
    ledger: Ledger,
    point: VmPoint,
    of: { readonly table: Uint32Array; readonly before: Uint32Array | null },
  ) {
    const { table, before } = of;
    this.#ledger = ledger;
    this.#point = point;
    this.#table = table;
    this.#before = before;
    this.#held = new Uint8Array(table.length).fill(1);
    this.#references = new Uint32Array(table.length);
    const { entry, row } = point;
    const { registered } = entry.state;
    assert(registered !== null, 'a VM with a capture is registered');
    this.offer = {
      vm: entry.vm,
      capture: row.capture,
      group: registered.group,
      keyCheck: ledger.state.catalogue.facts.groups.get(registered.group) ?? '',
      memoryMap: memoryMapOf(point),
      argv: entry.argvAt(row.capture),
      timeMs: row.timeMs,
      pauseMs: row.pauseMs,
      mode: row.mode,
      source: row.source,
      pages: table.length,
      hasDevice: row.hasDevice,
    };
  }

  /**
   * `before`: a point of the VM that the target took over the same link. POINT_DAMAGED where it is not known
   * what all its pages hold.
   */
  static async of(
    ledger: Ledger,
    point: VmPoint,
    before: VmPoint | null = null,
  ): Promise<Departure> {
    await ensureIdentifiers(ledger.state, ledger.column);
    const { contents } = ledger.state;
    const sent = before === null ? null : await tableOf(ledger, before, { isWhole: false });
    const table = await tableOf(ledger, point, { isWhole: true });
    // Numbers of contents that were given anew in between say nothing of each other.
    const isLike = sent?.length === table.length && ledger.state.contents === contents;
    return new Departure(ledger, point, { table, before: isLike ? sent : null });
  }

  /** All pages, as they are announced, in their order. */
  *announced(): Generator<AnnouncedPages> {
    const table = this.#table;
    for (let firstPage = 0; firstPage < table.length; firstPage += ANNOUNCED_PAGES) {
      const holdings = table.subarray(firstPage, firstPage + ANNOUNCED_PAGES);
      const kinds = new Uint8Array(holdings.length);
      const identifiers = new Uint8Array(holdings.length * IDENTIFIER_BYTES);
      let contents = 0;
      for (let i = 0; i < holdings.length; i += 1) {
        const holding = holdings[i]!;
        if (holding === ZERO) continue;
        if (this.#before?.[firstPage + i] === holding) {
          kinds[i] = PAGE_AS_BEFORE;
          continue;
        }
        kinds[i] = PAGE_PATTERN;
        if (!isContent(holding)) continue;
        const identifier = this.#ledger.column.read(contentOf(holding));
        assert(identifier !== null, 'every content has its identifier');
        identifiers.set(identifier, contents * IDENTIFIER_BYTES);
        kinds[i] = PAGE_CONTENT;
        contents += 1;
      }
      yield { firstPage, kinds, identifiers: identifiers.subarray(0, contents * IDENTIFIER_BYTES) };
    }
  }

  /** The target asks for these of the pages from `firstPage` on. What is zero is not sent. */
  async want(firstPage: number, { pages, references }: WantedPages): Promise<void> {
    for (const page of pages) this.#held[firstPage + page] = 0;
    if (references.size === 0) return;
    await this.#ledger.state.catchUp({ heavy: true });
    const { index } = this.#ledger.state.sharing;
    for (const [page, identifier] of references) {
      const content = index.find(identifier, 0);
      if (content >= 0) this.#references[firstPage + page] = holdingOfContent(content);
    }
  }

  /** Pages that were asked for, and runs of them. */
  get wanted(): { readonly pages: number; readonly regions: number } {
    let pages = 0;
    let regions = 0;
    for (let gfn = 0; gfn < this.#held.length; gfn += 1) {
      if (this.#held[gfn] === 1) continue;
      pages += 1;
      if (gfn === 0 || this.#held[gfn - 1] === 1) regions += 1;
    }
    return { pages, regions };
  }

  /** Of these pages, those that the target was said to have and asks for all the same. */
  staleAmong(pages: Iterable<number>): number {
    let stale = 0;
    for (const gfn of pages) if (this.#held[gfn] === 0) stale += 1;
    return stale;
  }

  /** The device state; null: the capture has none. */
  device(): Promise<DeviceState | null> {
    return this.offer.hasDevice ? deviceStateOf(this.#ledger, this.#point) : Promise.resolve(null);
  }

  /** The pages that were asked for, each verified before: whole, or as patches where these are small. */
  async *pages(): AsyncGenerator<SentPages> {
    const { reader } = await readPoint(this.#ledger, { point: this.#point, table: this.#table });
    const table = this.#table.map((holding, gfn) => (this.#held[gfn] === 1 ? ZERO : holding));
    const patches = new PagePatches(await this.#ledger.pageReader(), this.#references);
    for await (const run of reader.inOrder({ table, label: labelOf(this.#point) }))
      yield* patches.of(run);
  }
}
