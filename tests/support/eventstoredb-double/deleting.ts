// Streams.Delete and Streams.Tombstone: the stream that can be written again, and the one that
// cannot.

import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import streamsMessages from '@eventstore/db-client/generated/streams_pb.js';
import type {
  DeleteReq,
  DeleteResp,
  TombstoneReq,
  TombstoneResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import type { DoubleRecord, DoubleRecords, ExpectedRevision } from './double-records.ts';
import { expectedRevisionOf, streamNameOf } from './messages.ts';
import { deleteConflict, streamDeleted, unknown } from './refusals.ts';
import { answer, Refused, refuse, type Services } from './services.ts';
import { TOMBSTONE_REVISION } from './server-behaviour.ts';

/** Serves one call of Streams.Delete. */
export function serveDelete(
  services: Services,
  call: ServerUnaryCall<DeleteReq, DeleteResp>,
  callback: sendUnaryData<DeleteResp>,
): void {
  answer(services, call, {
    method: 'delete',
    callback,
    work: async () => {
      refuse(await services.faults.meet('delete', 'before'));
      const { stream, expected } = targetOf(call.request.getOptions());
      checkExpected(services.records, { stream, expected });
      if (services.records.currentRevision(stream) < 0n)
        throw new Refused(deleteConflict({ stream, expected: NUMBERS.any, actual: -1n }));
      const record = services.records.softDelete(stream);
      refuse(await services.faults.meet('delete', 'after'));
      const response = new streamsMessages.DeleteResp();
      const position = new streamsMessages.DeleteResp.Position();
      response.setPosition(placed(position, record));
      return response;
    },
  });
}

/** Serves one call of Streams.Tombstone. */
export function serveTombstone(
  services: Services,
  call: ServerUnaryCall<TombstoneReq, TombstoneResp>,
  callback: sendUnaryData<TombstoneResp>,
): void {
  answer(services, call, {
    method: 'tombstone',
    callback,
    work: async () => {
      refuse(await services.faults.meet('tombstone', 'before'));
      const { stream, expected } = targetOf(call.request.getOptions());
      checkExpected(services.records, { stream, expected });
      const record = services.records.tombstone(stream);
      refuse(await services.faults.meet('tombstone', 'after'));
      const response = new streamsMessages.TombstoneResp();
      const position = new streamsMessages.TombstoneResp.Position();
      response.setPosition(placed(position, record));
      return response;
    },
  });
}

interface Target {
  readonly stream: string;
  readonly expected: ExpectedRevision;
}

/** The server's numbers for what is no revision. */
const NUMBERS = { any: -2n, no_stream: -1n, stream_exists: -4n } as const;

function targetOf(options: DeleteReq.Options | TombstoneReq.Options | undefined): Target {
  if (options === undefined) throw new Refused(unknown());
  return {
    stream: streamNameOf(options.getStreamIdentifier()),
    expected: expectedRevisionOf(options),
  };
}

function checkExpected(records: DoubleRecords, target: Target): void {
  const { stream, expected } = target;
  const actual = records.currentRevision(stream);
  if (actual === TOMBSTONE_REVISION) throw new Refused(streamDeleted(stream));
  if (expected === 'any' || (expected === 'stream_exists' && actual >= 0n)) return;
  const number = typeof expected === 'bigint' ? expected : NUMBERS[expected];
  if (number !== actual) throw new Refused(deleteConflict({ stream, expected: number, actual }));
}

function placed<
  Position extends {
    setCommitPosition(value: string): unknown;
    setPreparePosition(value: string): unknown;
  },
>(position: Position, record: DoubleRecord): Position {
  position.setCommitPosition(record.position.toString());
  position.setPreparePosition(record.position.toString());
  return position;
}
