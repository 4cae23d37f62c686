// Subscriptions: a cursor that walks the records, tells once that it has caught up, and then follows.
// It keeps no events of its own, so a client that does not read holds nothing back but itself.
// Invariant: whatever was stored when a subscription began is sent before it says caughtUp.

import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js';
import { assert } from '../../../domain/values/assert.ts';
import type { DoubleRecord, DoubleRecords } from './double-records.ts';
import { matcherOf } from './filters.ts';
import type { OpenFlow } from './flow.ts';
import {
  caughtUpMessage,
  checkpointMessage,
  confirmationMessage,
  positionOf,
  streamNameOf,
} from './messages.ts';
import { refusal, streamDeleted, unknown } from './refusals.ts';
import { Refused, type Services } from './services.ts';
import {
  CONSUMER_TOO_SLOW,
  MISSING_STREAM_POLL_MS,
  PAGE_EVENTS,
  TOMBSTONE_REVISION,
} from './server-behaviour.ts';

type Options = ReadReq.Options;

/** A subscription to $all, filtered or not; `fromPosition` itself is not sent. */
export async function subscribeToAll(
  services: Services,
  flow: OpenFlow,
  options: Options,
): Promise<void> {
  const { records } = services;
  const cursor = new AllCursor(records, flow, options);
  const from = options.getAll()!;
  const after = from.hasPosition() ? positionOf(from.getPosition()!) : from.hasEnd() ? null : 0n;
  cursor.skipTo(after === null ? records.all.length : indexAfter(records, after));
  await flow.send(confirmationMessage(randomUUID()));
  if (after !== null) await cursor.catchUp();
  await follow(services, flow, {
    pending: () => records.all.length - cursor.at,
    step: () => cursor.next(),
  });
}

/** A subscription to one stream; `fromRevision` itself is not sent. A missing stream is awaited. */
export async function subscribeToStream(
  services: Services,
  flow: OpenFlow,
  options: Options,
): Promise<void> {
  const { records } = services;
  const from = options.getStream()!;
  const stream = streamNameOf(from.getStreamIdentifier());
  const list = (): readonly DoubleRecord[] => records.list(stream);
  let at = from.hasRevision() ? Number(from.getRevision()) + 1 : 0;
  if (from.hasEnd()) at = list().length;
  if (records.view(stream)._tag === 'deleted') throw new Refused(streamDeleted(stream));
  await flow.send(confirmationMessage(randomUUID()));
  if (!from.hasEnd()) {
    const first = await firstReadable(records, flow, stream);
    at = Math.max(at, Number(first));
  }
  const step = async (): Promise<void> => {
    const record = list()[at]!;
    if (record.revision === TOMBSTONE_REVISION) throw new Refused(streamDeleted(stream));
    at += 1;
    await flow.sendEvent(record);
  };
  while (at < list().length) await step();
  await follow(services, flow, { pending: () => list().length - at, step });
}

/** The revision of a stream's first event that may be read, as soon as there is one. */
async function firstReadable(
  records: DoubleRecords,
  flow: OpenFlow,
  stream: string,
): Promise<bigint> {
  for (;;) {
    const view = records.view(stream);
    if (view._tag === 'deleted') throw new Refused(streamDeleted(stream));
    if (view._tag === 'records') return view.records[0]?.revision ?? 0n;
    await flow.pause(MISSING_STREAM_POLL_MS);
  }
}

/** Says that all is caught up, and follows the records until the flow ends. */
async function follow(
  services: Services,
  flow: OpenFlow,
  cursor: { pending(): number; step(): Promise<void> },
): Promise<void> {
  let wake = (): void => {};
  const forget = services.records.listen(() => {
    if (services.lagEventsMax !== null && cursor.pending() > services.lagEventsMax)
      flow.end(refusal(status.ABORTED, CONSUMER_TOO_SLOW));
    wake();
  });
  try {
    await flow.send(caughtUpMessage());
    for (;;) {
      while (cursor.pending() > 0) await cursor.step();
      await flow.wait(new Promise<void>((resolve) => (wake = resolve)));
    }
  } finally {
    forget();
  }
}

/**
 * Where a subscription from a position goes on: after the first event at or after that position.
 * So one from the place of a record that $all does not show misses the event after it, and one from
 * beyond the end is given all that comes: as measured on 23.10.6.
 */
function indexAfter(records: DoubleRecords, position: bigint): number {
  if (position === 0n) return 0;
  if (position > records.lastPosition) return records.all.length;
  if (!records.isRecord(position)) throw new Refused(unknown());
  return records.indexAt(position) + 1;
}

/** The place of a subscription to $all, and its checkpoints if it has a filter. */
class AllCursor {
  at = 0;
  private readonly records: DoubleRecords;
  private readonly flow: OpenFlow;
  private readonly matches: (record: DoubleRecord) => boolean;
  private readonly windowEvents: number;
  /** Events looked at between two checkpoints; infinite without a filter. */
  private readonly intervalEvents: number;
  private considered = 0;

  constructor(records: DoubleRecords, flow: OpenFlow, options: Options) {
    this.records = records;
    this.flow = flow;
    this.matches = matcherOf(options);
    const filter = options.getFilter();
    if (filter?.getCheckpointintervalmultiplier() === 0) throw new Refused(unknown());
    const searched = filter?.hasMax() === true ? filter.getMax() : PAGE_EVENTS;
    this.windowEvents = filter === undefined ? Number.POSITIVE_INFINITY : searched;
    this.intervalEvents =
      filter === undefined
        ? Number.POSITIVE_INFINITY
        : searched * filter.getCheckpointintervalmultiplier();
    assert(this.intervalEvents > 0, 'a checkpoint comes after at least one event');
  }

  skipTo(index: number): void {
    this.at = index;
  }

  /** Sends pages of what is there; a checkpoint can come only between two of them. */
  async catchUp(): Promise<void> {
    for (;;) {
      let position = this.records.all[this.at]?.position ?? this.records.endPosition;
      let matched = 0;
      let looked = 0;
      while (
        matched < PAGE_EVENTS &&
        looked < this.windowEvents &&
        this.at < this.records.all.length
      ) {
        const record = this.records.all[this.at]!;
        this.at += 1;
        looked += 1;
        if (!this.matches(record)) continue;
        await this.flow.sendEvent(record);
        matched += 1;
        position = record.position;
      }
      this.considered += looked;
      if (matched < PAGE_EVENTS && looked < this.windowEvents) return;
      if (this.considered < this.intervalEvents) continue;
      this.considered %= this.intervalEvents;
      await this.flow.send(checkpointMessage(position));
    }
  }

  /** Sends the next record if it passes, and a checkpoint when it is due. */
  async next(): Promise<void> {
    const record = this.records.all[this.at]!;
    this.at += 1;
    if (this.matches(record)) await this.flow.sendEvent(record);
    this.considered += 1;
    if (this.considered < this.intervalEvents) return;
    this.considered = 0;
    await this.flow.send(checkpointMessage(record.position));
  }
}
