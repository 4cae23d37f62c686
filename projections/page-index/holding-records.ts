// Who holds a content from when to when, as records of a sorted run: content, VM, gfn, the capture
// that began to hold it, the capture that let go of it. A segment knows only its own stretch of the
// history: NOT_HERE as `from` is a holding that an earlier one began, as `to` one that it did not see
// end. Records of consecutive stretches are joined where one ends what another began.

import type { Holding } from '../../domain/values/holding.ts';
import type { Records } from './record-block.ts';

/** Words of a record. */
export const HOLDING_WORDS = 5;
/** Captures are numbered from 1. */
export const NOT_HERE = 0;

const OWN_WORDS = 3;
const FROM = 3;
const TO = 4;

/** A page of a VM that holds a content. */
export interface PageHolding {
  /** The VM's number in the index. */
  readonly vm: number;
  readonly gfn: number;
  readonly from: number;
  /** The first capture that holds it no longer; NOT_HERE: it does at the end of what was looked at. */
  to: number;
}

const isSamePage = (a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean => {
  for (let i = 0; i < OWN_WORDS; i += 1) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
};

/**
 * Merged records of consecutive stretches, joined: an end stands in the record of its beginning. Valid
 * until the next ones are asked for.
 */
export async function* joinedHoldings(merged: AsyncIterable<Records>): AsyncGenerator<Records> {
  const pending = new Uint32Array(HOLDING_WORDS);
  let isPending = false;
  let joined = new Uint32Array(0);
  for await (const { words, count } of merged) {
    const roomWords = (count + 1) * HOLDING_WORDS;
    if (roomWords > joined.length) joined = new Uint32Array(roomWords);
    let to = 0;
    for (let row = 0; row < count; row += 1) {
      const at = row * HOLDING_WORDS;
      const isEnd =
        isPending &&
        pending[TO] === NOT_HERE &&
        words[at + FROM] === NOT_HERE &&
        isSamePage(pending, 0, words, at);
      if (isEnd) {
        pending[TO] = words[at + TO]!;
        continue;
      }
      if (isPending) {
        joined.set(pending, to);
        to += HOLDING_WORDS;
      }
      for (let i = 0; i < HOLDING_WORDS; i += 1) pending[i] = words[at + i]!;
      isPending = true;
    }
    yield { words: joined, count: to / HOLDING_WORDS };
  }
  if (isPending) yield { words: pending, count: 1 };
}

/** The holdings of one content, taken in stretch by stretch, oldest first. */
export class ContentHolders {
  readonly content: Holding;
  readonly #open = new Map<number, Map<number, PageHolding>>();
  readonly all: PageHolding[] = [];

  constructor(content: Holding) {
    this.content = content;
  }

  /** Takes a record in, those of one page in their order. */
  take(words: Uint32Array, at: number): void {
    const vm = words[at + 1]!;
    const gfn = words[at + 2]!;
    const from = words[at + FROM]!;
    const to = words[at + TO]!;
    if (from !== NOT_HERE) this.begin({ vm, gfn, capture: from });
    if (to !== NOT_HERE) this.end({ vm, gfn, capture: to });
  }

  begin({ vm, gfn, capture }: { vm: number; gfn: number; capture: number }): void {
    let pages = this.#open.get(vm);
    if (pages === undefined) {
      pages = new Map();
      this.#open.set(vm, pages);
    }
    if (pages.has(gfn)) return;
    const holding = { vm, gfn, from: capture, to: NOT_HERE };
    pages.set(gfn, holding);
    this.all.push(holding);
  }

  end({ vm, gfn, capture }: { vm: number; gfn: number; capture: number }): void {
    const pages = this.#open.get(vm);
    const holding = pages?.get(gfn);
    if (pages === undefined || holding === undefined) return;
    holding.to = capture;
    pages.delete(gfn);
  }

  /** Nothing that a VM's pages held is known any more. */
  endAll({ vm, capture }: { vm: number; capture: number }): void {
    for (const holding of this.#open.get(vm)?.values() ?? []) holding.to = capture;
    this.#open.delete(vm);
  }
}
