// A server that speaks TLS and is called without, or the reverse: it is said so, at once.

import { createServer as createSecureServer } from 'node:https';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, expect, jest, test } from '@jest/globals';
import { spokenBy } from '../../../adapters/stores/spoken-tls.ts';
import { selfSigned } from '../../support/eventstoredb-double/self-signed.ts';
import { failureOf } from '../../support/outcomes.ts';
import { scriptedStores } from '../../support/packs/scripted-store.ts';
import { startScriptedHttp } from '../../support/clients/scripted-http.ts';
import { ServerLogs } from '../../support/logs/server-logs.ts';

// A server on a busy machine takes its time; what hangs does not end at all.
jest.setTimeout(300_000);

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

const secureHttp = (): Promise<number> => {
  const { certificate: cert, key } = selfSigned();
  return listening(createSecureServer({ cert, key }));
};

async function plainHttp(): Promise<number> {
  const server = await startScriptedHttp((_, response) => response.writeHead(200).end());
  closing.push(() => server.close());
  return Number(new URL(server.endpoint).port);
}

async function logServer(isTls: boolean): Promise<number> {
  const { certificate, key } = selfSigned();
  const logs = await ServerLogs.start(isTls ? { tls: { certificate, key } } : {});
  closing.push(() => logs.close());
  return logs.double.port;
}

/** A server that ends each connection without a word. */
const curt = (): Promise<number> => listening(createServer((socket) => socket.destroy()));
/** One that answers anything with something else. */
const babbling = (): Promise<number> =>
  listening(createServer((socket) => socket.end('220 mail.example ESMTP\r\n')));

test.each([
  ['an object store with TLS', secureHttp, 'tls'],
  ['an object store without', plainHttp, 'plain'],
  ['a log server with TLS', () => logServer(true), 'tls'],
  ['a log server without', () => logServer(false), 'plain'],
  ['a server that says nothing', curt, null],
  ['a server of something else', babbling, 'plain'],
] as const)('what %s speaks is found out', async (_, start, spoken) => {
  expect(await spokenBy({ host: '127.0.0.1', port: await start() })).toBe(spoken);
});

test.each([
  ['without TLS', false, 'speaks without TLS', 'tls=false'],
  ['with TLS', true, 'speaks TLS', 'leave tls=false out'],
])('a log server %s that is called otherwise is said to be one', async (_, isTls, said, advice) => {
  const port = await logServer(isTls);
  const logs = await ServerLogs.start();
  closing.push(() => logs.close());
  const url = `esdb://127.0.0.1:${port}/?tls=${String(!isTls)}`;
  const log = await logs.open({ url, limits: { giveUpAfterMs: 120_000 } });
  const { code, message } = await failureOf(log.head());
  expect([code, message]).toEqual(['LOG_REFUSED', expect.stringContaining(said)]);
  expect(message).toContain(advice);
});

test.each([
  ['without TLS', plainHttp, 'https', 'speaks without TLS'],
  ['with TLS', secureHttp, 'http', 'speaks TLS'],
] as const)(
  'an object store %s that is called otherwise is said to be one',
  async (_, start, scheme, said) => {
    const stores = scriptedStores();
    closing.push(() => stores.close());
    const { store } = stores.at(`${scheme}://127.0.0.1:${await start()}`, { patienceMs: 120_000 });
    const { code, message } = await failureOf(store.now());
    expect([code, message]).toEqual(['STORE_UNREACHABLE', expect.stringContaining(said)]);
  },
);
