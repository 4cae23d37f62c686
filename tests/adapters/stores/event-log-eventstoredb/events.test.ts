// How events stand on the server: readable where they are JSON, byte for byte in any case; and what
// others wrote into the ledger's streams.

import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import * as either from 'fp-ts/lib/Either.js';
import {
  fromServerEvent,
  toServerEvent,
} from '../../../../adapters/stores/event-log-eventstoredb/event-codec.ts';
import { encodeControl } from '../../../../domain/events/control.ts';
import { EVENT_BYTES_MAX } from '../../../../domain/values/page.ts';
import { NO_STREAM, type NewEvent } from '../../../../domain/ports/event-log.ts';
import { anyText } from '../../../support/any-text.ts';
import { controlEvent } from '../../../support/arbitraries.ts';
import { eventsOf, makeEvent, streamOf } from '../../../support/logs/log-events.ts';
import { gather, valueOf } from '../../../support/outcomes.ts';
import { LEDGER, withServerLogs } from '../../../support/logs/server-logs.ts';
import { triesOf } from '../../../support/long-run.ts';

// A server on a busy machine takes its time; what hangs does not end at all.
jest.setTimeout(300_000);

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const place = { stream: 'vm-a', position: 7n };

/** What the client makes of an event on its way to the server and back. */
function sentAndRead(event: NewEvent): NewEvent {
  const sent = toServerEvent(event);
  const through = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
  const common = {
    streamId: 'x',
    id: sent.id,
    revision: 0n,
    type: sent.type,
    created: new Date(0),
  };
  const metadata = through(sent.metadata);
  const recorded =
    sent.contentType === 'application/json'
      ? { ...common, metadata, isJson: true as const, data: through(sent.data) }
      : { ...common, metadata, isJson: false as const, data: sent.data };
  const { event: read, isForeign } = fromServerEvent(recorded, place);
  expect(isForeign).toBe(false);
  const { id, type, schema, timeMs, data } = read;
  return { id, type, schema, timeMs, data };
}

const anyId = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .filter((id) => id.some((byte) => byte !== 0));
const anyData = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.json().map(bytesOf),
  anyText().map((text) => bytesOf(`{${text}}`)),
  fc.dictionary(fc.string(), fc.jsonValue()).map((value) => bytesOf(JSON.stringify(value))),
);

describe('an event on the server', () => {
  test('comes back as it was, whatever its data', () => {
    const anyEvent = fc.record({
      id: anyId,
      type: fc.string({ minLength: 1 }),
      schema: fc.nat(),
      timeMs: fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }),
      data: anyData,
    });
    fc.assert(
      fc.property(anyEvent, (event) => {
        expect(sentAndRead(event)).toEqual({ ...event, data: new Uint8Array(event.data) });
      }),
      { numRuns: triesOf(300) },
    );
  });

  test.each([
    ['{"a":1}', true],
    ['{"text":"größer","none":null,"list":[1,2.5,"x"]}', true],
    ['{}', true],
    // Of these, parsing and printing would give other bytes, or nothing that people read.
    ['{ "a":1}', false],
    ['{"a":1.0}', false],
    ['{"a":1,"a":2}', false],
    ['{"b":1,"1":2}', false],
    ['{"a":-0}', false],
    ['{"a":12345678901234567890}', false],
    ['\uFEFF{"a":1}', false],
    ['{"a":1', false],
    ['[1]', false],
    ['"text"', false],
    ['null', false],
    ['', false],
  ])('with the data %s stands there as JSON: %s', (text, isJson) => {
    const event = makeEvent(bytesOf(text));
    expect(toServerEvent(event).contentType === 'application/json').toBe(isJson);
    expect(sentAndRead(event).data).toEqual(event.data);
  });

  test('that is a control event is JSON there, whichever it is', () => {
    fc.assert(
      fc.property(controlEvent, (event) => {
        const data = either.getOrElseW(() => new Uint8Array())(encodeControl(event));
        const sent = toServerEvent({ ...makeEvent(data), type: event.type });
        expect(sent.contentType).toBe('application/json');
        expect(sentAndRead(makeEvent(data)).data).toEqual(data);
      }),
    );
  });

  test('bears its identifier as a UUID, and its schema and time as JSON metadata', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      const event = { ...makeEvent('{"vm":"web1"}'), type: 'VmRetired', timeMs: 1234.5 };
      const batch = { ...makeEvent(Uint8Array.of(0, 255, 123)), type: 'PagesWritten' };
      const request = { stream: 'vm-web1', expectedRevision: NO_STREAM, events: [event, batch] };
      await valueOf(log.append(request));
      const [control, pages] = logs.double.records.list(`${LEDGER}.vm-web1`);
      expect(control).toMatchObject({ type: 'VmRetired', contentType: 'application/json' });
      expect(textOf(control!.data)).toBe('{"vm":"web1"}');
      expect(JSON.parse(textOf(control!.metadata))).toEqual({ schema: 1, timeMs: 1234.5 });
      expect(pages).toMatchObject({
        type: 'PagesWritten',
        contentType: 'application/octet-stream',
      });
      expect([...pages!.data]).toEqual([0, 255, 123]);
      const hex = Buffer.from(event.id).toString('hex');
      expect(control!.id).toBe(hex.replace(/(.{8})(.{4})(.{4})(.{4})/u, '$1-$2-$3-$4-'));
    });
  });
});

describe('what others wrote', () => {
  const foreigners = [
    { type: 'Binary', data: Uint8Array.of(1, 2, 3) },
    { type: 'Json', data: '{"a":1}', contentType: 'application/json' as const },
    { type: 'BrokenJson', data: '{"a":', contentType: 'application/json' as const },
    { type: 'WithMetadata', metadata: '{"schema":1}' },
    { type: 'WithOddMetadata', metadata: '{"schema":-1,"timeMs":"soon"}' },
    { type: 'WithBinaryMetadata', metadata: Uint8Array.of(255, 0) },
    { type: '$>', data: '3@elsewhere' },
    {
      type: 'Huge',
      data: new Uint8Array(EVENT_BYTES_MAX + 1),
      metadata: '{"schema":1,"timeMs":1}',
    },
  ];

  test('keeps its place in a stream of ours under a type of its own, and breaks no reader', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      const [first, last] = [makeEvent('first'), makeEvent('last')];
      await valueOf(log.append({ stream: 'vm-a', expectedRevision: NO_STREAM, events: [first] }));
      logs.double.records.addForeign(
        ...foreigners.map((foreign) => ({ stream: `${LEDGER}.vm-a`, ...foreign })),
      );
      const revision = foreigners.length;
      expect(await valueOf(log.streamRevision('vm-a'))).toBe(revision);
      const request = { stream: 'vm-a', expectedRevision: revision, events: [last] };
      await valueOf(log.append(request));
      const types = foreigners.map(({ type }) => `foreign:${type}`);
      for (const events of [await eventsOf(log), await streamOf(log, 'vm-a')]) {
        expect(events.map(({ type }) => type)).toEqual([first.type, ...types, last.type]);
        expect(events.map((event) => event.revision)).toEqual(events.map((_, i) => i));
        for (const { type, data } of events.slice(1, -1))
          expect([type, data]).toEqual([type, new Uint8Array()]);
      }
    });
  });

  test('is reported by the check, once for each stream and type', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await valueOf(log.append({ stream: 'vm-a', expectedRevision: -1, events: [makeEvent('a')] }));
      expect(await gather(log.check())).toEqual([]);
      const stream = `${LEDGER}.vm-a`;
      logs.double.records.addForeign(
        { stream, type: 'A' },
        { stream, type: 'B' },
        { stream, type: 'A' },
      );
      const found = await gather(log.check());
      expect(found.map(({ kind }) => kind)).toEqual(['foreign-event', 'foreign-event']);
      expect(found[0]!.where).toContain(`${stream}, from revision 1`);
      expect(found[0]!.reason).toContain('found 2 events of type A');
    });
  });

  test('outside the ledger’s streams is not seen, nor is another ledger on the same server', async () => {
    await withServerLogs(async (logs) => {
      const here = await logs.open();
      const there = await logs.open({ ledger: 'there' });
      logs.double.records.addForeign(
        { stream: '$stats-1' },
        { stream: 'here-vm-a' },
        { stream: 'x' },
      );
      for (const [log, text] of [
        [here, 'h'],
        [there, 't'],
        [here, 'H'],
      ] as const) {
        const expectedRevision = await valueOf(log.streamRevision('vm-a'));
        const request = { stream: 'vm-a', expectedRevision, events: [makeEvent(text)] };
        await valueOf(log.append(request));
      }
      logs.double.records.addForeign({ stream: '$stats-1' });
      const textsOf = async (log: typeof here): Promise<string[]> =>
        (await eventsOf(log)).map(({ data }) => textOf(data));
      expect(await textsOf(here)).toEqual(['h', 'H']);
      expect(await textsOf(there)).toEqual(['t']);
      // The place after all that is on the server, so that nobody looks at it twice.
      const chunks = await gather(here.read({ from: 0n }));
      const head = logs.double.records.all.at(-1)!.position + 1n;
      expect(chunks.at(-1)!.next).toBe(head);
      expect(await valueOf(there.head())).toBe(head);
    });
  });
});
