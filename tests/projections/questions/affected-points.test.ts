import { describe, expect, test } from '@jest/globals';
import { pointRanges } from '../../../projections/questions/affected-points.ts';

describe('points that are affected', () => {
  test.each<[readonly number[], readonly string[]]>([
    [[], []],
    [[4], ['web@4']],
    [[1, 2, 3], ['web@1..3']],
    [
      [1, 3, 4, 7],
      ['web@1', 'web@3..4', 'web@7'],
    ],
    [
      [9, 10, 12, 13, 14],
      ['web@9..10', 'web@12..14'],
    ],
  ])('%j are said as %j', (captures, ranges) => {
    expect(pointRanges('web', captures)).toEqual(ranges);
  });
});
