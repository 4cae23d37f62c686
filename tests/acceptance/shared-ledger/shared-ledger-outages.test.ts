// What happens to a shared ledger when its servers fail while it is used, and when its recorders do: a
// server that is killed and started again, an object store likewise, recorders killed at random. Nothing
// is lost, nothing is doubled, and the user is told what is being waited for. The log's server is the
// double, so that it can be stopped at any moment.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openLedger, verify } from '../../../index.ts';
import { jsonRows, withoutSummary, type JsonRow } from '../../support/command-line.ts';
import { imageSeries, seededRandom } from '../../support/images.ts';
import {
  eventsOf,
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { describeWithS3 } from '../../support/s3-server/s3-server.ts';
import {
  startSharedWorld,
  type Host,
  type SharedWorld,
} from '../../support/ledgers/shared-world.ts';

const LONG_MS = 240_000;
const KILLS = Number(process.env['PAGELEDGER_KILLS'] ?? 1);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 4);
const CAPTURES = 8;

describeWithS3('a ledger on servers that fail', () => {
  let world: SharedWorld;
  let images: Uint8Array[];
  let files: string[];
  beforeAll(async () => {
    world = await startSharedWorld('double');
    images = [...imageSeries({ seed: 31, pages: 600, captures: CAPTURES, changedPages: 120 })];
    files = writeImages({ folder: world.folder, name: 'image', images });
  }, LONG_MS);
  afterAll(() => world.remove(), LONG_MS);

  /** Everything that was recorded is there once, in order, and is what was recorded. */
  async function expectAll(host: Host, captures: number): Promise<void> {
    await withLedger({ ...host.options, mode: 'read' }, async (ledger) => {
      const rows = ledger.vm('red').captures;
      expect(rows.map(({ capture }) => capture)).toEqual(
        Array.from({ length: captures }, (_, i) => i + 1),
      );
      for (const { capture } of rows) {
        const request = { vm: 'red', at: `@${capture}`, folder: world.folder };
        const image = images[(capture - 1) % CAPTURES]!;
        expect([capture, (await restored(ledger, request)).equals(image)]).toEqual([capture, true]);
      }
      const commits = await eventsOf(ledger, { type: 'CaptureCommitted' });
      expect(commits.map(({ capture }) => capture)).toEqual(rows.map(({ capture }) => capture));
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    });
  }

  const commitsIn = (rows: readonly JsonRow[]): number =>
    rows.filter(({ type }) => type === 'CaptureCommitted').length;

  test(
    'goes on when the log’s server was killed while recording and subscribing',
    async () => {
      const place = world.another();
      const [host, other] = [place.host('recorder'), place.host('subscriber')];
      await host.commands.json('record', 'image', '--vm', 'red', files[0]!);
      const subscriber = other.commands.start(['subscribe']);
      await subscriber.until((command) => commitsIn(command.rows()) === 1);
      const recorder = host.commands.start([
        '--json',
        'record',
        'image',
        '--vm',
        'red',
        ...files.slice(1),
      ]);
      for (let outage = 0; outage < 3; outage += 1) {
        await recorder.until((command) => command.rows().length > 2 * outage);
        await world.double!.stop();
        await sleep(400);
        await world.double!.start();
      }
      const recorded = await recorder.ended;
      expect([recorded.exitCode, withoutSummary(jsonRows(recorded.stdout)).length]).toEqual([
        0,
        CAPTURES - 1,
      ]);
      await subscriber.until((command) => commitsIn(command.rows()) === CAPTURES);
      subscriber.signal('SIGTERM');
      const followed = await subscriber.ended;
      expect(followed.exitCode).toBe(0);
      // The user of at least one of them was told, and nobody that anything had failed.
      expect(recorded.stderr + followed.stderr).toMatch(/esdb:\/\/127\.0\.0\.1:\d+/u);
      const seen = jsonRows(followed.stdout);
      const all = jsonRows((await other.commands.run(['--json', 'log'])).stdout);
      const key = ({ position, type, item, capture }: JsonRow): string =>
        [position, type, item, capture].map(String).join(' ');
      expect(seen.map(key)).toEqual(all.map(key));
      await expectAll(host, CAPTURES);
    },
    LONG_MS,
  );

  test(
    'goes on when the object store was killed while recording and restoring',
    async () => {
      const host = world.another().host('one');
      const recorder = host.commands.start(['--json', 'record', 'image', '--vm', 'red', ...files]);
      for (let outage = 0; outage < 2; outage += 1) {
        await recorder.until((command) => command.rows().length > 3 * outage);
        await world.s3.kill();
        await sleep(300);
        await world.s3.start();
      }
      const recorded = await recorder.ended;
      expect([recorded.exitCode, withoutSummary(jsonRows(recorded.stdout)).length]).toEqual([
        0,
        CAPTURES,
      ]);
      await expectAll(host, CAPTURES);
    },
    LONG_MS,
  );

  test(
    'says what does not answer where it stays away, and what was committed stays',
    async () => {
      const place = world.another();
      const host = place.host('one');
      await host.commands.json('record', 'image', '--vm', 'red', ...files.slice(0, 2));
      const ledger = await openLedger({
        ...host.options,
        mode: 'write',
        threads: 0,
        patienceMs: 500,
      });
      try {
        await world.s3.kill();
        await expect(
          recordFiles(ledger, { vm: 'red', files: files.slice(2, 3) }),
        ).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
        await world.s3.start();
        await world.double!.stop();
        await expect(
          recordFiles(ledger, { vm: 'red', files: files.slice(2, 3) }),
        ).rejects.toMatchObject({ code: 'LOG_UNREACHABLE' });
        await world.double!.start();
        await recordFiles(ledger, { vm: 'red', files: files.slice(2, 3) });
      } finally {
        await ledger.close();
      }
      await expectAll(host, 3);
    },
    LONG_MS,
  );

  test(
    `loses no committed capture to ${KILLS} kills of its recorder (PAGELEDGER_SEED=${SEED})`,
    async () => {
      const host = world.another().host('one');
      const random = seededRandom(SEED);
      let captures = 0;
      for (let kill = 0; kill < KILLS; kill += 1) {
        const rest = Array.from(
          { length: 2 * CAPTURES },
          (_, i) => files[(captures + i) % CAPTURES]!,
        );
        const recorder = host.commands.start(['--json', 'record', 'image', '--vm', 'red', ...rest]);
        await recorder.until((command) => command.rows().length > random(3));
        await sleep(random(120));
        recorder.signal('SIGKILL');
        const { stdout } = await recorder.ended;
        const text = stdout.toString('utf8');
        const told = withoutSummary(jsonRows(text.slice(0, text.lastIndexOf('\n') + 1))).at(-1);
        await withLedger({ ...host.options, mode: 'read' }, async (ledger) => {
          const { length } = ledger.vm('red').captures;
          expect(length).toBeGreaterThanOrEqual(Number(told?.['capture'] ?? captures));
          captures = length;
          await Promise.resolve();
        });
      }
      await expectAll(host, captures);
    },
    LONG_MS + KILLS * 15_000,
  );
});
