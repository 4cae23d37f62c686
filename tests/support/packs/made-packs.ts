// Packs of random pages, patches of them and patterns, in any layout, with the plainest account of what
// each holding is: the pages of its chain, XORed one by one.

import { createHash } from 'node:crypto';
import { publicPattern } from '../../../domain/patterns/public-patterns.ts';
import { NO_PATCHES } from '../../../domain/events/patches.ts';
import type { PageLocator, ReadPack } from '../../../domain/ports/models.ts';
import type { PageEngine } from '../../../domain/ports/page-engine.ts';
import type { PageStore } from '../../../domain/ports/page-store.ts';
import { FIRST_CONTENT, UNKNOWN, ZERO, type Holding } from '../../../domain/values/holding.ts';
import { blockStarts, packHeader } from '../../../domain/values/pack.ts';
import { BLOCK_PAGES, PACK_SLOTS, PAGE_BYTES } from '../../../domain/values/page.ts';
import { lastWhere } from '../../../domain/values/sorted-search.ts';
import { seededRandom } from '../images.ts';
import { valueOf } from '../outcomes.ts';

export interface PackLayout {
  readonly seed: number;
  readonly packs: number;
  readonly pagesOfPack: number;
  /** Most pages of a block. */
  readonly blockPages: number;
  /** Of ten pages, so many are patches of an earlier one, which may be a patch itself. */
  readonly patchesOfTen: number;
}

/** A block of a pack: where its bytes lie. */
export interface BlockSpan {
  readonly pack: ReadPack;
  readonly offsetBytes: number;
}

export interface MadePacks {
  readonly locator: PageLocator;
  readonly packs: readonly ReadPack[];
  /** Contents that there are. */
  readonly count: number;
  /** The bytes of what a page holds. */
  pageOf(holding: Holding): Uint8Array;
  /** The blocks that it takes to make it. */
  blocksOf(holding: Holding): readonly BlockSpan[];
}

/** Writes such packs into a store. */
export async function makePacks(
  { engine, store }: { readonly engine: PageEngine; readonly store: PageStore },
  { seed, packs: packCount, pagesOfPack, blockPages, patchesOfTen }: PackLayout,
): Promise<MadePacks> {
  const random = seededRandom(seed);
  const packs: ReadPack[] = [];
  const stored: Uint8Array[] = [];
  const references: (Holding | null)[] = [];
  for (let ordinal = 0; ordinal < packCount; ordinal += 1) {
    const pages = new Uint8Array(pagesOfPack * PAGE_BYTES);
    for (let slot = 0; slot < pagesOfPack; slot += 1) {
      const page = pages.subarray(slot * PAGE_BYTES, (slot + 1) * PAGE_BYTES);
      // Some compress and some do not.
      const range = random(3) === 0 ? 256 : 4;
      for (let i = 0; i < PAGE_BYTES; i += 1) page[i] = random(range);
      const earlier = references.length;
      const isPatch = earlier > 0 && random(10) < patchesOfTen;
      // Chains stay far below what is refused.
      const reference = isPatch ? random(earlier) : -1;
      const isDeep = reference >= 0 && depthOf(references, reference) > 4;
      references.push(reference < 0 || isDeep ? null : FIRST_CONTENT + reference);
      stored.push(page);
    }
    const cuts = Array.from({ length: pagesOfPack }, (_, slot) => slot + 1).filter(
      () => random(blockPages) === 0,
    );
    // Packs as they are recorded, and as they are rewritten.
    const isRecorded = blockPages === BLOCK_PAGES;
    const blocks = isRecorded ? engine.encode(pages) : await engine.pack({ pages, cuts, level: 1 });
    const header = packHeader({ group: 'g', random: new Uint8Array(16).fill(ordinal) });
    const bytes = new Uint8Array(header.length + blocks.bytes.length);
    bytes.set(header);
    bytes.set(blocks.bytes, header.length);
    const name = createHash('sha256').update(bytes).digest('hex');
    await valueOf(store.put({ name, bytes }));
    packs.push({
      ordinal,
      name,
      sizeBytes: bytes.length,
      blocks,
      patches: NO_PATCHES,
      references: new Uint32Array(0),
    });
  }
  const placeOf = (holding: Holding): number => {
    const content = holding - FIRST_CONTENT;
    return Math.floor(content / pagesOfPack) * PACK_SLOTS + (content % pagesOfPack);
  };
  const referenceOf = (holding: Holding): Holding | null => references[holding - FIRST_CONTENT]!;
  const chainOf = (holding: Holding): Holding[] => {
    const chain: Holding[] = [];
    for (let next: Holding | null = holding; next !== null; next = referenceOf(next))
      chain.push(next);
    return chain;
  };
  return {
    packs,
    count: stored.length,
    locator: {
      placeOf,
      packAt: (place) => packs[Math.floor(place / PACK_SLOTS)]!,
      referenceAt: (place) =>
        referenceOf(
          FIRST_CONTENT + Math.floor(place / PACK_SLOTS) * pagesOfPack + (place % PACK_SLOTS),
        ),
    },
    pageOf: (holding) => {
      const page = new Uint8Array(PAGE_BYTES);
      if (holding === ZERO || holding === UNKNOWN) return page;
      if (holding < FIRST_CONTENT) {
        const { bytes, ...blocks } = engine.encodePatterns([publicPattern(holding)]);
        return engine.decode({ bytes, blocks, label: 'a pattern' });
      }
      for (const each of chainOf(holding))
        for (const [i, byte] of stored[each - FIRST_CONTENT]!.entries()) page[i]! ^= byte;
      return page;
    },
    blocksOf: (holding) =>
      holding < FIRST_CONTENT || holding === UNKNOWN
        ? []
        : chainOf(holding).map((each) => {
            const place = placeOf(each);
            const pack = packs[Math.floor(place / PACK_SLOTS)]!;
            const { slots, offsets } = blockStarts(pack.blocks);
            const block = lastWhere(slots.length - 1, (i) => slots[i]! <= place % PACK_SLOTS);
            return { pack, offsetBytes: offsets[block]! };
          }),
  };
}

function depthOf(references: readonly (Holding | null)[], content: number): number {
  let depth = 0;
  for (let next = references[content] ?? null; next !== null; depth += 1)
    next = references[next - FIRST_CONTENT] ?? null;
  return depth;
}
