// Where a ledger on a server has its packs is what this host was told, never what a log says that
// somebody else has written: requests there bear this host's credentials.

import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openEventStoreLog } from '../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { openClaimedFolder } from '../../../adapters/stores/ledger-folder/claimed-folder.ts';
import { openLedger, type OpenLedgerOptions } from '../../../index.ts';
import {
  startEventStoreDouble,
  type EventStoreDouble,
} from '../../support/eventstoredb-double/eventstoredb-double.ts';
import { valueOf } from '../../support/outcomes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { saying, toldBy } from '../../support/told-failures.ts';

const LONG_MS = 300_000;
const TOKEN = 'a-session-token';

let folder: TemporaryFolder;
let log: EventStoreDouble;
let other: Server;
/** Requests that reached the server that only a log names. */
let requests = 0;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  log = await startEventStoreDouble();
  other = createServer((_request, answer) => {
    requests += 1;
    answer.writeHead(404).end();
  });
  await new Promise<void>((resolve) => {
    other.listen(0, '127.0.0.1', resolve);
  });
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'a-key',
    AWS_SECRET_ACCESS_KEY: 'a-secret',
    AWS_SESSION_TOKEN: TOKEN,
  });
}, LONG_MS);
afterAll(async () => {
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'])
    delete process.env[name];
  other.close();
  await log.stop();
  await folder.remove();
});

const otherStore = (): string =>
  `s3://pages/fleet?endpoint=http://127.0.0.1:${(other.address() as AddressInfo).port}`;

let ledgers = 0;
/** A ledger whose first event, by whoever, says this; as it is opened by a host. */
async function ledgerSaying(data: object): Promise<OpenLedgerOptions> {
  const ledger = `ledger-${(ledgers += 1)}`;
  const events = await valueOf(openEventStoreLog({ url: log.url, ledger }));
  const event = {
    id: new Uint8Array(randomBytes(16)),
    type: 'LedgerCreated',
    schema: 1,
    timeMs: 0,
    data: new TextEncoder().encode(JSON.stringify({ format: 1, ...data })),
  };
  await valueOf(events.append({ stream: 'ledger', expectedRevision: -1, events: [event] }));
  await events.close();
  const url = new URL(log.url);
  url.searchParams.set('ledger', ledger);
  const stateFolder = join(folder.path, ledger);
  return { url: url.href, mode: 'read', threads: 0, stateFolder, patienceMs: 300 };
}

const ledgerAt = (pageStore: string | null) => ledgerSaying({ ledger: randomUUID(), pageStore });

/** The packs that a host finds, and what it was told. */
async function opened(options: OpenLedgerOptions): Promise<readonly string[]> {
  const notices: string[] = [];
  const ledger = await openLedger({ ...options, onNotice: (text) => notices.push(text) });
  try {
    for await (const { name } of ledger.store.list()) notices.push(name);
  } finally {
    await ledger.close();
  }
  return notices;
}

test(
  'nothing is asked of a place that only the log names',
  async () => {
    const told = await toldBy(opened(await ledgerAt(otherStore())));
    expect(told).toEqual(saying(2, `--page-store '${otherStore()}'`, '[STORE_UNCONFIRMED]'));
    expect(requests).toBe(0);
  },
  LONG_MS,
);

test(
  'what a host was told once holds, also when the log changes',
  async () => {
    const packs = join(folder.path, 'packs');
    const ledger = randomUUID();
    const options = await ledgerSaying({ ledger, pageStore: packs });
    await valueOf(openClaimedFolder({ files: nodeFiles, folder: packs }).claim(ledger));
    await opened({ ...options, pageStore: packs });
    expect(await opened(options)).toEqual([]);
    const changed = await ledgerSaying({ ledger, pageStore: otherStore() });
    const { stateFolder } = options;
    // The server shows another log under the ledger's name now.
    const renamed = new URL(changed.url).searchParams.get('ledger')!;
    const name = new URL(options.url).searchParams.get('ledger')!;
    const agreed = readFileSync(join(stateFolder!, name, 'page-store'));
    mkdirSync(join(stateFolder!, renamed), { recursive: true });
    writeFileSync(join(stateFolder!, renamed, 'page-store'), agreed);
    const notices = await opened({ ...changed, stateFolder: stateFolder! });
    expect(notices).toEqual([expect.stringContaining(`this host uses ${packs}`)]);
    expect(requests).toBe(0);
  },
  LONG_MS,
);

test(
  'another place than the log names is taken only where it is the ledger’s',
  async () => {
    const options = await ledgerAt(join(folder.path, 'one'));
    const told = await toldBy(opened({ ...options, pageStore: join(folder.path, 'two') }));
    expect(told).toEqual(saying(5, join(folder.path, 'two'), '[STORE_MISSING]'));
    expect(await toldBy(opened(options))).toEqual(saying(2, '[STORE_UNCONFIRMED]'));
  },
  LONG_MS,
);

test.each([
  ['no place', null],
  ['a relative folder', 'packs/../x'],
  ['an empty place', ''],
  ['a place of another kind', 'ftp://host/packs'],
  ['a bucket with a key in it', 's3://key:secret@bucket/x'],
])(
  'a log that says %s is no ledger’s',
  async (_, pageStore) => {
    const options = await ledgerAt(pageStore);
    expect(await toldBy(opened(options))).toEqual(saying(1, '[NOT_A_LEDGER]'));
  },
  LONG_MS,
);

test(
  'a ledger whose identifier is a path is none',
  async () => {
    const options = await ledgerSaying({ ledger: '../../../x', pageStore: '/packs' });
    expect(await toldBy(opened({ ...options, pageStore: '/packs' }))).toEqual(
      saying(1, '[NOT_A_LEDGER]'),
    );
  },
  LONG_MS,
);
