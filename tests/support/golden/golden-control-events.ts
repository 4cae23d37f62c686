// Every event that is JSON, by value: what its golden file holds. The files are what an old version wrote
// and are only ever added to; this is what they must read as.

import type { ControlEvent } from '../../../domain/events/control.ts';
import { GOLDEN_HOST_EVENTS } from './golden-host-events.ts';

/** Every control event, by type. */
export const GOLDEN_CONTROL_EVENTS: readonly ControlEvent[] = [
  {
    type: 'LedgerCreated',
    data: { ledger: '3f2504e0-4f89-41d3-9a0c-0305e82c3301', format: 1, pageStore: null },
  },
  { type: 'GroupCreated', data: { group: 'golden.group-1', keyCheck: 'c0ffee'.repeat(5) } },
  {
    type: 'PatternAdded',
    data: { pattern: 64, expression: String.raw`(?:\x68\x65\x6c{2}\x6f)+` },
  },
  {
    type: 'VmRegistered',
    data: {
      vm: 'web-1',
      group: 'golden.group-1',
      share: 'group',
      memoryMap: {
        blocks: [
          { name: 'pc.ram', pages: 1_048_576 },
          { name: 'vga.vram', pages: 4096 },
        ],
        ranges: [
          { address: 0, block: 'pc.ram', offset: 0, length: 3_221_225_472 },
          { address: 4_294_967_296, block: 'pc.ram', offset: 3_221_225_472, length: 1_073_741_824 },
        ],
      },
      parent: { vm: 'master', capture: 3 },
    },
  },
  {
    type: 'MemoryMapChanged',
    data: {
      vm: 'web-1',
      memoryMap: {
        blocks: [
          { name: 'pc.ram', pages: 1_048_576 },
          { name: 'vga.vram', pages: 4096 },
        ],
        ranges: [{ address: 4_244_635_648, block: 'vga.vram', offset: 0, length: 16_777_216 }],
      },
    },
  },
  { type: 'CommandLineObserved', data: { vm: 'web-1', argv: ['qemu-system-x86_64', '-m', '4G'] } },
  {
    type: 'CaptureCommitted',
    data: {
      vm: 'web-1',
      capture: 1,
      timeMs: 1_790_000_000_000.5,
      batches: 3,
      firstRevision: 0,
      hash: 'e1ee533eef22655ccb406216d8c7005d523694d9606d65ec1f9deaa8605a095d',
      written: 6,
      stored: 2,
      merged: 2,
      pattern: 2,
      unknown: 0,
      unchanged: 1_052_666,
      pauseMs: 12.25,
      mode: 'background-snapshot',
      source: 'qmp:/run/vm.sock',
      note: null,
      attachments: [],
      image: null,
    },
  },
  {
    type: 'CheckpointTaken',
    data: { vm: 'web-1', name: 'booted', capture: 1, note: null, layout: null },
  },
  { type: 'CheckpointDropped', data: { vm: 'web-1', name: 'booted' } },
  { type: 'PointsForgotten', data: { vm: 'web-1', captures: [[1, 6]] } },
  {
    type: 'ContentReleased',
    data: {
      seen: { vm: 'web-1', capture: 9 },
      packs: [
        { pack: 'ab'.repeat(32), slots: '05' },
        { pack: 'cd'.repeat(32), slots: '0000ff80' },
      ],
      areLying: null,
    },
  },
  { type: 'ContentLost', data: { packs: [{ pack: 'ab'.repeat(32), slots: '05' }] } },
  { type: 'ContentFound', data: { packs: [{ pack: 'ab'.repeat(32), slots: '04' }] } },
  {
    type: 'PointLeased',
    data: {
      vm: 'web-1',
      capture: 2,
      lease: '0123456789abcdef',
      kind: 'mount',
      ledger: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
      holder: {
        host: 'one',
        machine: 'ab'.repeat(16),
        boot: '0b8c1e5d-e1b9-4bd2-a54a-0c2f7f1f3c55',
        space: 'pid:[4026531836] time:[4026531834]',
        process: 4711,
        started: 123_456,
      },
    },
  },
  { type: 'LeaseEnded', data: { vm: 'web-1', lease: '0123456789abcdef', why: 'died' } },
  {
    type: 'MasterPublished',
    data: { vm: 'web-1', capture: 2, block: 'pc.ram', to: '/tmp/base/memory' },
  },
  {
    type: 'CloneStarted',
    data: {
      vm: 'web-1',
      capture: 2,
      clone: '0123456789abcdef',
      kind: 'mapped',
      block: 'pc.ram',
      qmp: '/tmp/clone/qmp.sock',
    },
  },
  {
    type: 'PageFetched',
    data: {
      vm: 'web-1',
      clone: '0123456789abcdef',
      base: { vm: 'web-1', capture: 2, file: '/tmp/base/memory' },
      server: [
        [0, 31],
        [64, 64],
      ],
      host: [[128, 143]],
      own: [[70_000, 70_001]],
    },
  },
  {
    type: 'PageEvicted',
    data: { vm: 'web-1', clone: '0123456789abcdef', dropped: 4096, pages: [] },
  },
  {
    type: 'CloneEnded',
    data: { vm: 'web-1', clone: '0123456789abcdef', why: 'released', privatePages: 732 },
  },
  ...GOLDEN_HOST_EVENTS,
  {
    type: 'CloneParked',
    data: { vm: 'web-1', clone: '0123456789abcdef', as: 'web-1-a', at: 1, privatePages: 732 },
  },
  {
    type: 'CloneWoken',
    data: { vm: 'web-1', clone: '0123456789abcdef', lease: 'fedcba9876543210' },
  },
  {
    type: 'CheckpointRestored',
    data: { vm: 'web-1', capture: 2, how: 'file', to: '/tmp/memory.raw' },
  },
  {
    type: 'PageRequested',
    data: { vm: 'web-1', capture: 2, pages: [[0, 31]] },
  },
  {
    type: 'LargePageSampled',
    data: { vm: 'web-1', capture: 2, source: 'writes', regions: [[0, 3]] },
  },
  {
    type: 'LargePageSplit',
    data: {
      vm: 'web-1',
      capture: 3,
      since: 2,
      source: 'writes',
      measure: 'distinct',
      threshold: 16,
      regions: [
        { region: 0, activity: 0, shareable: 1, pattern: 510, bytes: 2_093_056 },
        { region: 2, activity: 3, shareable: 0, pattern: 8, bytes: 32_768 },
      ],
    },
  },
  {
    type: 'LargePageRestored',
    data: {
      vm: 'web-1',
      capture: 3,
      since: 2,
      source: 'writes',
      measure: 'distinct',
      threshold: null,
      regions: [{ region: 1, activity: 512, shareable: 0, pattern: 4, bytes: 16_384 }],
    },
  },
  {
    type: 'CheckpointLaidOut',
    data: {
      vm: 'web-1',
      name: 'laid-out',
      capture: 2,
      traced: 1_900,
      layout: {
        bytes: 70_000,
        map: { name: '12'.repeat(32), bytes: 148 },
        packs: ['34'.repeat(32), '56'.repeat(32)],
      },
    },
  },
  { type: 'VmRetired', data: { vm: 'web-1' } },
  {
    type: 'HistoryForgotten',
    data: {
      begins: '9007199254740993',
      parts: 2,
      firstRevision: 5,
      from: '51804',
      bytes: 300_000,
      format: null,
    },
  },
];

/** As schema 2 has them: what is kept beside a capture, what a person said, of which format a ledger is. */
export const GOLDEN_BESIDE_EVENTS: readonly ControlEvent[] = [
  {
    type: 'CaptureCommitted',
    data: {
      vm: 'web-1',
      capture: 2,
      timeMs: 1_790_000_000_000,
      batches: 2,
      firstRevision: 4,
      hash: 'ab'.repeat(32),
      written: 1,
      stored: 1,
      merged: 0,
      pattern: 0,
      unknown: 0,
      unchanged: 3,
      pauseMs: null,
      mode: 'image',
      source: '/var/snapshots/mem.raw',
      note: 'before the upgrade: "a\u0007b"',
      attachments: [
        { name: 'vmstate', bytes: 5000, sha256: 'cd'.repeat(32) },
        { name: 'config.json', bytes: 0, sha256: 'ef'.repeat(32) },
      ],
      image: { name: 'mem.raw', bytes: 16_384, timeNs: '1790000000000000001' },
    },
  },
  {
    type: 'CheckpointTaken',
    data: { vm: 'web-1', name: 'booted', capture: 2, note: 'it still works', layout: null },
  },
  {
    type: 'HistoryForgotten',
    data: { begins: '70', parts: 1, firstRevision: 0, from: '51804', bytes: 300, format: 3 },
  },
  {
    type: 'PageEvicted',
    data: {
      vm: 'web-1',
      clone: '0123456789abcdef',
      dropped: 20,
      pages: [
        [0, 15],
        [128, 131],
      ],
    },
  },
  {
    type: 'RegionsMoved',
    data: {
      vm: 'web-1',
      migration: 'fedcba9876543210',
      capture: 4,
      regions: 12,
      pages: 90,
      bytes: 12_345,
      held: 800,
      stale: 0,
      patched: 70,
    },
  },
];

/** A capture whose source did not tell of all pages, as schema 3 has it. */
export const GOLDEN_UNKNOWN: ControlEvent = {
  type: 'CaptureCommitted',
  data: {
    vm: 'web-1',
    capture: 3,
    timeMs: 1_790_000_000_000,
    batches: 1,
    firstRevision: 7,
    hash: 'ab'.repeat(32),
    written: 4,
    stored: 1,
    merged: 0,
    pattern: 0,
    unknown: 3,
    unchanged: 0,
    pauseMs: null,
    mode: 'core',
    source: '/var/crash/dump',
    note: null,
    attachments: [],
    image: null,
  },
};
