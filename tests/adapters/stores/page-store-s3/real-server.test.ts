// The page store in a bucket of a real S3 server that is killed, that refuses, or that holds what we did
// not put there.

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { openS3PageStore } from '../../../../adapters/stores/page-store-s3/page-store-s3.ts';
import type {
  S3PageStore,
  S3PageStoreOptions,
} from '../../../../adapters/stores/page-store-s3/page-store-s3.ts';
import { makePack, type Pack } from '../../../contracts/page-store.ts';
import { failureOf, gather, valueOf } from '../../../support/outcomes.ts';
import {
  describeWithS3,
  S3_TIMEOUT_MS,
  startS3Server,
  TEST_CREDENTIALS,
  TEST_SECRET,
} from '../../../support/s3-server/s3-server.ts';
import type { S3Server } from '../../../support/s3-server/s3-server.ts';
import { withTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../../support/long-run.ts';
import { testLong } from '../../../support/test-long.ts';

jest.setTimeout(S3_TIMEOUT_MS);

const LEDGER = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const OTHER_LEDGER = '9a0c0305-4f89-41d3-9a0c-3f2504e0c330';
const PACK = makePack({ seed: 31, sizeBytes: 50_000 });
const WHOLE = { name: PACK.name, offsetBytes: 0, lengthBytes: 50_000 };

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describeWithS3('a bucket of a real S3 server', () => {
  let server: S3Server;
  let bucket: string;
  let url: string;
  let store: S3PageStore;
  let notices: string[];
  let places = 0;
  const opened: S3PageStore[] = [];

  const open = (more: Partial<S3PageStoreOptions> = {}): S3PageStore => {
    const credentials = () => Promise.resolve(TEST_CREDENTIALS);
    const onNotice = (text: string): void => void notices.push(text);
    opened.push(openS3PageStore({ url, credentials, onNotice, environment: {}, ...more }));
    return opened.at(-1)!;
  };
  /** The path of an object in our part of the bucket. */
  const pathOf = (key: string): string => `/${bucket}/place-${places}/${key}`;
  const packPath = ({ name }: Pack): string => pathOf(`packs/${name.slice(0, 2)}/${name}`);
  /** Puts bytes there, past the store. */
  const putRaw = async (path: string, bytes: Uint8Array | string): Promise<void> => {
    const body = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
    expect((await server.raw.request({ method: 'PUT', path, body })).status).toBe(200);
  };

  beforeAll(async () => {
    server = await startS3Server();
    bucket = await server.makeBucket();
  }, S3_TIMEOUT_MS);
  beforeEach(() => {
    places += 1;
    url = server.url(bucket, `place-${places}`);
    notices = [];
    store = open();
  });
  afterAll(async () => {
    await Promise.all(opened.map((each) => each.close()));
    await server.remove();
  });

  test('killed during puts and gets, and started again: nothing is lost or doubled, and the user is told', async () => {
    const packs = Array.from({ length: 24 }, (_, i) =>
      makePack({ seed: 600 + i, sizeBytes: 300_000 }),
    );
    const rangeOf = ({ name }: Pack) => ({ name, offsetBytes: 1, lengthBytes: 299_999 });
    const patient = open({ patienceMs: S3_TIMEOUT_MS });
    const restart = async (first: Promise<unknown>): Promise<void> => {
      await first;
      await server.kill();
      await server.start();
    };
    const puts = packs.map((pack) => valueOf(patient.put(pack)));
    await restart(Promise.race(puts));
    await Promise.all(puts);
    const entries = await gather(patient.list());
    expect(entries.map((entry) => entry.name)).toEqual(packs.map(({ name }) => name).toSorted());
    expect(entries.every((entry) => entry.sizeBytes === 300_000)).toBe(true);
    const gets = packs.map((pack) => valueOf(patient.get(rangeOf(pack))));
    await restart(Promise.race(gets));
    const digests = (await Promise.all(gets)).map(digestOf);
    expect(digests).toEqual(packs.map(({ bytes }) => digestOf(bytes.subarray(1))));
    const [away, back] = [/does not answer as it should \(.*\);.* trying again/u, /answers again/u];
    expect(notices.length).toBeGreaterThanOrEqual(2);
    for (const [i, notice] of notices.entries()) expect(notice).toMatch(i % 2 === 0 ? away : back);
  });

  test('that is down is said after a bounded time, and works when it is back', async () => {
    await valueOf(store.put(PACK));
    await server.kill();
    const hasty = open({ patienceMs: 200 });
    const failure = await failureOf(hasty.get(WHOLE));
    expect(failure.code).toBe('STORE_UNREACHABLE');
    expect(failure.message).toContain('ECONNREFUSED');
    await server.start();
    expect(digestOf(await valueOf(hasty.get(WHOLE)))).toBe(PACK.name);
  });

  test.each([
    ['secret', { ...TEST_CREDENTIALS, secretAccessKey: 'another' }],
    ['key', { ...TEST_CREDENTIALS, accessKeyId: 'nobody' }],
  ])(
    'refuses a wrong %s at once, in every operation, and no secret is told',
    async (_name, wrong) => {
      const stranger = open({ credentials: () => Promise.resolve(wrong) });
      const large = makePack({ seed: 32, sizeBytes: 2 ** 21 });
      const failures = [
        await failureOf(stranger.put(large)),
        await failureOf(stranger.get(WHOLE)),
        await failureOf(stranger.delete(PACK.name)),
        await failureOf(stranger.claim(LEDGER)),
        await gather(stranger.list()).catch((thrown: unknown) => thrown),
      ];
      for (const failure of failures) {
        expect(failure).toMatchObject({ code: 'STORE_REFUSED' });
        expect(inspect(failure, { depth: 9 })).not.toMatch(/another|Signature=|sEcReT/u);
      }
      expect(notices).toEqual([]);
    },
  );

  test.each(sampleOf([60, -60], 2))(
    'says that the clocks differ, with %d minutes',
    async (minutes) => {
      const skewed = open({ clock: () => Date.now() + minutes * 60_000 });
      const failure = await failureOf(skewed.put(PACK));
      expect(failure.code).toBe('STORE_REFUSED');
      expect(failure.message).toMatch(
        minutes > 0 ? /s ahead of the server/u : /s behind the server/u,
      );
      const skewMs = Number(failure.facts['clockSkewMs']);
      expect(Math.abs(skewMs + minutes * 60_000)).toBeLessThan(60_000);
    },
  );

  test('says that there is no bucket, in every operation', async () => {
    const lost = open({ url: server.url('no-such-bucket') });
    const failures = [
      await failureOf(lost.put(PACK)),
      await failureOf(lost.get(WHOLE)),
      await failureOf(lost.delete(PACK.name)),
      await failureOf(lost.claim(LEDGER)),
      await failureOf(lost.checkClaim(LEDGER)),
      await failureOf(lost.isClaimed()),
      await gather(lost.list()).catch((thrown: unknown) => thrown),
    ];
    for (const failure of failures) expect(failure).toMatchObject({ code: 'STORE_MISSING' });
  });

  test('with an object of ours cut short or replaced: its size is told, and a put heals it', async () => {
    await valueOf(store.put(PACK));
    await putRaw(packPath(PACK), PACK.bytes.subarray(0, 1234));
    const failure = await failureOf(store.get(WHOLE));
    expect(failure.code).toBe('PACK_DAMAGED');
    expect(failure.facts).toMatchObject({ foundBytes: 1234, expectedBytes: 50_000 });
    await putRaw(packPath(PACK), '');
    const empty = await failureOf(store.get({ ...WHOLE, offsetBytes: 10, lengthBytes: 10 }));
    expect(empty.facts).toMatchObject({ foundBytes: 0, expectedBytes: 20 });
    await valueOf(store.put(PACK));
    expect(digestOf(await valueOf(store.get(WHOLE)))).toBe(PACK.name);
  });

  test('with an object of a pack\u2019s name that no pack can be: it is never read whole', async () => {
    const huge = new Uint8Array(18 * 2 ** 20);
    await putRaw(packPath(PACK), huge);
    const read = await failureOf(store.get({ ...WHOLE, lengthBytes: huge.length }));
    expect(read.code).toBe('PACK_DAMAGED');
    expect(read.facts).toMatchObject({ foundBytes: huge.length });
  });

  testLong('lists more packs than one answer holds, and nothing that is not ours', async () => {
    const packs = Array.from({ length: 1010 }, (_, i) =>
      makePack({ seed: 5000 + i, sizeBytes: 4 }),
    );
    const foreign = ['packs/readme', 'packs/00/x', `packs/00/${'f'.repeat(64)}`, 'packs.txt'];
    const puts = [
      ...packs.map((pack) => ({ path: packPath(pack), bytes: pack.bytes })),
      ...foreign.map((key) => ({ path: pathOf(key), bytes: new Uint8Array(1) })),
    ];
    for (let i = 0; i < puts.length; i += 16)
      await Promise.all(puts.slice(i, i + 16).map(({ path, bytes }) => putRaw(path, bytes)));
    const names = (await gather(store.list())).map((entry) => entry.name);
    expect(names).toEqual(packs.map(({ name }) => name).toSorted());
  });

  test('is claimed by one ledger, again by the same, and by no other', async () => {
    expect(await valueOf(store.isClaimed())).toBe(false);
    expect((await failureOf(store.checkClaim(LEDGER))).code).toBe('STORE_MISSING');
    await valueOf(store.claim(LEDGER));
    await valueOf(store.claim(LEDGER));
    await valueOf(store.checkClaim(LEDGER));
    expect(await valueOf(store.isClaimed())).toBe(true);
    for (const refused of [store.claim(OTHER_LEDGER), store.checkClaim(OTHER_LEDGER)]) {
      const failure = await failureOf(refused);
      expect(failure.code).toBe('STORE_TAKEN');
      expect(failure.message).toContain(LEDGER);
    }
  });

  test('is claimed by one of two ledgers that try at once; the other finds out', async () => {
    const ids = [LEDGER, OTHER_LEDGER];
    await Promise.all(ids.map((id) => open().claim(id)()));
    const codes = await Promise.all(
      ids.map(async (id) => {
        const outcome = await store.checkClaim(id)();
        return outcome._tag === 'Left' ? outcome.left.code : 'claimed';
      }),
    );
    expect(codes.toSorted()).toEqual(['STORE_TAKEN', 'claimed']);
  });

  test.each(
    sampleOf(
      [
        ['text', 'my notes'],
        ['nothing', ''],
        ['a large file', 'x'.repeat(100_000)],
        ['a claim that was altered', 'pageledger packs\nid 3f2504e0\ncrc 00000000\n'],
      ] as const,
      3,
    ),
  )('is not claimed where somebody has %s under the name of the claim', async (_name, text) => {
    await putRaw(pathOf('pageledger'), text);
    expect((await failureOf(store.claim(LEDGER))).code).toBe('STORE_TAKEN');
    expect((await failureOf(store.checkClaim(LEDGER))).code).toBe('STORE_TAKEN');
    const { body } = await server.raw.request({ method: 'GET', path: pathOf('pageledger') });
    expect(body.toString()).toBe(text);
  });

  test('is not claimed where packs lie that nobody claims', async () => {
    await valueOf(store.put(PACK));
    const failure = await failureOf(store.claim(LEDGER));
    expect(failure.code).toBe('STORE_TAKEN');
    expect(failure.message).toContain("no object 'pageledger'");
  });

  test('is opened with credentials of the environment, or of a profile', async () => {
    await valueOf(store.put(PACK));
    const before = { ...process.env };
    try {
      process.env['AWS_EC2_METADATA_DISABLED'] = 'true';
      process.env['AWS_ACCESS_KEY_ID'] = TEST_CREDENTIALS.accessKeyId;
      process.env['AWS_SECRET_ACCESS_KEY'] = TEST_SECRET;
      const usual = (): S3PageStore => {
        opened.push(openS3PageStore({ url }));
        return opened.at(-1)!;
      };
      expect(await valueOf(usual().get(WHOLE))).toHaveLength(50_000);
      delete process.env['AWS_ACCESS_KEY_ID'];
      delete process.env['AWS_SECRET_ACCESS_KEY'];
      await withTemporaryFolder(async (folder) => {
        const lines = ['[pages]', `aws_access_key_id = ${TEST_CREDENTIALS.accessKeyId}`];
        lines.push(`aws_secret_access_key = ${TEST_SECRET}`, '');
        writeFileSync(join(folder, 'credentials'), lines.join('\n'));
        process.env['AWS_SHARED_CREDENTIALS_FILE'] = join(folder, 'credentials');
        process.env['AWS_CONFIG_FILE'] = join(folder, 'config');
        process.env['AWS_PROFILE'] = 'pages';
        expect(await valueOf(usual().get(WHOLE))).toHaveLength(50_000);
        process.env['AWS_PROFILE'] = 'nobody';
        const failure = await failureOf(usual().get(WHOLE));
        expect(failure.code).toBe('STORE_REFUSED');
        expect(failure.message).toContain('nobody');
      });
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
      Object.assign(process.env, before);
    }
  });
});
