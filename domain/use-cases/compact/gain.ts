// What rewriting the packs of a group would give, from a sample of them: some of their blocks are packed
// as rewriting would. It leaves out what better neighbours and new patches give, so it says too little.

import { blockStarts, contentSlotsOf, packLabel, sliceBlocks } from '../../values/pack.ts';
import { placeAt } from '../../values/place.ts';
import { CHUNK_PAGES, type PageEngine } from '../../ports/page-engine.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { isOfPack, type PageStore } from '../../ports/page-store.ts';
import { useRange } from '../pages/pack-ranges.ts';
import type { ContentPlaces, SurveyedPack } from './models.ts';
import { cutsOf, REWRITE_LEVEL, SAMPLE_CHUNKS } from './policy.ts';
import { similarPages } from './similar-order.ts';

export interface GainPorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  readonly places: ContentPlaces;
}

/** Bytes of the packs to empty, and of what they would become. */
export interface Gain {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** Bytes of some of a pack's blocks, as they are and packed anew; null: it has none of contents. */
async function sampleOf(
  { engine, store, places }: GainPorts,
  pack: SurveyedPack,
): Promise<Gain | null> {
  const { blocks, name } = places.packAt(placeAt(pack.ordinal, 0));
  const { slots, offsets } = blockStarts(blocks);
  const contents = Math.min(CHUNK_PAGES, contentSlotsOf(blocks));
  let end = 0;
  while (end < blocks.codecs.length && slots[end + 1]! <= contents) end += 1;
  if (end === 0) return null;
  const bytesBefore = offsets[end]! - offsets[0]!;
  const range = { name, offsetBytes: offsets[0]!, lengthBytes: bytesBefore };
  const pages = await useRange(store, range, (bytes) =>
    engine.decode({ bytes, blocks: sliceBlocks(blocks, 0, end), label: packLabel(name) }),
  );
  const order = await similarPages(engine, pages);
  const ordered = new Uint8Array(pages.length);
  for (const [to, from] of order.entries())
    ordered.set(pages.subarray(from * PAGE_BYTES, (from + 1) * PAGE_BYTES), to * PAGE_BYTES);
  const cuts = cutsOf(order.length);
  const packed = await engine.pack({ pages: ordered, cuts, level: REWRITE_LEVEL });
  return { bytesBefore, bytesAfter: packed.bytes.length };
}

/** A sample as above; null also where the blocks cannot be read: whether they are needed shows later. */
async function readableSampleOf(ports: GainPorts, pack: SurveyedPack): Promise<Gain | null> {
  try {
    return await sampleOf(ports, pack);
  } catch (thrown) {
    if (!isOfPack(thrown)) throw thrown;
    return null;
  }
}

/** What rewriting would give at least. O(1) packs are read. */
export async function gainOf(ports: GainPorts, packs: readonly SurveyedPack[]): Promise<Gain> {
  const written = packs.filter(({ isRewritten, held }) => !isRewritten && held > 0);
  const step = Math.max(1, Math.floor(written.length / SAMPLE_CHUNKS));
  let before = 0;
  let after = 0;
  for (let i = 0; i < written.length; i += step) {
    const sample = await readableSampleOf(ports, written[i]!);
    before += sample?.bytesBefore ?? 0;
    after += sample?.bytesAfter ?? 0;
  }
  const ratio = before === 0 ? 1 : Math.min(1, after / before);
  let bytesBefore = 0;
  let bytesAfter = 0;
  for (const { sizeBytes, slots, held, isRewritten } of packs) {
    bytesBefore += sizeBytes;
    bytesAfter += ((sizeBytes * held) / slots) * (isRewritten ? 1 : ratio);
  }
  return { bytesBefore, bytesAfter: Math.ceil(bytesAfter) };
}
