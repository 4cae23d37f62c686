// Which captures may leave the log: those before a VM's oldest kept one.

import { describe, expect, test } from '@jest/globals';
import { decideHistory, heldHistory, type VmHistory } from '../../domain/history.ts';
import { initialPoints } from '../../domain/points.ts';
import { rangesOf } from '../../domain/values/capture-ranges.ts';

interface Given {
  readonly newest: number;
  readonly goneTo?: number;
  readonly forgotten: readonly number[];
  readonly named?: number;
}

const given = ({ newest, goneTo = 0, forgotten, named }: Given): VmHistory => ({
  vm: 'web',
  goneTo,
  newest,
  points: {
    ...initialPoints,
    names: new Map(named === undefined ? [] : [['booted', named]]),
    givenUp: rangesOf(forgotten),
  },
});

describe('the history of a VM', () => {
  test.each<[string, Given, number | null]>([
    ['goes up to its oldest kept capture', { newest: 6, forgotten: [1, 2, 3, 5] }, 3],
    ['stays where its first capture is kept', { newest: 6, forgotten: [2, 3, 4] }, null],
    ['stays where a checkpoint keeps that', { newest: 6, forgotten: [1, 2, 3], named: 1 }, null],
    ['goes as far as a checkpoint lets it', { newest: 6, forgotten: [1, 2, 3], named: 3 }, 2],
    ['goes on behind what is gone', { newest: 9, goneTo: 3, forgotten: [1, 2, 3, 4, 5, 7] }, 5],
    ['that went as far as it can stays', { newest: 9, goneTo: 3, forgotten: [1, 2, 3, 5] }, null],
    ['of which nothing is kept goes wholly', { newest: 4, forgotten: [1, 2, 3, 4] }, 4],
    ['of which nothing was recorded stays', { newest: 0, forgotten: [] }, null],
  ])('%s', (_, of, capture) => {
    const expected = capture === null ? [] : [{ vm: 'web', capture }];
    expect(decideHistory([given(of)])).toEqual(expected);
  });

  test('is held back by a kept capture that others were forgotten after', () => {
    const held = { newest: 6, forgotten: [1, 3, 4, 5], named: 2 };
    const of = { vm: 'web', capture: 2, checkpoints: ['booted'], leases: [] };
    expect(heldHistory(given(held))).toEqual(of);
    expect(heldHistory(given({ newest: 6, forgotten: [1, 2, 3] }))).toBeNull();
    const dropped = given({ newest: 6, forgotten: [1, 2, 3, 4, 5, 6] });
    const leased = { ...dropped, points: { ...dropped.points, leases: new Map([['a', 2]]) } };
    expect(heldHistory(leased)).toEqual({ ...of, checkpoints: [], leases: ['a'] });
    expect(decideHistory([leased])).toEqual([{ vm: 'web', capture: 1 }]);
  });

  test('of each VM goes as far as its own captures say', () => {
    const vms = [
      { ...given({ newest: 3, forgotten: [1, 2] }), vm: 'a' },
      { ...given({ newest: 3, forgotten: [] }), vm: 'b' },
      { ...given({ newest: 3, forgotten: [1] }), vm: 'c' },
    ];
    expect(decideHistory(vms)).toEqual([
      { vm: 'a', capture: 2 },
      { vm: 'c', capture: 1 },
    ]);
  });
});
