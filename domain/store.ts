// Where content lies: what is written anew, what is let go, and,
// beside that, what is worth rewriting and what may be deleted. Use cases carry it out (use-cases/compact,
// use-cases/repair); what is lost has a decider of its own in the same stream (losses.ts).

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { ContentReleased, EventOf } from './events/control.ts';
import type { PackRewritten } from './events/pack-rewritten.ts';
import { setOfSlots, slotsIn } from './values/slot-set.ts';
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
  /** How many of its own slots what it is joined with has at least. */
  readonly joinedShareMin: number;
}

/**
 * The packs of one group to empty: those that recording wrote, those of which too little is held, and
 * small ones, where there is enough to join them with: so what is recorded little by little is not
 * rewritten with all that was before, each time.
 */
export function packsToRewrite<P extends PackUse>(
  packs: readonly P[],
  { heldShareMin, smallPackSlots, joinedShareMin }: RewriteRules,
): P[] {
  const needed = packs.filter(({ lying }) => lying > 0);
  const isPoor = (pack: P): boolean =>
    !pack.isRewritten || pack.hasChains || pack.held < heldShareMin * pack.slots;
  const poor = needed.filter(isPoor);
  const small = needed
    .filter((pack) => !isPoor(pack) && pack.held < smallPackSlots)
    .toSorted((a, b) => a.held - b.held);
  let gathered = poor.reduce((sum, { held }) => sum + held, 0);
  const joined = new Set<P>();
  for (const [i, pack] of small.entries()) {
    const next = small[i + 1]?.held ?? Number.POSITIVE_INFINITY;
    const isEnough =
      gathered > 0 ? gathered >= joinedShareMin * pack.held : pack.held >= joinedShareMin * next;
    if (!isEnough) continue;
    joined.add(pack);
    gathered += pack.held;
  }
  return needed.filter((pack) => isPoor(pack) || joined.has(pack));
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

export type StoreEvent =
  EventOf<'ContentReleased'> | { readonly type: 'PackRewritten'; readonly data: PackRewritten };

/** What was said of where content lies, as far as a command asks. */
export interface StoreState {
  /** Slots that were let go of, by the packs that they were named by. */
  readonly released: ReadonlyMap<string, ReadonlySet<number>>;
  /** Names of packs that content was written into anew. */
  readonly rewritten: ReadonlySet<string>;
}

/** Lets slots go that nobody holds, as of `seen`, the last commit that was known then. */
export interface ReleaseContent {
  readonly _tag: 'ReleaseContent';
  readonly released: readonly PackSlots[];
  /** Whether they are named where they lie: of few packs then, as compaction puts together what lay apart. */
  readonly areLying: boolean;
  readonly seen: ContentReleased['seen'];
}

/** Names a pack, which is durable, for the content that it holds. */
export interface RewriteContent {
  readonly _tag: 'RewriteContent';
  readonly pack: PackRewritten;
}

export type StoreCommand = ReleaseContent | RewriteContent;

export const initialStore: StoreState = { released: new Map(), rewritten: new Set() };

/** What a command brings about: nothing of what was said before. It is never refused. */
export const decideStore =
  (state: StoreState) =>
  (command: StoreCommand): Either<never, readonly StoreEvent[]> => {
    switch (command._tag) {
      case 'ReleaseContent': {
        const { seen } = command;
        const areLying = command.areLying ? true : null;
        const news = command.released.map(({ pack, slots }) => {
          const gone = state.released.get(pack);
          return { pack, slots: slots.filter((slot) => gone?.has(slot) !== true) };
        });
        return either.right(
          slotSets(news).map((packs) => ({
            type: 'ContentReleased',
            data: { seen, packs, areLying },
          })),
        );
      }
      case 'RewriteContent': {
        const { pack: data } = command;
        if (state.rewritten.has(data.name)) return either.right([]);
        return either.right([{ type: 'PackRewritten', data }]);
      }
      default:
        return command satisfies never;
    }
  };

/** Where content lies after an event. A slot that was let go of stays so, also where it is written anew. */
export function evolveStore(state: StoreState, event: StoreEvent): StoreState {
  switch (event.type) {
    case 'ContentReleased': {
      const released = new Map(state.released);
      for (const { pack, slots } of event.data.packs)
        released.set(pack, new Set([...(released.get(pack) ?? []), ...slotsIn(slots)]));
      return { ...state, released };
    }
    case 'PackRewritten':
      return { ...state, rewritten: new Set(state.rewritten).add(event.data.name) };
    default:
      return event satisfies never;
  }
}

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

/** A grace from which on nobody comes any more who looked before it began and commits after. */
export const SAFE_GRACE_MS = 600_000;

/**
 * When an emptied pack may be deleted: nobody who has not seen that it is empty refers to it any more.
 * Where recorders run that may not have, that is not before a grace is over which is safe with them.
 */
export function deletableAtMs(
  { emptiedAtMs }: { readonly emptiedAtMs: number },
  { graceMs, mayBeUnseen }: { readonly graceMs: number; readonly mayBeUnseen: boolean },
): number {
  return emptiedAtMs + (mayBeUnseen ? Math.max(graceMs, SAFE_GRACE_MS) : graceMs);
}
