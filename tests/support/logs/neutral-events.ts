// The events of a log as any reader of it could hand them to a consumer in another language: a JSON
// object a line, data in base64 (examples/subscriber).

import type { EventLog } from '../../../domain/ports/event-log.ts';
import { eventsOf } from './log-events.ts';

export interface NeutralEvent {
  readonly stream: string;
  readonly revision: number;
  readonly position: string;
  readonly type: string;
  readonly schema: number;
  readonly time: number;
  readonly id: string;
  readonly data: string;
}

export async function neutralEvents(log: EventLog): Promise<NeutralEvent[]> {
  const events = await eventsOf(log);
  return events.map(({ stream, revision, position, type, schema, timeMs: time, id, data }) => ({
    stream,
    revision,
    position: String(position),
    type,
    schema,
    time,
    id: Buffer.from(id).toString('hex'),
    data: Buffer.from(data).toString('base64'),
  }));
}

export const neutralLines = (events: readonly NeutralEvent[]): string =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('');
