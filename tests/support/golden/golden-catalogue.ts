// A catalogue with something in every field, for the golden bytes of baselines.

import { initialPoints } from '../../../domain/points.ts';
import { initialPatterns, withPattern } from '../../../domain/patterns/index.ts';
import { Catalogue } from '../../../projections/models/catalogue.ts';
import type { CaptureRow } from '../../../projections/models/vm-entry.ts';

const MEMORY_MAP = {
  blocks: [{ name: 'ram', pages: 4 }],
  ranges: [{ address: 0, block: 'ram', offset: 0, length: 16_384 }],
};

const CAPTURE: CaptureRow = {
  capture: 13,
  position: 9_007_199_254_742_000n,
  id: '0b8c1e5de1b94bd2a54a0c2f7f1f3c55',
  timeMs: 1_790_000_100_000.5,
  recordedAtMs: 1_790_000_100_250,
  written: 3,
  stored: 1,
  merged: 1,
  pattern: 1,
  unchanged: 1,
  broken: 1,
  addedBytes: 4200,
  pauseMs: 2.5,
  mode: 'background-snapshot',
  source: 'a socket',
  revision: 30,
  range: { firstRevision: 27, count: 3, fromPosition: 9_007_199_254_741_500n },
  hasDevice: true,
  note: 'before the update',
  image: { name: 'web.raw', bytes: 16_384, timeNs: '1790000100000500000' },
  attachments: [],
  hash: 'ab'.repeat(32),
  isWiped: false,
  damage: null,
};

/** Two VMs, one of which goes on and one of which has ended. */
export function goldenCatalogue(): Catalogue {
  const catalogue = new Catalogue();
  catalogue.facts = {
    ledger: { id: '3f2504e0-4f89-41d3-9a0c-0305e82c3301', pageStore: 's3://bucket/p', format: 2 },
    groups: new Map([['default', '00112233445566778899aabbccddeeff']]),
    patterns: withPattern(initialPatterns, { pattern: 0, expression: 'bytes 5a' }),
  };
  const web = catalogue.entry('web');
  web.gone = {
    capture: 12,
    position: 9_007_199_254_740_993n,
    id: 'fe'.repeat(16),
    revision: 26,
    imagesToNs: '1790000000000000000',
    images: [{ name: 'ahead.raw', bytes: 16_384, timeNs: '4000000000000000000' }],
  };
  web.state = {
    registered: { vm: 'web', group: 'default', share: 'group', memoryMap: MEMORY_MAP },
    captures: 14,
    argv: ['qemu-system-x86_64', '-m', '16K'],
    isRetired: false,
  };
  web.points = { ...initialPoints, names: new Map([['kept', 13]]), givenUp: [[1, 11]] };
  web.registeredAtMs = 1_780_000_000_000;
  web.maps.push({ capture: 1, memoryMap: MEMORY_MAP, pages: 4 });
  web.commandLines.push({ capture: 2, argv: ['qemu-system-x86_64', '-m', '16K'] });
  web.rows.push(CAPTURE);
  const checkpointAt = { position: 9_007_199_254_742_100n, timeMs: 1_790_000_200_000 };
  web.checkpoints.push({
    name: 'kept',
    capture: 13,
    note: 'a note',
    layout: null,
    traced: null,
    ...checkpointAt,
  });
  web.repeated.push({ capture: 13, position: 9_007_199_254_742_050n });
  web.lostTail = 'records cannot be read';
  const db = catalogue.entry('db');
  db.state = { ...db.state, isRetired: true };
  db.retired = { position: 9_007_199_254_730_000n, timeMs: 1_785_000_000_000 };
  return catalogue;
}
