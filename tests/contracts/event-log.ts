// What every event log does (domain/ports/event-log.ts, EventLog): a function of a factory, run by a small
// test file of each log.

import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { APPEND_BYTES_MAX, EVENT_BYTES_MAX } from '../../domain/values/page.ts';
import { markOf, NO_STREAM, type EventLog, type EventMark } from '../../domain/ports/event-log.ts';
import { seededRandom } from '../support/images.ts';
import { eventsOf, lineOf, makeEvent, makeEvents } from '../support/logs/log-events.ts';
import { randomBytes, streamOf } from '../support/logs/log-events.ts';
import { failureOf, gather, valueOf } from '../support/outcomes.ts';
import {
  contractOfClosing,
  contractOfSubscribing,
  contractOfTakingTurns,
} from './event-log-live.ts';
import { contractOfCuts } from './event-log-cuts.ts';
import { contractOfModel } from './event-log-model.ts';
import { append, fill, type Current, type EventLogWorld } from './event-log-world.ts';

/** A server on a busy machine takes its time; a log that hangs does not end at all. */
const PATIENCE_MS = 60_000;
const LONG_MS = 4 * PATIENCE_MS;

/** Runs the contract on the logs that `factory` makes, each empty. */
export function eventLogContract(name: string, factory: () => Promise<EventLogWorld>): void {
  describe(`the event log ${name}`, () => {
    jest.setTimeout(PATIENCE_MS);
    let world: EventLogWorld;
    beforeEach(async () => {
      world = await factory();
    });
    afterEach(() => world.close());
    const current = (): EventLogWorld => world;
    contractOfRevisions(current);
    contractOfRetries(current);
    contractOfContent(current);
    contractOfReading(current);
    contractOfStreams(current);
    contractOfPasts(current);
    contractOfCuts(current);
    contractOfSubscribing(current);
    contractOfTakingTurns(current);
    contractOfClosing(current);
    contractOfModel(factory);
  });
}

function contractOfRevisions(current: Current): void {
  test.each([
    { held: 0, expected: NO_STREAM },
    { held: 3, expected: 2 },
  ])('an append that expects the revision of a stream of $held events is taken', async (given) => {
    const { log } = current();
    if (given.held > 0) await append(log, 'vm-a', NO_STREAM, given.held);
    expect((await append(log, 'vm-a', given.expected, 2)).revision).toBe(given.expected + 2);
    expect(await eventsOf(log)).toHaveLength(given.held + 2);
  });

  test.each([
    { held: 0, expected: 0 },
    { held: 0, expected: 7 },
    { held: 3, expected: NO_STREAM },
    { held: 3, expected: 0 },
    { held: 3, expected: 1 },
    { held: 3, expected: 3 },
    { held: 3, expected: 9 },
  ])(
    'an append that expects revision $expected of a stream of $held events is a conflict',
    async ({ held, expected }) => {
      const { log } = current();
      if (held > 0) await append(log, 'vm-a', NO_STREAM, held);
      const request = { stream: 'vm-a', expectedRevision: expected, events: makeEvents(2) };
      const failure = await failureOf(log.append(request));
      expect(failure.code).toBe('REVISION_CONFLICT');
      expect(failure.facts).toMatchObject({ stream: 'vm-a', expected, actual: held - 1 });
      expect(await eventsOf(log)).toHaveLength(held);
    },
  );

  test('a stream has the revision of its last event, and NO_STREAM before its first', async () => {
    const { log } = current();
    expect(await valueOf(log.streamRevision('vm-a'))).toBe(NO_STREAM);
    await append(log, 'vm-a', NO_STREAM, 3);
    await append(log, 'vm-b', NO_STREAM, 1);
    expect(await valueOf(log.streamRevision('vm-a'))).toBe(2);
    expect(await valueOf((await current().another()).streamRevision('vm-b'))).toBe(0);
  });

  test('of two writers that expect the same revision one wins, and the other has nothing in it', async () => {
    const { log, another } = current();
    const other = await another();
    await append(log, 'vm-a', NO_STREAM, 2);
    for (let revision = 1; revision < 20;) {
      const count = 1 + (revision % 3);
      const outcomes = await Promise.all(
        [log, other].map((writer) =>
          writer.append({
            stream: 'vm-a',
            expectedRevision: revision,
            events: makeEvents(count),
          })(),
        ),
      );
      expect(outcomes.map(({ _tag }) => _tag).toSorted()).toEqual(['Left', 'Right']);
      revision += count;
    }
    const events = await eventsOf(log);
    expect(events.map((event) => event.revision)).toEqual(events.map((_, i) => i));
  });
}

/** Takes the first signal of a subscription, or its failure. */
async function firstSignal(log: EventLog, after: EventMark): Promise<unknown> {
  const stop = new AbortController();
  const from = after.position + 1n;
  try {
    for await (const signal of log.subscribe({ from, after, signal: stop.signal })) return signal;
    return null;
  } finally {
    stop.abort();
  }
}

function contractOfPasts(current: Current): void {
  test('a reader goes on after the event that it read last', async () => {
    const { log } = current();
    await append(log, 'vm-a', NO_STREAM, 3);
    const after = markOf((await eventsOf(log)).at(-1)!);
    const next = await valueOf(log.head(after));
    expect(next).toBe(await valueOf(log.head()));
    expect((await gather(log.read({ from: next, after }))).flatMap(({ items }) => items)).toEqual(
      [],
    );
    await append(log, 'vm-b', NO_STREAM, 2);
    await valueOf(log.head(after));
    const chunks = await gather(log.read({ from: next, after }));
    expect(chunks.flatMap(({ items }) => items)).toHaveLength(2);
    expect(await firstSignal(log, after)).toMatchObject({ _tag: expect.any(String) });
  });

  test.each([
    { which: 'the last event', at: -1 },
    { which: 'an earlier one', at: 0 },
  ])('a log in which $which is another than was read is not gone on with', async ({ at }) => {
    const { log } = current();
    await append(log, 'vm-a', NO_STREAM, 2);
    const { position } = (await eventsOf(log)).at(at)!;
    const after = { position, id: '00'.repeat(16) };
    const next = await valueOf(log.head());
    const refused = { code: 'LOG_REPLACED' };
    await expect(gather(log.read({ from: next, after }))).rejects.toMatchObject(refused);
    await append(log, 'vm-a', 1, 1);
    await expect(gather(log.read({ from: next, after }))).rejects.toMatchObject(refused);
    await expect(firstSignal(log, after)).rejects.toMatchObject(refused);
    const newest = (await eventsOf(log)).at(-1)!;
    expect(await failureOf(log.head({ ...after, position: newest.position }))).toMatchObject(
      refused,
    );
  });

  test('a log that ends before what was read is not gone on with', async () => {
    const { log } = current();
    await append(log, 'vm-a', NO_STREAM, 2);
    const head = await valueOf(log.head());
    const after = { position: head + 1000n, id: '00'.repeat(16) };
    expect(await failureOf(log.head(after))).toMatchObject({ code: 'LOG_REPLACED' });
    const reading = gather(log.read({ from: after.position + 1n, after }));
    await expect(reading).rejects.toMatchObject({ code: 'LOG_REPLACED' });
  });
}

function contractOfRetries(current: Current): void {
  test('a retry with the same identifiers has the same answer and adds nothing', async () => {
    const { log, another } = current();
    const first = { stream: 'vm-a', expectedRevision: NO_STREAM, events: makeEvents(3) };
    const second = { stream: 'vm-a', expectedRevision: 2, events: makeEvents(2) };
    const answers = [await valueOf(log.append(first)), await valueOf(log.append(second))];
    expect([await valueOf(log.append(first)), await valueOf(log.append(second))]).toEqual(answers);
    const other = await another();
    expect(await valueOf(other.append(first))).toEqual(answers[0]);
    const { reopen } = current();
    const later = reopen === undefined ? log : await reopen();
    expect([await valueOf(later.append(second)), await valueOf(later.append(first))]).toEqual(
      answers.toReversed(),
    );
    expect(await eventsOf(later)).toHaveLength(5);
  });

  test('an append that two writers make at once is taken once, and both have the same answer', async () => {
    const { log, another } = current();
    const other = await another();
    for (const writer of [log, other]) await valueOf(writer.streamRevision('vm-a'));
    const request = { stream: 'vm-a', expectedRevision: NO_STREAM, events: makeEvents(2) };
    const answers = await Promise.all(
      [log, other].map((writer) => valueOf(writer.append(request))),
    );
    expect(answers[1]).toEqual(answers[0]);
    expect(await eventsOf(log)).toHaveLength(2);
  });

  test('a retry that mixes old and new events is a conflict', async () => {
    const { log } = current();
    const events = makeEvents(2);
    await valueOf(log.append({ stream: 'vm-a', expectedRevision: NO_STREAM, events }));
    for (const mixed of [
      [events[0]!, makeEvent()],
      [events[1]!, events[0]!],
      [...events, makeEvent()],
    ]) {
      const request = { stream: 'vm-a', expectedRevision: NO_STREAM, events: mixed };
      expect((await failureOf(log.append(request))).code).toBe('REVISION_CONFLICT');
    }
    expect(await eventsOf(log)).toHaveLength(2);
  });
}

function contractOfContent(current: Current): void {
  test('data comes back byte for byte, from nothing to 256 KiB', async () => {
    const { log, another } = current();
    const random = seededRandom(11);
    const sizes = [0, 1, 2, 255, 4096, 65_537, EVENT_BYTES_MAX - 1, EVENT_BYTES_MAX];
    const events = sizes.map((size) => makeEvent(randomBytes(random, size)));
    await valueOf(log.append({ stream: 'vm-a', expectedRevision: NO_STREAM, events }));
    for (const reader of [log, await another()]) {
      const found = await eventsOf(reader);
      expect(found.map(({ data }) => data.length)).toEqual(sizes);
      for (const [i, { data }] of found.entries())
        expect(Buffer.compare(data, events[i]!.data)).toBe(0);
    }
  });

  test('an event above 256 KiB is refused, with all of its append', async () => {
    const { log } = current();
    const events = [makeEvent('small'), makeEvent(EVENT_BYTES_MAX + 1)];
    const failure = await failureOf(log.append({ stream: 'vm-a', expectedRevision: -1, events }));
    expect(failure.code).toBe('EVENT_TOO_LARGE');
    expect(await eventsOf(log)).toEqual([]);
    expect(await valueOf(log.streamRevision('vm-a'))).toBe(NO_STREAM);
  });

  test('an append holds data up to its bound, and no more', async () => {
    const { log } = current();
    const full = Array.from({ length: 16 }, () => makeEvent(APPEND_BYTES_MAX / 16));
    const request = { stream: 'vm-a', expectedRevision: NO_STREAM, events: full };
    expect((await valueOf(log.append(request))).revision).toBe(15);
    const events = [...full.map(({ data }) => makeEvent(data)), makeEvent('one more')];
    const above = { stream: 'vm-a', expectedRevision: 15, events };
    expect((await failureOf(log.append(above))).code).toBe('EVENT_TOO_LARGE');
    expect(await eventsOf(log)).toHaveLength(16);
  });

  test('identifier, type, schema and time are kept, and what the caller does to its buffers later is not', async () => {
    const { log } = current();
    const event = {
      id: Uint8Array.from({ length: 16 }, (_, i) => 240 + i),
      type: 'PagesWritten – größer',
      schema: 4_000_000_000,
      timeMs: 1_790_000_000_123,
      data: Uint8Array.of(0, 255, 0, 13, 10),
    };
    const expected = { ...event, id: event.id.slice(), data: event.data.slice() };
    await valueOf(log.append({ stream: 'vm-ä', expectedRevision: NO_STREAM, events: [event] }));
    event.id.fill(0);
    event.data.fill(0);
    const [found] = await eventsOf(log);
    const place = { position: expect.any(BigInt), stream: 'vm-ä', revision: 0 };
    expect(found).toEqual({ ...expected, ...place });
    found!.data.fill(9);
    expect((await eventsOf(log))[0]!.data).toEqual(expected.data);
  });
}

function contractOfReading(current: Current): void {
  test('all readers see one order, in which positions grow and revisions have no gaps', async () => {
    const { log, another } = current();
    const other = await another();
    await Promise.all([
      (async () => {
        for (let i = 0; i < 20; i += 1) await append(log, 'vm-a', i - 1);
      })(),
      (async () => {
        for (let i = 0; i < 20; i += 1) await append(other, 'vm-b', i - 1);
      })(),
    ]);
    const lines = (await eventsOf(log)).map(lineOf);
    expect((await eventsOf(other)).map(lineOf)).toEqual(lines);
    const events = await eventsOf(log);
    expect(events).toHaveLength(40);
    const positions = events.map(({ position }) => position);
    expect(positions.every((position) => typeof position === 'bigint')).toBe(true);
    expect(positions.slice(1).every((position, i) => position > positions[i]!)).toBe(true);
    for (const stream of ['vm-a', 'vm-b']) {
      const revisions = events.filter((event) => event.stream === stream).map((e) => e.revision);
      expect(revisions).toEqual(revisions.map((_, i) => i));
    }
  });

  test('reading starts with the event at `from` and stops before the one at `until`', async () => {
    const { log, another } = current();
    const lines = (await fill(log, 9)).map(lineOf);
    const events = await eventsOf(log);
    for (const reader of [log, await another()]) {
      for (let first = 0; first < events.length; first += 1) {
        const from = events[first]!.position;
        expect((await eventsOf(reader, from)).map(lineOf)).toEqual(lines.slice(first));
        const last = (first * 7) % events.length;
        const until = events[last]!.position;
        expect((await eventsOf(reader, from, until)).map(lineOf)).toEqual(lines.slice(first, last));
      }
    }
  });

  test('the place after each chunk is where reading goes on, and an empty log has one chunk', async () => {
    const { log } = current();
    // The log may be on a server where others have events too.
    const start = await valueOf(log.head());
    expect(await gather(log.read({ from: 0n }))).toEqual([{ items: [], next: start }]);
    const lines = (await fill(log, 9)).map(lineOf);
    let next = 0n;
    let count = 0;
    for await (const chunk of log.read({ from: 0n })) {
      ({ next } = chunk);
      count += chunk.items.length;
      expect((await eventsOf(log, next)).map(lineOf)).toEqual(lines.slice(count));
    }
    expect(next).toBe(await valueOf(log.head()));
    await append(log, 'vm-z', NO_STREAM);
    expect((await eventsOf(log, next)).map(({ stream }) => stream)).toEqual(['vm-z']);
  });

  test('the head is the place from which only what comes later is read', async () => {
    const { log, another } = current();
    const start = await valueOf(log.head());
    expect(await eventsOf(log, start)).toEqual([]);
    const lines = (await fill(log, 4)).map(lineOf);
    expect((await eventsOf(log, start)).map(lineOf)).toEqual(lines);
    const head = await valueOf((await another()).head());
    expect(await eventsOf(log, head)).toEqual([]);
    await append(log, 'vm-later', NO_STREAM, 2);
    expect((await eventsOf(log, head)).map(({ stream }) => stream)).toEqual([
      'vm-later',
      'vm-later',
    ]);
  });

  test(
    'a thousand readings that end early leave nothing open',
    async () => {
      const { log, openCount } = current();
      await fill(log, 6);
      const abort = new AbortController();
      let before: number | undefined;
      for (let i = 0; i < 1001; i += 1) {
        // The first round may open what a process has once.
        if (i === 1) before = openCount?.();
        for await (const _ of log.read({ from: 0n })) break;
        for await (const _ of log.readStream({
          stream: 'vm-0',
          fromRevision: 0,
          count: 5,
          fromPosition: 0n,
        }))
          break;
        for await (const _ of log.subscribe({ from: 0n, signal: abort.signal })) break;
      }
      expect(openCount?.()).toBe(before);
      expect(await eventsOf(log)).not.toEqual([]);
    },
    LONG_MS,
  );
}

function contractOfStreams(current: Current): void {
  test('a range of a stream is read with the position of its first event, or one before it', async () => {
    const { log, another } = current();
    const events = (await fill(log, 12)).filter(({ stream }) => stream === 'vm-1');
    const lines = events.map(lineOf);
    for (const reader of [log, await another()]) {
      for (let from = 0; from < events.length; from += 1) {
        for (const position of [events[from]!.position, 0n, events[from >> 1]!.position]) {
          const found = await streamOf(reader, 'vm-1', { from, count: 3, position });
          expect(found.map(lineOf)).toEqual(lines.slice(from, from + 3));
        }
      }
      expect(await streamOf(reader, 'vm-1', { from: 1, count: 0 })).toEqual([]);
    }
  });

  test('events that are passing are the same while their chunk is looked at', async () => {
    const { log, another } = current();
    const random = seededRandom(7);
    for (let revision = -1; revision < 47; revision += 3) {
      const events = [1, 2, 3].map(() => makeEvent(randomBytes(random, 60_000)));
      await valueOf(log.append({ stream: 'vm-1', expectedRevision: revision, events }));
    }
    const lines = (await streamOf(log, 'vm-1')).map(lineOf);
    const range = { stream: 'vm-1', fromRevision: 1, count: 45, fromPosition: 0n };
    for (const reader of [log, await another()]) {
      const passing: string[] = [];
      for await (const chunk of reader.readStream({ ...range, arePassing: true }))
        passing.push(...chunk.map(lineOf));
      expect(passing).toEqual(lines.slice(1, 46));
    }
  });

  test('a stream that is missing has no events, nor has one beyond its end', async () => {
    const { log } = current();
    const [first] = await fill(log, 3);
    expect(await streamOf(log, 'vm-none')).toEqual([]);
    expect(await streamOf(log, 'vm-0', { from: 99, position: first!.position })).toEqual([]);
    expect(await streamOf(log, 'vm-0', { from: 0, count: 99 })).toHaveLength(1);
  });
}
