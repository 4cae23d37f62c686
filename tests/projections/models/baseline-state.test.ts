// What a baseline keeps of the contents: whatever a kept page is made of, by whatever names.

import { describe, expect, test } from '@jest/globals';
import { Catalogue } from '../../../projections/models/catalogue.ts';
import { baselineState, RECENT_MS } from '../../../projections/models/baseline-state.ts';
import { Contents } from '../../../projections/models/contents.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import { StateReader } from '../../../projections/models/state-bytes.ts';
import { LossyModels, nameOf, packOf, patchOver } from '../../support/spoiled/lossy-models.ts';

/** The contents as a baseline states them, of a VM that went. */
async function beginning({ contents, sharing, losses }: LossyModels): Promise<Contents> {
  const catalogue = new Catalogue();
  const entry = catalogue.entry('a');
  entry.state = { ...entry.state, captures: 1 };
  entry.retired = { position: 1n, timeMs: 1 };
  entry.gone = { capture: 1, position: 1n, id: '00', revision: 0, imagesToNs: null, images: [] };
  const stated = await baselineState({
    state: { contents, sharing, losses, catalogue } as unknown as LedgerState,
    position: 1n,
    timeMs: 2 * RECENT_MS,
    recentMs: RECENT_MS,
    from: { next: 2n, last: null, pending: [] },
    streams: new Map(),
    cuts: [],
    released: new Set(),
    leaves: new Uint8Array(0),
    leavesTo: 1n,
  });
  return Contents.load(new StateReader(stated.contents));
}

describe('a baseline', () => {
  test('keeps what patches name though others stand for it, however often they changed', async () => {
    const models = new LossyModels();
    models.add(packOf(1, 1));
    models.add(packOf(2, 2, patchOver(1)));
    for (const [lost, anew] of [
      [1, 3],
      [3, 4],
    ] as const) {
      models.lose(lost);
      models.add(packOf(anew, 1));
      models.release(lost, 1);
    }
    const { contents } = models;
    const begun = await beginning(models);
    for (const each of [contents, begun]) {
      const patch = models.numberOf(2);
      expect(each.referenceAt(each.placeOf(patch))).toBe(models.numberOf(4));
      expect(each.firstOf(models.numberOf(1))).toBe(models.numberOf(4));
    }
    expect([...begun.referrers()]).toEqual([...contents.referrers()]);
    expect(begun.byName(nameOf(3))).toBeUndefined();
  });
});
