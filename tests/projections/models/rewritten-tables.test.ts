// Packs of copied blocks, and packs that are named where things lie, as the fold takes them in.

import { describe, expect, test } from '@jest/globals';
import type { PackRewritten } from '../../../domain/events/pack-rewritten.ts';
import { NO_PATCHES, type PatchTable } from '../../../domain/events/patches.ts';
import { UNKNOWN, type Holding } from '../../../domain/values/holding.ts';
import { CODEC_RAW, type BlockTable } from '../../../domain/values/pack.ts';
import { placeAt } from '../../../domain/values/place.ts';
import { Contents, type KnownPack } from '../../../projections/models/contents.ts';
import { StateReader, StateWriter } from '../../../projections/models/state-bytes.ts';
import { nameOf, packOf, patchOver } from '../../support/spoiled/lossy-models.ts';

const CHECKSUM = 0xabcd;

/** Blocks of a page each, whose checksums begin with this one. */
const blocksOf = (pages: number, checksum: number): BlockTable => ({
  codecs: new Uint8Array(pages).fill(CODEC_RAW),
  pages: new Uint8Array(pages).fill(1),
  lengths: new Uint32Array(pages).fill(4096),
  checksums: Uint32Array.from({ length: pages }, (_, i) => checksum + i),
});

/** A written pack of blocks of one page, whose checksums tell it. */
function add(contents: Contents, number: number, pages: number, patches: PatchTable = NO_PATCHES) {
  return contents.add(
    {
      ...packOf(number, number, patches),
      sizeBytes: 96 + 4096 * pages,
      blocks: blocksOf(pages, CHECKSUM + 16 * number),
      identifiers: new Uint8Array(32 * pages).fill(number),
    },
    { vm: 'a', position: BigInt(number), isLinked: true },
  );
}

/** Blocks of one page copied from slots of packs. */
function copyOf(number: number, slots: readonly (readonly [number, number])[]): PackRewritten {
  const sources = [...new Set(slots.map(([pack]) => pack))];
  return {
    name: nameOf(number),
    group: 'default',
    sizeBytes: 96 + 4096 * slots.length,
    blocks: { ...blocksOf(slots.length, 0), checksums: new Uint32Array(slots.length) },
    sources: sources.map((pack) => nameOf(pack)),
    sourceIndexes: Uint16Array.from(slots, ([pack]) => sources.indexOf(pack)),
    sourceSlots: Uint16Array.from(slots, ([, slot]) => slot),
    patches: NO_PATCHES,
    isCopied: true,
  };
}

const change = (position: number) => ({ position: BigInt(position), timeMs: position });

/** The same as another process has them that loads them. */
function loaded(contents: Contents): Contents {
  const writer = new StateWriter();
  contents.save(writer);
  return Contents.load(new StateReader(writer.bytes()));
}

const held = (contents: Contents, pack: KnownPack, slot: number): Holding =>
  contents.holdingAt(pack, slot);

describe('a pack of copied blocks', () => {
  test('has the checksums and the patches of its sources, and what they hold lies there', () => {
    const contents = new Contents();
    const first = add(contents, 1, 2);
    const second = add(contents, 2, 2, patchOver(1));
    const copied = contents.rewrite(
      copyOf(9, [
        [2, 1],
        [1, 0],
        [2, 0],
      ]),
      change(9),
    );
    for (const state of [contents, loaded(contents)]) {
      const { blocks, patches, references, ordinal } = state.rewritten(nameOf(9))!;
      expect([...blocks.checksums]).toEqual([CHECKSUM + 33, CHECKSUM + 16, CHECKSUM + 32]);
      expect([[...patches.slots], [...references]]).toEqual([[2], [held(state, first, 0)]]);
      expect(state.placeOf(held(state, second, 1))).toBe(placeAt(ordinal, 0));
      expect(state.placeOf(held(state, first, 0))).toBe(placeAt(ordinal, 1));
      expect(state.placeOf(held(state, first, 1))).toBe(placeAt(first.ordinal, 1));
      // What is referred to by a patch stays; a patch itself is copied with what it refers to.
      expect(state.isPatch(held(state, second, 0))).toBe(true);
      expect(state.source(held(state, second, 0))).toEqual({ pack: nameOf(9), slot: 2 });
      expect(state.reference(held(state, second, 0))).toEqual({ pack: nameOf(2), slot: 0 });
    }
    expect([...copied.blocks.lengths]).toEqual([4096, 4096, 4096]);
  });

  test('may be copied from one that was copied, which stands for what it stood for', () => {
    const contents = new Contents();
    const first = add(contents, 1, 2);
    const second = add(contents, 2, 1, patchOver(1));
    contents.rewrite(
      copyOf(8, [
        [1, 1],
        [2, 0],
      ]),
      change(8),
    );
    const again = contents.rewrite(
      copyOf(9, [
        [8, 1],
        [8, 0],
      ]),
      change(9),
    );
    expect(contents.placeOf(held(contents, second, 0))).toBe(placeAt(again.ordinal, 0));
    expect(contents.placeOf(held(contents, first, 1))).toBe(placeAt(again.ordinal, 1));
    expect([...again.references]).toEqual([held(contents, first, 0)]);
    expect(contents.isNeeded(contents.rewritten(nameOf(8))!)).toBe(false);
  });

  test('leaves where it lay what its event does not say as its source has it', () => {
    const contents = new Contents();
    const first = add(contents, 1, 2);
    const of = copyOf(9, [
      [1, 0],
      [1, 1],
      [7, 0],
    ]);
    const lengths = Uint32Array.of(4096, 4095, 4096);
    const copied = contents.rewrite({ ...of, blocks: { ...of.blocks, lengths } }, change(9));
    expect([...copied.holdings]).toEqual([held(contents, first, 0), UNKNOWN, UNKNOWN]);
    expect(contents.placeOf(held(contents, first, 0))).toBe(placeAt(copied.ordinal, 0));
    expect(contents.placeOf(held(contents, first, 1))).toBe(placeAt(first.ordinal, 1));
  });
});

test('a pack that is stored anew may name slots and references of rewritten packs', () => {
  const contents = new Contents();
  const first = add(contents, 1, 1);
  const second = add(contents, 2, 1);
  contents.rewrite(
    copyOf(8, [
      [1, 0],
      [2, 0],
    ]),
    change(8),
  );
  const anew = contents.rewrite(
    {
      ...copyOf(9, [[8, 1]]),
      patches: { ...patchOver(8), references: Uint16Array.of(0) },
      isCopied: false,
    },
    change(9),
  );
  expect(contents.placeOf(held(contents, second, 0))).toBe(placeAt(anew.ordinal, 0));
  expect(contents.referenceAt(placeAt(anew.ordinal, 0))).toBe(held(contents, first, 0));
});
