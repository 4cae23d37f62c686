// The segments of the embedded event log: they end while others append, one process knows the same end
// as all others, and a log of format 1 goes on in format 2.

import { describe, expect, test } from '@jest/globals';
import { encodeAppend } from '../../../../adapters/stores/event-log-embedded/layout.ts';
import { LOG_FORMATS, withLogFolder } from '../../../support/logs/embedded-logs.ts';
import { eventsOf, lineOf, makeEvents, streamOf } from '../../../support/logs/log-events.ts';
import { gather, valueOf } from '../../../support/outcomes.ts';

describe.each(LOG_FORMATS)('a log of format %d that is sealed', (format) => {
  test('goes on in format 2, and every reader finds all events at their places', () =>
    withLogFolder(async (folder) => {
      const log = await folder.open();
      const other = await folder.open();
      const reader = await folder.open({ readOnly: true });
      const writers = [log, other];
      for (let i = 0; i < 12; i += 1) {
        const writer = writers[i % 2]!;
        const expectedRevision = await valueOf(writer.streamRevision('a'));
        await valueOf(writer.append({ stream: 'a', expectedRevision, events: makeEvents(2) }));
        if (i % 3 === 2) await valueOf(writers[(i + 1) % 2]!.seal());
      }
      expect(await folder.segmentPaths()).toHaveLength(5);
      const lines = (await eventsOf(log)).map(lineOf);
      expect(lines).toHaveLength(24);
      for (const each of [other, reader, await folder.open()]) {
        expect((await eventsOf(each)).map(lineOf)).toEqual(lines);
        for (const event of await eventsOf(log)) {
          const { revision: from, position } = event;
          const found = await streamOf(each, 'a', { from, count: 1, position });
          expect(found.map(lineOf)).toEqual([lineOf(event)]);
        }
      }
      expect(await valueOf(log.format())).toBe(2);
      expect(await gather(log.check())).toEqual([]);
    }, format));

  test('by one while others append loses nothing that was acknowledged', () =>
    withLogFolder(async (folder) => {
      const writers = await Promise.all([0, 1, 2].map(() => folder.open()));
      await Promise.all([
        ...writers.map(async (writer, i) => {
          for (let k = 0; k < 15; k += 1)
            await valueOf(
              writer.append({ stream: `vm-${i}`, expectedRevision: k - 1, events: makeEvents(1) }),
            );
        }),
        (async () => {
          const sealing = await folder.open();
          for (let k = 0; k < 6; k += 1) await valueOf(sealing.seal());
        })(),
      ]);
      const log = await folder.open();
      const events = await eventsOf(log);
      for (const i of [0, 1, 2]) {
        const ofStream = events.filter(({ stream }) => stream === `vm-${i}`);
        expect(ofStream.map(({ revision }) => revision)).toEqual(ofStream.map((_, at) => at));
        expect(ofStream).toHaveLength(15);
      }
      expect(await gather(log.check())).toEqual([]);
    }, format));
});

describe('a segment', () => {
  test('that is large is followed by another, and a subscriber goes along', () =>
    withLogFolder(async (folder) => {
      const log = await folder.open({ segmentBytesMax: 2000 });
      const reader = await folder.open({ readOnly: true });
      const abort = new AbortController();
      const heard: string[] = [];
      const hearing = (async () => {
        for await (const signal of reader.subscribe({ from: 0n, signal: abort.signal })) {
          if (signal._tag !== 'items') continue;
          for (const item of signal.items)
            heard.push(item._tag === 'event' ? lineOf(item.event) : 'damage');
          if (heard.length >= 30) abort.abort();
        }
      })();
      for (let i = 0; i < 30; i += 1)
        await valueOf(log.append({ stream: 'a', expectedRevision: i - 1, events: makeEvents(1) }));
      await hearing;
      expect((await folder.segmentPaths()).length).toBeGreaterThan(2);
      expect(heard).toEqual((await eventsOf(log)).map(lineOf));
    }));

  test('that ends with bytes of a broken append is followed by another', () =>
    withLogFolder(async (folder) => {
      const request = { stream: 'a', expectedRevision: -1, events: makeEvents(1) };
      await folder.with((log) => valueOf(log.append(request)));
      const bytes = await folder.bytes();
      await folder.write(Buffer.concat([bytes, bytes.subarray(216, 290)]));
      await folder.with(async (log) => {
        await valueOf(log.append({ stream: 'b', expectedRevision: -1, events: makeEvents(1) }));
        expect(await eventsOf(log)).toHaveLength(2);
        expect(await gather(log.check())).toEqual([]);
      });
      expect(await folder.segmentPaths()).toHaveLength(2);
    }));

  test('is read with either copy of its header, and the check names the one that is damaged', () =>
    withLogFolder(async (folder) => {
      const request = { stream: 'a', expectedRevision: -1, events: makeEvents(2) };
      await folder.with((log) => valueOf(log.append(request)));
      const bytes = await folder.bytes();
      for (const [offset, name] of [
        [30, 'first'],
        [140, 'second'],
      ] as const) {
        const flipped = bytes.slice();
        flipped[offset]! ^= 4;
        await folder.write(flipped);
        await folder.with(async (log) => {
          expect(await eventsOf(log)).toHaveLength(2);
          const findings = await gather(log.check());
          expect(findings.map(({ kind }) => kind)).toEqual(['log-damaged']);
          expect(findings[0]!.where).toContain(name);
        });
      }
    }));

  test('whose end is damaged ends where the next one begins', () =>
    withLogFolder(async (folder) => {
      await folder.with(async (log) => {
        await valueOf(log.append({ stream: 'a', expectedRevision: -1, events: makeEvents(1) }));
        await valueOf(log.seal());
        await valueOf(log.append({ stream: 'b', expectedRevision: -1, events: makeEvents(1) }));
      });
      const bytes = await folder.bytes();
      bytes[bytes.length - 20]! ^= 1;
      await folder.write(bytes);
      await folder.with(async (log) => {
        expect(await eventsOf(log)).toHaveLength(2);
        await valueOf(log.append({ stream: 'a', expectedRevision: 0, events: makeEvents(1) }));
        expect(await eventsOf(log)).toHaveLength(3);
      });
    }));

  test('of format 1 that was ended takes nothing more from a release that knows only that', () =>
    withLogFolder(async (folder) => {
      const log = await folder.open();
      const first = { stream: 'a', expectedRevision: -1, events: makeEvents(1) };
      await valueOf(log.append(first));
      await valueOf(log.seal());
      const { bytes } = encodeAppend(
        { stream: 'b', expectedRevision: -1, events: makeEvents(1) },
        { previous: new Uint8Array(32), seen: 0 },
      );
      await folder.write(Buffer.concat([await folder.bytes(), bytes]));
      expect(await eventsOf(await folder.open())).toHaveLength(1);
      await valueOf(log.append({ ...first, expectedRevision: 0, events: makeEvents(1) }));
      expect(await eventsOf(await folder.open())).toHaveLength(2);
    }, 1));
});
