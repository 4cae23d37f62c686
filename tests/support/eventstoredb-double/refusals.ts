// The ways in which the server says no: a gRPC status and the trailers from which the client makes
// its typed errors. As measured on 23.10.6: streamDeleted, appendTooLarge, deleteConflict, unknown.
// Read, not measured, for a test server has neither users nor followers: accessDenied,
// unauthenticated, notLeader, metadataMissing.

import { Metadata, status } from '@grpc/grpc-js';
import { HANDLER_FAILED } from './server-behaviour.ts';

/** What ends a call with an error. */
export interface Refusal {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

export function refusal(
  code: status,
  details: string,
  trailers: Readonly<Record<string, string>> = {},
): Refusal {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value);
  return { code, details, metadata };
}

export const accessDenied = (): Refusal =>
  refusal(status.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' });

export const unauthenticated = (): Refusal => refusal(status.UNAUTHENTICATED, 'Unauthenticated');

export const notLeader = (leader: { readonly host: string; readonly port: number }): Refusal =>
  refusal(status.NOT_FOUND, 'Leader info available', {
    exception: 'not-leader',
    'leader-endpoint-host': leader.host,
    'leader-endpoint-port': String(leader.port),
  });

export const streamDeleted = (stream: string): Refusal =>
  refusal(status.FAILED_PRECONDITION, `Event stream '${stream}' is deleted.`, {
    exception: 'stream-deleted',
    'stream-name': stream,
  });

export const appendTooLarge = (appendBytesMax: number): Refusal =>
  refusal(status.INVALID_ARGUMENT, `Maximum Append Size of ${appendBytesMax} Exceeded.`, {
    exception: 'maximum-append-size-exceeded',
    'maximum-append-size': String(appendBytesMax),
  });

export const metadataMissing = (property: string): Refusal =>
  refusal(status.INVALID_ARGUMENT, `Required Metadata Property '${property}' is missing`, {
    exception: 'missing-required-metadata-property',
    'required-metadata-properties': 'type,content-type',
  });

export const deleteConflict = (facts: {
  readonly stream: string;
  readonly expected: bigint;
  readonly actual: bigint;
}): Refusal =>
  refusal(
    status.FAILED_PRECONDITION,
    `Delete failed due to WrongExpectedVersion. Stream: ${facts.stream}, ` +
      `Expected version: ${facts.expected}, Actual version: ${facts.actual}`,
    {
      exception: 'wrong-expected-version',
      'stream-name': facts.stream,
      'expected-version': String(facts.expected),
      'actual-version': String(facts.actual),
    },
  );

/** An error of the server without a name of its own: UNKNOWN (2), for the client UnknownError. */
export const unknown = (details: string = HANDLER_FAILED): Refusal =>
  refusal(status.UNKNOWN, details);
