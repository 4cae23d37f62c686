// What is released, and what of it is used again. Compaction names in an event what no kept point
// holds; a capture that was recorded without knowing of it may still refer to some of that, whether
// its commit comes before the event or after. Every reference from such a capture counts: what it
// refers to is not released. Only bytes that are given back are gone,
// and they are given back when no such capture can come any more.
//
// Where equal content was stored anew meanwhile, that stands for what was released: of equal contents
// of a group there is one.

import type { ContentReleased } from '../../domain/events/control.ts';
import { slotsIn } from '../../domain/values/slot-set.ts';
import { hasReference, type PageColumns } from '../../domain/events/pages-written.ts';
import { UNKNOWN, contentOf, isContent, type Holding } from '../../domain/values/holding.ts';
import type { PatchTable } from '../../domain/events/patches.ts';
import { besideOf, type CaptureChange } from '../commits.ts';
import type { Contents } from './contents.ts';
import { IndexUnfit } from './identifier-index.ts';
import type { Sharing } from './sharing.ts';

export interface ReleaseModels {
  readonly contents: Contents;
  readonly sharing: Sharing;
  /** Whether the contents are at the change: the light half may have come past it before. */
  readonly isNew: boolean;
}

/** Slots of packs, as an event names them that lets go of them: of those that first held it, or where it lies. */
export function* holdingsReleased(
  contents: Contents,
  { packs }: ContentReleased,
): Generator<Holding> {
  for (const { pack: name, slots } of packs) {
    const pack = contents.named(name);
    if (pack !== undefined) for (const slot of slotsIn(slots)) yield contents.holdingAt(pack, slot);
  }
}

/** Lets go of the slots that an event names. Packs that are not known are passed over. */
export function releaseSlots(
  { contents, sharing, isNew }: ReleaseModels,
  released: ContentReleased,
  timeMs: number,
): void {
  for (const holding of holdingsReleased(contents, released)) {
    if (contents.homePackOf(holding) === null) continue;
    if (isNew) contents.release(holding, timeMs);
    // Where history begins behind what was let go of already, this says so once more.
    if (!sharing.isReleased(holding)) sharing.releaseHolding(holding);
  }
}

/** What is used again, and what it is a patch of, reference by reference. */
function revive(models: ReleaseModels, holding: Holding): void {
  const { contents, sharing, isNew } = models;
  if (!sharing.isReleased(holding)) return;
  // What it was a patch of then cannot be told by contents that are past it: all is folded anew.
  if (!isNew) throw new IndexUnfit('what was released is used again in a past that was folded');
  const stands = sharing.revive(contents, holding);
  if (stands === holding) {
    contents.revive(holding);
    const reference = contents.referenceAt(contents.placeOf(holding));
    if (reference !== null && reference !== UNKNOWN) revive(models, reference);
  } else if (isContent(stands)) contents.alias(contentOf(holding), contentOf(stands));
}

/** Takes back what the rows of a batch refer to. O(rows). */
function reviveRows(models: ReleaseModels, columns: PageColumns): void {
  if (!models.sharing.hasReleased) return;
  const { contents } = models;
  const packs = columns.packs.map((name) => contents.byName(name));
  for (let row = 0; row < columns.kinds.length; row += 1) {
    if (!hasReference(columns.kinds[row]!)) continue;
    const pack = packs[columns.packIndexes[row]!];
    if (pack !== undefined) revive(models, contents.holdingOf(pack, columns.slots[row]!));
  }
}

/** Takes back what patches refer to. O(patches). */
export function revivePatches(models: ReleaseModels, patches: PatchTable): void {
  if (!models.sharing.hasReleased) return;
  const { contents } = models;
  const packs = patches.packs.map((name) => contents.byName(name));
  for (const [i, slot] of patches.references.entries()) {
    const pack = packs[patches.packIndexes[i]!];
    if (pack !== undefined) revive(models, contents.holdingOf(pack, slot));
  }
}

/** Takes back what the pages, the device state and the attachments of a capture refer to. */
export function reviveCapture(
  models: ReleaseModels,
  change: Pick<CaptureChange, 'batches' | 'device' | 'attachments'>,
): void {
  for (const columns of change.batches) reviveRows(models, columns);
  for (const columns of besideOf(change)) reviveRows(models, columns);
}
