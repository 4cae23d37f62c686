// What a user of a shared ledger gets wrong: credentials, URLs, places that are somebody else's. Each is
// an exit code and a sentence that names the offender and no secret, and nothing is written anywhere.

import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openLedger, verify, type OpenLedgerOptions } from '../../../index.ts';
import { RunningCommand } from '../../support/command-line.ts';
import {
  startEventStoreDouble,
  type EventStoreDouble,
} from '../../support/eventstoredb-double/eventstoredb-double.ts';
import { selfSigned } from '../../support/eventstoredb-double/self-signed.ts';
import { makeImage } from '../../support/images.ts';
import {
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { describeWithS3, TEST_ACCESS_KEY, TEST_SECRET } from '../../support/s3-server/s3-server.ts';
import {
  SharedCommands,
  startSharedWorld,
  type Host,
  type SharedWorld,
} from '../../support/ledgers/shared-world.ts';
import {
  expectNoSecret,
  OTHER_SECRET,
  PASSWORD,
  saying,
  toldBy,
  toldIn,
} from '../../support/told-failures.ts';

const LONG_MS = 240_000;
const RECORD = ['record', 'image', '--vm', 'red'];
/** The same where no ledger is yet. */
const RECORD_FIRST = ['record', 'image', '--init', '--vm', 'red'];
const images = [1, 2].map((seed) => makeImage({ seed, pages: 40 }));

describeWithS3('a shared ledger and its user', () => {
  let world: SharedWorld;
  let files: string[];
  beforeAll(async () => {
    world = await startSharedWorld('double');
    files = writeImages({ folder: world.folder, name: 'image', images });
  }, LONG_MS);
  afterAll(() => world.remove(), LONG_MS);

  const opened = (options: OpenLedgerOptions): Promise<unknown> =>
    openLedger({ ...options, threads: 0, patienceMs: 300 }).then((ledger) => ledger.close());
  const events = (): number => world.double!.records.list().length;
  const object = (place: SharedWorld, name: string): string =>
    `${new URL(place.pageStore).pathname.replace(/^\//u, `/${new URL(place.pageStore).host}/`)}/${name}`;
  const recordOne = (host: Host): Promise<unknown> =>
    withLedger({ ...host.options, mode: 'create' }, (ledger) =>
      recordFiles(ledger, { vm: 'red', files: files.slice(0, 1) }),
    );
  /** What was recorded first is there, from a host that has nothing of it. */
  async function expectWhole(place: SharedWorld, captures = 1): Promise<void> {
    const options = place.host(`look-${Math.random()}`).options;
    await withLedger({ ...options, mode: 'read' }, async (ledger) => {
      expect(ledger.vm('red').captures).toHaveLength(captures);
      const request = { vm: 'red', at: '@1', folder: world.folder };
      expect((await restored(ledger, request)).equals(images[0]!)).toBe(true);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    });
  }

  describe('with a server of the log that wants credentials', () => {
    const user = { username: 'ledger', password: PASSWORD };
    let server: EventStoreDouble;
    let certificate: string;
    beforeAll(async () => {
      const tls = selfSigned();
      certificate = join(world.folder, 'authority.pem');
      writeFileSync(certificate, tls.certificate);
      server = await startEventStoreDouble({ tls, credentials: user });
    }, LONG_MS);
    afterAll(() => server.stop());

    const urlFor = (login: string): string =>
      `esdb://${login}localhost:${server.port}/?tls=true&tlsCAFile=${encodeURIComponent(certificate)}`;
    const environment = (): Record<string, string> => ({
      XDG_STATE_HOME: join(world.folder, 'secure'),
      AWS_ACCESS_KEY_ID: TEST_ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: TEST_SECRET,
    });

    test.each([
      ['a wrong password', `ledger:${OTHER_SECRET}@`],
      ['an unknown user', `nobody:${PASSWORD}@`],
      ['none', ''],
    ])(
      '%s is refused, with and without --json',
      async (_name, login) => {
        const { pageStore } = world.another();
        const commands = new SharedCommands({
          url: urlFor(login),
          pageStore,
          environment: environment(),
        });
        for (const words of [
          [...RECORD, files[0]!],
          ['--json', 'captures', '--vm', 'red'],
        ])
          expect(toldIn(await commands.run(words))).toEqual(
            saying(1, `esdb://localhost:${server.port}`, 'user and password', '[LOG_REFUSED]'),
          );
        expect(server.records.list().some(({ type }) => type === 'LedgerCreated')).toBe(false);
      },
      LONG_MS,
    );

    test(
      'the right ones, from the environment, record and are never shown',
      async () => {
        const url = urlFor(`ledger:${encodeURIComponent(PASSWORD)}@`);
        const own = { ...environment(), PAGELEDGER: url };
        const { pageStore } = world.another();
        const run = (...words: string[]) => new RunningCommand(words, { environment: own }).ended;
        const recorded = await run('--page-store', pageStore, ...RECORD_FIRST, files[0]!);
        expect([recorded.exitCode, recorded.stderr]).toEqual([0, '']);
        const logged = await run('--json', 'log', '--pages');
        expect([logged.exitCode, logged.stderr]).toEqual([0, '']);
        for (const outcome of [recorded, logged])
          expectNoSecret(outcome.stdout.toString(), outcome.stderr);
        for (const { data, metadata } of server.records.list())
          expectNoSecret(...[data, metadata].map((bytes) => Buffer.from(bytes).toString('latin1')));
        expect(toldIn(await run('restore', '--vm', 'blue', '--to', '-'))).toEqual(
          saying(5, 'blue'),
        );
        await server.stop();
        const away = { url, mode: 'read', stateFolder: join(world.folder, 'secure') } as const;
        expect(await toldBy(opened(away))).toEqual(
          saying(6, `esdb://localhost:${server.port}`, '[LOG_UNREACHABLE]'),
        );
        await server.start();
      },
      LONG_MS,
    );
  });

  describe('with a bucket', () => {
    test(
      'whose credentials are wrong or missing is told so, and nothing is made or lost',
      async () => {
        const place = world.another();
        const host = place.host('one');
        const before = events();
        const nobody = { HOME: world.folder, AWS_EC2_METADATA_DISABLED: 'true' };
        const none = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', ...nobody };
        for (const environment of [{ AWS_SECRET_ACCESS_KEY: OTHER_SECRET }, none]) {
          const outcome = await host.commands.run([...RECORD, files[0]!], { environment });
          expect(toldIn(outcome)).toEqual(saying(1, 'AWS_ACCESS_KEY_ID', '[STORE_REFUSED]'));
          expect(events()).toBe(before);
        }
        await recordOne(host);
        const after = events();
        const environment = { AWS_SECRET_ACCESS_KEY: OTHER_SECRET };
        const cold = place.host('cold').commands;
        for (const words of [
          [...RECORD, files[1]!],
          ['restore', '--vm', 'red', '--to', '-'],
          ['verify'],
        ]) {
          const commands = words[0] === 'record' ? host.commands : cold;
          expect(toldIn(await commands.run(words, { environment }))).toEqual(
            saying(1, 'AWS_SECRET_ACCESS_KEY', '[STORE_REFUSED]'),
          );
        }
        // What the log alone answers goes on.
        const listed = await cold.run(['captures', '--vm', 'red'], { environment });
        expect([listed.exitCode, listed.stderr]).toEqual([0, '']);
        expect(events()).toBe(after);
        await expectWhole(place);
      },
      LONG_MS,
    );

    test(
      'that is not there is told so, and no ledger is made',
      async () => {
        const place = world.another();
        const { options } = place.host('one');
        const before = events();
        const pageStore = world.s3.url('no-such-bucket', 'ledger');
        expect(await toldBy(opened({ ...options, pageStore, mode: 'create' }))).toEqual(
          saying(5, 'no bucket', 'no-such-bucket', 'create it', '[STORE_MISSING]'),
        );
        expect(events()).toBe(before);
      },
      LONG_MS,
    );

    test(
      'where something else has the name of the claim is left alone',
      async () => {
        const place = world.another();
        const path = object(place, 'pageledger');
        const body = Buffer.from('notes of somebody else');
        await world.s3.raw.request({ method: 'PUT', path, body });
        const before = events();
        const { options } = place.host('one');
        expect(await toldBy(opened({ ...options, mode: 'create' }))).toEqual(
          saying(1, 'something that pageledger did not write', '[STORE_TAKEN]'),
        );
        expect(events()).toBe(before);
        expect((await world.s3.raw.request({ method: 'GET', path })).body).toEqual(body);
      },
      LONG_MS,
    );

    test(
      'whose claim was overwritten, or deleted, takes no more packs, gives back what it has, and is as before when the claim is',
      async () => {
        const place = world.another();
        const host = place.host('one');
        await recordOne(host);
        const path = object(place, 'pageledger');
        const claim = (await world.s3.raw.request({ method: 'GET', path })).body;
        const damages = [
          [{ method: 'PUT', path, body: Buffer.from('oops') }, 'STORE_TAKEN'],
          [{ method: 'DELETE', path }, 'STORE_MISSING'],
        ] as const;
        for (const [request, code] of damages) {
          await world.s3.raw.request(request);
          expect(toldIn(await host.commands.run([...RECORD, files[1]!]))).toEqual(
            saying(
              code === 'STORE_MISSING' ? 5 : 1,
              place.pageStore.slice('s3://'.length).split('?')[0]!,
              `[${code}]`,
            ),
          );
          await expectWhole(place);
        }
        await world.s3.raw.request({ method: 'PUT', path, body: claim });
        await host.commands.json(...RECORD, files[1]!);
        await expectWhole(place, 2);
      },
      LONG_MS,
    );

    test(
      'that has another ledger’s packs under the same prefix is taken, and neither ledger changes',
      async () => {
        const place = world.another();
        await recordOne(place.host('one'));
        const before = events();
        const second = world.another().host('two').options;
        expect(
          await toldBy(opened({ ...second, pageStore: place.pageStore, mode: 'create' })),
        ).toEqual(saying(1, 'ledger ', 'another place', '[STORE_TAKEN]'));
        expect(events()).toBe(before);
        await expectWhole(place);
      },
      LONG_MS,
    );

    test(
      'that has other things beside the packs lets them be',
      async () => {
        const place = world.another();
        const host = place.host('one');
        await recordOne(host);
        const names = ['packs/notes.txt', 'packs/zz/0123', `packs/ab/${'0'.repeat(64)}`, 'other'];
        const body = Buffer.from('somebody keeps this here');
        for (const name of names)
          await world.s3.raw.request({ method: 'PUT', path: object(place, name), body });
        await host.commands.json(...RECORD, files[1]!);
        await expectWhole(place, 2);
        for (const name of names) {
          const kept = await world.s3.raw.request({ method: 'GET', path: object(place, name) });
          expect([kept.status, kept.body]).toEqual([200, body]);
        }
      },
      LONG_MS,
    );
  });

  describe('with a folder for the packs', () => {
    test(
      'that is not mounted is told so, nothing is written into the mount point, and nothing is lost',
      async () => {
        const place = world.another();
        const folder = join(world.folder, 'mounted');
        const unmounted = join(world.folder, 'unmounted');
        const options = { ...place.host('one').options, pageStore: folder };
        const record = (i: number): Promise<unknown> =>
          withLedger({ ...options, mode: 'create' }, (ledger) =>
            recordFiles(ledger, { vm: 'red', files: [files[i]!] }),
          );
        await record(0);
        renameSync(folder, unmounted);
        for (const isMountPoint of [false, true]) {
          if (isMountPoint) mkdirSync(folder);
          expect(await toldBy(record(1))).toEqual(saying(5, folder, 'mount', '[STORE_MISSING]'));
          expect(await toldBy(restoredFrom(options))).toEqual(saying(3, folder));
          expect(existsSync(folder) ? readdirSync(folder) : null).toEqual(isMountPoint ? [] : null);
        }
        rmdirSync(folder);
        renameSync(unmounted, folder);
        await record(1);
        expect((await restoredFrom(options)).equals(images[0]!)).toBe(true);
      },
      LONG_MS,
    );

    const restoredFrom = (options: Omit<OpenLedgerOptions, 'mode'>): Promise<Buffer> =>
      withLedger({ ...options, mode: 'read' }, (ledger) =>
        restored(ledger, { vm: 'red', at: '@1', folder: world.folder }),
      );

    test(
      'that another ledger has is taken',
      async () => {
        const folder = join(world.folder, 'both');
        const [first, second] = [world.another(), world.another()].map((place) => ({
          ...place.host('one').options,
          pageStore: folder,
        }));
        await withLedger({ ...first!, mode: 'create' }, (ledger) =>
          recordFiles(ledger, { vm: 'red', files: [files[0]!] }),
        );
        expect(await toldBy(opened({ ...second!, mode: 'create' }))).toEqual(
          saying(1, folder, '[STORE_TAKEN]'),
        );
        expect((await restoredFrom(first!)).equals(images[0]!)).toBe(true);
      },
      LONG_MS,
    );
  });
});
