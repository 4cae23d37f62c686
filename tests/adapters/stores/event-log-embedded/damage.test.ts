// Damage to the embedded event log: whatever happens to its bytes, a reader gets the events that were
// appended, or is told by name what is missing. Never another event, a crash or a hang. Where a format is
// named, logs of that format are meant; else logs of every format.

import { rm } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { encodeAppend } from '../../../../adapters/stores/event-log-embedded/layout.ts';
import type { LogItem } from '../../../../domain/ports/event-log.ts';
import {
  EmbeddedLogFolder,
  LOG_FORMATS,
  withLogFolder,
} from '../../../support/logs/embedded-logs.ts';
import { seededRandom } from '../../../support/images.ts';
import { eventsOf, itemsOf, lineOf, lineOfItem } from '../../../support/logs/log-events.ts';
import { makeEvent, makeEvents, streamOf } from '../../../support/logs/log-events.ts';
import { fillLogFolder } from '../../../support/logs/log-races.ts';
import { failureOf, gather, valueOf } from '../../../support/outcomes.ts';

/** Events as lines, and which of them damage names, as `stream revision`. */
function told(items: readonly LogItem[]): { lines: string[]; missing: Set<string> } {
  const lines: string[] = [];
  const missing = new Set<string>();
  for (const item of items) {
    if (item._tag === 'event') {
      lines.push(lineOf(item.event));
      continue;
    }
    const { stream, revisions } = item.damage;
    for (let revision = revisions![0]; revision <= revisions![1]; revision += 1)
      missing.add(`${stream} ${revision}`);
  }
  return { lines, missing };
}

const nameOf = (line: string): string => line.split(' ').slice(1, 3).join(' ');

/** What is wrong with what a reader was told of a log whose events were `whole`; null: nothing. */
function lie(whole: readonly string[], items: readonly LogItem[]): string | null {
  const { lines, missing } = told(items);
  const given = new Set(lines);
  if (given.size !== lines.length) return 'an event came twice';
  const unknown = lines.find((line) => !whole.includes(line));
  if (unknown !== undefined) return `an event that nobody appended: ${unknown}`;
  const order = whole.filter((line) => given.has(line));
  if (order.some((line, i) => line !== lines[i])) return 'events came in another order';
  const silent = whole.find((line) => !given.has(line) && !missing.has(nameOf(line)));
  if (silent !== undefined) return `an event is missing and not named: ${silent}`;
  const falsely = lines.find((line) => missing.has(nameOf(line)));
  return falsely === undefined ? null : `named as missing and given: ${falsely}`;
}

describe.each(LOG_FORMATS)('a bit that flips (format %d)', (format) => {
  test.each(['the log', 'a witness'])(
    'in %s changes no event, and hides none',
    async (where) => {
      const folder = await EmbeddedLogFolder.inMemory(format);
      await fillLogFolder(folder);
      const whole = await folder.with(async (log) => (await eventsOf(log)).map(lineOf));
      const path = where === 'the log' ? folder.path : folder.witnessPath('vm-0');
      const bytes = await folder.bytes(path);
      const bits = bytes.length * 8;
      const random = seededRandom(20);
      const lies: string[] = [];
      const kinds = new Set<string>();
      for (let i = 0; i < 2500; i += 1) {
        const bit = random(bits);
        const flipped = bytes.slice();
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        await folder.write(flipped, path);
        await folder.with(async (log) => {
          const items = await itemsOf(log);
          const found = lie(whole, items);
          if (found !== null) lies.push(`bit ${bit}: ${found}`);
          const damages = items.filter(({ _tag }) => _tag === 'damage').length;
          const findings = await gather(log.check());
          const named = findings.filter(
            ({ kind, where: place }) => kind === 'log-damaged' && !place.includes('header'),
          ).length;
          if (named !== damages) lies.push(`bit ${bit}: check names ${named} of ${damages}`);
          kinds.add(`${damages}`);
          for (const { kind } of findings) kinds.add(kind);
        });
      }
      expect(lies).toEqual([]);
      const expected = where === 'the log' ? ['0', '1', 'log-damaged'] : ['0', 'witness-damaged'];
      expect([...kinds].toSorted()).toEqual(expected);
    },
    300_000,
  );
});

describe.each(LOG_FORMATS)('a log that is cut off (format %d)', (format) => {
  test('at any byte names all that is gone', async () => {
    const folder = await EmbeddedLogFolder.inMemory(format);
    await fillLogFolder(folder);
    const whole = await folder.with(async (log) => (await eventsOf(log)).map(lineOf));
    const bytes = await folder.bytes();
    const lies: string[] = [];
    for (let length = 0; length < bytes.length; length += 5) {
      await folder.write(bytes.subarray(0, length));
      await folder.with(async (log) => {
        const found = lie(whole, await itemsOf(log));
        if (found !== null) lies.push(`${length} bytes: ${found}`);
      });
    }
    expect(lies).toEqual([]);
  });

  test('goes on after the records that its witness knows, and never reuses their revisions', () =>
    withLogFolder(async (folder) => {
      await folder.with(async (log) => {
        await valueOf(log.append({ stream: 'a', expectedRevision: -1, events: makeEvents(2) }));
        await valueOf(log.append({ stream: 'a', expectedRevision: 1, events: makeEvents(1) }));
      });
      const bytes = await folder.bytes();
      await folder.write(bytes.subarray(0, bytes.length - 1));
      await folder.with(async (log) => {
        expect(await valueOf(log.streamRevision('a'))).toBe(2);
        const again = { stream: 'a', expectedRevision: 1, events: makeEvents(1) };
        expect((await failureOf(log.append(again))).code).toBe('REVISION_CONFLICT');
        await valueOf(log.append({ stream: 'a', expectedRevision: 2, events: makeEvents(1) }));
      });
      const lines = await folder.with(async (log) => (await itemsOf(log)).map(lineOfItem));
      expect(lines.map((line) => line.split(' ').slice(1, 3).join(' '))).toEqual([
        'a 0',
        'a 1',
        'a 2-2',
        'a 3',
      ]);
    }, format));
});

describe.each(LOG_FORMATS)('reading a stream with damage (format %d)', (format) => {
  test('gives the events before it and then fails, naming what is missing', () =>
    withLogFolder(async (folder) => {
      const positions = await folder.with(async (log) => {
        for (let i = 0; i < 5; i += 1)
          await valueOf(
            log.append({ stream: 'a', expectedRevision: i - 1, events: makeEvents(1) }),
          );
        return (await eventsOf(log)).map(({ position }) => position);
      });
      const bytes = await folder.bytes();
      bytes[Number(positions[2]) + 150]! ^= 1;
      await folder.write(bytes);
      await folder.with(async (log) => {
        const found: number[] = [];
        const reading = (async () => {
          const range = { stream: 'a', fromRevision: 0, count: 5, fromPosition: 0n };
          for await (const chunk of log.readStream(range))
            found.push(...chunk.map(({ revision }) => revision));
        })();
        await expect(reading).rejects.toMatchObject({
          code: 'LOG_DAMAGED',
          facts: { stream: 'a', first: 2, last: 2, offset: positions[2] },
        });
        expect(found).toEqual([0, 1]);
        const later = { from: 3, count: 2, position: positions[3]! };
        expect(await streamOf(log, 'a', later)).toHaveLength(2);
        const lost = streamOf(log, 'a', { from: 2, count: 1, position: positions[2]! });
        await expect(lost).rejects.toMatchObject({ code: 'LOG_DAMAGED' });
      });
    }, format));
});

describe('an append of several events with one that is damaged (format 1)', () => {
  test('gives the others, as soon as a later record or the witness proves that it was taken', () =>
    withLogFolder(async (folder) => {
      const positions = await folder.with(async (log) => {
        await valueOf(log.append({ stream: 'a', expectedRevision: -1, events: makeEvents(4) }));
        return (await eventsOf(log)).map(({ position }) => position);
      });
      const whole = await folder.bytes();
      const linesOf = async (damaged: number): Promise<readonly string[]> => {
        const bytes = await folder.bytes();
        bytes.set(whole);
        bytes[Number(positions[damaged]) + 120]! ^= 8;
        await folder.write(bytes);
        const lines = await folder.with(async (log) => (await itemsOf(log)).map(lineOfItem));
        return lines.map((line) => line.split(' ').slice(1, 3).join(' '));
      };
      const byWitness = ['a 0', 'a 1-1', 'a 2', 'a 3'];
      expect(await linesOf(1)).toEqual(byWitness);
      await folder.with((log) =>
        valueOf(log.append({ stream: 'a', expectedRevision: 3, events: makeEvents(1) })),
      );
      expect(await linesOf(0)).toEqual(['a 0-0', 'a 1', 'a 2', 'a 3', 'a 4']);
      expect(await linesOf(1)).toEqual([...byWitness, 'a 4']);
      expect(await linesOf(3)).toEqual(['a 0', 'a 1', 'a 2', 'a 3-3', 'a 4']);
    }, 1));

  test('that was cut off by a crash and tried again is there once', () =>
    withLogFolder(async (folder) => {
      await folder.with(() => Promise.resolve());
      const request = { stream: 'a', expectedRevision: -1, events: makeEvents(3) };
      const { bytes } = encodeAppend(request, { previous: new Uint8Array(32), seen: 0 });
      for (const length of [100, 200, 350, 450]) {
        await folder.write(bytes.subarray(0, length));
        await rm(folder.witnessPath('a'), { force: true });
        await folder.with(async (log) => {
          await valueOf(log.append(request));
          await valueOf(log.append({ stream: 'a', expectedRevision: 2, events: makeEvents(1) }));
          expect(await eventsOf(log)).toHaveLength(4);
        });
        await folder.with(async (log) => {
          expect((await eventsOf(log)).map(({ revision }) => revision)).toEqual([0, 1, 2, 3]);
          expect(await gather(log.check())).toEqual([]);
        });
      }
    }, 1));
});

describe('a record that does not follow the one before it (format 1)', () => {
  test('is no event of the stream', () =>
    withLogFolder(async (folder) => {
      const request = { stream: 'a', expectedRevision: 0, events: makeEvents(1) };
      await folder.with((log) => valueOf(log.append({ ...request, expectedRevision: -1 })));
      const previous = new Uint8Array(32).fill(7);
      const { bytes } = encodeAppend(request, { previous, seen: 0 });
      await folder.write(Buffer.concat([await folder.bytes(), bytes]));
      await folder.with(async (log) => {
        expect(await eventsOf(log)).toHaveLength(1);
        expect(await valueOf(log.streamRevision('a'))).toBe(0);
      });
    }, 1));
});

describe.each(LOG_FORMATS)('witnesses (format %d)', (format) => {
  test('that are gone lose nothing, and the check names each', () =>
    withLogFolder(async (folder) => {
      await fillLogFolder(folder);
      const whole = await folder.with(async (log) => (await eventsOf(log)).map(lineOf));
      await rm(folder.witnessPath('vm-1'));
      await folder.with(async (log) => {
        expect((await itemsOf(log)).map(lineOfItem)).toEqual(whole);
        const findings = await gather(log.check());
        expect(findings).toHaveLength(1);
        expect(findings[0]).toMatchObject({ kind: 'witness-damaged', affects: [] });
        expect(findings[0]!.where).toContain('vm-1');
        const expectedRevision = await valueOf(log.streamRevision('vm-1'));
        await valueOf(log.append({ stream: 'vm-1', expectedRevision, events: makeEvents(1) }));
        expect(await gather(log.check())).toEqual([]);
      });
    }, format));

  test('of a log in order are nothing that the check would name', () =>
    withLogFolder(async (folder) => {
      await fillLogFolder(folder);
      await folder.with(async (log) => {
        expect(await gather(log.check())).toEqual([]);
      });
    }, format));
});

describe('foreign bytes (format 1)', () => {
  test('between and behind records are stepped over', () =>
    withLogFolder(async (folder) => {
      const random = seededRandom(3);
      const whole: string[] = [];
      for (let i = 0; i < 12; i += 1) {
        await folder.with(async (log) => {
          const events = makeEvents(1 + (i % 2));
          const expectedRevision = await valueOf(log.streamRevision('a'));
          await valueOf(log.append({ stream: 'a', expectedRevision, events }));
        });
        const noise = Uint8Array.from({ length: random(3000) }, () => random(256));
        await folder.write(Buffer.concat([await folder.bytes(), noise]));
        whole.push(
          ...(await folder.with(async (log) => (await eventsOf(log)).map(lineOf))).slice(
            whole.length,
          ),
        );
      }
      expect(whole).toHaveLength(18);
      await folder.with(async (log) => {
        expect((await eventsOf(log)).map(lineOf)).toEqual(whole);
        expect(await gather(log.check())).toEqual([]);
      });
    }, 1));

  test('that look like a huge record, or one cut off, hide nothing that follows', () =>
    withLogFolder(async (folder) => {
      const request = { stream: 'a', expectedRevision: -1, events: [makeEvent(200_000)] };
      const encoded = encodeAppend(request, { previous: new Uint8Array(32), seen: 0 }).bytes;
      await folder.with(() => Promise.resolve());
      await folder.write(encoded.subarray(0, 150_000));
      await folder.with(async (log) => {
        expect(await eventsOf(log)).toEqual([]);
        const events = makeEvents(2);
        await valueOf(log.append({ stream: 'a', expectedRevision: -1, events }));
        expect((await eventsOf(log)).map(({ position }) => position)[0]).toBe(150_000n);
        expect(await gather(log.check())).toEqual([]);
      });
      await folder.with(async (log) => {
        expect(await eventsOf(log)).toHaveLength(2);
      });
    }, 1));

  test('of a record that is being written are waited for', () =>
    withLogFolder(async (folder) => {
      const request = { stream: 'a', expectedRevision: -1, events: makeEvents(3) };
      const { bytes } = encodeAppend(request, { previous: new Uint8Array(32), seen: 0 });
      await folder.with(() => Promise.resolve());
      const log = await folder.open({ readOnly: true });
      const seen: number[] = [];
      for (const length of [0, 50, 200, bytes.length - 1, bytes.length]) {
        await folder.write(bytes.subarray(0, length));
        seen.push((await itemsOf(log)).length);
      }
      expect(seen).toEqual([0, 0, 0, 0, 3]);
    }, 1));
});

describe.each(LOG_FORMATS)('a subscription to a log whose end is damaged (format %d)', (format) => {
  test('is told of it before it has caught up, and only once', () =>
    withLogFolder(async (folder) => {
      await folder.with(async (log) => {
        for (const expectedRevision of [-1, 0])
          await valueOf(log.append({ stream: 'a', expectedRevision, events: makeEvents(1) }));
      });
      const bytes = await folder.bytes();
      bytes[bytes.length - 1]! ^= 1;
      await folder.write(bytes);
      const log = await folder.open();
      const abort = new AbortController();
      const heard: string[] = [];
      for await (const signal of log.subscribe({ from: 0n, signal: abort.signal })) {
        if (signal._tag === 'items') heard.push(...signal.items.map(lineOfItem));
        else {
          heard.push(signal._tag);
          const request = { stream: 'a', expectedRevision: 1, events: makeEvents(1) };
          await valueOf(log.append(request));
        }
        if (heard.length >= 4) abort.abort();
      }
      expect(heard.map((line) => line.split(' ').slice(1, 3).join(' ') || line)).toEqual([
        'a 0',
        'a 1-1',
        'caughtUp',
        'a 2',
      ]);
    }, format));
});

describe('a record of a later format (format 1)', () => {
  test('is refused, not taken for damage', () =>
    withLogFolder(async (folder) => {
      await folder.with(() => Promise.resolve());
      const request = { stream: 'a', expectedRevision: -1, events: makeEvents(1) };
      const { bytes } = encodeAppend(request, { previous: new Uint8Array(32), seen: 0 });
      const view = new DataView(bytes.buffer);
      view.setUint16(8, 2, true);
      view.setUint32(104, crc32(bytes.subarray(0, 104)), true);
      await folder.write(bytes);
      await folder.with(async (log) => {
        await expect(itemsOf(log)).rejects.toMatchObject({ code: 'NEWER_FORMAT' });
        expect((await failureOf(log.streamRevision('a'))).code).toBe('NEWER_FORMAT');
      });
    }, 1));
});

describe('a log opened for reading', () => {
  test('refuses appends, changes nothing, and is empty until someone makes it', () =>
    withLogFolder(async (folder) => {
      const reader = await folder.open({ readOnly: true });
      expect(await eventsOf(reader)).toEqual([]);
      const request = { stream: 'a', expectedRevision: -1, events: makeEvents(1) };
      expect((await failureOf(reader.append(request))).code).toBe('READ_ONLY');
      await expect(folder.bytes()).rejects.toMatchObject({ facts: { errno: 'ENOENT' } });
      const writer = await folder.open();
      await valueOf(writer.append(request));
      expect(await eventsOf(reader)).toHaveLength(1);
    }));
});
