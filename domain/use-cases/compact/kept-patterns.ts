// Descriptors of the patterns that packs keep, read back as they are stored: a block of patterns is
// descriptors, each after its length as a u16.

import { LedgerError } from '../../values/ledger-error.ts';
import { placeAt } from '../../values/place.ts';
import { codecOf, unsalted } from '../../values/block-salt.ts';
import { blockStarts, CODEC_PATTERN, packLabel, sliceBlocks } from '../../values/pack.ts';
import type { PageEngine } from '../../ports/page-engine.ts';
import { isKeptPattern, type Holding } from '../../values/holding.ts';
import type { PageStore } from '../../ports/page-store.ts';
import { useRange } from '../pages/pack-ranges.ts';
import type { ContentPlaces, Survey, SurveyedPack } from './models.ts';

const LENGTH_BYTES = 2;

/** A kept pattern and its descriptor. */
export interface KeptDescriptor {
  readonly holding: Holding;
  readonly descriptor: Uint8Array;
}

export interface DescriptorPorts {
  readonly engine: Pick<PageEngine, 'decode'>;
  readonly store: PageStore;
  readonly places: ContentPlaces;
}

/** Splits the stored bytes of a block without its salt, whose checksum and descriptors were checked. */
function* descriptorsIn(stored: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at + LENGTH_BYTES <= stored.length;) {
    const end = at + LENGTH_BYTES + (stored[at]! | (stored[at + 1]! << 8));
    yield stored.slice(at + LENGTH_BYTES, end);
    at = end;
  }
}

/** The patterns that lie in a pack and are needed. PACK_MISSING, PACK_DAMAGED. */
export async function descriptorsOf(
  { engine, store, places }: DescriptorPorts,
  pack: Pick<SurveyedPack, 'ordinal'>,
  survey: Pick<Survey, 'isNeeded'>,
): Promise<KeptDescriptor[]> {
  const first = placeAt(pack.ordinal, 0);
  const { blocks, name } = places.packAt(first);
  const { slots, offsets } = blockStarts(blocks);
  const kept: KeptDescriptor[] = [];
  for (let block = 0; block < blocks.codecs.length; block += 1) {
    if (codecOf(blocks.codecs[block]!) !== CODEC_PATTERN) continue;
    const isNeeded = (slot: number): boolean => {
      const holding = places.holdingOfSlot(first + slot);
      if (!isKeptPattern(holding) || !survey.isNeeded(holding)) return false;
      return places.placeOf(holding) === first + slot;
    };
    const inBlock = Array.from({ length: blocks.pages[block]! }, (_, i) => slots[block]! + i);
    if (!inBlock.some(isNeeded)) continue;
    const offsetBytes = offsets[block]!;
    const range = { name, offsetBytes, lengthBytes: blocks.lengths[block]! };
    const descriptors = await useRange(store, range, (bytes) => {
      // Decoding checks the checksum, and that every descriptor is one.
      engine.decode({
        bytes,
        blocks: sliceBlocks(blocks, block, block + 1),
        label: packLabel(name),
      });
      return [...descriptorsIn(unsalted(bytes, blocks.codecs[block]!))];
    });
    if (descriptors.length !== inBlock.length) throw uneven(name, inBlock.length);
    for (const [i, slot] of inBlock.entries())
      if (isNeeded(slot))
        kept.push({
          holding: places.holdingOfSlot(first + slot),
          descriptor: descriptors[i]!,
        });
  }
  return kept;
}

const uneven = (name: string, expected: number): LedgerError =>
  new LedgerError(
    'PACK_DAMAGED',
    `a block of pack ${name} does not hold the ${expected} patterns that were expected; run \`pageledger verify\``,
    { name, expected },
  );
