// The double of EventStoreDB takes appends and answers reads as the server does, seen through the
// client package itself. With PAGELEDGER_ESDB_URL set, a real server runs through the same tests, which
// is what keeps the double honest.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import {
  ANY,
  BACKWARDS,
  END,
  type EventStoreDBClient,
  FORWARDS,
  NO_STREAM,
  START,
  STREAM_EXISTS,
} from '@eventstore/db-client';
import { eventOf, failureOf, gather } from './client-reading.ts';
import { type Append, freshStream, onEveryServer, placeOf, undisturbed } from './every-server.ts';

onEveryServer((current) => {
  const append: Append = (...request) => current().append(...request);
  const filled = (count: number) => current().filled(count);

  const readStream = (
    stream: string,
    options: Parameters<EventStoreDBClient['readStream']>[1] = {},
  ) => gather(current().client.readStream(stream, options));

  const revisions = async (
    stream: string,
    options: Parameters<EventStoreDBClient['readStream']>[1] = {},
  ): Promise<bigint[]> => (await readStream(stream, options)).map(({ event }) => event!.revision);

  /** What `work` gives as soon as the stream is found. */
  const foundOnce = async <A>(work: () => Promise<A>): Promise<A> => {
    for (;;) {
      try {
        return await work();
      } catch (thrown) {
        if ((thrown as { type?: unknown }).type !== 'stream-not-found') throw thrown;
        await sleep(5);
      }
    }
  };

  describe('taking appends', () => {
    test('the events of an append are neighbours, each at a position of its own', async () => {
      const stream = freshStream();
      const taken = await append(stream, NO_STREAM, eventOf('a'), eventOf('b'), eventOf('c'));
      const events = (await readStream(stream)).map(({ event }) => event!);
      expect(events.map(({ revision }) => revision)).toEqual([0n, 1n, 2n]);
      const [first, second, third] = events.map(({ position }) => position!);
      expect(first!.commit < second!.commit && second!.commit < third!.commit).toBe(true);
      for (const place of [first!, second!, third!]) expect(place.prepare).toBe(place.commit);
      const all = await gather(current().client.readAll({ fromPosition: first!, maxCount: 3 }));
      expect(all.map(({ event }) => event!.streamId)).toEqual([stream, stream, stream]);
      expect(taken.nextExpectedRevision).toBe(2n);
    });

    test('an append is answered with the position of its last event', async () => {
      const stream = freshStream();
      const { position } = await append(stream, NO_STREAM, eventOf('a'), eventOf('b'));
      const [event] = await readStream(stream, {
        direction: BACKWARDS,
        fromRevision: END,
        maxCount: 1,
      });
      expect(event!.event!.position).toEqual(position);
    });

    test('data, metadata, type and content type come back as they were given', async () => {
      const stream = freshStream();
      const bytes = Uint8Array.from({ length: 512 }, (_, i) => i & 0xff);
      await append(
        stream,
        NO_STREAM,
        eventOf(bytes, { type: 'Bytes', metadata: Uint8Array.of(0, 255, 0, 1) }),
        eventOf(new Uint8Array(0), { type: 'Nothing' }),
      );
      const [first, second] = (await readStream(stream)).map(({ event }) => event!);
      expect(first).toMatchObject({ type: 'Bytes', isJson: false });
      expect(Buffer.from(first!.data as Uint8Array)).toEqual(Buffer.from(bytes));
      expect(Buffer.from(first!.metadata as Uint8Array)).toEqual(Buffer.from([0, 255, 0, 1]));
      expect(second!.type).toBe('Nothing');
      expect(second!.data).toHaveLength(0);
      expect(second!.metadata).toBeUndefined();
    });

    test('another revision than the expected one is a conflict that says the actual one', async () => {
      const { stream } = await filled(2);
      const missing = freshStream();
      for (const expected of [NO_STREAM, 0n, 2n, 7n] as const)
        expect(await failureOf(append(stream, expected, eventOf('x')))).toMatchObject({
          type: 'wrong-expected-version',
          actualVersion: 1n,
          expectedVersion: expected,
        });
      expect(await failureOf(append(missing, 0n, eventOf('x')))).toMatchObject({
        type: 'wrong-expected-version',
        actualVersion: 'no_stream',
      });
      expect(await failureOf(append(missing, STREAM_EXISTS, eventOf('x')))).toMatchObject({
        type: 'wrong-expected-version',
      });
      expect(await revisions(stream)).toEqual([0n, 1n]);
    });

    test('the same append again is answered as before, also when more has come after it', async () => {
      const stream = freshStream();
      const first = [eventOf('a'), eventOf('b')];
      const taken = await append(stream, NO_STREAM, ...first);
      const next = await append(stream, 1n, eventOf('c'));
      expect(await append(stream, NO_STREAM, ...first)).toEqual(taken);
      // Ids only are compared.
      const others = first.map(({ id }) => eventOf('other data', { id }));
      expect(await append(stream, NO_STREAM, ...others)).toEqual(taken);
      expect(await revisions(stream)).toEqual([0n, 1n, 2n]);
      expect(next.nextExpectedRevision).toBe(2n);
    });

    test('part of an append again is answered with that part', async () => {
      const stream = freshStream();
      const [a, b] = [eventOf('a'), eventOf('b')];
      await append(stream, NO_STREAM, a, b);
      expect(await append(stream, NO_STREAM, a)).toMatchObject({ nextExpectedRevision: 0n });
      expect(await append(stream, 0n, b)).toMatchObject({ nextExpectedRevision: 1n });
    });

    test('a repetition that brings new events too is a conflict, and none is stored', async () => {
      const stream = freshStream();
      const first = eventOf('a');
      await append(stream, NO_STREAM, first);
      const mixed = append(stream, NO_STREAM, first, eventOf('b'));
      expect(await failureOf(mixed)).toMatchObject({
        type: 'wrong-expected-version',
        actualVersion: 0n,
      });
      expect(await revisions(stream)).toEqual([0n]);
    });

    test('with any expected revision a repetition is recognised by what the server remembers', async () => {
      const stream = freshStream();
      const event = eventOf('a');
      const taken = await append(stream, ANY, event);
      expect(await append(stream, ANY, event)).toEqual(taken);
      expect(await revisions(stream)).toEqual([0n]);
    });

    test('a repetition that can no longer be read is answered without a position', async () => {
      const stream = freshStream();
      const event = eventOf('a');
      await append(stream, NO_STREAM, event);
      await current().client.deleteStream(stream);
      const again = await append(stream, NO_STREAM, event);
      expect(again).toMatchObject({ success: true, nextExpectedRevision: 0n });
      expect(again.position).toBeUndefined();
    });

    test('an append without events succeeds and makes no stream', async () => {
      const stream = freshStream();
      expect(await append(stream, NO_STREAM)).toMatchObject({ success: true });
      expect(await failureOf(readStream(stream))).toMatchObject({ type: 'stream-not-found' });
    });

    test('data up to the limit are taken, whatever the type and the metadata take', async () => {
      const stream = freshStream();
      const metadata = new Uint8Array(2000).fill(1);
      const most = eventOf(new Uint8Array(1_048_575), { metadata });
      await append(stream, NO_STREAM, most, eventOf(new Uint8Array(1)));
      const tooMuch = append(stream, 1n, eventOf(new Uint8Array(1_048_576)), eventOf('x'));
      expect(await failureOf(tooMuch)).toMatchObject({
        type: 'maximum-append-size-exceeded',
        maxAppendSize: 1_048_576,
      });
      expect(await revisions(stream)).toEqual([0n, 1n]);
    });

    test('a message above what gRPC takes is refused without a name', async () => {
      const huge = append(freshStream(), NO_STREAM, eventOf(new Uint8Array(16_800_000)));
      expect(await failureOf(huge)).toMatchObject({ type: 'unknown', code: 8 });
    });
  });

  describe('reading a stream', () => {
    test('both directions, from a revision that is included, with a count', async () => {
      const { stream } = await filled(5);
      expect(await revisions(stream)).toEqual([0n, 1n, 2n, 3n, 4n]);
      expect(await revisions(stream, { fromRevision: 3n })).toEqual([3n, 4n]);
      expect(await revisions(stream, { fromRevision: 1n, maxCount: 2 })).toEqual([1n, 2n]);
      expect(await revisions(stream, { fromRevision: 9n })).toEqual([]);
      const backwards = { direction: BACKWARDS } as const;
      expect(await revisions(stream, { ...backwards, fromRevision: END })).toEqual([
        4n,
        3n,
        2n,
        1n,
        0n,
      ]);
      expect(await revisions(stream, { ...backwards, fromRevision: 2n, maxCount: 2 })).toEqual([
        2n,
        1n,
      ]);
      expect(await revisions(stream, { ...backwards, fromRevision: 9n, maxCount: 1 })).toEqual([
        4n,
      ]);
      expect(await revisions(stream, { ...backwards, fromRevision: START })).toEqual([0n]);
    });

    test('more than a page', async () => {
      const stream = freshStream();
      const events = Array.from({ length: 100 }, (_, i) => eventOf(`${i}`));
      await append(stream, NO_STREAM, ...events);
      const expected = events.map((_, i) => BigInt(i));
      expect(await revisions(stream)).toEqual(expected);
      expect(await revisions(stream, { direction: BACKWARDS, fromRevision: END })).toEqual(
        expected.toReversed(),
      );
    });

    test('forwards from the end, and no events at all, are errors without a name', async () => {
      const { stream } = await filled(1);
      const unnamed = { type: 'unknown', code: 2 };
      expect(
        await failureOf(readStream(stream, { direction: FORWARDS, fromRevision: END })),
      ).toMatchObject(unnamed);
      expect(await failureOf(readStream(stream, { maxCount: 0 }))).toMatchObject(unnamed);
    });

    test('a missing stream is not found', async () => {
      const stream = freshStream();
      expect(await failureOf(readStream(stream))).toMatchObject({
        type: 'stream-not-found',
        streamName: stream,
      });
    });

    test('a deleted stream is not found until it is written again, and goes on counting', async () => {
      const { stream } = await filled(2);
      await current().client.deleteStream(stream, { expectedRevision: 1n });
      expect(await failureOf(readStream(stream))).toMatchObject({ type: 'stream-not-found' });
      expect(await append(stream, NO_STREAM, eventOf('again'))).toMatchObject({
        nextExpectedRevision: 2n,
      });
      // A server undoes the deletion just after it has answered.
      expect(await foundOnce(() => revisions(stream))).toEqual([2n]);
      expect(await append(stream, 2n, eventOf('more'))).toMatchObject({ nextExpectedRevision: 3n });
    });

    test('a stream deleted for ever can be neither read nor written', async () => {
      const { stream } = await filled(1);
      await current().client.tombstoneStream(stream);
      const deleted = { type: 'stream-deleted', streamName: stream };
      expect(await failureOf(readStream(stream))).toMatchObject(deleted);
      expect(await failureOf(append(stream, 0n, eventOf('x')))).toMatchObject(deleted);
      expect(await failureOf(append(stream, NO_STREAM, eventOf('x')))).toMatchObject(deleted);
    });

    test('what its metadata truncate is not read, and is still in $all', async () => {
      const { stream, positions } = await filled(5);
      await current().client.setStreamMetadata(stream, { truncateBefore: 3 });
      expect(await revisions(stream)).toEqual([3n, 4n]);
      expect(await revisions(stream, { direction: BACKWARDS, fromRevision: END })).toEqual([
        4n,
        3n,
      ]);
      await current().client.setStreamMetadata(stream, { maxCount: 1 });
      expect(await revisions(stream)).toEqual([4n]);
      const [first] = await gather(
        current().client.readAll({ fromPosition: placeOf(positions[0]!), maxCount: 1 }),
      );
      expect(first!.event).toMatchObject({ streamId: stream, revision: 0n });
    });
  });

  describe('reading $all', () => {
    const read = async (
      options: Parameters<EventStoreDBClient['readAll']>[0],
    ): Promise<(bigint | undefined)[]> =>
      (await gather(current().client.readAll(options))).map(({ event }) => event?.position?.commit);

    test('forwards a position is included, backwards it is not', () =>
      undisturbed(current().client, async () => {
        const { stream, positions } = await filled(4);
        const from = { fromPosition: placeOf(positions[2]!), maxCount: 2 };
        const forwards = await read({ ...from, direction: FORWARDS });
        const backwards = await read({ ...from, direction: BACKWARDS });
        const last = await read({ direction: BACKWARDS, fromPosition: END, maxCount: 1 });
        return {
          from: positions[0]!,
          streams: [stream],
          check: () => {
            expect(forwards).toEqual(positions.slice(2));
            expect(backwards).toEqual([positions[1], positions[0]]);
            expect(last).toEqual([positions[3]]);
          },
        };
      }));

    test('a place that is no record’s is an error without a name', async () => {
      const { positions } = await filled(2);
      const between = { fromPosition: placeOf(positions[0]! + 1n), maxCount: 1 };
      const unnamed = { type: 'unknown', code: 2 };
      expect(await failureOf(read({ ...between, direction: FORWARDS }))).toMatchObject(unnamed);
      expect(await failureOf(read({ ...between, direction: BACKWARDS }))).toMatchObject(unnamed);
    });

    test('beyond the end there is nothing forwards, and an error backwards', async () => {
      const { positions } = await filled(1);
      const beyond = { fromPosition: placeOf(positions[0]! + 1_000_000n), maxCount: 1 };
      expect(await read({ ...beyond, direction: FORWARDS })).toEqual([]);
      expect(await failureOf(read({ ...beyond, direction: BACKWARDS }))).toMatchObject({ code: 2 });
      expect(await read({ direction: FORWARDS, fromPosition: END, maxCount: 1 })).toEqual([]);
      expect(await read({ direction: BACKWARDS, fromPosition: START, maxCount: 1 })).toEqual([]);
    });
  });
});
