// Content that the log says is lost, and patches of it (domain/losses.ts): nobody links to that any more,
// and whoever writes such a page stores it anew. What is stored anew stands for what was lost, so the
// points that hold it are whole again.

import {
  contentOf,
  isContent,
  keptPatternOf,
  UNKNOWN,
  type Holding,
} from '../../domain/values/holding.ts';
import {
  evolveLosses,
  initialLosses,
  type LossEvent,
  type LostSlots,
} from '../../domain/losses.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { toHex } from '../../domain/values/identifier.ts';
import type { PackWritten } from '../../domain/events/pack-written.ts';
import type { Contents, KnownPack } from './contents.ts';
import type { Sharing } from './sharing.ts';

export class Losses {
  /** As the log says. */
  slots: LostSlots;
  /** What cannot be read for it; null: to be found out. */
  #lost: Set<Holding> | null = null;

  constructor(slots: LostSlots = initialLosses) {
    this.slots = slots;
  }

  /** Contents and patterns that cannot be read, each the first of those equal to it. */
  of(contents: Contents): ReadonlySet<Holding> {
    this.#lost ??= this.#closed(contents);
    return this.#lost;
  }

  evolve(event: LossEvent): void {
    this.slots = evolveLosses(this.slots, event);
    this.#lost = null;
  }

  /** Something stands for what was lost, or is a patch of it. */
  change(): void {
    this.#lost = null;
  }

  #named(contents: Contents): Set<Holding> {
    const named = new Set<Holding>();
    for (const [name, slots] of this.slots) {
      const pack = contents.byName(name);
      if (pack === undefined) continue;
      for (const slot of slots) {
        const holding = contents.holdingAt(pack, slot);
        // What another stands for is not read.
        if (holding === UNKNOWN || contents.firstOf(holding) !== holding) continue;
        if (contents.placeOf(holding) >= 0) named.add(holding);
      }
    }
    return named;
  }

  /** What is named, and patches of it, and patches of those. */
  #closed(contents: Contents): Set<Holding> {
    const lost = this.#named(contents);
    for (let before = -1; lost.size > 0 && lost.size !== before;) {
      before = lost.size;
      for (const pack of contents.all)
        for (const [i, slot] of pack.patches.slots.entries()) {
          if (!lost.has(contents.firstOf(pack.references[i]!))) continue;
          if (contents.liesAt(pack, slot)) lost.add(contents.holdingAt(pack, slot));
        }
    }
    return lost;
  }
}

/** What is told of by what the fold lets nobody link to, or lets again. */
export interface LossModels {
  readonly contents: Contents;
  readonly sharing: Sharing;
  readonly losses: Losses;
}

/** Changes what is lost: what is so now is found by its identifier no more, what is not is again. */
export function changeLosses({ contents, sharing, losses }: LossModels, change: () => void): void {
  const before = losses.of(contents);
  change();
  const after = losses.of(contents);
  for (const holding of after) if (!before.has(holding)) sharing.hide(holding);
  for (const holding of before)
    if (!after.has(holding) && contents.firstOf(holding) === holding)
      sharing.show(contents, holding);
  if (before.size > 0 || after.size > 0) contents.changes += 1;
}

/** By identifier, in hex: what a pack holds of a kind. */
function slotsOfKind(known: KnownPack, pack: PackWritten, isOfContents: boolean) {
  const [first, end] = isOfContents
    ? [0, known.pages]
    : [known.pages, known.pages + known.patterns];
  const slots = new Map<string, number>();
  for (let slot = first; slot < end; slot += 1) {
    const at = slot * IDENTIFIER_BYTES;
    slots.set(toHex(pack.identifiers.subarray(at, at + IDENTIFIER_BYTES)), slot);
  }
  return slots;
}

/**
 * A pack that was just taken in stands for what was lost and is equal to something in it: false where
 * nothing is.
 */
export function standFor(models: LossModels, known: KnownPack, pack: PackWritten): boolean {
  const { contents, sharing, losses } = models;
  const all = losses.of(contents);
  const lost = [...all].filter((each) => contents.homePackOf(each)?.group === known.group);
  if (lost.length === 0) return false;
  const slots = [false, true].map((isOfContents) => slotsOfKind(known, pack, isOfContents));
  let isAny = false;
  for (const holding of lost) {
    const isOfContent = isContent(holding);
    const slot = slots[Number(isOfContent)]!.get(toHex(sharing.identifierAt(holding)));
    const stands = slot === undefined ? holding : contents.holdingOf(known, slot);
    if (stands === holding || all.has(stands)) continue;
    isAny = true;
    if (isOfContent) {
      contents.alias(contentOf(holding), contentOf(stands));
      sharing.moveHolders(contentOf(holding), contentOf(stands));
    } else contents.aliasPattern(keptPatternOf(holding), keptPatternOf(stands));
  }
  return isAny;
}
