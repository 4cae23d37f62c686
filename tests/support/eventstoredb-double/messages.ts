// Between the double's records and the messages of the client's own generated code: the double must
// speak with the very stubs of the client under test, or the two would not agree on the wire.

import sharedMessages from '@eventstore/db-client/generated/shared_pb.js';
import streamsMessages from '@eventstore/db-client/generated/streams_pb.js';
import type { Empty, StreamIdentifier, UUID } from '@eventstore/db-client/generated/shared_pb.js';
import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import type {
  ContentType,
  DoubleRecord,
  ExpectedRevision,
  ProposedEvent,
} from './double-records.ts';
import { metadataMissing, refusal, unknown } from './refusals.ts';
import { Refused } from './services.ts';
import { status } from '@grpc/grpc-js';

const INT64_MAX = 0x7fff_ffff_ffff_ffffn;
/** The end, as a position. */
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;
const NIL_ID = '00000000-0000-0000-0000-000000000000';

export const emptyMessage = (): Empty => new sharedMessages.Empty();

export function streamIdentifier(stream: string): StreamIdentifier {
  const identifier = new sharedMessages.StreamIdentifier();
  identifier.setStreamName(Buffer.from(stream, 'utf8'));
  return identifier;
}

/** The name in an identifier; a call without one is refused. */
export function streamNameOf(identifier: StreamIdentifier | undefined): string {
  const name = Buffer.from(identifier?.getStreamName_asU8() ?? []).toString('utf8');
  if (name === '') throw new Refused(unknown());
  return name;
}

/** The client sends every identifier of an event as text. */
export function uuidText(uuid: UUID | undefined): string {
  const text = uuid?.getString() ?? '';
  if (text === '') throw new Refused(refusal(status.INVALID_ARGUMENT, 'An event without an id.'));
  return text;
}

export function eventMessage(record: DoubleRecord): ReadResp {
  const { ReadEvent } = streamsMessages.ReadResp;
  const recorded = new ReadEvent.RecordedEvent();
  const id = new sharedMessages.UUID();
  id.setString(record.id);
  recorded.setId(id);
  recorded.setStreamIdentifier(streamIdentifier(record.stream));
  recorded.setStreamRevision(record.revision.toString());
  recorded.setPreparePosition(record.position.toString());
  recorded.setCommitPosition(record.position.toString());
  recorded.getMetadataMap().set('type', record.type);
  recorded.getMetadataMap().set('created', record.createdTicks.toString());
  recorded.getMetadataMap().set('content-type', record.contentType);
  recorded.setCustomMetadata(record.metadata);
  recorded.setData(record.data);
  const event = new ReadEvent();
  event.setEvent(recorded);
  event.setCommitPosition(record.position.toString());
  const message = new streamsMessages.ReadResp();
  message.setEvent(event);
  return message;
}

export function confirmationMessage(subscriptionId: string): ReadResp {
  const confirmation = new streamsMessages.ReadResp.SubscriptionConfirmation();
  confirmation.setSubscriptionId(subscriptionId);
  const message = new streamsMessages.ReadResp();
  message.setConfirmation(confirmation);
  return message;
}

export function caughtUpMessage(): ReadResp {
  const message = new streamsMessages.ReadResp();
  message.setCaughtUp(new streamsMessages.ReadResp.CaughtUp());
  return message;
}

export function checkpointMessage(position: bigint): ReadResp {
  const checkpoint = new streamsMessages.ReadResp.Checkpoint();
  checkpoint.setCommitPosition(position.toString());
  checkpoint.setPreparePosition(position.toString());
  const message = new streamsMessages.ReadResp();
  message.setCheckpoint(checkpoint);
  return message;
}

export function streamNotFoundMessage(stream: string): ReadResp {
  const notFound = new streamsMessages.ReadResp.StreamNotFound();
  notFound.setStreamIdentifier(streamIdentifier(stream));
  const message = new streamsMessages.ReadResp();
  message.setStreamNotFound(notFound);
  return message;
}

/** Both kinds of append propose events in messages of the same shape. */
interface ProposedMessage {
  getId(): UUID | undefined;
  getMetadataMap(): { get(name: string): string | undefined };
  getData_asU8(): Uint8Array;
  getCustomMetadata_asU8(): Uint8Array;
}

export function proposedEvent(message: ProposedMessage): ProposedEvent {
  const metadata = message.getMetadataMap();
  const type = metadata.get('type');
  if (type === undefined) throw new Refused(metadataMissing('type'));
  const contentType = metadata.get('content-type');
  if (contentType === undefined) throw new Refused(metadataMissing('content-type'));
  const id = uuidText(message.getId());
  if (type === '' || id === NIL_ID) throw new Refused(unknown());
  return {
    id,
    type,
    contentType: contentTypeOf(contentType),
    // Copies: what the stub hands out may be a view of a buffer that is used again.
    data: message.getData_asU8().slice(),
    metadata: message.getCustomMetadata_asU8().slice(),
  };
}

/** The server stores one bit: whether it is JSON. */
const contentTypeOf = (contentType: string): ContentType =>
  contentType === 'application/json' ? contentType : 'application/octet-stream';

/** The options of appends and deletions say in the same words which revision they expect. */
interface ExpectedMessage {
  hasRevision(): boolean;
  getRevision(): string;
  hasNoStream(): boolean;
  hasAny(): boolean;
  hasStreamExists(): boolean;
}

export function expectedRevisionOf(options: ExpectedMessage): ExpectedRevision {
  if (options.hasRevision()) return BigInt(options.getRevision());
  if (options.hasNoStream()) return 'no_stream';
  if (options.hasAny()) return 'any';
  if (options.hasStreamExists()) return 'stream_exists';
  throw new Refused(
    refusal(status.INVALID_ARGUMENT, 'The expected revision of the stream is not set.'),
  );
}

/**
 * A position as a client names it, null for the end. One whose commit lies before its prepare cannot
 * be, nor one that is no signed number: as measured on 23.10.6.
 */
export function positionOf(message: {
  getCommitPosition(): string;
  getPreparePosition(): string;
}): bigint | null {
  const commit = BigInt(message.getCommitPosition());
  const prepare = BigInt(message.getPreparePosition());
  if (commit === UINT64_MAX && prepare === UINT64_MAX) return null;
  if (commit < prepare || commit > INT64_MAX) throw new Refused(unknown());
  return commit;
}
