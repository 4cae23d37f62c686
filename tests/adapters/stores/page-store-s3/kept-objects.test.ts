// Stores that answer as if all were well: they keep a part of what they took, or keep what was deleted,
// or say nothing for long.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makePack } from '../../../contracts/page-store.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import { scriptedStores, type ScriptedStores } from '../../../support/packs/scripted-store.ts';

let stores: ScriptedStores;
beforeEach(() => {
  stores = scriptedStores();
});
afterEach(() => stores.close());

const PACK = makePack({ seed: 31, sizeBytes: 5000 });

/** A store that keeps as much of an object as `kept` gives of each put, numbered from 0. */
function keeping(kept: (put: number, bytes: number) => number | null) {
  let puts = 0;
  let size: number | null = null;
  return (request: IncomingMessage, response: ServerResponse): void => {
    let bytes = 0;
    request.on('data', (chunk: Uint8Array) => (bytes += chunk.length));
    request.on('end', () => {
      if (request.method === 'PUT') {
        size = kept(puts, bytes);
        puts += 1;
        response.writeHead(200).end();
      } else if (size === null) response.writeHead(404).end();
      else response.writeHead(200, { 'content-length': size }).end();
    });
  };
}

test.each<[string, (put: number, bytes: number) => number | null]>([
  ['half of it', (_, bytes) => Math.floor(bytes / 2)],
  ['nothing', () => null],
  ['an empty object', () => 0],
])('a pack of which %s is kept is not stored, whatever was answered', async (_, kept) => {
  const { store } = await stores.before(keeping(kept));
  const { code, message } = await failureOf(store.put(PACK));
  expect(code).toBe('STORE_UNREACHABLE');
  expect(message).toContain(`took its ${PACK.bytes.length} bytes`);
});

test('a pack that is whole the second time is stored', async () => {
  const { store } = await stores.before(keeping((put, bytes) => (put === 0 ? 0 : bytes)));
  expect(await valueOf(store.put(PACK))).toBeUndefined();
  expect(stores.requests()).toBe(4);
});

test('what was seen after a put counts for 12 h, then it is asked again', async () => {
  let now = Date.now();
  let objects = 0;
  const { store } = await stores.before(
    keeping((_, bytes) => {
      objects += 1;
      return objects === 1 ? bytes : null;
    }),
    { clock: () => now },
  );
  const { name, bytes } = PACK;
  const pack = { name, sizeBytes: bytes.length };
  await valueOf(store.put(PACK));
  const requests = stores.requests();
  now += 12 * 3_600_000 - 1;
  expect(await valueOf(store.has(pack))).toBe(true);
  expect(stores.requests()).toBe(requests);
  now += 1;
  expect(await valueOf(store.has(pack))).toBe(true);
  expect(stores.requests()).toBe(requests + 1);
  // A clock that was set back says nothing about how long ago it was.
  now -= 24 * 3_600_000;
  expect(await valueOf(store.has(pack))).toBe(true);
  expect(stores.requests()).toBe(requests + 2);
  expect(await valueOf(store.has({ ...pack, sizeBytes: 1 }))).toBe(false);
});

test('a delete that leaves a version behind is told, once', async () => {
  const { store, notices } = await stores.before((_, response) =>
    response.writeHead(204, { 'x-amz-delete-marker': 'true' }).end(),
  );
  for (let i = 0; i < 3; i += 1) await valueOf(store.delete(PACK.name));
  expect(notices).toEqual([expect.stringContaining('keeps versions')]);
});

test('a silent store is told of long before a request is given up', async () => {
  let answer: (() => void) | null = null;
  const notices: string[] = [];
  const { store } = await stores.before(
    (_, response) => {
      answer = () => response.writeHead(204).end();
    },
    {
      limits: { connectMsMax: 300, idleMsMax: 600_000, bytesPerSecondMin: 1 },
      onNotice: (text) => {
        notices.push(text);
        answer?.();
        answer = null;
      },
    },
  );
  await valueOf(store.delete(PACK.name));
  expect(notices).toEqual([
    expect.stringContaining('silent for'),
    expect.stringContaining('answers again'),
  ]);
});
