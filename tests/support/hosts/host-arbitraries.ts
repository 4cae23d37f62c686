// Arbitrary events of hosts and of guests that move between them.

import fc from 'fast-check';
import type { ControlEvent } from '../../../domain/events/control.ts';

/** What events are made of. */
export interface EventParts {
  readonly name: fc.Arbitrary<string>;
  readonly capture: fc.Arbitrary<number>;
  readonly count: fc.Arbitrary<number>;
  readonly lease: fc.Arbitrary<string>;
  readonly word: fc.Arbitrary<string>;
  readonly hostText: fc.Arbitrary<string>;
  readonly hex32: fc.Arbitrary<string>;
}

/** An arbitrary of each. */
export const hostEvents = ({
  name,
  capture,
  lease,
  word,
  hostText,
  hex32,
  count,
}: EventParts): readonly fc.Arbitrary<ControlEvent>[] => [
  fc
    .record({
      host: name,
      address: fc.option(hostText),
      cores: capture,
      memoryBytes: count,
      cpu: hostText,
      features: fc.array(fc.constantFrom('avx2', 'sse4_2', 'x2apic')),
      qemu: fc.option(hostText),
      distances: fc.array(fc.record({ host: name, distance: count })),
    })
    .map((data): ControlEvent => ({ type: 'HostJoined', data })),
  fc
    .record({
      host: name,
      generation: capture,
      part: fc.integer({ min: 1, max: 64 }),
      parts: fc.integer({ min: 1, max: 64 }),
      regions: count,
      pages: count,
      digest: hex32,
      bytes: fc.base64String(),
    })
    .map((data): ControlEvent => ({ type: 'ContentsAdvertised', data })),
  fc.record({ host: name }).map((data): ControlEvent => ({ type: 'HostLeft', data })),
  fc
    .record({
      vm: name,
      capture,
      counted: word,
      candidates: fc.array(
        fc.record({
          host: name,
          eligible: fc.boolean(),
          regions: count,
          pages: count,
          used: count,
          moveBytes: count,
          distance: fc.option(count),
        }),
      ),
      chosen: fc.option(name),
    })
    .map((data): ControlEvent => ({ type: 'CandidatesRanked', data })),
  fc
    .record({ vm: name, migration: lease, capture, from: name, to: name, kind: word })
    .map((data): ControlEvent => ({ type: 'MigrationStarted', data })),
  fc
    .record({
      vm: name,
      migration: lease,
      capture,
      regions: count,
      pages: count,
      bytes: count,
      held: count,
      stale: count,
      patched: fc.option(count),
    })
    .map((data): ControlEvent => ({ type: 'RegionsMoved', data })),
  fc
    .record({ vm: name, migration: lease, capture })
    .map((data): ControlEvent => ({ type: 'GuestHandedOver', data })),
  fc
    .record({ vm: name, migration: lease, capture, downtimeMs: fc.option(fc.nat()) })
    .map((data): ControlEvent => ({ type: 'MigrationCompleted', data })),
  fc
    .record({ vm: name, migration: lease, why: word })
    .map((data): ControlEvent => ({ type: 'MigrationFailed', data })),
];
