// Streams.Append, the unary one: a header with the expected revision, then the events, one message
// each, and one answer. Appends are stored in the order in which their last message arrived.

import type { sendUnaryData, ServerReadableStream } from '@grpc/grpc-js';
import streamsMessages from '@eventstore/db-client/generated/streams_pb.js';
import type { AppendReq, AppendResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { AppendOutcome, ExpectedRevision, ProposedEvent } from './double-records.ts';
import { emptyMessage, expectedRevisionOf, proposedEvent, streamNameOf } from './messages.ts';
import { appendTooLarge, streamDeleted, unknown } from './refusals.ts';
import { answer, Refused, refuse, type Services } from './services.ts';

interface AppendRequest {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: readonly ProposedEvent[];
}

type AppendCall = ServerReadableStream<AppendReq, AppendResp>;

/** Serves one call of Streams.Append. */
export function serveAppend(
  services: Services,
  call: AppendCall,
  callback: sendUnaryData<AppendResp>,
): void {
  answer(services, call, {
    method: 'append',
    callback,
    work: async () => {
      const request = await receive(call, services.appendBytesMax);
      refuse(await services.faults.meet('append', 'before'));
      // The server drops what its client has given up before it came to be written.
      if (call.cancelled) throw new Refused(unknown('The client has cancelled.'));
      const outcome = services.records.append(request);
      refuse(await services.faults.meet('append', 'after'));
      return responseOf(request, outcome);
    },
  });
}

/** The whole request; refused as soon as its data is too much. */
function receive(call: AppendCall, appendBytesMax: number): Promise<AppendRequest> {
  return new Promise((resolve, reject) => {
    let header: { readonly stream: string; readonly expected: ExpectedRevision } | null = null;
    const events: ProposedEvent[] = [];
    let sizeBytes = 0;
    const take = (message: AppendReq): void => {
      const options = message.getOptions();
      const proposed = message.getProposedMessage();
      if (header === null) {
        if (options === undefined) throw new Refused(unknown());
        header = {
          stream: streamNameOf(options.getStreamIdentifier()),
          expected: expectedRevisionOf(options),
        };
        return;
      }
      if (proposed === undefined) throw new Refused(unknown());
      const event = proposedEvent(proposed);
      sizeBytes += event.data.length;
      if (sizeBytes > appendBytesMax) throw new Refused(appendTooLarge(appendBytesMax));
      events.push(event);
    };
    call.on('data', (message: AppendReq) => {
      try {
        take(message);
      } catch (thrown) {
        reject(thrown);
      }
    });
    call.on('end', () => {
      if (header === null) reject(new Refused(unknown()));
      else resolve({ ...header, events });
    });
    call.on('cancelled', () => reject(new Refused(unknown('The client has cancelled.'))));
    call.on('error', (error) => reject(error));
  });
}

function responseOf(request: AppendRequest, outcome: AppendOutcome): AppendResp {
  const response = new streamsMessages.AppendResp();
  if (outcome._tag === 'deleted') throw new Refused(streamDeleted(request.stream));
  if (outcome._tag === 'conflict') {
    response.setWrongExpectedVersion(conflictOf(request.expected, outcome.current));
    return response;
  }
  const success = new streamsMessages.AppendResp.Success();
  if (outcome.revision === null) success.setNoStream(emptyMessage());
  else success.setCurrentRevision(outcome.revision.toString());
  if (outcome.position === null) success.setNoPosition(emptyMessage());
  else {
    const position = new streamsMessages.AppendResp.Position();
    position.setCommitPosition(outcome.position.toString());
    position.setPreparePosition(outcome.position.toString());
    success.setPosition(position);
  }
  response.setSuccess(success);
  return response;
}

/** Without the fields for clients from before 20.6, which say the same once more. */
function conflictOf(
  expected: ExpectedRevision,
  current: bigint | null,
): AppendResp.WrongExpectedVersion {
  const conflict = new streamsMessages.AppendResp.WrongExpectedVersion();
  if (expected === 'any') conflict.setExpectedAny(emptyMessage());
  else if (expected === 'stream_exists') conflict.setExpectedStreamExists(emptyMessage());
  else if (expected === 'no_stream') conflict.setExpectedNoStream(emptyMessage());
  else conflict.setExpectedRevision(expected.toString());
  if (current === null) conflict.setCurrentNoStream(emptyMessage());
  else conflict.setCurrentRevision(current.toString());
  return conflict;
}
