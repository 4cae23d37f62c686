// Streams.BatchAppend: many appends over one stream of messages, each in parts that a correlation id
// holds together. The double serves it so that a test can tell a client that uses it from one that
// does not, and can show what happens to those that do.

import any from 'google-protobuf/google/protobuf/any_pb.js';
import protobufEmpty from 'google-protobuf/google/protobuf/empty_pb.js';
import type { Message } from 'google-protobuf';
import { status, type ServerDuplexStream } from '@grpc/grpc-js';
import codes from '@eventstore/db-client/generated/code_pb.js';
import sharedMessages from '@eventstore/db-client/generated/shared_pb.js';
import statusMessages from '@eventstore/db-client/generated/status_pb.js';
import streamsMessages from '@eventstore/db-client/generated/streams_pb.js';
import type {
  BatchAppendReq,
  BatchAppendResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import type { Code } from '@eventstore/db-client/generated/code_pb.js';
import type { Status } from '@eventstore/db-client/generated/status_pb.js';
import type { AppendOutcome, ExpectedRevision, ProposedEvent } from './double-records.ts';
import { proposedEvent, streamIdentifier, streamNameOf, uuidText } from './messages.ts';
import { refusal } from './refusals.ts';
import { authorize, Refused, refusalOf, refuse, type Services } from './services.ts';

type BatchCall = ServerDuplexStream<BatchAppendReq, BatchAppendResp>;

interface PendingAppend {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: ProposedEvent[];
  sizeBytes: number;
}

const emptyMessage = (): protobufEmpty.Empty => new protobufEmpty.Empty();

/** Serves one call of Streams.BatchAppend until its client ends it. */
export function serveBatchAppend(services: Services, call: BatchCall): void {
  const end = services.book.begin('batchAppend');
  const pending = new Map<string, PendingAppend>();
  const fail = (thrown: unknown): void => {
    end();
    call.emit('error', refusalOf(thrown));
  };
  try {
    authorize(services, { metadata: call.metadata, anonymous: false });
  } catch (thrown) {
    fail(thrown);
    return;
  }
  // One after the other, so that appends are stored in the order in which they came.
  let turn: Promise<void> = Promise.resolve();
  call.on('data', (message: BatchAppendReq) => {
    turn = turn.then(() => take(services, call, { pending, message })).catch(fail);
  });
  const finish = (): void => {
    end();
    call.end();
  };
  call.on('end', () => {
    turn = turn.then(finish);
  });
  call.on('cancelled', end);
}

async function take(
  services: Services,
  call: BatchCall,
  part: { readonly pending: Map<string, PendingAppend>; readonly message: BatchAppendReq },
): Promise<void> {
  const { pending, message } = part;
  const id = uuidText(message.getCorrelationId());
  const append = pending.get(id) ?? begun(message);
  if (append === null) return;
  pending.set(id, append);
  for (const proposed of message.getProposedMessagesList()) {
    const event = proposedEvent(proposed);
    append.sizeBytes += event.data.length;
    append.events.push(event);
  }
  const response = new streamsMessages.BatchAppendResp();
  response.setCorrelationId(message.getCorrelationId());
  response.setStreamIdentifier(streamIdentifier(append.stream));
  if (append.sizeBytes > services.appendBytesMax) {
    pending.delete(id);
    response.setError(tooLarge(services.appendBytesMax));
    call.write(response);
    return;
  }
  if (!message.getIsFinal()) return;
  pending.delete(id);
  refuse(await services.faults.meet('batchAppend', 'before'));
  const outcome = services.records.append(append);
  refuse(await services.faults.meet('batchAppend', 'after'));
  settle(response, append, outcome);
  call.write(response);
}

function begun(message: BatchAppendReq): PendingAppend | null {
  const options = message.getOptions();
  if (options === undefined) return null;
  return {
    stream: streamNameOf(options.getStreamIdentifier()),
    expected: expectedOf(options),
    events: [],
    sizeBytes: 0,
  };
}

function expectedOf(options: BatchAppendReq.Options): ExpectedRevision {
  if (options.hasStreamPosition()) return BigInt(options.getStreamPosition());
  if (options.hasNoStream()) return 'no_stream';
  if (options.hasAny()) return 'any';
  if (options.hasStreamExists()) return 'stream_exists';
  throw new Refused(
    refusal(status.INVALID_ARGUMENT, 'The expected revision of the stream is not set.'),
  );
}

function settle(response: BatchAppendResp, append: PendingAppend, outcome: AppendOutcome): void {
  if (outcome._tag === 'deleted') {
    const deleted = new sharedMessages.StreamDeleted();
    deleted.setStreamIdentifier(streamIdentifier(append.stream));
    response.setError(failure('StreamDeleted', { code: codes.Code.NOT_FOUND, details: deleted }));
    return;
  }
  if (outcome._tag === 'conflict') {
    response.setError(conflictOf(append.expected, outcome.current));
    return;
  }
  const success = new streamsMessages.BatchAppendResp.Success();
  if (outcome.revision === null) success.setNoStream(emptyMessage());
  else success.setCurrentRevision(outcome.revision.toString());
  if (outcome.position === null) success.setNoPosition(emptyMessage());
  else {
    const position = new sharedMessages.AllStreamPosition();
    position.setCommitPosition(outcome.position.toString());
    position.setPreparePosition(outcome.position.toString());
    success.setPosition(position);
  }
  response.setSuccess(success);
}

function conflictOf(expected: ExpectedRevision, current: bigint | null): Status {
  const details = new sharedMessages.WrongExpectedVersion();
  if (expected === 'any') details.setExpectedAny(emptyMessage());
  else if (expected === 'stream_exists') details.setExpectedStreamExists(emptyMessage());
  else if (expected === 'no_stream') details.setExpectedNoStream(emptyMessage());
  else details.setExpectedStreamPosition(expected.toString());
  if (current === null) details.setCurrentNoStream(emptyMessage());
  else details.setCurrentStreamRevision(current.toString());
  return failure('WrongExpectedVersion', { code: codes.Code.ALREADY_EXISTS, details });
}

function tooLarge(appendBytesMax: number): Status {
  const details = new sharedMessages.MaximumAppendSizeExceeded();
  details.setMaxappendsize(appendBytesMax);
  return failure('MaximumAppendSizeExceeded', { code: codes.Code.INVALID_ARGUMENT, details });
}

function failure(name: string, reason: { readonly code: Code; readonly details: Message }): Status {
  const packed = new any.Any();
  packed.pack(reason.details.serializeBinary(), `event_store.client.${name}`);
  const failed = new statusMessages.Status();
  failed.setCode(reason.code);
  failed.setMessage(name);
  failed.setDetails(packed);
  return failed;
}
