// What compaction lets go of is named where it lies: contents that many packs held first lie in one since
// they were put together. A fold takes them from there, also anew, and what is kept stays as it was.

import * as either from 'fp-ts/lib/Either.js';
import { expect, test } from '@jest/globals';
import { compact, forgetPoints, verify, type CompactRequest, type Ledger } from '../../index.ts';
import { decodeControl, type ContentReleased } from '../../domain/events/control.ts';
import { FIRST_CONTENT } from '../../domain/values/holding.ts';
import {
  freshDisk,
  openWorld,
  placesIn,
  recordTable,
  WorldModel,
} from '../support/ledgers/compaction-world.ts';
import { eventsOf } from '../support/logs/log-events.ts';
import { withTemporaryFolder } from '../support/disks/temporary-folder.ts';

const NOW: CompactRequest = { graceMs: 0, isDryRun: false };
/** Contents that are patches of none of the others: as many as are worth putting together. */
const OLD = [16, 32, 48, 64, 80, 96, 112, 128, 144];

const releasedIn = async ({ log }: Ledger): Promise<readonly ContentReleased[]> =>
  (await eventsOf(log)).flatMap((stored) => {
    if (stored.type !== 'ContentReleased') return [];
    expect(stored.schema).toBe(2);
    const event = decodeControl(stored);
    return either.isRight(event) && event.right.type === 'ContentReleased'
      ? [event.right.data]
      : [];
  });

test('what lies together is let go of in one pack, whichever packs held it first', () =>
  withTemporaryFolder(async (folder) => {
    const ledger = await openWorld(freshDisk());
    const model = new WorldModel();
    const record = async (table: readonly number[]): Promise<void> => {
      await recordTable(ledger, { vm: 'a', group: null, table, folder });
      model.vm('a').captures.push(table);
    };
    for (let held = 1; held <= OLD.length; held += 1)
      await record(OLD.map((content, i) => (i < held ? content : 0)));
    await compact(ledger, NOW);
    expect(await releasedIn(ledger)).toEqual([]);
    await record(OLD.map((content) => content + 256));
    await forgetPoints(ledger, { vm: 'a', before: `@${OLD.length + 1}` });
    model.forgetBefore('a', OLD.length + 1);
    await compact(ledger, NOW);
    const [released, ...others] = await releasedIn(ledger);
    expect(others).toEqual([]);
    expect(released).toMatchObject({ areLying: true, packs: [{ slots: 'ff01' }] });
    expect(released!.packs).toHaveLength(1);
    expect(ledger.state.contents.byName(released!.packs[0]!.pack)).toBeUndefined();
    const { contents } = ledger.state;
    for (const content of OLD.keys())
      expect(contents.isReleased(FIRST_CONTENT + content)).toBe(true);
    const before = placesIn(ledger);
    await ledger.state.rebuild();
    expect(placesIn(ledger)).toEqual(before);
    expect(await model.faults(ledger)).toEqual([]);
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    await ledger.close();
  }));
