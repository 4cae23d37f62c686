// How compaction stores: every figure that it is a matter of trade to choose, in one place. Measured
// on guests' memory (docs/performance.md, "Compaction").

import { packsToRewrite, type PackUse } from '../../store.ts';
import { PACK_PAGES_MAX } from '../../values/page.ts';

/** zstd's level for what is rewritten. */
export const REWRITE_LEVEL = 15;
/** Pages of a block: more compress better, and one of them costs more to read. */
export const REWRITE_BLOCK_PAGES = 32;
/** Most similar pages that are put side by side. */
export const GROUP_PAGES = 64;
/** Pages that are put in order, and whose similar ones are found, together (1 GiB). */
export const WINDOW_PAGES = 2 ** 18;
/** A rewritten pack is rewritten again where less than this share of it is held. */
const HELD_SHARE_MIN = 0.75;
/** A rewritten pack of fewer slots is joined with others. */
const SMALL_PACK_SLOTS = PACK_PAGES_MAX / 4;
/** Less than this share of a small pack is no reason to write it once more. */
const JOINED_SHARE_MIN = 0.5;
/** A group is left as it is where rewriting gives back less than this share of what it would read. */
const GAIN_SHARE_MIN = 0.01;
/** Packs that are sampled to tell what rewriting would give. */
export const SAMPLE_CHUNKS = 3;

/** So many small packs are joined also where that saves no bytes. */
const MANY_PACKS = 8;

/** The packs of a group to empty, where that is worth it. */
export const candidatesIn = <P extends PackUse>(packs: readonly P[]): P[] =>
  packsToRewrite(packs, {
    heldShareMin: HELD_SHARE_MIN,
    smallPackSlots: SMALL_PACK_SLOTS,
    joinedShareMin: JOINED_SHARE_MIN,
  });

/** Those of the candidates that are emptied, by what rewriting them all would give. */
export function chosenOf<P extends PackUse>(
  packs: readonly P[],
  { bytesBefore, bytesAfter }: { readonly bytesBefore: number; readonly bytesAfter: number },
): readonly P[] {
  const isWorth =
    bytesAfter <= (1 - GAIN_SHARE_MIN) * bytesBefore || packs.some(({ hasChains }) => hasChains);
  if (isWorth) return packs;
  const small = packs.filter(({ held, slots }) => held > 0 && slots < SMALL_PACK_SLOTS);
  const joined = new Set(small.length >= MANY_PACKS ? small : []);
  return packs.filter((pack) => pack.held === 0 || joined.has(pack));
}

/** Row counts after which a block ends. */
export function cutsOf(pages: number): number[] {
  const cuts: number[] = [];
  for (let at = REWRITE_BLOCK_PAGES; at < pages; at += REWRITE_BLOCK_PAGES) cuts.push(at);
  return cuts;
}
