import { describe, expect, test } from '@jest/globals';
import { NO_PATCHES, type PatchTable } from '../../../domain/events/patches.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { contentOf, holdingOfContent, type Holding } from '../../../domain/values/holding.ts';
import { Contents } from '../../../projections/models/contents.ts';
import { StateReader, StateWriter } from '../../../projections/models/state-bytes.ts';
import { rawBlocks } from '../../support/hand-made-captures.ts';

const nameOf = (number: number): string => number.toString(16).padStart(64, '0');

/** Takes in a pack of one content; gives what holds it. */
function add(contents: Contents, number: number, patches: PatchTable = NO_PATCHES): Holding {
  const pack = contents.add(
    {
      name: nameOf(number),
      capture: 1,
      group: 'default',
      sizeBytes: 4160,
      blocks: rawBlocks(1),
      identifiers: new Uint8Array(IDENTIFIER_BYTES).fill(number),
      patches,
    },
    { vm: 'a', position: BigInt(number), isLinked: true },
  );
  return contents.holdingOf(pack, 0);
}

/** A patch in slot 0 over slot 0 of a pack. */
const patchOver = (number: number): PatchTable => ({
  packs: [nameOf(number)],
  slots: Uint16Array.of(0),
  packIndexes: Uint16Array.of(0),
  references: Uint16Array.of(0),
});

/** The same as another process has them that loads them. */
function loaded(contents: Contents): Contents {
  const writer = new StateWriter();
  contents.save(writer);
  return Contents.load(new StateReader(writer.bytes()));
}

describe('the count of patches that refer to a content', () => {
  test('is of the content that stands for another', () => {
    const contents = new Contents();
    const old = add(contents, 1);
    const anew = add(contents, 2);
    const patch = add(contents, 3, patchOver(1));
    expect([...contents.referrers()]).toEqual([1, 0, 0]);
    contents.alias(contentOf(old), contentOf(anew));
    const second = add(contents, 4, patchOver(1));
    expect([...contents.referrers()]).toEqual([...loaded(contents).referrers()]);
    expect([...contents.referrers()]).toEqual([0, 2, 0, 0]);
    contents.release(patch, 1);
    contents.release(second, 2);
    expect([...contents.referrers()]).toEqual([0, 0, 0, 0]);
    expect([...loaded(contents).referrers()]).toEqual([0, 0, 0, 0]);
    expect(contents.firstOf(old)).toBe(holdingOfContent(contentOf(anew)));
  });
});

describe('the state of contents', () => {
  test('takes no memory by the numbers that it claims', () => {
    const claimed = { ordinal: 0x7fff_ffff, contents: 0x7fff_ffff, patterns: 0x7fff_ffff };
    const nothing = new Uint8Array();
    const writer = new StateWriter();
    writer.u32(0xffff_ffff).u32(2).u32(0).u32(0).u64(0n);
    writer.u32(claimed.ordinal).u32(claimed.contents).u32(claimed.patterns);
    // Aliases of contents and of patterns, packs, what moved, and what was emptied.
    writer.column(nothing).column(nothing).u32(0).u32(0).column(nothing);
    const before = process.memoryUsage().arrayBuffers;
    const { numbers } = Contents.load(new StateReader(writer.bytes()));
    expect(numbers.next).toEqual({
      ordinal: claimed.ordinal,
      firstContent: claimed.contents,
      firstPattern: claimed.patterns,
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });
});
