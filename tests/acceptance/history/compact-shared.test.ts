// Compaction of a ledger that hosts share: another host, without the group's key, rewrites it; what was
// emptied waits for its grace, as hosts may record that cannot be seen; a host that has read it before
// learns where content lies now.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  compact,
  forgetPoints,
  graceMsOf,
  openLedger,
  verify,
  type Ledger,
} from '../../../index.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { describeWithS3 } from '../../support/s3-server/s3-server.ts';
import { startSharedWorld, type SharedWorld } from '../../support/ledgers/shared-world.ts';
import { digestOf, recordBytes, restoredDigest } from '../../support/ledgers/small-ledger.ts';

const HOUR_MS = 3_600_000;
async function packsOf(ledger: Ledger): Promise<number> {
  let packs = 0;
  for await (const pack of ledger.store.list()) packs += pack.sizeBytes > 0 ? 1 : 0;
  return packs;
}

describeWithS3('a shared ledger', () => {
  let world: SharedWorld;
  beforeAll(async () => {
    world = await startSharedWorld();
  }, 300_000);
  afterAll(() => world.remove());

  test('is compacted from another host, and nothing goes before its grace is over', async () => {
    let now = Date.now();
    const open = (host: string): Promise<Ledger> =>
      openLedger({ ...world.host(host).options, mode: 'create', threads: 0, clock: () => now });
    const [one, two] = [await open('one'), await open('two')];
    const scratch = join(world.folder, 'scratch');
    try {
      let bytes = makeImage({ seed: 5, pages: 60 });
      for (let i = 0; i < 4; i += 1) {
        await recordBytes(one, { vm: 'guest', bytes, scratch });
        bytes = changeImage(bytes, { seed: 50 + i, changedPages: 15 });
      }
      await recordBytes(one, { vm: 'guest', bytes, scratch });
      await forgetPoints(two, { vm: 'guest', before: '@5' });
      expect(graceMsOf(two)).toBe(HOUR_MS);
      const request = { graceMs: HOUR_MS, isDryRun: false };
      const before = await packsOf(one);
      const first = await compact(two, request);
      expect(first.rewritten.packs).toBe(before);
      expect(first.released).toBeGreaterThan(20);
      expect(first.deleted).toMatchObject({ packs: 0, waitingPacks: before });
      expect(first.deleted.waitingUntilMs).toBe(now + HOUR_MS);
      now += HOUR_MS;
      expect((await compact(two, request)).deleted.packs).toBe(before);
      // This host's view is from before all that.
      const restored = await restoredDigest(one, { vm: 'guest', at: '@5', scratch });
      expect(restored).toBe(digestOf(bytes));
      await recordBytes(one, { vm: 'second', bytes, scratch });
      expect(await restoredDigest(two, { vm: 'guest', at: 'latest', scratch })).toBe(restored);
      expect((await verify(two, () => undefined)).findings).toEqual([]);
    } finally {
      await one.close();
      await two.close();
    }
  }, 300_000);
});
