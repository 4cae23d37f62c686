// Who brought about what is in the log: every control event says so, whatever was done.

import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  compact,
  copyLedger,
  dropCheckpoint,
  dropVm,
  forgetHistory,
  forgetPoints,
  retireVm,
  takeCheckpoint,
  type EventRow,
} from '../../../index.ts';
import { addPattern } from '../../../adapters/wiring/ledger/patterns.ts';
import { actorIn } from '../../../domain/events/actor.ts';
import { isControlType } from '../../../domain/events/control.ts';
import { makeImage } from '../../support/images.ts';
import {
  eventsOf,
  recordFiles,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MIX = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
const MEMORY = { url: 'memory:', mode: 'create' } as const;
const ANN = { user: 'ann', host: 'one', version: '1.2.3' };

let folder: TemporaryFolder;
let files: readonly string[];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const images = [1, 2, 3].map((seed) => makeImage({ seed, pages: 16, mix: MIX }));
  files = writeImages({ folder: folder.path, name: 'image', images });
});
afterAll(() => folder.remove());

const controlRows = (rows: readonly EventRow[]): readonly EventRow[] =>
  rows.filter(({ type }) => isControlType(type));

test('every control event says who it is by, and a copy keeps it', () =>
  withLedger({ ...MEMORY, by: ANN }, async (ledger) => {
    for (const vm of ['web', 'db']) await recordFiles(ledger, { vm, files: files.slice(0, 2) });
    await recordFiles(ledger, { vm: 'old', files: files.slice(2) });
    await addPattern(ledger, String.raw`(?:\x01\x02\x03\x04\x05\x06\x07\x08\x09)+`);
    await takeCheckpoint(ledger, { vm: 'web', name: 'kept', capture: 2 });
    await dropCheckpoint(ledger, { vm: 'web', name: 'kept' });
    await retireVm(ledger, 'db');
    await dropVm(ledger, 'old');
    await forgetPoints(ledger, { vm: 'web', before: '@2' });
    await compact(ledger, { graceMs: 0, isDryRun: false });
    const rows = controlRows(await eventsOf(ledger));
    expect([...new Set(rows.map(({ type }) => type))].toSorted()).toEqual([
      'CaptureCommitted',
      'CheckpointDropped',
      'CheckpointTaken',
      'ContentReleased',
      'GroupCreated',
      'LedgerCreated',
      'PatternAdded',
      'PointsForgotten',
      'VmRegistered',
      'VmRetired',
    ]);
    expect(rows.filter(({ facts }) => facts['by'] === null)).toEqual([]);
    expect(new Set(rows.map(({ facts }) => JSON.stringify(facts['by'])))).toEqual(
      new Set([JSON.stringify(ANN)]),
    );
    await withLedger({ ...MEMORY, by: { ...ANN, user: 'bob' } }, async (copy) => {
      await copyLedger({ from: ledger, to: copy });
      const copied = controlRows(await eventsOf(copy));
      // Its own creation alone is by who copied.
      const users = copied.map(({ facts }) => actorIn(facts)?.user);
      expect(users).toEqual(['bob', ...rows.slice(1).map(() => 'ann')]);
    });
    await forgetHistory(ledger, { isDryRun: false });
    const [history] = await eventsOf(ledger, { type: 'HistoryForgotten' });
    expect(history?.facts['by']).toEqual(ANN);
  }));

test('where nobody says otherwise it is the user of this host, with this release', () =>
  withLedger(MEMORY, async (ledger) => {
    const text = readFileSync(join(sourceRoot(), 'package.json'), 'utf8');
    const { version } = JSON.parse(text) as { readonly version: string };
    expect(ledger.by).toEqual({ user: userInfo().username, host: hostname(), version });
    const [created] = await eventsOf(ledger);
    expect(created?.facts['by']).toEqual(ledger.by);
  }));
