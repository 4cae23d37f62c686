// The events of hosts and migrations, by value: what their golden files hold.

import type { ControlEvent } from '../../../domain/events/control.ts';

const MOVING = { vm: 'web-1', migration: 'fedcba9876543210', capture: 4 };

/** Each of them once. */
export const GOLDEN_HOST_EVENTS: readonly ControlEvent[] = [
  {
    type: 'HostJoined',
    data: {
      host: 'one',
      address: 'tcp:10.0.0.1:7070',
      cores: 8,
      memoryBytes: 34_359_738_368,
      cpu: 'Some CPU @ 3.0 GHz',
      features: ['avx2', 'sse4_2'],
      qemu: '7.2.22',
      distances: [{ host: 'two', distance: 3 }],
    },
  },
  {
    type: 'ContentsAdvertised',
    data: {
      host: 'one',
      generation: 2,
      part: 1,
      parts: 1,
      regions: 0,
      pages: 0,
      digest: 'ab'.repeat(32),
      bytes: 'AAECAw==',
    },
  },
  { type: 'HostLeft', data: { host: 'one' } },
  {
    type: 'CandidatesRanked',
    data: {
      vm: 'web-1',
      capture: 4,
      counted: 'pages',
      candidates: [
        {
          host: 'two',
          eligible: true,
          regions: 100,
          pages: 800,
          used: 90,
          moveBytes: 4096,
          distance: null,
        },
      ],
      chosen: 'two',
    },
  },
  { type: 'MigrationStarted', data: { ...MOVING, from: 'one', to: 'two', kind: 'live' } },
  {
    type: 'RegionsMoved',
    data: { ...MOVING, regions: 12, pages: 90, bytes: 123_456, held: 800, stale: 1, patched: null },
  },
  { type: 'GuestHandedOver', data: MOVING },
  { type: 'MigrationCompleted', data: { ...MOVING, downtimeMs: 112.5 } },
  {
    type: 'MigrationFailed',
    data: { vm: 'web-1', migration: 'fedcba9876543210', why: 'target-gone' },
  },
];
