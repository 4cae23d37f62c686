// What was decided of large pages, folded by VM, and kept as text.

import { describe, expect, test } from '@jest/globals';
import type { LargePagesEvent } from '../../../domain/large-pages.ts';
import type { ControlEvent } from '../../../domain/events/control.ts';
import type { Change } from '../../../projections/commits.ts';
import {
  foldRegions,
  regionsOf,
  regionsText,
  type VmRegions,
} from '../../../projections/models/large-regions.ts';
import { StateUnfit } from '../../../projections/models/state-bytes.ts';

const change = (event: ControlEvent): Change => ({
  _tag: 'control',
  event,
  position: 1n,
  timeMs: 0,
  id: '00'.repeat(16),
  stream: 'large-web',
});
const sampled = (vm: string): LargePagesEvent => ({
  type: 'LargePageSampled',
  data: { vm, capture: 2, source: 'writes', regions: [[1, 3]] },
});
const row = { region: 2, activity: 1, shareable: 3, pattern: 4, bytes: 28_672 };
const split: LargePagesEvent = {
  type: 'LargePageSplit',
  data: {
    vm: 'web',
    capture: 5,
    since: 2,
    source: 'writes',
    measure: 'distinct',
    threshold: 4,
    regions: [row],
  },
};

function folded(...events: readonly ControlEvent[]): VmRegions {
  const regions: VmRegions = new Map();
  for (const event of events) foldRegions(regions, change(event));
  return regions;
}

describe('what was decided of large pages', () => {
  test('is known by VM and region', () => {
    const regions = folded(sampled('web'), sampled('db'), split);
    expect([...regions.keys()]).toEqual(['web', 'db']);
    expect([...regions.get('web')!]).toEqual([
      [1, { _tag: 'sampled', since: 2, source: 'writes' }],
      [2, { _tag: 'split', capture: 5, row }],
      [3, { _tag: 'sampled', since: 2, source: 'writes' }],
    ]);
    expect(folded({ type: 'VmRetired', data: { vm: 'web' } })).toEqual(new Map());
  });

  test('reads back from its text', () => {
    const restored = { ...split, type: 'LargePageRestored' } as const;
    for (const regions of [folded(), folded(sampled('web'), split), folded(restored)])
      expect(regionsOf(regionsText(regions))).toEqual(regions);
  });

  test.each(['', '{}', '[["web"]]', '[["web",[[0,{"_tag":"cold"}]]]]', '[["web",[[-1,null]]]]'])(
    'is made anew from other text: %j',
    (text) => {
      expect(() => regionsOf(text)).toThrow(StateUnfit);
    },
  );
});
