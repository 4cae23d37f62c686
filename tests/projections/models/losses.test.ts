// What stands for what is lost, with another process beside it that loads the same from a state.

import { describe, expect, test } from '@jest/globals';
import { rawBlocks } from '../../support/hand-made-captures.ts';
import { LossyModels, nameOf, packOf, patchOver } from '../../support/spoiled/lossy-models.ts';

/** A rewritten pack that has the content of a written one as a patch over another. */
const asPatch = (number: number, over: number) => ({
  name: nameOf(100),
  group: 'default',
  sizeBytes: 4160,
  blocks: rawBlocks(1),
  sources: [nameOf(number)],
  sourceIndexes: Uint16Array.of(0),
  sourceSlots: Uint16Array.of(0),
  patches: patchOver(over),
  isCopied: false,
});

describe('what is stored anew for what is lost', () => {
  test('is what patches of it refer to, for who folds on and who loads', () => {
    const models = new LossyModels();
    models.add(packOf(1, 1));
    models.add(packOf(2, 2, patchOver(1)));
    models.add(packOf(3, 3));
    expect([...models.contents.referrers()]).toEqual([1, 0, 0]);
    models.lose(1);
    models.add(packOf(4, 1));
    expect([...models.contents.aliases]).toEqual([[0, 3]]);
    const loaded = models.loaded();
    expect([...loaded.referrers()]).toEqual([0, 0, 0, 1]);
    expect([...models.contents.referrers()]).toEqual([0, 0, 0, 1]);
    // What patches refer to does not become a patch itself, whoever takes the pack in.
    for (const contents of [models.contents, loaded]) {
      const known = contents.byName(nameOf(4))!;
      contents.rewrite(asPatch(4, 3), { position: 9n, timeMs: 9 });
      expect(contents.isPatch(contents.holdingOf(known, 0))).toBe(false);
    }
  });
});
