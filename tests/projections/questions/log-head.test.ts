// The head of a log: it agrees between stores, costs what is new, and shows every change of what it was of.

import { hash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { createMemoryEventLog } from '../../../adapters/stores/event-log-memory/event-log-memory.ts';
import type { EventLog, LogItem, NewEvent, StoredEvent } from '../../../domain/ports/event-log.ts';
import { headOf, headText } from '../../../domain/evidence.ts';
import { headFinding, logHead } from '../../../projections/questions/log-head.ts';
import { EmbeddedLogFolder, LOG_FORMATS } from '../../support/logs/embedded-logs.ts';
import { makeEvents } from '../../support/logs/log-events.ts';
import { MapStateFiles } from '../../support/disks/map-state-files.ts';
import { valueOf } from '../../support/outcomes.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => Uint8Array.from(hash('sha256', bytes, 'buffer'));
const EVENTS: readonly NewEvent[] = makeEvents(9);

/** Appends the same events in several appends to two streams. */
async function fill(log: EventLog, events: readonly NewEvent[] = EVENTS): Promise<void> {
  const revisions = [-1, -1];
  for (let i = 0; i < events.length; i += 3) {
    const stream = (i / 3) % 2;
    const some = events.slice(i, i + 3);
    const request = { stream: `vm-${stream}`, expectedRevision: revisions[stream]!, events: some };
    await valueOf(log.append(request));
    revisions[stream]! += some.length;
  }
}

const headIn = async (log: EventLog, files = new MapStateFiles()): Promise<string> =>
  headText(await logHead({ log, files, sha256 }));

/** The same log with some of its events changed on the way out. */
const reading = (log: EventLog, change: (events: StoredEvent[]) => StoredEvent[]): EventLog => ({
  ...log,
  async *read() {
    const events: StoredEvent[] = [];
    let next = 0n;
    for await (const chunk of log.read({ from: 0n })) {
      ({ next } = chunk);
      for (const item of chunk.items) if (item._tag === 'event') events.push(item.event);
    }
    const items: LogItem[] = change(events).map((event) => ({ _tag: 'event', event }));
    yield { items, next };
  },
});

describe('the head of a log', () => {
  test('is the same in every store that holds the same events', async () => {
    const memory = createMemoryEventLog();
    await fill(memory);
    const heads = [await headIn(memory)];
    for (const format of LOG_FORMATS) {
      const folder = await EmbeddedLogFolder.inMemory(format);
      await folder.with(async (log) => {
        await fill(log);
        heads.push(await headIn(log));
        await valueOf(log.seal());
        heads.push(await headIn(log));
      });
    }
    expect(new Set(heads).size).toBe(1);
    expect(headOf(heads[0]!)).toMatchObject({ size: EVENTS.length });
  });

  test('that was kept goes on from there, and is made anew where the log has another past', async () => {
    const files = new MapStateFiles();
    const log = createMemoryEventLog();
    await fill(log, EVENTS.slice(0, 3));
    await headIn(log, files);
    await valueOf(log.append({ stream: 'vm-z', expectedRevision: -1, events: makeEvents(2) }));
    expect(await headIn(log, files)).toBe(await headIn(log));
    const other = createMemoryEventLog();
    await fill(other, EVENTS.slice(3));
    expect(await headIn(other, files)).toBe(await headIn(other));
  });

  test.each([
    ['nothing', (events: StoredEvent[]) => events, null],
    ['more events', (events: StoredEvent[]) => [...events, events[0]!], null],
    ['its end cut off', (events: StoredEvent[]) => events.slice(0, -1), 'cut off'],
    ['two events in another order', (events: StoredEvent[]) => events.toReversed(), 'order'],
    [
      'the time of one edited',
      (events: StoredEvent[]) =>
        events.map((e, i) => (i === 4 ? { ...e, timeMs: e.timeMs + 1 } : e)),
      'edited',
    ],
  ])('finds %s', async (_, change, expected) => {
    const log = createMemoryEventLog();
    await fill(log);
    const since = headOf(await headIn(log))!;
    const finding = await headFinding({ log: reading(log, change), sha256 }, since);
    expect(finding?.reason.includes(expected ?? '') ?? null).toBe(expected === null ? null : true);
  });

  test('is no text of another form', () => {
    for (const text of [
      '',
      '1',
      `01:${'a'.repeat(64)}`,
      `1:${'A'.repeat(64)}`,
      `1:${'a'.repeat(63)}`,
    ])
      expect(headOf(text)).toBeNull();
  });
});
