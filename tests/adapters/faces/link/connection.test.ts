// How hosts reach each other over TCP: with one key, and within a time.

import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  acceptLink,
  openLink,
  readLinkKey,
  type LinkKey,
} from '../../../../adapters/faces/link/connection.ts';
import type { Link } from '../../../../adapters/faces/link/frames.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
let server: Server;
let sockets: Socket[];
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  sockets = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  jest.useRealTimers();
  for (const socket of sockets) socket.destroy();
  server.close();
  await folder.remove();
});

async function keyOf(text: string): Promise<LinkKey> {
  const path = `${folder.path}/${text}`;
  await writeFile(path, text.repeat(32));
  await chmod(path, 0o600);
  return readLinkKey(path);
}

const here = () => {
  const at = server.address();
  if (at === null || typeof at === 'string') throw new Error('no port');
  return { kind: 'tcp', host: '127.0.0.1', port: at.port } as const;
};

/** The link that the server makes of the next connection. */
const accepted = (key: LinkKey): Promise<Link> =>
  once(server, 'connection').then(([socket]) => acceptLink(socket as Socket, key));

test.each<readonly [string, string, RegExp]>([
  ['that is not there', 'nothing', /SOURCE_UNREADABLE.*openssl/u],
  ['that is a folder', '.', /SOURCE_UNREADABLE.*EISDIR|KEY_DAMAGED.*others/u],
  ['that others can read', 'open', /KEY_DAMAGED.*chmod 600/u],
  ['that is too short', 'short', /KEY_DAMAGED.*3 bytes/u],
])('a key %s is refused with what to do', async (_what, name, why) => {
  await writeFile(`${folder.path}/open`, 'x'.repeat(32), { mode: 0o644 });
  await writeFile(`${folder.path}/short`, 'abc', { mode: 0o600 });
  let said = '';
  try {
    readLinkKey(`${folder.path}/${name}`);
  } catch (thrown) {
    if (isLedgerError(thrown)) said = `${thrown.code} ${thrown.message}`;
  }
  expect(said).toMatch(why);
});

test('who has the key is heard, and answered', async () => {
  const key = await keyOf('a');
  const [there, link] = await Promise.all([accepted(key), openLink(here(), key)]);
  await link.send('ask', Uint8Array.of(1, 2, 3));
  expect(await there.expect('ask')).toEqual(Uint8Array.of(1, 2, 3));
  await there.send('answer', Uint8Array.of(4));
  expect(await link.expect('answer')).toEqual(Uint8Array.of(4));
  link.close();
  there.close();
});

test('who has another key is refused on both sides', async () => {
  const [mine, other] = [await keyOf('a'), await keyOf('b')];
  const [there, link] = await Promise.allSettled([accepted(mine), openLink(here(), other)]);
  expect(there).toMatchObject({ reason: { code: 'PEER_REFUSED' } });
  expect(link).toMatchObject({ reason: { code: 'LINK_LOST' } });
});

test('who takes the connection and says nothing is given up by both sides', async () => {
  const key = await keyOf('a');
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  // The server of the first never begins; the client of the second never does.
  const opening = openLink(here(), key);
  await once(server, 'connection');
  const accepting = accepted(key);
  const silent = connect(here().port, '127.0.0.1');
  silent.on('error', () => undefined);
  const over = { is: false };
  const both = Promise.allSettled([opening, accepting]).finally(() => {
    over.is = true;
  });
  while (!over.is) {
    jest.advanceTimersByTime(1000);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  const [link, there] = await both;
  expect(link).toMatchObject({ reason: { code: 'LINK_LOST' } });
  expect(there).toMatchObject({ reason: { code: 'PEER_REFUSED' } });
  silent.destroy();
});

describe('a host that works on while the other waits', () => {
  const TIMES = { silenceMs: 600, aliveMs: 60, aliveMax: 1000 };
  const wait = (ms: number) =>
    new Promise((resolve) => {
      setTimeout(resolve, ms);
    });

  test('is waited for longer than a silent one would be', async () => {
    const key = await keyOf('a');
    const there = once(server, 'connection').then(([socket]) =>
      acceptLink(socket as Socket, key, TIMES),
    );
    const [target, link] = await Promise.all([there, openLink(here(), key, TIMES)]);
    const answered = link.expect('recorded');
    await target.working(() => wait(3 * TIMES.silenceMs));
    await target.send('recorded', Uint8Array.of(5));
    expect(await answered).toEqual(Uint8Array.of(5));
    link.close();
    target.close();
  });

  test('and falls silent is given up', async () => {
    const key = await keyOf('a');
    const there = once(server, 'connection').then(([socket]) =>
      acceptLink(socket as Socket, key, { ...TIMES, silenceMs: 60_000 }),
    );
    const [target, link] = await Promise.all([there, openLink(here(), key, TIMES)]);
    const end = await link.next().catch((thrown: unknown) => thrown);
    expect(end === null || isLedgerError(end)).toBe(true);
    target.close();
  });
});
