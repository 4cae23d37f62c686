// Leases of a ledger that hosts share: what one host reads page by page no other takes away, and what a
// host holds that is gone for good ends when somebody says so.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  compact,
  endDeadLeases,
  endLease,
  forgetPoints,
  holdPoint,
  leasesOf,
  openLedger,
  type Ledger,
} from '../../../index.ts';
import { thisHolder } from '../../../adapters/files/processes.ts';
import { pointsStream } from '../../../domain/events/streams.ts';
import { decidePoints } from '../../../domain/points.ts';
import { makeImage } from '../../support/images.ts';
import {
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { describeWithS3, S3_TIMEOUT_MS } from '../../support/s3-server/s3-server.ts';
import { startSharedWorld, type SharedWorld } from '../../support/ledgers/shared-world.ts';

const IMAGES = [1, 2, 3].map((seed) => makeImage({ seed, pages: 64 }));
const AWAY = 'aaaaaaaaaaaaaaaa';

describeWithS3('leases of a shared ledger', () => {
  let world: SharedWorld;
  let reader: Ledger;
  beforeAll(async () => {
    world = await startSharedWorld();
    const files = writeImages({ folder: world.folder, name: 'image', images: IMAGES });
    await withLedger({ ...world.host('recorder').options, mode: 'create' }, (ledger) =>
      recordFiles(ledger, { vm: 'web', files }),
    );
    reader = await openLedger({ ...world.host('reader').options, mode: 'use', threads: 0 });
  }, S3_TIMEOUT_MS);
  afterAll(async () => {
    await reader.close();
    await world.remove();
  }, S3_TIMEOUT_MS);

  /** What another host keeps that forgets all but the newest, and compacts without grace. */
  const keptElsewhere = (): Promise<readonly number[]> =>
    withLedger({ ...world.host('keeper').options, mode: 'write' }, async (ledger) => {
      const { rows } = await forgetPoints(ledger, { keep: { last: 1 } });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      return rows.filter(({ isKept }) => isKept).map(({ capture }) => capture);
    });

  test(
    'hold what another host would forget, until they are released or ended',
    async () => {
      const entry = reader.vm('web');
      const point = { entry, row: reader.resolve(entry, '@1') };
      const held = await holdPoint(reader, point, { kind: 'server' });
      const holder = { ...thisHolder(), host: 'gone', boot: 'another', machine: 'another' };
      await reader.decide(pointsStream('web'), () =>
        decidePoints(reader.vm('web').points)({
          _tag: 'LeasePoint',
          vm: 'web',
          capture: 2,
          newest: 3,
          lease: AWAY,
          kind: 'mount',
          ledger: reader.id!,
          holder,
        }),
      );
      expect(await keptElsewhere()).toEqual([1, 2, 3]);
      const bytes = await restored(reader, { vm: 'web', at: '@1', folder: world.folder });
      expect(bytes.equals(IMAGES[0]!)).toBe(true);
      await held.release();
      expect(await keptElsewhere()).toEqual([2, 3]);
      await withLedger({ ...world.host('keeper').options, mode: 'write' }, async (ledger) => {
        expect(await endDeadLeases(ledger)).toEqual([]);
        expect(leasesOf(ledger.vms())).toMatchObject([{ lease: AWAY, fate: 'elsewhere' }]);
        expect(await endLease(ledger, AWAY)).toMatchObject({ vm: 'web', capture: 2 });
      });
      expect(await keptElsewhere()).toEqual([3]);
    },
    S3_TIMEOUT_MS,
  );
});
