// Content that is lost: what a recorder, or a repair, found missing or
// damaged is said in the log, so that every host's next recorder stores such pages anew instead of
// linking to them. It permits no deletion. What is found again is said as well.
//
// Content is named by the pack and slot that gave it its number, wherever it lies since.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { EventOf } from './events/control.ts';
import { slotSets, type PackSlots } from './store.ts';
import { slotsIn } from './values/slot-set.ts';
import type { Refusal } from './values/refusals.ts';

export type LossEvent = EventOf<'ContentLost' | 'ContentFound'>;

/** By pack: the slots whose content is lost. */
export type LostSlots = ReadonlyMap<string, ReadonlySet<number>>;

export interface LoseContent {
  readonly _tag: 'LoseContent';
  readonly lost: readonly PackSlots[];
  /** Packs in which something is missing or damaged, and all that the ledger needs. */
  readonly damagedPacks: number;
  readonly packs: number;
  /** Somebody has said that so many may be lost. */
  readonly isConfirmed: boolean;
}

export interface FindContent {
  readonly _tag: 'FindContent';
  readonly found: readonly PackSlots[];
}

export type LossCommand = LoseContent | FindContent;

export const initialLosses: LostSlots = new Map();

/** More than this share of all packs is lost only where somebody has said so: it may be a wrong place. */
const LOST_SHARE_MAX = 0.01;

const within = (
  slots: readonly PackSlots[],
  isWanted: (pack: string, slot: number) => boolean,
): PackSlots[] =>
  slots.map((of) => ({
    pack: of.pack,
    slots: of.slots.filter((slot) => isWanted(of.pack, slot)).toSorted((a, b) => a - b),
  }));

/** What a command brings about: nothing where all of it was said before. */
export const decideLosses =
  (state: LostSlots) =>
  (command: LossCommand): Either<Refusal, readonly LossEvent[]> => {
    const isLost = (pack: string, slot: number): boolean => state.get(pack)?.has(slot) ?? false;
    switch (command._tag) {
      case 'LoseContent': {
        const { damagedPacks, packs, isConfirmed } = command;
        const news = slotSets(within(command.lost, (pack, slot) => !isLost(pack, slot)));
        if (news.length > 0 && !isConfirmed && damagedPacks > Math.max(1, packs * LOST_SHARE_MAX))
          return either.left({ _tag: 'ManyPacksLost', lost: damagedPacks, packs });
        return either.right(news.map((of) => ({ type: 'ContentLost', data: { packs: of } })));
      }
      case 'FindContent': {
        const found = slotSets(within(command.found, isLost));
        return either.right(found.map((of) => ({ type: 'ContentFound', data: { packs: of } })));
      }
      default:
        return command satisfies never;
    }
  };

/** What is lost after an event. */
export function evolveLosses(state: LostSlots, event: LossEvent): LostSlots {
  const next = new Map(state);
  for (const { pack, slots } of event.data.packs) {
    const of = new Set(next.get(pack) ?? []);
    for (const slot of slotsIn(slots))
      if (event.type === 'ContentLost') of.add(slot);
      else of.delete(slot);
    if (of.size > 0) next.set(pack, of);
    else next.delete(pack);
  }
  return next;
}
