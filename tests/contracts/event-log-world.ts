// What the event logs' contract (event-log.ts) is run on, and how it fills a log.

import {
  NO_STREAM,
  type Appended,
  type EventLog,
  type StoredEvent,
} from '../../domain/ports/event-log.ts';
import { eventsOf, makeEvents } from '../support/logs/log-events.ts';
import { valueOf } from '../support/outcomes.ts';

/** A log that is empty, for one test. */
export interface EventLogWorld {
  readonly log: EventLog;
  /** Another instance on the same log, as another process has it. */
  readonly another: () => Promise<EventLog>;
  /** Closes all instances and opens the log again; absent: the log lives only in memory. */
  readonly reopen?: () => Promise<EventLog>;
  /** Things held open for readings now, where that can be told. */
  readonly openCount?: () => number;
  close(): Promise<void>;
}

export type Current = () => EventLogWorld;

/** Appends so many new events. */
export const append = (
  log: EventLog,
  stream: string,
  expectedRevision: number,
  count = 1,
): Promise<Appended> =>
  valueOf(log.append({ stream, expectedRevision, events: makeEvents(count) }));

/** Appends to three streams in turn; gives the events in the order appended. */
export async function fill(log: EventLog, appends: number): Promise<StoredEvent[]> {
  const revisions = [NO_STREAM, NO_STREAM, NO_STREAM];
  for (let i = 0; i < appends; i += 1) {
    const stream = i % 3;
    const count = 1 + (i % 4);
    await append(log, `vm-${stream}`, revisions[stream]!, count);
    revisions[stream]! += count;
  }
  return eventsOf(log);
}
