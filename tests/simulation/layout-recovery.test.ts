// A crash after every file operation of naming a point that is laid out, on a disk that may lose whatever
// was not synced: every point is byte-equal, `verify` is clean, and the point can be named after it.
//
// PAGELEDGER_SEED, PAGELEDGER_STEP: as in compaction-recovery.test.ts.

import { expect } from '@jest/globals';
import { readPoint } from '../../adapters/wiring/points/point-reader.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { compact, isLedgerError, takeCheckpoint, type Ledger } from '../../index.ts';
import { memoryOf, type WorldModel } from '../support/ledgers/compaction-world.ts';
import { testCrashes } from './crashed-worlds.ts';

/** The capture that is named. */
const NAMED = 4;

/** Names the point, which is laid out. */
async function name(ledger: Ledger, as: string): Promise<void> {
  const taken = await takeCheckpoint(ledger, { vm: 'a', name: as, capture: NAMED });
  if (isLedgerError(taken)) throw taken;
  expect(taken.layout.packs).toHaveLength(1);
  expect(taken.reads).toBeLessThan(taken.readsBefore);
}

/** What is wrong with the point as its checkpoint's map gives it. */
async function pointFaults(ledger: Ledger, model: WorldModel): Promise<string[]> {
  const entry = ledger.vm('a');
  const row = ledger.resolve(entry, `@${NAMED}`);
  const { tables, contents } = ledger.state;
  const table = await tables.at(entry, contents, row);
  const { reader } = await readPoint(ledger, { point: { entry, row }, table });
  const pages = await reader.read(table, new Uint8Array(table.length * PAGE_BYTES));
  const isEqual = Buffer.from(pages).equals(memoryOf(model.vm('a').captures[NAMED - 1]!));
  return isEqual ? [] : ['the point is other memory, read by its map'];
}

testCrashes({
  title: 'naming a point',
  seed: Number(process.env['PAGELEDGER_SEED'] ?? 20_266),
  step: Number(process.env['PAGELEDGER_STEP'] ?? 3),
  prepare: async ({ record }) => {
    // Pages, patches of them, a pattern that is kept, and a link to a page of another VM.
    await record('a', [32, 48, 1, 64, 80, 96]);
    await record('b', [160, 0, 2, 3, 0, 0]);
    await record('a', [33, 48, 5, 65, 80, 96]);
    await record('a', [33, 160, 4, 65, 112, 96]);
    await record('a', [33, 160, 4, 66, 112, 128]);
  },
  work: ({ ledger }) => name(ledger, 'first'),
  again: async ({ ledger, model }) => {
    const faults = await pointFaults(ledger, model);
    await name(ledger, 'second');
    faults.push(...(await pointFaults(ledger, model)));
    await compact(ledger, { graceMs: 0, isDryRun: false });
    return [...faults, ...(await pointFaults(ledger, model))];
  },
});
