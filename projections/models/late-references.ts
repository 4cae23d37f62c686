// What changes behind a place refer to of what was before it. A capture that was under way may refer to
// what had been let go of (releases.ts); of those that came since it is known whether they do.

import { hasReference, type PageColumns } from '../../domain/events/pages-written.ts';
import type { PatchTable } from '../../domain/events/patches.ts';
import { contentOf, isContent, UNKNOWN, type Holding } from '../../domain/values/holding.ts';
import { NumberSet } from '../../domain/values/number-set.ts';
import { besideOf, type Change } from '../commits.ts';
import type { Contents } from './contents.ts';

/** Collects, change by change, what is referred to, and what of it is released, in contents that stay at a place before them. */
export class LateReferences {
  readonly #contents: Contents;
  readonly #met = new Set<Holding>();
  readonly #referred = new NumberSet();

  constructor(contents: Contents) {
    this.#contents = contents;
  }

  /** What was released and is referred to, with what it is a patch of. */
  get holdings(): ReadonlySet<Holding> {
    return this.#met;
  }

  /** Contents that are referred to, also as what a patch is made of, whether they were released or not. */
  get referred(): NumberSet {
    return this.#referred;
  }

  /** O(rows). */
  take(change: Change): void {
    if (change._tag === 'rewrite') this.#takePatches(change.pack.patches);
    if (change._tag !== 'capture') return;
    for (const { patches } of change.packs) this.#takePatches(patches);
    for (const columns of [...change.batches, ...besideOf(change)]) this.#takeRows(columns);
  }

  #takeRows({ kinds, packs, packIndexes, slots }: PageColumns): void {
    for (const [row, kind] of kinds.entries())
      if (hasReference(kind)) this.#takeSlot(packs[packIndexes[row]!], slots[row]!);
  }

  #takePatches({ packs, packIndexes, references }: PatchTable): void {
    for (const [i, slot] of references.entries()) this.#takeSlot(packs[packIndexes[i]!], slot);
  }

  /** Without a name: of the public patterns, which are never released. */
  #takeSlot(name: string | undefined, slot: number): void {
    const pack = name === undefined ? undefined : this.#contents.named(name);
    if (pack === undefined) return;
    const holding = this.#contents.holdingAt(pack, slot);
    for (const referred of [holding, this.#contents.firstOf(holding)]) {
      if (isContent(referred)) this.#referred.add(contentOf(referred));
      this.#take(referred);
    }
  }

  #take(holding: Holding): void {
    if (this.#met.has(holding) || !this.#contents.isReleased(holding)) return;
    this.#met.add(holding);
    const left = this.#contents.leftAt(holding);
    if (left === null || this.#contents.leftBy(holding) === null) return;
    const reference = this.#contents.referenceAt(left);
    if (reference !== null && reference !== UNKNOWN) this.#take(reference);
  }
}
