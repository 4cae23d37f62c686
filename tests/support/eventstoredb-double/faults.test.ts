// What only the double can do, seen through the client package: to be killed and started again, to
// fail on demand, to hold answers back, and to tell what was called.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { status } from '@grpc/grpc-js';
import { ANY, END, EventStoreDBClient, NO_STREAM } from '@eventstore/db-client';
import { eventOf, failureOf, gather, listen, UNARY } from './client-reading.ts';
import {
  APPEND_BYTES_RAISED,
  startEventStoreDouble,
  type DoubleOptions,
  type EventStoreDouble,
} from './eventstoredb-double.ts';
import { selfSigned } from './self-signed.ts';
import { withTemporaryFolder } from '../disks/temporary-folder.ts';

let double: EventStoreDouble;
let client: EventStoreDBClient;

async function begin(options: DoubleOptions = {}): Promise<void> {
  double = await startEventStoreDouble(options);
  client = EventStoreDBClient.connectionString(double.url);
}

beforeEach(() => begin());

afterEach(async () => {
  double.faults.clear();
  await client.dispose();
  await double.stop();
});

/** Another double than the one that every test begins with. */
async function beginAgain(options: DoubleOptions): Promise<void> {
  await client.dispose();
  await double.stop();
  await begin(options);
}

const append = (
  stream: string,
  expectedRevision: bigint | 'any' | 'no_stream',
  ...events: ReturnType<typeof eventOf>[]
) => client.appendToStream(stream, events, { ...UNARY, expectedRevision });

/** Appends until the client has found its way back to the server. */
async function appendPatiently(...request: Parameters<typeof append>): ReturnType<typeof append> {
  for (;;) {
    try {
      return await append(...request);
    } catch (thrown) {
      if ((thrown as { code?: unknown }).code !== status.UNAVAILABLE) throw thrown;
      await sleep(10);
    }
  }
}

const storedIn = (stream: string): string[] =>
  double.records.list(stream).map(({ data }) => new TextDecoder().decode(data));

/** Waits for what is certain to come. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(2);
}

const fill = (stream: string, count: number, data: Uint8Array | string = 'x'): void => {
  double.records.addForeign(...Array.from({ length: count }, () => ({ stream, data })));
};

describe('killing and starting again', () => {
  test('keeps what was acknowledged, and the same client finds it again', async () => {
    await append('s', NO_STREAM, eventOf('a'));
    await double.stop();
    expect(await failureOf(append('s', 0n, eventOf('b')))).toMatchObject({ type: 'unavailable' });
    await double.start();
    await appendPatiently('s', 0n, eventOf('c'));
    expect(storedIn('s')).toEqual(['a', 'c']);
  });

  test('an exact repetition is recognised afterwards, one with any revision is not', async () => {
    const [exact, any] = [eventOf('exact'), eventOf('any')];
    const taken = await append('exact', NO_STREAM, exact);
    await append('any', ANY, any);
    await double.stop();
    await double.start();
    expect(await appendPatiently('exact', NO_STREAM, exact)).toEqual(taken);
    await append('any', ANY, any);
    expect(storedIn('exact')).toEqual(['exact']);
    expect(storedIn('any')).toEqual(['any', 'any']);
  });

  test('cuts every open call at once, and leaves none behind', async () => {
    const heard = listen(client.subscribeToAll());
    const held = double.faults.hold('append');
    const appending = failureOf(append('s', NO_STREAM, eventOf('a')));
    await held.reached(1);
    await heard.until(() => heard.lines.includes('caughtUp'));
    expect([double.openCalls('subscribe'), double.openCalls('append')]).toEqual([1, 1]);
    await double.stop();
    expect(await appending).toMatchObject({ type: 'unavailable' });
    expect(await heard.failed).toMatchObject({ type: 'unavailable' });
    await until(() => double.openCalls() === 0);
    held.release();
    await double.start();
    // What the killed server had not written yet, no server writes later.
    await appendPatiently('s', NO_STREAM, eventOf('b'));
    expect(storedIn('s')).toEqual(['b']);
  });

  test('records that outlive their double serve the next one', async () => {
    await append('s', NO_STREAM, eventOf('a'));
    await beginAgain({ records: double.records });
    const [event] = await gather(client.readStream('s'));
    expect(event!.event!.revision).toBe(0n);
    expect(await append('s', 0n, eventOf('b'))).toMatchObject({ nextExpectedRevision: 1n });
  });

  test('positions may begin beyond what a number holds', async () => {
    const start = 2n ** 53n + 1n;
    await beginAgain({ positions: { start } });
    const { position } = await append('s', NO_STREAM, eventOf('a'));
    expect(position!.commit > start).toBe(true);
    const [event] = await gather(client.readAll({ fromPosition: position!, maxCount: 1 }));
    expect(event!.event!.position).toEqual(position);
  });
});

describe('failing calls', () => {
  test('before an append is stored, or after, when only the answer is lost', async () => {
    const [before, after] = [eventOf('before'), eventOf('after')];
    double.faults.fail({ method: 'append', status: status.UNAVAILABLE });
    expect(await failureOf(append('s', NO_STREAM, before))).toMatchObject({ type: 'unavailable' });
    expect(storedIn('s')).toEqual([]);
    await appendPatiently('s', NO_STREAM, before);
    double.faults.fail({ method: 'append', status: status.DEADLINE_EXCEEDED, moment: 'after' });
    expect(await failureOf(append('s', 0n, after))).toMatchObject({ type: 'deadline-exceeded' });
    expect(storedIn('s')).toEqual(['before', 'after']);
    expect(await append('s', 0n, after)).toMatchObject({ nextExpectedRevision: 1n });
    expect(storedIn('s')).toEqual(['before', 'after']);
  });

  test('as many as are asked for, of that method only', async () => {
    await append('s', NO_STREAM, eventOf('a'));
    double.faults.fail({ method: 'read', status: status.ABORTED, count: 2 });
    for (let i = 0; i < 2; i++)
      expect(await failureOf(gather(client.readStream('s')))).toMatchObject({ type: 'timeout' });
    expect(await gather(client.readStream('s'))).toHaveLength(1);
  });

  test('a node that does not lead names the leader, and the client turns to it', async () => {
    const leader = await startEventStoreDouble({ records: double.records });
    try {
      const address = { host: '127.0.0.1', port: leader.port };
      double.faults.notLeader({ leader: address });
      expect(await failureOf(append('s', NO_STREAM, eventOf('a')))).toMatchObject({
        type: 'not-leader',
        leader: { address: address.host, port: address.port },
      });
      await append('s', NO_STREAM, eventOf('b'));
      expect([double.calls('append'), leader.calls('append')]).toEqual([1, 1]);
    } finally {
      await leader.stop();
    }
  });

  test('the probe of the server’s features fails too', async () => {
    double.faults.fail({ method: 'features', status: status.UNAVAILABLE });
    const batched = client.appendToStream('s', eventOf('a'));
    // A plain error: the client lets it out as it is.
    expect(await failureOf(batched)).toMatchObject({ code: status.UNAVAILABLE });
    expect(double.calls('batchAppend')).toBe(0);
  });
});

describe('ending flows', () => {
  test('now: subscriptions, and not reads', async () => {
    fill('s', 3);
    const heard = listen(client.subscribeToStream('s'));
    await heard.until(() => heard.lines.includes('caughtUp'));
    double.faults.cut({ flow: 'read' });
    await append('s', 2n, eventOf('a'));
    await heard.until(() => heard.lines.includes('s@3'));
    double.faults.cut({ flow: 'subscribe' });
    expect(await heard.failed).toMatchObject({ type: 'cancelled', code: status.CANCELLED });
    await until(() => double.openCalls() === 0);
  });

  test('after so many events, in the middle of a read', async () => {
    fill('s', 10);
    double.faults.cut({ flow: 'read', afterEvents: 4, status: status.UNAVAILABLE });
    const revisions: bigint[] = [];
    const reading = async (): Promise<void> => {
      for await (const { event } of client.readStream('s')) revisions.push(event!.revision);
    };
    expect(await failureOf(reading())).toMatchObject({ type: 'unavailable' });
    expect(double.sentEvents('read')).toBe(4);
    expect(revisions.length).toBeLessThanOrEqual(4);
    expect(await gather(client.readStream('s'))).toHaveLength(10);
  });

  test('a slow consumer is dropped, by a fault or because it lags', async () => {
    const slow = { type: 'timeout', code: status.ABORTED };
    const dropped = listen(client.subscribeToAll());
    await dropped.until(() => dropped.lines.includes('caughtUp'));
    double.faults.consumerTooSlow();
    expect(await dropped.failed).toMatchObject(slow);

    await beginAgain({ lagEventsMax: 64 });
    const lagging = client.subscribeToStream('s', { fromRevision: END }, { highWaterMark: 1 });
    const failed = new Promise((resolve) => lagging.once('error', resolve));
    await new Promise((resolve) => lagging.once('caughtUp', resolve));
    for (let i = 0; i < 200; i++) fill('s', 1, new Uint8Array(10_000));
    lagging.resume();
    expect(await failed).toMatchObject(slow);
  });
});

describe('holding back', () => {
  test('an append waits, before it is stored or with its answer', async () => {
    const before = double.faults.hold('append');
    const first = append('s', NO_STREAM, eventOf('a'));
    await before.reached(1);
    expect(storedIn('s')).toEqual([]);
    before.release();
    await first;
    const after = double.faults.hold('append', 'after');
    const second = append('s', 0n, eventOf('b'));
    await after.reached(1);
    expect(storedIn('s')).toEqual(['a', 'b']);
    after.release();
    expect(await second).toMatchObject({ nextExpectedRevision: 1n });
  });

  test('a client whose deadline passes leaves, and nothing is stored for it', async () => {
    const held = double.faults.hold('append');
    const late = client.appendToStream('s', eventOf('a'), { ...UNARY, deadline: 50 });
    expect(await failureOf(late)).toMatchObject({ type: 'deadline-exceeded' });
    await until(() => double.openCalls('append') === 0);
    held.release();
    await append('s', NO_STREAM, eventOf('b'));
    expect(storedIn('s')).toEqual(['b']);
  });

  test('the messages of a subscription wait, and come in order', async () => {
    fill('s', 3);
    const held = double.faults.hold('subscribe');
    const heard = listen(client.subscribeToStream('s'));
    await held.reached(1);
    held.release();
    await heard.until(() => heard.lines.length === 5);
    expect(heard.lines).toEqual(['confirmed', 's@0', 's@1', 's@2', 'caughtUp']);
    await heard.close();
  });

  test('latency changes when, and nothing else', async () => {
    for (const method of ['append', 'read', 'subscribe'] as const) double.faults.latency(method, 5);
    await append('s', NO_STREAM, eventOf('a'), eventOf('b'));
    expect(await gather(client.readStream('s'))).toHaveLength(2);
    const heard = listen(client.subscribeToStream('s'));
    await heard.until(() => heard.lines.includes('caughtUp'));
    expect(heard.lines).toEqual(['confirmed', 's@0', 's@1', 'caughtUp']);
    await heard.close();
  });
});

describe('counting and bounding', () => {
  test('a client with credentials for each call appends one by one, another in a batch', async () => {
    await append('s', NO_STREAM, eventOf('a'));
    expect([double.calls('append'), double.calls('batchAppend')]).toEqual([1, 0]);
    expect(await client.appendToStream('s', [eventOf('b'), eventOf('c')])).toMatchObject({
      nextExpectedRevision: 2n,
    });
    expect([double.calls('append'), double.calls('batchAppend')]).toEqual([1, 1]);
    const conflict = client.appendToStream('s', eventOf('d'), { expectedRevision: 0n });
    expect(await failureOf(conflict)).toMatchObject({
      type: 'wrong-expected-version',
      actualVersion: 2n,
    });
    const tooLarge = client.appendToStream('s', eventOf(new Uint8Array(1_048_577)));
    expect(await failureOf(tooLarge)).toMatchObject({ maxAppendSize: 1_048_576 });
    expect(storedIn('s')).toEqual(['a', 'b', 'c']);
  });

  test('a client that does not read is waited for', async () => {
    const eventBytes = 100_000;
    fill('s', 500, new Uint8Array(eventBytes));
    const subscription = client.subscribeToStream('s', {}, { highWaterMark: 1 });
    let before = -1;
    // It stands still when every buffer on the way is full.
    while (before < 1 || before !== double.sentEvents('subscribe')) {
      before = double.sentEvents('subscribe');
      await sleep(100);
    }
    expect(before).toBeLessThan(500);
    let count = 0;
    subscription.on('data', () => (count += 1));
    await until(() => count === 500);
    await subscription.unsubscribe();
    await until(() => double.openCalls() === 0);
  }, 300_000);

  test('a raised limit takes larger appends, and one of its own is kept', async () => {
    await beginAgain({ appendBytesMax: APPEND_BYTES_RAISED });
    await append('s', NO_STREAM, eventOf(new Uint8Array(4_000_000)));
    await beginAgain({ appendBytesMax: 10, messageBytesMax: 5000 });
    await append('s', NO_STREAM, eventOf(new Uint8Array(10)));
    expect(await failureOf(append('s', 0n, eventOf(new Uint8Array(11))))).toMatchObject({
      maxAppendSize: 10,
    });
    expect(await failureOf(append('s', 0n, eventOf(new Uint8Array(5001))))).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
  });

  test('records of others lie among ours', async () => {
    double.records.addForeign({
      stream: '$stats-127.0.0.1:2113',
      type: '$statsCollected',
      contentType: 'application/json',
      data: '{}',
    });
    double.records.addHidden(1000);
    await append('s', NO_STREAM, eventOf('a', { metadata: Uint8Array.of(0, 1) }));
    double.records.setStreamMetadata('s', { $maxCount: 5 });
    const types = (await gather(client.readAll())).map(({ event }) => event!.type);
    expect(types).toEqual(['$metadata', '$statsCollected', 'SomethingHappened', '$metadata']);
    expect(double.records.list('s')).toMatchObject([
      { contentType: 'application/octet-stream', metadata: Uint8Array.of(0, 1), revision: 0n },
    ]);
    double.records.softDelete('s');
    expect(await failureOf(gather(client.readStream('s')))).toMatchObject({
      type: 'stream-not-found',
    });
    double.records.tombstone('s');
    expect(await failureOf(append('s', 0n, eventOf('b')))).toMatchObject({
      type: 'stream-deleted',
    });
  });

  test('discovery finds the one node, which leads', async () => {
    const discovering = EventStoreDBClient.connectionString(
      `esdb+discover://127.0.0.1:${double.port}?tls=false`,
    );
    await discovering.appendToStream('s', eventOf('a'), UNARY);
    expect([double.calls('gossip'), storedIn('s')]).toEqual([1, ['a']]);
    await discovering.dispose();
  });
});

test('over TLS, credentials are asked for: none are denied, wrong ones are not known', async () => {
  await withTemporaryFolder(async (folder) => {
    const tls = selfSigned();
    const authority = join(folder, 'authority.pem');
    await writeFile(authority, tls.certificate);
    await beginAgain({ tls, credentials: { username: 'ada', password: 'right' } });
    const attempt = async (login: string): Promise<unknown> => {
      const url = `esdb://${login}localhost:${double.port}?tls=true&tlsCAFile=${authority}`;
      const secured = EventStoreDBClient.connectionString(url);
      try {
        return await secured.appendToStream('s', eventOf('a'));
      } catch (thrown) {
        return thrown;
      } finally {
        await secured.dispose();
      }
    };
    expect(await attempt('ada:right@')).toMatchObject({ success: true });
    const denied = { type: 'access-denied' };
    expect(await attempt('ada:wrong@')).toMatchObject({ ...denied, code: status.UNAUTHENTICATED });
    expect(await attempt('')).toMatchObject({ ...denied, code: status.PERMISSION_DENIED });
    expect(storedIn('s')).toEqual(['a']);
  });
});
