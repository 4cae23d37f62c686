// A crash after every file operation of laying a checkpoint out anew, by what a guest asked for, on a disk
// that may lose whatever was not synced: every point is byte-equal, also as the checkpoint's map gives it,
// `verify` is clean, and the next compaction does what was left to do.
//
// PAGELEDGER_SEED, PAGELEDGER_STEP: as in compaction-recovery.test.ts.

import { expect } from '@jest/globals';
import { readPoint } from '../../adapters/wiring/points/point-reader.ts';
import { restoresStream } from '../../domain/events/streams.ts';
import { decideRequests, initialTraces } from '../../domain/requests.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { compact, isLedgerError, takeCheckpoint, type Ledger } from '../../index.ts';
import { memoryOf, type WorldModel } from '../support/ledgers/compaction-world.ts';
import { testCrashes } from './crashed-worlds.ts';

/** Pages that lie in their order in three storage blocks, and what is asked for of all of them. */
const TABLE = Array.from({ length: 96 }, (_, i) => 16 * (i + 1));
const ASKED = [90, 40, 3];
const NOW = { graceMs: 0, isDryRun: false };

/** What is wrong with the point, and with its layout. */
async function faultsOf(ledger: Ledger, model: WorldModel): Promise<string[]> {
  const entry = ledger.vm('a');
  const row = ledger.resolve(entry, 'cp:named');
  const { tables, contents } = ledger.state;
  const table = await tables.at(entry, contents, row);
  const { reader } = await readPoint(ledger, { point: { entry, row }, table });
  const pages = await reader.read(table, new Uint8Array(table.length * PAGE_BYTES));
  const isEqual = Buffer.from(pages).equals(memoryOf(model.vm('a').captures[0]!));
  return isEqual ? [] : ['the point is other memory, read by its map'];
}

/** Compacts, which lays the checkpoint out anew. */
async function layAnew(ledger: Ledger): Promise<void> {
  const { laidOutAnew } = await compact(ledger, NOW);
  expect(laidOutAnew).toMatchObject([{ traced: 3, made: { readsBefore: 3, reads: 1 } }]);
}

testCrashes({
  title: 'laying a checkpoint out anew',
  seed: Number(process.env['PAGELEDGER_SEED'] ?? 20_267),
  step: Number(process.env['PAGELEDGER_STEP'] ?? 3),
  prepare: async ({ record, ledger }) => {
    await record('a', TABLE);
    const taken = await takeCheckpoint(ledger, { vm: 'a', name: 'named', capture: 1 });
    if (isLedgerError(taken)) throw taken;
    await ledger.decide(restoresStream('a'), () =>
      decideRequests(initialTraces)({
        _tag: 'RecordRequests',
        vm: 'a',
        capture: 1,
        pages: ASKED,
      }),
    );
  },
  work: ({ ledger }) => layAnew(ledger),
  again: async ({ ledger, model }) => {
    const faults = await faultsOf(ledger, model);
    await compact(ledger, NOW);
    if (ledger.vm('a').checkpoints[0]?.traced !== 3) faults.push('it was not laid out anew');
    return [...faults, ...(await faultsOf(ledger, model))];
  },
});
