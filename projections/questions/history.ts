// Versions of one page, from the page index. Cost: O(segments) blocks of 16 KiB for the page, as many for
// each content that it held in those that are asked for, and the holdings of those contents; the length
// of the history does not count.

import {
  classOfKind,
  KIND_MASK,
  KIND_PATTERN,
  KIND_STORED,
  KIND_ZERO,
} from '../../domain/events/pages-written.ts';
import { CLASS_NONE, CLASS_ZERO } from '../../domain/ports/page-engine.ts';
import { isContent, isPattern, UNTOLD, type Holding } from '../../domain/values/holding.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { VmEntry } from '../models/vm-entry.ts';
import type { Contents } from '../models/contents.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import type { PageIndex } from '../page-index/page-index.ts';
import { KIND_HELD, type VersionRecord } from '../page-index/recent-events.ts';
import { HolderCounts } from './held-pages.ts';
import { classOfPattern } from './sharing-at.ts';
import { StoredSizes } from './stored-sizes.ts';

/** What a page held from a capture on. */
export interface PageVersion {
  readonly capture: number;
  readonly position: Position;
  readonly timeMs: number;
  readonly gfn: number;
  /** Null: what it held where history begins, whatever write brought it there. */
  readonly outcome: 'stored' | 'merged' | 'pattern' | 'unknown' | null;
  /** Of a pattern, its class; else CLASS_NONE. */
  readonly patternClass: number;
  readonly holding: Holding;
  /** This page's part of its stored block, for a page stored by this write; else 0. */
  readonly storedBytes: number;
  /** Other (VM, gfn) that hold the content right after the capture. */
  readonly sharers: number;
  /** Other (VM, gfn) that hold it now. */
  readonly sharersNow: number;
}

/** What became of a page event, as the fold says. */
export function outcomeOf(kind: number, holding: Holding): PageVersion['outcome'] {
  if (holding === UNTOLD) return 'unknown';
  if (kind === KIND_HELD) return null;
  const outcome = kind & KIND_MASK;
  if (outcome === KIND_ZERO || outcome === KIND_PATTERN) return 'pattern';
  return outcome === KIND_STORED ? 'stored' : 'merged';
}

/** The class of the pattern that a page event recorded. */
function patternClassOf(contents: Contents, kind: number, holding: Holding): number {
  if (kind === KIND_HELD)
    return isPattern(holding) ? classOfPattern(contents, holding) : CLASS_NONE;
  const outcome = kind & KIND_MASK;
  if (outcome === KIND_ZERO) return CLASS_ZERO;
  if (holding === UNTOLD) return CLASS_NONE;
  return outcome === KIND_PATTERN ? classOfKind(kind) : CLASS_NONE;
}

/** Which versions of a page are asked for. */
export interface VersionsAsked {
  /** Only the newest so many; null or absent: all. */
  readonly last?: number | null;
  /** Whether a version is one, beside the one before it; absent: each is. */
  readonly isNews?: (version: VersionRecord, before: VersionRecord | undefined) => boolean;
}

/** Versions of a page, oldest first. */
export async function pageHistory(
  { state, index }: { readonly state: LedgerState; readonly index: PageIndex },
  { entry, gfn }: { readonly entry: VmEntry; readonly gfn: number },
  { last = null, isNews = () => true }: VersionsAsked = {},
): Promise<readonly PageVersion[]> {
  const { catalogue, contents } = state;
  const placeOf = ({ capture, kind }: VersionRecord) =>
    kind === KIND_HELD ? catalogue.history : (entry.capture(capture) ?? null);
  const all = (await index.versions(entry.vm, gfn)).filter((record) => placeOf(record) !== null);
  const told = all.filter((record, i) => isNews(record, all[i - 1]));
  const records = last === null ? told : told.slice(-last);
  const held = new Set(records.map(({ holding }) => holding).filter(isContent));
  const holders = await index.holders(held);
  const sizes = new StoredSizes(contents);
  const counts = new Map(
    [...holders].map(([content, pages]) => {
      const isOwnNow = pages.some(
        ({ vm, gfn: of, to }) => vm === entry.vm && of === gfn && to === null,
      );
      const own = isOwnNow && entry.retired === null ? 1 : 0;
      return [content, { own, all: new HolderCounts(catalogue, pages) }];
    }),
  );
  const versions: PageVersion[] = [];
  for (const record of records) {
    const { capture, holding, kind } = record;
    const at = placeOf(record)!;
    const { position } = at;
    const timeMs = entry.capture(capture)?.timeMs ?? at.timeMs;
    const outcome = outcomeOf(kind, holding);
    const of = counts.get(holding);
    versions.push({
      capture,
      position,
      timeMs,
      gfn,
      outcome,
      patternClass: patternClassOf(contents, kind, holding),
      holding,
      storedBytes: outcome === 'stored' ? Math.round(sizes.bytesOf(holding)) : 0,
      sharers: of === undefined ? 0 : of.all.at(position) - 1,
      sharersNow: of === undefined ? 0 : of.all.at(state.next) - of.own,
    });
  }
  return versions;
}
