// URLs of every wrong kind, for the ledger and for its packs: bad usage, told in a sentence without what
// could be a password, and nothing is made anywhere.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openLedger, type OpenLedgerOptions } from '../../../index.ts';
import { RunningCommand } from '../../support/command-line.ts';
import {
  startEventStoreDouble,
  type EventStoreDouble,
} from '../../support/eventstoredb-double/eventstoredb-double.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { OTHER_SECRET, PASSWORD, saying, toldBy, toldIn } from '../../support/told-failures.ts';

const LONG_MS = 300_000;
const PAGE_STORE = 's3://bucket/prefix?endpoint=http://127.0.0.1:1';

let folder: TemporaryFolder;
let server: EventStoreDouble;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  server = await startEventStoreDouble();
}, LONG_MS);
afterAll(async () => {
  await server.stop();
  await folder.remove();
});

const stateFolder = (): string => join(folder.path, 'never');
const opened = (options: OpenLedgerOptions): Promise<unknown> =>
  openLedger({ threads: 0, patienceMs: 300, ...options }).then((ledger) => ledger.close());
const events = (): number => server.records.list().length;

test.each([
  'esdb://',
  'esdb:///?ledger=a',
  'esdb:127.0.0.1:2113',
  'esdb:/127.0.0.1:2113',
  `esdb://user:${PASSWORD}@`,
  `esdb://user:${PASSWORD}@host:99999`,
  `esdb://user:${PASSWORD}@host/?ledger=../up`,
  `esdb://user:${PASSWORD}@host/?ledger=`,
  `esdb://user:${PASSWORD}@host/?tls=perhaps`,
  `esdb://user:${PASSWORD}@host/?password=${OTHER_SECRET}`,
  `esdb://user:${PASSWORD}@host/?nodePreference=follower`,
  `esdb://user:${PASSWORD}@host/?tlsVerifyCert=false`,
  `esdb://user:${PASSWORD}%zz@host`,
  `http://user:${PASSWORD}@host/ledger`,
  `postgres://user:${PASSWORD}@host/ledger`,
  's3://bucket/ledger',
])(
  '%j for --ledger is bad usage, and nothing is made',
  async (url) => {
    for (const mode of ['read', 'create'] as const) {
      const told = await toldBy(
        opened({ url, stateFolder: stateFolder(), pageStore: folder.path, mode }),
      );
      expect(told).toEqual(saying(2, 'esdb://'));
    }
    expect(existsSync(stateFolder())).toBe(false);
    expect(readdirSync('.').filter((name) => name.startsWith('esdb:'))).toEqual([]);
  },
  LONG_MS,
);

test.each([
  '',
  's3:bucket/prefix',
  's3://',
  's3://UPPER/prefix',
  's3://bucket/../up',
  's3://bucket/a//b',
  's3://bucket/prefix?endpoint=ftp://host',
  `s3://key:${OTHER_SECRET}@bucket/prefix`,
  `s3://bucket/prefix?secret=${OTHER_SECRET}`,
  `s3://bucket/prefix?endpoint=http://user:${PASSWORD}@host`,
  `https://key:${OTHER_SECRET}@bucket.s3.amazonaws.com/prefix`,
  `ftp://user:${PASSWORD}@host/folder`,
])(
  '%j for --page-store is bad usage, and no ledger is made',
  async (pageStore) => {
    const before = events();
    const options = { url: server.url, stateFolder: stateFolder(), mode: 'create' } as const;
    expect((await toldBy(opened({ ...options, pageStore }))).exitCode).toBe(2);
    expect(events()).toBe(before);
  },
  LONG_MS,
);

test(
  'a place for the packs that is missing, or given where it has no meaning, is told so',
  async () => {
    const before = events();
    const options = { url: server.url, stateFolder: stateFolder() };
    expect(await toldBy(opened({ ...options, mode: 'create' }))).toEqual(
      saying(2, '--page-store s3://BUCKET/PREFIX'),
    );
    for (const mode of ['read', 'write'] as const)
      expect(await toldBy(opened({ ...options, pageStore: PAGE_STORE, mode }))).toEqual(
        saying(5, 'no ledger', '--page-store', '[NOT_FOUND]'),
      );
    expect(events()).toBe(before);
    const url = join(folder.path, 'embedded');
    expect(await toldBy(opened({ url, pageStore: PAGE_STORE, mode: 'create' }))).toEqual(
      saying(2, 'leave --page-store out'),
    );
    const secret = `s3://key:${OTHER_SECRET}@bucket/prefix`;
    expect(await toldBy(opened({ url, pageStore: secret, mode: 'create' }))).toEqual(
      saying(2, 'leave --page-store out'),
    );
    expect(existsSync(url)).toBe(false);
  },
  LONG_MS,
);

test(
  'a URL that is none is told in one line by the command itself, also under --json',
  async () => {
    const words = ['captures', '--vm', 'red'];
    for (const url of [
      `esdb://user:${PASSWORD}@host:99999/?ledger=a`,
      `mysql://user:${PASSWORD}@host`,
    ])
      for (const more of [[], ['--json']]) {
        const outcome = await new RunningCommand(['--ledger', url, ...more, ...words]).ended;
        expect(outcome.stderr.trimEnd().split('\n')).toHaveLength(1);
        expect(outcome.stdout.toString()).toBe('');
        expect(toldIn(outcome)).toEqual(saying(2, 'esdb://'));
      }
  },
  LONG_MS,
);
