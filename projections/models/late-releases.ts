// What is let go of behind the place where history is to begin: it may as well have been let go of before,
// where nothing behind that place refers to it and its bytes are given back, so that nobody could read it
// who came to refer to it later. A baseline then tells nothing of it, and its releases, met once more
// behind the baseline, change nothing.

import { contentOf, type Content, type Holding } from '../../domain/values/holding.ts';
import type { NumberSet } from '../../domain/values/number-set.ts';
import type { Contents, KnownPack } from './contents.ts';
import type { Sharing } from './sharing.ts';

export interface LateReleases {
  /** The contents where the log ends. */
  readonly now: Contents;
  /** Contents that are referred to behind the place. */
  readonly referred: NumberSet;
  /** Whether the bytes of a pack may be had still. */
  readonly isThere: (name: string) => boolean;
  /** When it is said to have been let go of. */
  readonly timeMs: number;
}

interface State {
  readonly contents: Contents;
  readonly sharing: Sharing;
}

/** By content: patches of it. And contents that stand for others. */
interface Counted {
  readonly patched: Uint32Array;
  readonly stands: ReadonlySet<Content>;
}

/** Contents of a pack that are let go of later and wanted by nobody. */
function* unwantedIn(
  pack: KnownPack,
  { contents, sharing }: State,
  { now, referred, isThere, patched, stands }: LateReleases & Counted,
): Generator<Holding> {
  for (let slot = 0; slot < pack.pages; slot += 1) {
    const holding = contents.holdingAt(pack, slot);
    const content = contentOf(holding);
    if (contents.isReleased(holding) || !now.isReleased(holding) || referred.has(content)) continue;
    if (patched[content]! > 0 || sharing.holders(content) > 0) continue;
    if (stands.has(content) || contents.aliases.has(content)) continue;
    const left = now.leftBy(holding);
    if (left === null || !isThere(left.name)) yield holding;
  }
}

/**
 * Lets go, in a fold that has come to where history is to begin, of what is let go of behind that and
 * wanted by nobody; of patches first, and then of what they were made from. O(contents).
 */
export function releaseLater(state: State, of: LateReleases): void {
  const { contents, sharing } = state;
  const stands = new Set(contents.aliases.values());
  for (let areMore = true; areMore;) {
    const counted = { ...of, patched: contents.referrers(), stands };
    const unwanted = contents.packs.flatMap((pack) => [...unwantedIn(pack, state, counted)]);
    for (const holding of unwanted) {
      contents.release(holding, of.timeMs);
      sharing.releaseHolding(holding);
    }
    areMore = unwanted.length > 0;
  }
}
