// Events of clones, for any values that fit them.

import fc from 'fast-check';
import type { ControlEvent } from '../../../domain/events/control.ts';
import { rangesOf } from '../../../domain/values/capture-ranges.ts';
import type { EventParts } from './host-arbitraries.ts';

/** Pages, in ranges. */
const pages = fc.array(fc.nat(2 ** 20)).map(rangesOf);

/** Each kind of event of a clone. */
export const cloneEvents = (of: Omit<EventParts, 'hex32'>): fc.Arbitrary<ControlEvent>[] => {
  const { name, capture, lease, word, hostText, count } = of;
  return [
    fc
      .record({ vm: name, capture, block: hostText, to: hostText })
      .map((data): ControlEvent => ({ type: 'MasterPublished', data })),
    fc
      .record({
        vm: name,
        capture,
        clone: lease,
        kind: word,
        block: fc.option(hostText),
        qmp: fc.option(hostText),
      })
      .map((data): ControlEvent => ({ type: 'CloneStarted', data })),
    fc
      .record({
        vm: name,
        clone: lease,
        base: fc.record({ vm: name, capture, file: hostText }),
        server: pages,
        host: pages,
        own: pages,
      })
      .map((data): ControlEvent => ({ type: 'PageFetched', data })),
    fc
      .record({
        vm: name,
        clone: lease,
        dropped: count,
        pages,
      })
      .map((data): ControlEvent => ({ type: 'PageEvicted', data })),
    fc
      .record({ vm: name, clone: lease, why: word, privatePages: fc.option(count) })
      .map((data): ControlEvent => ({ type: 'CloneEnded', data })),
    fc
      .record({ vm: name, clone: lease, as: name, at: capture, privatePages: count })
      .map((data): ControlEvent => ({ type: 'CloneParked', data })),
    fc
      .record({ vm: name, clone: lease, lease })
      .map((data): ControlEvent => ({ type: 'CloneWoken', data })),
  ];
};
