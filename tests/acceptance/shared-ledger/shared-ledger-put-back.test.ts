// A shared ledger whose log is put back from a copy while its packs are not: it is older than what a host
// has derived of it, or than the last compaction.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  compact,
  dropVm,
  forgetPoints,
  retireVm,
  takeCheckpoint,
  verify,
  type Ledger,
} from '../../../index.ts';
import { makeImage } from '../../support/images.ts';
import { recordBetween } from '../../support/ledgers/recorded-between.ts';
import {
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { describeWithS3, S3_TIMEOUT_MS } from '../../support/s3-server/s3-server.ts';
import {
  startSharedWorld,
  type Host,
  type SharedWorld,
} from '../../support/ledgers/shared-world.ts';

const MIX = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
const TOO_OLD = /older than the last compaction/u;

describeWithS3('a shared ledger whose log is put back', () => {
  let world: SharedWorld;
  let images: readonly Uint8Array[];
  let files: readonly string[];
  beforeAll(async () => {
    world = await startSharedWorld('double');
    images = [1, 2, 3, 4].map((seed) => makeImage({ seed, pages: 48, mix: MIX }));
    files = writeImages({ folder: world.folder, name: 'image', images });
  }, S3_TIMEOUT_MS);
  afterAll(() => world.remove());

  const opened = <A>(host: Host, work: (ledger: Ledger) => Promise<A>): Promise<A> =>
    withLedger({ ...host.options, mode: 'create' }, work);
  const record = (host: Host, numbers: readonly number[]) =>
    opened(host, (ledger) =>
      recordFiles(ledger, { vm: 'web', files: numbers.map((number) => files[number]!) }),
    );

  /** Puts the log back as a copy has it, with a server that starts on it. */
  async function putBack(copy: () => void): Promise<void> {
    await world.double!.stop();
    copy();
    await world.double!.start();
  }

  /** The images that the captures of VM web restore to, by their numbers. */
  async function found(ledger: Ledger): Promise<number[]> {
    const numbers: number[] = [];
    for (const { capture } of ledger.vm('web').captures) {
      const at = `@${capture}`;
      const bytes = await restored(ledger, { vm: 'web', at, folder: world.folder });
      numbers.push(images.findIndex((image) => bytes.equals(image)));
    }
    return numbers;
  }

  test(
    'gives what it says on a host that knew more, and is recorded into again',
    async () => {
      const host = world.another().host('one');
      await record(host, [0]);
      const copy = world.double!.records.backUp();
      await record(host, [1, 2]);
      await putBack(copy);
      expect(await opened(host, found)).toEqual([0]);
      await record(host, [3]);
      expect(await opened(host, found)).toEqual([0, 3]);
      const { findings } = await opened(host, (ledger) => verify(ledger, () => undefined));
      expect(findings).toEqual([]);
    },
    S3_TIMEOUT_MS,
  );

  test(
    'while it is recorded into takes no capture that began before',
    async () => {
      const host = world.another().host('one');
      await record(host, [0]);
      const copy = world.double!.records.backUp();
      await opened(host, async (ledger) => {
        await recordFiles(ledger, { vm: 'web', files: [files[1]!] });
        const between = (): Promise<void> => putBack(copy);
        const recording = recordBetween(ledger, { vm: 'web', path: files[2]!, between });
        await expect(recording).rejects.toMatchObject({ code: 'LOG_REPLACED' });
      });
      expect(await opened(host, found)).toEqual([0]);
    },
    S3_TIMEOUT_MS,
  );

  test(
    'from before a compaction is told of at opening, and nothing is decided onto it',
    async () => {
      const place = world.another();
      const [host, other] = [place.host('one'), place.host('two')];
      await record(host, [0, 1]);
      const copy = world.double!.records.backUp();
      await opened(host, async (ledger) => {
        await forgetPoints(ledger, { vm: 'web', before: '@2' });
        const { deleted } = await compact(ledger, { graceMs: 0, isDryRun: false });
        expect(deleted.packs).toBeGreaterThan(0);
      });
      await putBack(copy);
      await opened(other, async (ledger) => {
        expect(other.notices.join('\n')).toMatch(TOO_OLD);
        const attempts = [
          () => takeCheckpoint(ledger, { vm: 'web', name: 'here', capture: 2 }),
          () => forgetPoints(ledger, { vm: 'web', before: '@2' }),
          () => retireVm(ledger, 'web'),
          () => dropVm(ledger, 'web'),
          () => compact(ledger, { graceMs: 0, isDryRun: false }),
          () => recordFiles(ledger, { vm: 'web', files: [files[2]!] }),
        ];
        for (const attempt of attempts)
          await expect(attempt()).rejects.toMatchObject({ code: 'LOG_TOO_OLD' });
        const { findings } = await verify(ledger, () => undefined);
        expect(findings.map(({ reason }) => reason).join('\n')).toMatch(TOO_OLD);
      });
    },
    S3_TIMEOUT_MS,
  );
});
