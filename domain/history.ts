// Where history begins: the captures of a VM before its oldest kept one
// may leave the log, events and all, once a baseline states what is left to know of them. Positions,
// revisions and numbers stay as they were.

import { hasFormat, type LedgerFacts } from './ledger.ts';
import { isForgotten, type PointsState } from './points.ts';

/** Formats from this one on are told where history begins: the event that said so may be before it. */
const TOLD_FORMAT = 3;

/** A ledger's format, as it stands where its history begins; null: releases that read that know it. */
export const formatToTell = (facts: LedgerFacts): number | null =>
  hasFormat(facts, TOLD_FORMAT) ? facts.ledger!.format : null;

/** A VM's captures, as far as history is concerned. */
export interface VmHistory {
  readonly vm: string;
  /** Captures up to this one are gone already; 0: none is. */
  readonly goneTo: number;
  /** Its newest capture; 0: it has none. */
  readonly newest: number;
  readonly points: PointsState;
}

/** What goes of a VM: its captures up to one. */
export interface HistoryCut {
  readonly vm: string;
  readonly capture: number;
}

/** Why more of a VM does not go. */
export interface HeldHistory extends HistoryCut {
  /** Checkpoints that keep its oldest kept capture. */
  readonly checkpoints: readonly string[];
  /** Leases that do. */
  readonly leases: readonly string[];
}

/** The last of the captures before a VM's oldest kept one; all of them, where none is kept. O(captures). */
export function lastBeforeKept({ goneTo, newest, points }: VmHistory): number {
  let last = goneTo;
  while (last < newest && isForgotten(points, last + 1)) last += 1;
  return last;
}

/** What of each VM's history goes that is there still: nothing where every one has all that it can have. */
export const decideHistory = (vms: readonly VmHistory[]): readonly HistoryCut[] =>
  vms.flatMap((of) => {
    const capture = lastBeforeKept(of);
    return capture > of.goneTo ? [{ vm: of.vm, capture }] : [];
  });

/** What holds a VM's history back: its oldest kept capture, where later ones are forgotten already. */
export function heldHistory(of: VmHistory): HeldHistory | null {
  const capture = lastBeforeKept(of) + 1;
  if (capture > of.newest) return null;
  let later = capture + 1;
  while (later <= of.newest && !isForgotten(of.points, later)) later += 1;
  if (later > of.newest) return null;
  const keepersIn = (captures: ReadonlyMap<string, number>): string[] =>
    [...captures].flatMap(([keeper, at]) => (at === capture ? [keeper] : []));
  const { names, leases } = of.points;
  return { vm: of.vm, capture, checkpoints: keepersIn(names), leases: keepersIn(leases) };
}
