// What is wrong with one host of a shared ledger: its clock, its disk, the keys it lacks. It is told what
// it lacks, the others notice nothing, and nothing that was recorded is lost.

import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { exportGroup, importGroup, recordImages, verify, type Ledger } from '../../../index.ts';
import { filesFullUnder } from '../../support/spoiled/broken-files.ts';
import { COMMAND_LINE, type Outcome } from '../../support/command-line.ts';
import { imageSeries } from '../../support/images.ts';
import {
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { describeWithS3, TEST_ACCESS_KEY, TEST_SECRET } from '../../support/s3-server/s3-server.ts';
import {
  startSharedWorld,
  type Host,
  type SharedWorld,
} from '../../support/ledgers/shared-world.ts';
import { saying, toldBy, toldIn } from '../../support/told-failures.ts';
import { sampleOf } from '../../support/long-run.ts';

const LONG_MS = 240_000;
const HOUR_MS = 3_600_000;
const NOON = Date.parse('2026-03-01T12:00:00Z');
const CAPTURES = 4;
const isRoot = process.getuid?.() === 0;

describeWithS3('a host of a shared ledger', () => {
  let world: SharedWorld;
  let images: Uint8Array[];
  let files: string[];
  beforeAll(async () => {
    world = await startSharedWorld('double');
    images = [...imageSeries({ seed: 91, pages: 300, captures: CAPTURES, changedPages: 60 })];
    files = writeImages({ folder: world.folder, name: 'image', images });
  }, LONG_MS);
  afterAll(() => world.remove(), LONG_MS);

  const record = (host: Host, file: number, more: { readonly files?: FilePort } = {}) =>
    withLedger({ ...host.options, ...more, mode: 'create' }, (ledger) =>
      recordFiles(ledger, { vm: 'red', files: [files[file]!] }),
    );
  const memoryOf = (ledger: Ledger, at: string): Promise<Buffer> =>
    restored(ledger, { vm: 'red', at, folder: world.folder });

  async function shareKey(from: Host, to: Host): Promise<void> {
    const text = await withLedger({ ...from.options, mode: 'read' }, (ledger) =>
      exportGroup(ledger, 'default'),
    );
    await withLedger({ ...to.options, mode: 'write' }, (ledger) =>
      importGroup(ledger, { text, where: 'the other host' }),
    );
  }

  /** So many captures are there, as they were recorded, for a host that has nothing of them. */
  async function expectWhole(place: SharedWorld, captures: number): Promise<void> {
    const { options } = place.host(`look-${Math.random()}`);
    await withLedger({ ...options, mode: 'read' }, async (ledger) => {
      expect(ledger.vm('red').captures).toHaveLength(captures);
      for (let i = 0; i < captures; i += 1)
        expect((await memoryOf(ledger, `@${i + 1}`)).equals(images[i]!)).toBe(true);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    });
  }

  describe('whose clock is wrong', () => {
    const offsets: readonly [string, number][] = [
      ['hours behind', -5 * HOUR_MS],
      ['hours ahead', 5 * HOUR_MS],
    ];
    test.each(sampleOf(offsets, 2))(
      'by %s records captures that keep their times, and time: points fit',
      async (_name, offsetMs) => {
        const place = world.another();
        const [right, wrong] = [place.host('right'), place.host('wrong')];
        // What the four captures' hosts take the time for, a minute after the other.
        const clocks = [NOON, NOON + 60_000 + offsetMs, NOON + 120_000, NOON + 180_000 + offsetMs];
        for (const [i, clockMs] of clocks.entries()) {
          if (i === 1) await shareKey(right, wrong);
          const host = i % 2 === 0 ? right : wrong;
          const options = { ...host.options, clock: () => clockMs, mode: 'create' } as const;
          await withLedger(options, (ledger) =>
            recordImages(
              ledger,
              { vm: 'red', group: null },
              { files: [files[i]!], timeMs: clockMs },
              () => undefined,
            ),
          );
        }
        for (const host of [right, wrong])
          await withLedger({ ...host.options, mode: 'read' }, async (ledger) => {
            const { captures } = ledger.vm('red');
            expect(captures.map(({ timeMs }) => timeMs)).toEqual(clocks);
            for (const [i, timeMs] of clocks.entries()) {
              const at = `time:${new Date(timeMs).toISOString()}`;
              expect(ledger.resolve(ledger.vm('red'), at).capture).toBe(i + 1);
            }
            const before = `time:${new Date(NOON - 6 * HOUR_MS).toISOString()}`;
            expect((await toldBy(memoryOf(ledger, before))).exitCode).toBe(5);
          });
        await expectWhole(place, CAPTURES);
      },
      LONG_MS,
    );

    test(
      'by more than S3 takes is told by how much, and nothing is lost',
      async () => {
        const place = world.another();
        const host = place.host('one');
        await record(host, 0);
        const module = join(world.folder, 'clock.mjs');
        writeFileSync(module, 'const now = Date.now; Date.now = () => now() - 7_200_000;\n');
        const environment = {
          NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import=${module}`,
        };
        const words = ['record', 'image', '--vm', 'red', files[1]!];
        const outcome = await host.commands.run(words, { environment });
        expect(toldIn(outcome)).toEqual(
          saying(1, "machine's clock is 7", 's behind', 'set the clock', '[STORE_REFUSED]'),
        );
        await host.commands.json(...words);
        await expectWhole(place, 2);
      },
      LONG_MS,
    );
  });

  describe('whose disk is full', () => {
    test(
      'under the cache restores without one, and records',
      async () => {
        const place = world.another();
        await record(place.host('one'), 0);
        const cold = place.host('cold');
        await shareKey(place.host('one'), cold);
        const full = filesFullUnder(join(cold.stateFolder, nameIn(cold), 'cache'));
        await withLedger({ ...cold.options, files: full, mode: 'read' }, async (ledger) => {
          for (let i = 0; i < 2; i += 1)
            expect((await memoryOf(ledger, '@1')).equals(images[0]!)).toBe(true);
        });
        await record(cold, 1, { files: full });
        await expectWhole(place, 2);
      },
      LONG_MS,
    );

    test(
      'for all that is local of the ledger says so, or does without; what was committed is safe',
      async () => {
        const place = world.another();
        const host = place.host('one');
        await record(host, 0);
        let isFull = true;
        const filling = filesFullUnder(host.stateFolder, () => isFull);
        await withLedger({ ...host.options, files: filling, mode: 'read' }, async (ledger) => {
          expect((await memoryOf(ledger, '@1')).equals(images[0]!)).toBe(true);
        });
        const fresh = place.host('fresh');
        const none = { ...fresh.options, files: filesFullUnder(fresh.stateFolder) };
        expect(
          await toldBy(withLedger({ ...none, mode: 'read' }, (ledger) => memoryOf(ledger, '@1'))),
        ).toEqual(saying(6, fresh.stateFolder, '[DISK_FULL]'));
        const outcome = await record(host, 1, { files: filling }).then(
          () => null,
          (thrown: unknown) => toldBy(Promise.reject(thrown)),
        );
        const captures = await withLedger(
          { ...place.host('other').options, mode: 'read' },
          (ledger) => Promise.resolve(ledger.vm('red').captures.length),
        );
        expect([null, saying(6, '[DISK_FULL]')]).toContainEqual(outcome);
        isFull = false;
        for (let i = captures; i < 3; i += 1) await record(host, i, { files: filling });
        await expectWhole(place, 3);
      },
      LONG_MS,
    );
  });

  describe('whose state folder', () => {
    test(
      'cannot be made is told where it was to be, and makes no ledger useless',
      async () => {
        const place = world.another();
        await record(place.host('one'), 0);
        const file = join(world.folder, 'a-file');
        writeFileSync(file, '');
        const { commands } = place.host('other');
        const environment = { XDG_STATE_HOME: file };
        for (const words of [
          ['restore', '--vm', 'red', '--to', '-'],
          ['captures', '--vm', 'red'],
        ])
          expect(toldIn(await commands.run(words, { environment }))).toEqual(saying(6, file));
        await expectWhole(place, 1);
      },
      LONG_MS,
    );
  });

  (isRoot ? describe : describe.skip)('whose state folder is somebody else’s (needs root)', () => {
    test(
      'is READ_ONLY, and nothing is lost',
      async () => {
        const place = world.another();
        await record(place.host('one'), 0);
        const theirs = join(world.folder, 'theirs');
        mkdirSync(theirs, { mode: 0o755 });
        const { url } = place.host('one').options;
        const argv = [COMMAND_LINE, '--ledger', url, 'restore', '--vm', 'red', '--to', '-'];
        const env = {
          PATH: process.env['PATH'],
          XDG_STATE_HOME: theirs,
          AWS_ACCESS_KEY_ID: TEST_ACCESS_KEY,
          AWS_SECRET_ACCESS_KEY: TEST_SECRET,
        };
        const outcome = await promisify(execFile)(process.execPath, argv, {
          env,
          uid: 65_534,
          gid: 65_534,
          encoding: 'utf8',
        }).then(
          (): Outcome => ({ exitCode: 0, signal: null, stdout: Buffer.alloc(0), stderr: '' }),
          (failed: { code: number; stdout: string; stderr: string }): Outcome => ({
            exitCode: failed.code,
            signal: null,
            stdout: Buffer.from(failed.stdout),
            stderr: failed.stderr,
          }),
        );
        expect(toldIn(outcome)).toEqual(saying(1, theirs, '[READ_ONLY]'));
        expect(readdirSync(theirs)).toEqual([]);
        await expectWhole(place, 1);
      },
      LONG_MS,
    );
  });

  describe('without a group’s key', () => {
    test(
      'is told which and what to do, and does all that needs none',
      async () => {
        const place = world.another();
        const one = place.host('one');
        await record(one, 0);
        const { commands, stateFolder } = place.host('two');
        const record2 = ['record', 'image', '--vm', 'red', files[1]!];
        expect(toldIn(await commands.run(record2))).toEqual(
          saying(5, "'default'", 'group export', 'group import', '[KEY_MISSING]'),
        );
        const memory = await commands.bytes('restore', '--vm', 'red', '--to', '-');
        expect(memory.equals(images[0]!)).toBe(true);
        expect(await commands.json('captures', '--vm', 'red')).toHaveLength(1);
        expect((await commands.json('log', '--type', 'CaptureCommitted')).length).toBe(1);
        const [summary] = await commands.json('verify');
        expect(summary).toMatchObject({ damaged: 0 });
        expect(await commands.json('group', 'list')).toMatchObject([
          { group: 'default', key: 'missing' },
        ]);
        await expectWhole(place, 1);
        // With the key it records; a damaged one is said, and is not taken for another's.
        await shareKey(one, place.host('two'));
        await commands.json(...record2);
        const keys = join(stateFolder, readdirSync(stateFolder)[0]!, 'keys');
        for (const name of readdirSync(keys)) rmSync(join(keys, name), { recursive: true });
        expect(toldIn(await commands.run(record2))).toEqual(saying(5, '[KEY_MISSING]'));
        await expectWhole(place, 2);
      },
      LONG_MS,
    );
  });
});

/** The name of the ledger's folder on a host that has one. */
const nameIn = (host: Host): string => readdirSync(host.stateFolder)[0]!;
