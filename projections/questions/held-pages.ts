// Who holds a content at a moment, of all who ever did.

import type { Position } from '../../domain/ports/event-log.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import type { Catalogue } from '../models/catalogue.ts';
import type { HeldPage } from '../page-index/page-index.ts';
import { isRetiredAt, rowAt, type Moment } from './moment.ts';

/** A holding in positions of the log: from a commit until another, or the VM's retirement. */
interface HeldSpan {
  readonly from: Position;
  /** Null: it is held. */
  readonly to: Position | null;
}

/** Where a page began to hold: at the latest where history begins. */
export function startOf(catalogue: Catalogue, { vm, from }: HeldPage): Position | undefined {
  const entry = catalogue.vms.get(vm);
  const position = entry?.capture(from)?.position;
  if (position !== undefined || entry?.isGone(from) !== true) return position;
  return entry.gone?.position;
}

/** When a page began to hold, and when it let go. */
function spanOf(catalogue: Catalogue, held: HeldPage): HeldSpan | null {
  const entry = catalogue.vms.get(held.vm);
  const from = startOf(catalogue, held);
  if (entry === undefined || from === undefined) return null;
  const ended = held.to === null ? null : (entry.capture(held.to)?.position ?? null);
  return { from, to: ended ?? entry.retired?.position ?? null };
}

/** Whether a page holds at a moment. */
export function isHeldAt(catalogue: Catalogue, held: HeldPage, moment: Moment): boolean {
  const entry = catalogue.vms.get(held.vm);
  const row = entry === undefined ? undefined : rowAt(entry, moment);
  if (entry === undefined || row === undefined || isRetiredAt(entry, moment)) return false;
  return held.from <= row.capture && (held.to === null || held.to > row.capture);
}

/** Counts who holds at positions of the log. Made in O(holdings log holdings). */
export class HolderCounts {
  readonly #starts: readonly Position[];
  readonly #ends: readonly Position[];

  constructor(catalogue: Catalogue, holdings: readonly HeldPage[]) {
    const order = (a: Position, b: Position): number => (a < b ? -1 : a > b ? 1 : 0);
    const spans = holdings.map((held) => spanOf(catalogue, held)).filter((span) => span !== null);
    this.#starts = spans.map(({ from }) => from).toSorted(order);
    this.#ends = spans.flatMap(({ to }) => (to === null ? [] : [to])).toSorted(order);
  }

  /** Pages that hold right after a position. O(log holdings). */
  at(position: Position): number {
    return countUpTo(this.#starts, position) - countUpTo(this.#ends, position);
  }
}

/** How many of ascending positions are not after one. */
const countUpTo = (positions: readonly Position[], position: Position): number =>
  lastWhere(positions.length, (i) => positions[i]! <= position) + 1;
