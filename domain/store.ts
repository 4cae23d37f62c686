// Compaction (brief, 3.8 and section 4, Forgetting): what is worth rewriting, what is let go, and what
// may be deleted. Pure; a use case carries it out (use-cases/compact).

import type { ContentReleased, ControlEvent } from './events/control.ts';
import { setOfSlots } from './values/slot-set.ts';
import { EVENT_BYTES_MAX } from './values/page.ts';

/** A pack, as far as compaction is concerned. */
export interface PackUse {
  readonly name: string;
  readonly group: string;
  readonly sizeBytes: number;
  readonly slots: number;
  /** Slots that lie in it, and those of them that kept points need. */
  readonly lying: number;
  readonly held: number;
  /** Whether compaction wrote it. */
  readonly isRewritten: boolean;
  /** Whether patches in it refer to patches, as two may that were made at once. */
  readonly hasChains: boolean;
}

export interface RewriteRules {
  /** A rewritten pack is rewritten again where less than this share of it is held. */
  readonly heldShareMin: number;
  /** A rewritten pack of fewer slots is joined with others. */
  readonly smallPackSlots: number;
}

/**
 * The packs of one group to empty: those that recording wrote, those of which too little is held, and
 * small ones, where there is something to join them with.
 */
export function packsToRewrite<P extends PackUse>(
  packs: readonly P[],
  { heldShareMin, smallPackSlots }: RewriteRules,
): P[] {
  const needed = packs.filter(({ lying }) => lying > 0);
  const isPoor = (pack: P): boolean =>
    !pack.isRewritten || pack.hasChains || pack.held < heldShareMin * pack.slots;
  const small = needed.filter((pack) => !isPoor(pack) && pack.held < smallPackSlots);
  const hasOthers = small.length > 1 || needed.some((pack) => isPoor(pack) && pack.held > 0);
  return needed.filter((pack) => isPoor(pack) || (hasOthers && small.includes(pack)));
}

/** What an event says of slots of packs. */
type SlotSets = ContentReleased['packs'];

/** Slots of a pack. */
export interface PackSlots {
  readonly pack: string;
  /** Ascending. */
  readonly slots: readonly number[];
}

/** Most bytes of the packs of one event: its other fields take less than what is left. */
const PACKS_BYTES_MAX = EVENT_BYTES_MAX - 4096;
/** Bytes of a pack in an event, beside its slots. */
const PACK_BYTES = 96;

/**
 * The events that let slots go, as many as their size needs. `seen` is the last commit that was known
 * when it was found out that nobody holds them.
 */
export const decideRelease = (
  released: readonly PackSlots[],
  seen: ContentReleased['seen'],
): ControlEvent[] =>
  slotSets(released).map((packs) => ({ type: 'ContentReleased', data: { seen, packs } }));

/** Slots of packs as events name them, as many at once as go into one event. */
export function slotSets(named: readonly PackSlots[]): SlotSets[] {
  const sets: SlotSets[] = [];
  let packs: { pack: string; slots: string }[] = [];
  let bytes = 0;
  for (const { pack, slots } of named) {
    if (slots.length === 0) continue;
    const set = setOfSlots(slots);
    if (bytes + PACK_BYTES + set.length > PACKS_BYTES_MAX) {
      sets.push(packs);
      packs = [];
      bytes = 0;
    }
    packs.push({ pack, slots: set });
    bytes += PACK_BYTES + set.length;
  }
  if (packs.length > 0) sets.push(packs);
  return sets;
}

/**
 * When an emptied pack may be deleted: nobody who has not seen that it is empty refers to it any more.
 * Null: not while recorders run that may not have.
 */
export function deletableAtMs(
  { emptiedAtMs }: { readonly emptiedAtMs: number },
  { graceMs, mayBeUnseen }: { readonly graceMs: number; readonly mayBeUnseen: boolean },
): number | null {
  return mayBeUnseen ? null : emptiedAtMs + graceMs;
}
