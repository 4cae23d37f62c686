// The double of EventStoreDB serves subscriptions as the server does, seen through the client package
// itself. With PAGELEDGER_ESDB_URL set, a real server runs through the same tests.

import { describe, expect, test } from '@jest/globals';
import { ANY, END, NO_STREAM, eventTypeFilter, streamNameFilter } from '@eventstore/db-client';
import { eventOf, gather, listen, type Heard } from './client-reading.ts';
import { type Append, freshStream, onEveryServer, placeOf, undisturbed } from './every-server.ts';

/** Hundreds of calls, on a machine that may have much else to do. */
const SLOW_MS = 300_000;

onEveryServer((current) => {
  const append: Append = (...request) => current().append(...request);
  const filled = (count: number) => current().filled(count);

  const heardFrom = async (heard: Heard, count: number): Promise<string[]> => {
    await heard.until(() => heard.lines.length >= count);
    await heard.close();
    return heard.lines;
  };

  describe('subscribing', () => {
    test('a stream is replayed, said to be caught up, and followed', async () => {
      const { stream } = await filled(3);
      const heard = listen(current().client.subscribeToStream(stream));
      await heard.until(() => heard.lines.includes('caughtUp'));
      await append(stream, 2n, eventOf('3'), eventOf('4'));
      expect(await heardFrom(heard, 7)).toEqual([
        'confirmed',
        `${stream}@0`,
        `${stream}@1`,
        `${stream}@2`,
        'caughtUp',
        `${stream}@3`,
        `${stream}@4`,
      ]);
    });

    test('the revision a subscription starts from is not repeated', async () => {
      const { stream } = await filled(3);
      const heard = listen(current().client.subscribeToStream(stream, { fromRevision: 1n }));
      expect(await heardFrom(heard, 3)).toEqual(['confirmed', `${stream}@2`, 'caughtUp']);
    });

    test('a stream that is not there yet is awaited', async () => {
      const stream = freshStream();
      const heard = listen(current().client.subscribeToStream(stream));
      await heard.until(() => heard.lines.includes('confirmed'));
      await append(stream, NO_STREAM, eventOf('0'));
      expect(await heardFrom(heard, 3)).toEqual(['confirmed', `${stream}@0`, 'caughtUp']);
    });

    test('whatever was acknowledged comes before caughtUp, also many pages of it', async () => {
      const stream = freshStream();
      const events = Array.from({ length: 130 }, (_, i) => eventOf(`${i}`));
      await append(stream, NO_STREAM, ...events);
      const filter = streamNameFilter({ prefixes: [stream] });
      const heard = listen(current().client.subscribeToAll({ filter }));
      await heard.until(() => heard.lines.includes('caughtUp'));
      await heard.close();
      const inOrder = events.map((_, i) => `${stream}@${i}`);
      expect(heard.lines.filter((line) => line.startsWith(stream))).toEqual(inOrder);
      expect(heard.lines.at(-1)).toBe('caughtUp');
    });

    test('of $all, the position it starts from is not repeated', async () => {
      const { stream, positions } = await filled(3);
      const fromPosition = placeOf(positions[0]!);
      const filter = streamNameFilter({ prefixes: [stream] });
      const heard = listen(current().client.subscribeToAll({ fromPosition, filter }));
      expect(await heardFrom(heard, 4)).toEqual([
        'confirmed',
        `${stream}@1`,
        `${stream}@2`,
        'caughtUp',
      ]);
    });

    test('from the end only what comes is sent', async () => {
      const { stream } = await filled(1);
      const filter = streamNameFilter({ prefixes: [stream] });
      const heard = listen(current().client.subscribeToAll({ fromPosition: END, filter }));
      await heard.until(() => heard.lines.includes('caughtUp'));
      await append(stream, 0n, eventOf('new'));
      expect(await heardFrom(heard, 3)).toEqual(['confirmed', 'caughtUp', `${stream}@1`]);
    });

    test('from a record that $all does not show, the event after it is missed', () =>
      undisturbed(current().client, async () => {
        const stream = freshStream();
        await append(stream, NO_STREAM, eventOf('0'));
        const hidden = await append(freshStream(), NO_STREAM);
        await append(stream, 0n, eventOf('1'), eventOf('2'));
        const fromPosition = hidden.position!;
        const [next] = await gather(current().client.readAll({ fromPosition, maxCount: 1 }));
        const filter = streamNameFilter({ prefixes: [stream] });
        const heard = listen(current().client.subscribeToAll({ fromPosition, filter }));
        const lines = await heardFrom(heard, 3);
        return {
          from: fromPosition.commit,
          streams: [stream],
          check: () => {
            expect(next!.event!.revision).toBe(1n);
            expect(lines).toEqual(['confirmed', `${stream}@2`, 'caughtUp']);
          },
        };
      }));

    test('from beyond the end all that comes is sent', async () => {
      const { stream, positions } = await filled(1);
      const fromPosition = placeOf(positions[0]! + 1_000_000n);
      const filter = streamNameFilter({ prefixes: [stream] });
      const heard = listen(current().client.subscribeToAll({ fromPosition, filter }));
      await heard.until(() => heard.lines.includes('caughtUp'));
      await append(stream, 0n, eventOf('new'));
      expect(await heardFrom(heard, 3)).toEqual(['confirmed', 'caughtUp', `${stream}@1`]);
    });

    test('a place that is no record’s is an error without a name', async () => {
      const { positions } = await filled(2);
      const heard = listen(
        current().client.subscribeToAll({ fromPosition: placeOf(positions[0]! + 1n) }),
      );
      const failure = await heard.failed;
      expect(failure).toMatchObject({ type: 'unknown', code: 2 });
      expect(heard.lines).toEqual([]);
    });

    test.each([
      [
        'names by prefix',
        (own: string) => streamNameFilter({ prefixes: [`${own}-a`, `${own}-b`] }),
      ],
      ['names by expression', (own: string) => streamNameFilter({ regex: `^${own}-[ab]` })],
      ['types by prefix', (own: string) => eventTypeFilter({ prefixes: [`${own}-a`, `${own}-b`] })],
      ['types by expression', (own: string) => eventTypeFilter({ regex: `${own}-[ab]$` })],
    ])('a filter of %s lets through what fits', async (_, filterOf) => {
      const own = freshStream();
      for (const kind of ['a', 'c', 'b'])
        await append(`${own}-${kind}`, NO_STREAM, eventOf(kind, { type: `${own}-${kind}` }));
      const heard = listen(current().client.subscribeToAll({ filter: filterOf(own) }));
      await heard.until(() => heard.lines.includes('caughtUp'));
      await heard.close();
      const events = heard.lines.filter((line) => line.startsWith(own));
      expect(events).toEqual([`${own}-a@0`, `${own}-b@0`]);
    });

    test(
      'a filter that finds little gives checkpoints, before and after catching up',
      () =>
        undisturbed(current().client, async () => {
          const [own, other] = [freshStream(), freshStream()];
          const positions: bigint[] = [];
          const addMany = async (count: number): Promise<void> => {
            for (let i = 0; i < count; i++) {
              const stream = positions.length % 40 === 5 ? own : other;
              const { position } = await append(stream, ANY, eventOf('x'));
              positions.push(position!.commit);
            }
          };
          await addMany(150);
          const checkpoints: bigint[] = [];
          const filter = streamNameFilter({
            prefixes: [own],
            checkpointReached: (__, position) => void checkpoints.push(position.commit),
          });
          const fromPosition = placeOf(positions[0]!);
          const heard = listen(current().client.subscribeToAll({ fromPosition, filter }));
          await heard.until(() => heard.lines.includes('caughtUp'));
          await addMany(50);
          await heard.until(() => checkpoints.length >= 6);
          await heard.close();
          return {
            from: positions[0]!,
            streams: [own, other],
            check: () => {
              // Behind the last event found in each page of 32, then at every 32nd looked at.
              const places = checkpoints.map((place) => positions.indexOf(place));
              expect(places).toEqual([5, 45, 85, 125, 160, 192]);
              expect(heard.lines.filter((line) => line.startsWith(own))).toHaveLength(5);
            },
          };
        }),
      SLOW_MS,
    );

    test('a subscription to a stream ends when that is deleted for ever', async () => {
      const { stream } = await filled(1);
      const heard = listen(current().client.subscribeToStream(stream));
      await heard.until(() => heard.lines.includes('caughtUp'));
      await current().client.tombstoneStream(stream);
      expect(await heard.failed).toMatchObject({ type: 'stream-deleted', streamName: stream });
    });
  });
});
