// Contents, sharing and losses, folded together, of packs of one page each.

import { NO_PATCHES, type PatchTable } from '../../../domain/events/patches.ts';
import type { PackWritten } from '../../../domain/events/pack-written.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { slotSets } from '../../../domain/store.ts';
import type { Holding } from '../../../domain/values/holding.ts';
import { Contents } from '../../../projections/models/contents.ts';
import { MemoryIdentifierColumn } from '../../../projections/models/identifier-index.ts';
import { changeLosses, Losses, standFor } from '../../../projections/models/losses.ts';
import { Sharing } from '../../../projections/models/sharing.ts';
import { StateReader, StateWriter } from '../../../projections/models/state-bytes.ts';
import { rawBlocks } from '../hand-made-captures.ts';

export const nameOf = (number: number): string => number.toString(16).padStart(64, '0');

/** A pack of one page of that content. */
export const packOf = (number: number, content: number, patches = NO_PATCHES): PackWritten => ({
  name: nameOf(number),
  capture: 1,
  group: 'default',
  sizeBytes: 4160,
  blocks: rawBlocks(1),
  identifiers: new Uint8Array(IDENTIFIER_BYTES).fill(content),
  patches,
});

/** A patch in slot 0 over slot 0 of a pack. */
export const patchOver = (number: number): PatchTable => ({
  packs: [nameOf(number)],
  slots: Uint16Array.of(0),
  packIndexes: Uint16Array.of(0),
  references: Uint16Array.of(0),
});

export class LossyModels {
  readonly contents = new Contents();
  readonly sharing = new Sharing(new MemoryIdentifierColumn());
  readonly losses = new Losses();

  /** Takes a pack in as the fold of a capture does. */
  add(pack: PackWritten): void {
    const known = this.contents.add(pack, { vm: 'a', position: 1n, isLinked: true });
    this.sharing.addPack(this.contents, known, pack);
    if (this.losses.of(this.contents).size === 0) return;
    changeLosses(this, () => {
      standFor(this, known, pack);
      this.losses.change();
    });
  }

  lose(number: number): void {
    const [packs] = slotSets([{ pack: nameOf(number), slots: [0] }]);
    changeLosses(this, () => this.losses.evolve({ type: 'ContentLost', data: { packs: packs! } }));
  }

  /** What the one page of a pack holds, by its own number. */
  numberOf(number: number): Holding {
    return this.contents.holdingAt(this.contents.byName(nameOf(number))!, 0);
  }

  /** Lets go of the page of a pack. */
  release(number: number, timeMs: number): void {
    this.contents.release(this.numberOf(number), timeMs);
    this.sharing.releaseHolding(this.numberOf(number));
  }

  /** The contents as another process loads them. */
  loaded(): Contents {
    const writer = new StateWriter();
    this.contents.saveState(writer);
    return Contents.loadState(new StateReader(writer.bytes()));
  }
}
