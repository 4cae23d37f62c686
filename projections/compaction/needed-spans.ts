// What the memory of VMs needs over their kept captures: each content and kept pattern that pages, device
// states and attachments hold, and what patches among that refer to, from the capture on that it is first
// needed in up to the one that it is not.

import {
  contentOf,
  holdingOfContent,
  holdingOfPattern,
  isContent,
  isKeptPattern,
  keptPatternOf,
  UNKNOWN,
  type Holding,
} from '../../domain/values/holding.ts';
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';
import type { Contents } from '../models/contents.ts';
import { GrowingWords } from '../models/growing-words.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { keptCaptures } from './kept-captures.ts';

/** Contents come first, then kept patterns. */
export const neededIn = ({ count, patternCount }: Contents): number => count + patternCount;

/** What an index of what may be needed is of. */
export const neededAt = ({ count }: Contents, index: number): Holding =>
  index < count ? holdingOfContent(index) : holdingOfPattern(index - count);

/** Told when a VM needs something no more: it did in kept captures `since` to `until`, less one, of the VM. */
export type Ended = (index: number, since: number, until: number) => void;

/** What a VM needs, capture by capture. */
class Needs {
  readonly #contents: Contents;
  /** By what each is needed now: pages, attachments, patches. */
  readonly #by: Uint32Array;
  readonly #since: Uint32Array;
  /** What each that is needed is a patch of. */
  readonly #references: Uint32Array;
  readonly #ended: Ended;
  /** Number of the capture among the kept ones of its VM. */
  at = 0;

  constructor(contents: Contents, ended: Ended) {
    this.#contents = contents;
    this.#by = new Uint32Array(neededIn(contents));
    this.#since = new Uint32Array(neededIn(contents));
    this.#references = new Uint32Array(neededIn(contents));
    this.#ended = ended;
  }

  #indexOf(holding: Holding): number {
    if (isContent(holding)) return contentOf(holding);
    return isKeptPattern(holding) ? this.#contents.count + keptPatternOf(holding) : -1;
  }

  /** What a content is kept as a patch of; UNKNOWN, which nothing counts: it is none. */
  #referenceOf(holding: Holding): Holding {
    const place = this.#contents.placeOf(holding);
    return (place < 0 ? null : this.#contents.referenceAt(place)) ?? UNKNOWN;
  }

  acquire(holding: Holding): void {
    let next = holding;
    for (let index = this.#indexOf(next); index >= 0; index = this.#indexOf(next)) {
      this.#by[index]! += 1;
      // What it refers to is needed already.
      if (this.#by[index]! > 1) return;
      this.#since[index] = this.at;
      next = this.#referenceOf(next);
      this.#references[index] = next;
    }
  }

  release(holding: Holding): void {
    let index = this.#indexOf(holding);
    while (index >= 0) {
      this.#by[index]! -= 1;
      if (this.#by[index]! > 0) return;
      this.#ended(index, this.#since[index]!, this.at);
      index = this.#indexOf(this.#references[index]!);
    }
  }

  /** Goes on to a capture in which a page holds something else. */
  replace(table: Uint32Array, gfn: number, holding: Holding): void {
    const old = table[gfn]!;
    if (old === holding) return;
    this.acquire(holding);
    this.release(old);
    table[gfn] = holding;
  }
}

/** Walks the kept captures of a VM; gives their rows. O(pages) a run of captures and O(page events). */
async function walk(
  state: LedgerState,
  entry: VmEntry,
  needs: Needs,
): Promise<readonly CaptureRow[]> {
  const rows: CaptureRow[] = [];
  let current: Uint32Array | null = null;
  let beside = new Uint32Array(0);
  for await (const kept of keptCaptures(state, entry)) {
    needs.at = rows.length;
    rows.push(kept.row);
    for (const holding of kept.beside) needs.acquire(holding);
    for (const holding of beside) needs.release(holding);
    beside = Uint32Array.from(kept.beside);
    if (kept.table !== null) {
      current ??= new Uint32Array(kept.table.length);
      for (let gfn = 0; gfn < kept.table.length; gfn += 1)
        needs.replace(current, gfn, kept.table[gfn]!);
    }
    for (const { gfns, holdings } of kept.writes)
      for (let row = 0; row < gfns.length; row += 1)
        needs.replace(current!, gfns[row]!, holdings[row]!);
  }
  needs.at = rows.length;
  for (const holding of current ?? []) needs.release(holding);
  for (const holding of beside) needs.release(holding);
  return rows;
}

/** Words of a span: index, since, until. */
const SPAN_WORDS = 3;
/** Spans of all VMs that are kept to be told again: 12 MiB. */
const KEPT_SPANS_MAX = 2 ** 20;

/** Spans in which a VM needed something, in the order of their ends. */
class KeptSpans {
  readonly #words = new GrowingWords();

  add(index: number, since: number, until: number): void {
    this.#words.push(index);
    this.#words.push(since);
    this.#words.push(until);
  }

  tell(ended: Ended): void {
    const words = this.#words.all;
    for (let at = 0; at < words.length; at += SPAN_WORDS)
      ended(words[at]!, words[at + 1]!, words[at + 2]!);
  }
}

interface Told {
  readonly rows: readonly CaptureRow[];
  /** null: there was no room for them. */
  readonly spans: KeptSpans | null;
}

/**
 * What VMs of a ledger need, told as often as asked for. The first time their captures are walked over;
 * what that found is told again, and those it left no room for are walked over once more.
 */
export class NeededSpans {
  readonly #state: LedgerState;
  readonly #told = new Map<string, Told>();
  #room: number;

  constructor(state: LedgerState, spansMax = KEPT_SPANS_MAX) {
    this.#state = state;
    this.#room = spansMax;
  }

  /** Tells what a VM needed, and when; gives the rows of its kept captures. */
  async tell(entry: VmEntry, ended: Ended): Promise<readonly CaptureRow[]> {
    const told = this.#told.get(entry.vm);
    if (told !== undefined && told.spans !== null) {
      told.spans.tell(ended);
      return told.rows;
    }
    let spans = told === undefined ? new KeptSpans() : null;
    const needs = new Needs(this.#state.contents, (index, since, until) => {
      ended(index, since, until);
      if (spans === null) return;
      this.#room -= 1;
      if (this.#room < 0) spans = null;
      else spans.add(index, since, until);
    });
    const rows = await walk(this.#state, entry, needs);
    this.#told.set(entry.vm, { rows, spans });
    return rows;
  }
}
