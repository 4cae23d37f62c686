// Events and readings for tests of event logs.

import type { EventLog, LogItem, NewEvent, StoredEvent } from '../../../domain/ports/event-log.ts';
import type { Random } from '../images.ts';

let eventsMade = 0;

/** An event with an identifier of its own; `data` may be bytes, a text, or a number of bytes. */
export function makeEvent(data: Uint8Array | string | number = ''): NewEvent {
  eventsMade += 1;
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, eventsMade);
  return {
    id,
    type: 'SomethingHappened',
    schema: 1,
    timeMs: 1_790_000_000_000 + eventsMade,
    data: bytesOf(data),
  };
}

const bytesOf = (data: Uint8Array | string | number): Uint8Array => {
  if (typeof data === 'string') return new TextEncoder().encode(data);
  return typeof data === 'number' ? new Uint8Array(data).fill(data) : data;
};

export const makeEvents = (count: number): NewEvent[] =>
  Array.from({ length: count }, (_, i) => makeEvent(`event ${i}`));

export const randomBytes = (random: Random, lengthBytes: number): Uint8Array =>
  Uint8Array.from({ length: lengthBytes }, () => random(256));

/** All items of a log from a place on. */
export async function itemsOf(log: EventLog, from = 0n, until?: bigint): Promise<LogItem[]> {
  const items: LogItem[] = [];
  for await (const chunk of log.read(until === undefined ? { from } : { from, until }))
    items.push(...chunk.items);
  return items;
}

/** All events of a log; damage is thrown. */
export async function eventsOf(log: EventLog, from = 0n, until?: bigint): Promise<StoredEvent[]> {
  return (await itemsOf(log, from, until)).map((item) => {
    if (item._tag === 'damage') throw new TypeError(`unexpected damage: ${item.damage.reason}`);
    return item.event;
  });
}

/** The events of a stream's range, chunks put together. */
export async function streamOf(
  log: EventLog,
  stream: string,
  range: { readonly from?: number; readonly count?: number; readonly position?: bigint } = {},
): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const chunk of log.readStream({
    stream,
    fromRevision: range.from ?? 0,
    count: range.count ?? 1_000_000,
    fromPosition: range.position ?? 0n,
  }))
    events.push(...chunk);
  return events;
}

/** An event as a line, for comparing many quickly. */
export const lineOf = (event: StoredEvent): string =>
  [
    event.position,
    event.stream,
    event.revision,
    event.type,
    event.schema,
    event.timeMs,
    Buffer.from(event.id).toString('hex'),
    Buffer.from(event.data).toString('base64'),
  ].join(' ');

export const lineOfItem = (item: LogItem): string =>
  item._tag === 'event'
    ? lineOf(item.event)
    : `damage ${item.damage.stream} ${item.damage.revisions?.join('-')}`;
