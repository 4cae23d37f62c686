// The plainest model of what the fold must say: whole tables, plain numbers, everything counted anew.
// Contents are those of hand-made captures: 0 is zeros, -1 unknown, undefined is not written yet. What is held
// large is a content of its own, whatever equals it: beside the tables stands what each page is kept as.

import type { SharingCounts } from '../../../projections/questions/sharing-at.ts';
import type { CaptureRow } from '../../../projections/models/vm-entry.ts';
import type { Position } from '../../../domain/ports/event-log.ts';

/** What a page holds of which its source does not tell. */
export const UNTOLD_CONTENT = -1;

export interface NaivePageEvent {
  readonly item: number;
  readonly type:
    'PageStored' | 'PageMerged' | 'PatternPageShared' | 'PageUnknown' | 'SharingBroken';
  readonly gfn: number;
  /** The content written; of SharingBroken the one that was shared. */
  readonly content: number;
  readonly scope?: 'intra' | 'inter';
}

export interface NaiveCapture {
  readonly vm: string;
  readonly capture: number;
  readonly position: Position;
  readonly table: readonly number[];
  /** What each page is kept as: equal where pages share it. */
  readonly kept: readonly string[];
  readonly events: readonly NaivePageEvent[];
  readonly holders: ReadonlyMap<number, number>;
}

/** Which pages are to be held large. */
export interface HeldLarge {
  isLarge(gfn: number): boolean;
  mayStayLarge(gfn: number): boolean;
}

export const NONE_LARGE: HeldLarge = { isLarge: () => false, mayStayLarge: () => true };

/** Whether what a page is kept as is a content. */
const isHeld = (kept: string): boolean => kept !== '0' && kept !== String(UNTOLD_CONTENT);
const isKeptLarge = (kept: string | undefined): boolean => kept?.startsWith('large') ?? false;

type Table = readonly (number | undefined)[];

export class NaiveLedger {
  readonly captures: NaiveCapture[] = [];
  readonly retired = new Map<string, Position>();
  readonly #tables = new Map<string, Table>();
  readonly #kept = new Map<string, (string | undefined)[]>();
  #large = 0;
  readonly #storedBy = new Map<number, string>();

  /** Pages that hold each content and are held small, zeros left out. */
  holders(): Map<number, number> {
    const counts = new Map<number, number>();
    for (const [vm, table] of this.#tables)
      if (!this.retired.has(vm))
        for (const [gfn, content] of table.entries())
          if (content !== undefined && content > 0 && !isKeptLarge(this.#kept.get(vm)![gfn]))
            counts.set(content, (counts.get(content) ?? 0) + 1);
    return counts;
  }

  commit(
    vm: string,
    pages: readonly number[],
    position: Position,
    held: HeldLarge = NONE_LARGE,
  ): void {
    const table = [...(this.#tables.get(vm) ?? pages.map(() => undefined))];
    this.#tables.set(vm, table);
    const kept = [...(this.#kept.get(vm) ?? [])];
    this.#kept.set(vm, kept);
    const events: NaivePageEvent[] = [];
    let row = 0;
    for (const [gfn, content] of pages.entries()) {
      const old = table[gfn];
      const wasLarge = isKeptLarge(kept[gfn]);
      const isLarge = content > 0 && held.isLarge(gfn);
      const mayStay = content === 0 || (wasLarge ? held.mayStayLarge(gfn) : !isLarge);
      if (old === content && mayStay) continue;
      const outcome = isLarge ? ({ type: 'PageStored' } as const) : this.#outcome(vm, content);
      events.push({ item: 2 * row, gfn, content, ...outcome });
      const isChanged = old !== content || isLarge;
      const isShared = old !== undefined && old > 0 && !wasLarge && this.holders().get(old)! > 1;
      if (isChanged && isShared)
        events.push({ item: 2 * row + 1, type: 'SharingBroken', gfn, content: old });
      table[gfn] = content;
      kept[gfn] = isLarge ? `large ${(this.#large += 1)}` : String(content);
      row += 1;
    }
    const capture = this.captures.filter((other) => other.vm === vm).length + 1;
    const holders = this.holders();
    const of = kept.map((each) => each ?? 'none');
    this.captures.push({ vm, capture, position, table: [...pages], kept: of, events, holders });
  }

  #outcome(vm: string, content: number): Pick<NaivePageEvent, 'type' | 'scope'> {
    if (content === UNTOLD_CONTENT) return { type: 'PageUnknown' };
    if (content === 0) return { type: 'PatternPageShared' };
    const holder = this.#storedBy.get(content);
    if (holder !== undefined)
      return { type: 'PageMerged', scope: holder === vm ? 'intra' : 'inter' };
    this.#storedBy.set(content, vm);
    return { type: 'PageStored' };
  }

  retire(vm: string, position: Position): void {
    this.retired.set(vm, position);
  }

  /** The counts that a row of `captures` has. */
  counts(
    of: NaiveCapture,
  ): Pick<CaptureRow, 'written' | 'stored' | 'merged' | 'pattern' | 'unchanged' | 'broken'> {
    const number = (type: string): number =>
      of.events.filter((event) => event.type === type).length;
    const broken = number('SharingBroken');
    const written = of.events.length - broken;
    return {
      written,
      stored: number('PageStored'),
      merged: number('PageMerged'),
      pattern: number('PatternPageShared'),
      unchanged: of.table.length - written,
      broken,
    };
  }

  /** The last capture of each VM that is there at a position. */
  #at(position: Position): Map<string, NaiveCapture> {
    const latest = new Map<string, NaiveCapture>();
    for (const capture of this.captures)
      if (
        capture.position <= position &&
        !((this.retired.get(capture.vm) ?? position + 1n) <= position)
      )
        latest.set(capture.vm, capture);
    return latest;
  }

  /** Pages that are held large at a position. */
  heldLargeAt(position: Position): number {
    const kept = [...this.#at(position).values()].flatMap((capture) => capture.kept);
    return kept.filter(isKeptLarge).length;
  }

  sharingAt(position: Position, vm: string | null): SharingCounts {
    const latest = this.#at(position);
    const vmsOf = new Map<string, Set<string>>();
    for (const [name, { kept }] of latest)
      for (const each of kept)
        if (isHeld(each)) vmsOf.set(each, (vmsOf.get(each) ?? new Set()).add(name));
    const counted =
      vm === null ? [...latest.values()] : [...latest.values()].filter((one) => one.vm === vm);
    const pages = counted.flatMap(({ kept }) => kept);
    const held = new Set(pages.filter(isHeld));
    const zero = pages.filter((each) => each === '0').length;
    const rest = pages.filter(isHeld).length;
    const unknown = pages.length - zero - rest;
    const all = { vms: counted.length, pages: pages.length };
    const common = { ...all, zero, unknown, pattern: 0, patched: 0 };
    if (vm !== null) {
      const unique = [...held].filter((each) => vmsOf.get(each)!.size === 1).length;
      return { ...common, unique, mergedInter: held.size - unique, mergedIntra: rest - held.size };
    }
    const holdings = [...vmsOf.values()].reduce((sum, vms) => sum + vms.size, 0);
    return {
      ...common,
      unique: held.size,
      mergedInter: holdings - held.size,
      mergedIntra: rest - holdings,
    };
  }
}
