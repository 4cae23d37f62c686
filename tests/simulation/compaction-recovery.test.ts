// A crash after every file operation of a compaction, on a disk that may lose whatever was not synced:
// every kept point is byte-equal, `verify` is clean, and the next compaction ends the work.
//
// PAGELEDGER_SEED: which of the unsynced bytes and names a crash keeps. PAGELEDGER_STEP: only every so
// many operations, another third of them for each kind of crash; 1: every one.

import { expect, test } from '@jest/globals';
import { compact, forgetPoints, takeCheckpoint } from '../../index.ts';
import { testCrashes, type CrashedWork } from './crashed-worlds.ts';

const NOW = { graceMs: 0, isDryRun: false };

const work: CrashedWork['work'] = async ({ ledger }) => {
  const { rewritten, released, deleted } = await compact(ledger, NOW);
  expect(rewritten.packs).toBe(5);
  expect(released).toBeGreaterThan(2);
  expect(deleted.packs).toBe(5);
};

const seriesOnce = testCrashes({
  title: 'a compaction',
  seed: Number(process.env['PAGELEDGER_SEED'] ?? 20_265),
  step: Number(process.env['PAGELEDGER_STEP'] ?? 11),
  prepare: async ({ ledger, model, record }) => {
    await record('a', [32, 48, 1, 64]);
    await record('b', [32, 80, 2, 3]);
    await record('a', [33, 48, 1, 65]);
    await takeCheckpoint(ledger, { vm: 'a', name: 'named', capture: 1 });
    model.vm('a').checkpoints.set('named', 1);
    await record('a', [96, 112, 4, 65]);
    await record('a', [97, 128, 0, 66]);
    await forgetPoints(ledger, { vm: 'a', before: '@4' });
    model.forgetBefore('a', 4);
  },
  work,
  again: async ({ ledger }) => {
    await compact(ledger, NOW);
    const again = await compact(ledger, NOW);
    const isMore = again.rewritten.packs > 0 || again.deleted.packs > 0;
    return isMore ? ['a second compaction finds more to do'] : [];
  },
});

test('compaction syncs what it says, over many operations', async () => {
  const { files, before } = await seriesOnce();
  expect(files.operations.length - before).toBeGreaterThan(20);
});
