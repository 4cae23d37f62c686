// Events whose bytes are whole and say something else: what a damaged disk under a good checksum, a
// program of somebody else, or whoever may write to a server's stream leaves in a log. Every question
// about such a ledger is answered or refused with a clear error: no broken invariant, nothing
// unexpected.
//
// PAGELEDGER_CHANGED_EVENTS: how many events are changed; PAGELEDGER_SEED: the seed they are drawn by.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openEventLog } from '../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import type { StoredEvent } from '../../domain/ports/event-log.ts';
import { compact, forgetPoints, verify, type Ledger } from '../../index.ts';
import { openWorld, recordTable, tableAt } from '../support/ledgers/compaction-world.ts';
import { clearCode } from '../support/spoiled/damaged-ledger.ts';
import { seededRandom } from '../support/images.ts';
import { mutated } from '../support/spoiled/mutations.ts';
import { thrownText, valueOf } from '../support/outcomes.ts';
import { recordSeries } from '../support/spoiled/spoiled-series.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';
import type { LossyFiles } from './lossy-files.ts';

const CHANGES = Number(process.env['PAGELEDGER_CHANGED_EVENTS'] ?? 8);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_267);
const LOG = '/disk/ledger/log';

let folder: TemporaryFolder;
let files: LossyFiles;
let events: readonly StoredEvent[];

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  ({ files, events } = await recordSeries(folder.path));
});
afterAll(() => folder.remove());

/** The disk with these events for a log. */
async function diskWith(changed: readonly StoredEvent[]): Promise<LossyFiles> {
  const disk = files.copy();
  for (const place of [LOG, `${LOG}/heads`, '/disk/ledger/projections'])
    for (const name of await disk.list(place)) {
      const facts = await disk.facts(`${place}/${name}`);
      if (facts?.isFolder === false) await disk.remove(`${place}/${name}`);
    }
  const log = await valueOf(openEventLog({ folder: LOG, files: disk }));
  for (const { stream, ...event } of changed) {
    const expectedRevision = await valueOf(log.streamRevision(stream));
    await valueOf(log.append({ stream, expectedRevision, events: [event] }));
  }
  await log.close();
  return disk;
}

/** Every question that a command asks; each may be refused. */
async function* questions(ledger: Ledger): AsyncGenerator<() => Promise<unknown>> {
  for (const [vm, entry] of ledger.state.catalogue.vms)
    for (const { capture } of entry.captures) yield () => tableAt(ledger, { vm, capture });
  yield () => verify(ledger, () => undefined);
  for (const vm of ['a', 'b', 'c'])
    yield () =>
      recordTable(ledger, { vm, group: null, table: [34, 50, 1, 9], folder: folder.path });
  yield () => forgetPoints(ledger, { vm: 'b', before: '@2' });
  yield () => compact(ledger, { graceMs: 0, isDryRun: false });
}

/** What must not be: failures that are no clear error. */
async function faultsOf(changed: readonly StoredEvent[]): Promise<string[]> {
  const faults: string[] = [];
  const meet = (thrown: unknown): void => {
    if (clearCode(thrown) !== null) return;
    faults.push(thrownText(thrown));
  };
  const disk = await diskWith(changed);
  for (const round of ['folded anew', 'from what was kept']) {
    let ledger: Ledger;
    try {
      ledger = await openWorld(disk);
    } catch (thrown) {
      meet(thrown);
      continue;
    }
    for await (const question of questions(ledger)) await question().catch(meet);
    await ledger.close().catch(meet);
    if (faults.length > 0) return faults.map((fault) => `${round}: ${fault}`);
  }
  return faults;
}

test(`${CHANGES} changed events break nothing (PAGELEDGER_SEED=${SEED})`, async () => {
  expect(await faultsOf(events)).toEqual([]);
  const random = seededRandom(SEED);
  const faults: string[] = [];
  for (let i = 0; i < CHANGES && faults.length < 5; i += 1) {
    const at = random(events.length);
    const { type, data } = events[at]!;
    const changed = events.with(at, { ...events[at]!, data: mutated(data, random) });
    for (const fault of new Set(await faultsOf(changed)))
      faults.push(`mutation ${i}, event ${at} ${type}: ${fault}`);
  }
  expect(faults).toEqual([]);
}, 3_600_000);
