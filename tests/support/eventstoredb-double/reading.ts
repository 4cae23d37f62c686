// Streams.Read: what a client asks for, and the answers that end by themselves. Subscriptions are in
// subscribing.ts.

import streamsMessages from '@eventstore/db-client/generated/streams_pb.js';
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js';
import { status } from '@grpc/grpc-js';
import type { DoubleRecord, DoubleRecords } from './double-records.ts';
import { FlowGone, OpenFlow, type ReadCall } from './flow.ts';
import { positionOf, streamNameOf, streamNotFoundMessage } from './messages.ts';
import { matcherOf } from './filters.ts';
import { refusal, streamDeleted, unknown } from './refusals.ts';
import { authorize, Refused, refusalOf, refuse, type Services } from './services.ts';
import { READ_ALL_FAILED, READ_STREAM_FAILED } from './server-behaviour.ts';
import { subscribeToAll, subscribeToStream } from './subscribing.ts';

type Options = ReadReq.Options;

/** Serves one call of Streams.Read to its end. */
export function serveRead(services: Services, call: ReadCall): void {
  const options = call.request.getOptions();
  const kind = options?.hasSubscription() === true ? 'subscribe' : 'read';
  const end = services.book.begin(kind);
  const flow = new OpenFlow(call, { ...services, kind });
  const work = async (): Promise<void> => {
    if (options === undefined) throw new Refused(unknown());
    authorize(services, { metadata: call.metadata, anonymous: false });
    refuse(await services.faults.meet(kind, 'before'));
    await serve(services, flow, options);
  };
  work()
    .then(
      () => call.end(),
      (thrown: unknown) => {
        if (!(thrown instanceof FlowGone)) call.emit('error', refusalOf(thrown));
      },
    )
    .finally(() => {
      flow.close();
      end();
    });
}

async function serve(services: Services, flow: OpenFlow, options: Options): Promise<void> {
  const { records } = services;
  const backwards =
    options.getReadDirection() === streamsMessages.ReadReq.Options.ReadDirection.BACKWARDS;
  if (options.hasSubscription()) {
    if (backwards)
      throw new Refused(refusal(status.INVALID_ARGUMENT, 'The combination is invalid.'));
    return options.hasAll()
      ? subscribeToAll(services, flow, options)
      : subscribeToStream(services, flow, options);
  }
  const countMax = BigInt(options.getCount());
  if (options.hasAll()) {
    // As measured on 23.10.6: it is never answered.
    if (countMax === 0n) return flow.wait(new Promise(() => {}));
    return backwards
      ? readAllBackwards(services, flow, options, countMax)
      : readAllForwards(services, flow, options, countMax);
  }
  if (countMax === 0n) throw new Refused(unknown(READ_STREAM_FAILED));
  return readStream(records, flow, options, { countMax, backwards });
}

async function readAllForwards(
  { records, noRecordStatus }: Services,
  flow: OpenFlow,
  options: Options,
  countMax: bigint,
): Promise<void> {
  const all = options.getAll()!;
  const matches = matcherOf(options);
  // As measured on 23.10.6: from the end, or a place beyond it, there is nothing, and no error.
  const from = all.hasPosition() ? positionOf(all.getPosition()!) : 0n;
  if (all.hasEnd() || from === null || from > records.lastPosition) return;
  if (all.hasPosition() && from !== 0n && !records.isRecord(from))
    throw new Refused(refusal(noRecordStatus, READ_ALL_FAILED));
  let sent = 0n;
  for (let at = records.indexAt(from); at < records.all.length && sent < countMax; at++) {
    const record = records.all[at]!;
    if (!matches(record)) continue;
    await flow.sendEvent(record);
    sent += 1n;
  }
}

async function readAllBackwards(
  { records, noRecordStatus }: Services,
  flow: OpenFlow,
  options: Options,
  countMax: bigint,
): Promise<void> {
  const all = options.getAll()!;
  const matches = matcherOf(options);
  if (all.hasStart()) return;
  const end = records.endPosition;
  const before = (all.hasPosition() ? positionOf(all.getPosition()!) : null) ?? end;
  if (before !== end && before !== 0n && !records.isRecord(before))
    throw new Refused(refusal(noRecordStatus, READ_ALL_FAILED));
  let sent = 0n;
  for (let at = records.indexAt(before) - 1; at >= 0 && sent < countMax; at--) {
    const record = records.all[at]!;
    if (!matches(record)) continue;
    await flow.sendEvent(record);
    sent += 1n;
  }
}

async function readStream(
  records: DoubleRecords,
  flow: OpenFlow,
  options: Options,
  range: { readonly countMax: bigint; readonly backwards: boolean },
): Promise<void> {
  const from = options.getStream()!;
  const stream = streamNameOf(from.getStreamIdentifier());
  // As measured on 23.10.6.
  if (from.hasEnd() && !range.backwards) throw new Refused(unknown(READ_STREAM_FAILED));
  const view = records.view(stream);
  if (view._tag === 'deleted') throw new Refused(streamDeleted(stream));
  if (view._tag === 'missing') return flow.send(streamNotFoundMessage(stream));
  let sent = 0n;
  for (const record of inOrder(view.records, from, range.backwards)) {
    if (sent === range.countMax) return;
    await flow.sendEvent(record);
    sent += 1n;
  }
}

function* inOrder(
  records: readonly DoubleRecord[],
  from: ReadReq.Options.StreamOptions,
  backwards: boolean,
): Generator<DoubleRecord> {
  const first = records[0]?.revision ?? 0n;
  const last = records.at(-1)?.revision ?? -1n;
  const wanted = from.hasRevision() ? BigInt(from.getRevision()) : from.hasEnd() ? last : 0n;
  if (backwards) {
    const start = wanted > last ? last : wanted;
    for (let at = Number(start - first); at >= 0; at--) yield records[at]!;
    return;
  }
  const start = wanted < first ? first : wanted;
  for (let at = Number(start - first); at < records.length; at++) yield records[at]!;
}
