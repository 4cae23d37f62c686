// A capture that is committed a second time, as no recorder of ours does: the first commit counts.

import { expect, test } from '@jest/globals';
import { vmStream } from '../../../domain/events/streams.ts';
import { catalogueText } from '../../../projections/models/catalogue-state.ts';
import { changes$ } from '../../../projections/observable.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import { HandMadeLedger, planCapture } from '../../support/hand-made-captures.ts';
import { MapStateFiles } from '../../support/disks/map-state-files.ts';

/** VM a, whose capture 2 may be committed again with other pages, and what follows it. */
async function makeHistory(isRepeated: boolean, between: (state: LedgerState) => Promise<void>) {
  const ledger = new HandMadeLedger();
  await ledger.record({ vm: 'a', pages: [1, 2, 3, 4] });
  await ledger.record({ vm: 'b', pages: [5, 6, 7] });
  const first = await planCapture(ledger.state, { vm: 'a', pages: [1, 2, 3, 8] });
  const again = await planCapture(ledger.state, { vm: 'a', pages: [9, 9, 9, 9] });
  for (const plan of isRepeated ? [first, again] : [first]) {
    await ledger.append(vmStream('a'), plan.batches);
    await ledger.commit(plan);
    await between(ledger.state);
  }
  await ledger.record({ vm: 'a', pages: [1, 2, 6, 8] });
  await ledger.state.catchUp({ heavy: true });
  return ledger;
}

/** Who holds what, at every capture of a. */
async function heldIn(state: LedgerState): Promise<unknown> {
  const entry = state.catalogue.vms.get('a')!;
  const tables = entry.captures.map(async (row) => [
    row.capture,
    row.written,
    ...(await state.tables.at(entry, state.contents, row)),
  ]);
  const { count } = state.contents;
  const holders = Array.from({ length: count }, (_, content) => state.sharing.holders(content));
  return { tables: await Promise.all(tables), holders };
}

test.each([
  ['at once', async (): Promise<void> => undefined],
  ['as it comes', (state: LedgerState) => state.catchUp({ heavy: true })],
])('a second commit counts for nothing, folded %s', async (_, between) => {
  const whole = await makeHistory(false, between);
  const ledger = await makeHistory(true, between);
  const { state } = ledger;
  expect(state.catalogue.vms.get('a')!.repeated.map(({ capture }) => capture)).toEqual([2]);
  expect(await heldIn(state)).toEqual(await heldIn(whole.state));
  const captures: string[] = [];
  await changes$(ledger.log).forEach((change) => {
    if (change._tag === 'capture')
      captures.push(`${change.committed.vm}@${change.committed.capture}`);
  });
  expect(captures).toEqual(['a@1', 'b@1', 'a@2', 'a@3']);
  await state.save();
  for (const files of [ledger.files, new MapStateFiles()]) {
    const opened = ledger.open(files);
    await opened.load();
    await opened.catchUp({ heavy: true });
    expect(catalogueText(opened.catalogue)).toBe(catalogueText(state.catalogue));
    expect(await heldIn(opened)).toEqual(await heldIn(state));
  }
});
