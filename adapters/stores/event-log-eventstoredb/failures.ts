// What the server and its client answer when something goes wrong, and what that is to the ledger.
// Errors are told apart by their fields: some that the client lets through are no classes of its own.

import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import type { Spoken } from '../spoken-tls.ts';
import { NO_STREAM } from '../../../domain/ports/event-log.ts';

/**
 * `unreachable`: nobody knows what became of the call, it can be made again. `notLeader`: as well, at
 * the leader. `tooSlow`: the server ended a subscription whose reader was slower than the log; it can
 * be made again. All others are answers.
 */
export type FailureKind =
  | 'unreachable'
  | 'notLeader'
  | 'tooSlow'
  | 'refused'
  | 'invalid'
  | 'absent'
  | 'deleted'
  | 'tooLarge'
  | 'conflict'
  | 'other';

/** A failure of one call. */
export interface ServerFailure {
  readonly kind: FailureKind;
  /** What the server or the system said. */
  readonly text: string;
  readonly thrown: unknown;
  /** Where the leader is, of `notLeader`. */
  readonly leader: { readonly address: string; readonly port: number } | null;
  /** The stream's revision, of `conflict`. */
  readonly actual: number | null;
}

/** The call did not end within the time that one call has. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  readonly type = 'deadline-exceeded';
}

/** The server ended a flow that has no end. */
export class FlowEnded extends Error {
  override readonly name = 'FlowEnded';
  readonly type = 'cancelled';
}

/** The server's answer is none that the client understands. */
export class UnreadableAnswer extends Error {
  override readonly name = 'UnreadableAnswer';
  readonly type = 'unreadable-answer';
}

/** What the fields of the client's errors hold; nothing of it is certain. */
interface Thrown {
  readonly type?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly leader?: { readonly address: string; readonly port: number };
  readonly actualVersion?: unknown;
}

const KIND_OF_TYPE: Readonly<Record<string, FailureKind>> = {
  timeout: 'unreachable',
  'deadline-exceeded': 'unreachable',
  unavailable: 'unreachable',
  cancelled: 'unreachable',
  'not-leader': 'notLeader',
  'stream-not-found': 'absent',
  'no-stream': 'absent',
  'access-denied': 'refused',
  'invalid-argument': 'invalid',
  unsupported: 'refused',
  'unreadable-answer': 'refused',
  'invalid-transaction': 'refused',
  'missing-required-metadata-property': 'refused',
  'stream-deleted': 'deleted',
  'wrong-expected-version': 'conflict',
  'maximum-append-size-exceeded': 'tooLarge',
};

/** Status codes of gRPC. */
const KIND_OF_CODE: Readonly<Record<number, FailureKind>> = {
  1: 'unreachable', // cancelled
  3: 'invalid', // invalid argument
  4: 'unreachable', // deadline exceeded
  7: 'refused', // permission denied
  8: 'tooLarge', // resource exhausted: a message above the server's bound
  10: 'unreachable', // aborted: the server's own time-outs
  12: 'refused', // unimplemented
  14: 'unreachable', // unavailable
  16: 'refused', // unauthenticated
};

/** Said by a server that goes under in the middle of a call, under codes that say nothing. */
const BROKEN_OFF = /RST_STREAM|ECONNRESET|EPIPE|socket hang up|write after end|GOAWAY/iu;
/** Said while a cluster elects, and by the search for a cluster's nodes. */
const NO_LEADER_YET = /No leader info available|Failed to discover after/u;
/** A certificate that is not trusted stays so. */
const CERTIFICATE = /certificate|altnames|unable to verify|wrong version number/iu;
/** Nobody listens there, or there is no such place: it speaks nothing at all. */
const NOBODY = /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|Name resolution/u;
const TOO_SLOW = /Consumer too slow/u;

function kindOf({ type, code }: Thrown, text: string): FailureKind | null {
  if (TOO_SLOW.test(text)) return 'tooSlow';
  if (NO_LEADER_YET.test(text) || BROKEN_OFF.test(text)) return 'unreachable';
  const known = typeof type === 'string' ? KIND_OF_TYPE[type] : undefined;
  const kind = known ?? (typeof code === 'number' ? (KIND_OF_CODE[code] ?? 'other') : null);
  return kind === 'unreachable' && CERTIFICATE.test(text) ? 'refused' : kind;
}

/** Reads what a call threw; what is no failure of a call, such as a bug of our own, is thrown on. */
export function readFailure(thrown: unknown): ServerFailure {
  if (isLedgerError(thrown) || typeof thrown !== 'object' || thrown === null) throw thrown;
  const fields: Thrown = thrown;
  // Some run over several lines.
  const text = typeof fields.message === 'string' ? fields.message.replaceAll(/\s+/gu, ' ') : '';
  const kind = kindOf(fields, text);
  if (kind === null) throw thrown;
  return {
    kind,
    text,
    thrown,
    leader: kind === 'notLeader' ? (fields.leader ?? null) : null,
    actual: typeof fields.actualVersion === 'bigint' ? Number(fields.actualVersion) : NO_STREAM,
  };
}

/** Whether making the call again may help. */
export const isTransient = ({ kind }: ServerFailure): boolean =>
  kind === 'unreachable' || kind === 'notLeader' || kind === 'tooSlow';

/** Whether a call may have failed because one side speaks TLS and the other does not. */
export const isOfTransport = ({ kind, text }: ServerFailure): boolean =>
  (kind === 'unreachable' && !NOBODY.test(text)) || (kind === 'refused' && CERTIFICATE.test(text));

/**
 * Whether a server says so of a read from a position that is no record's: one kind answers UNKNOWN, another
 * INVALID_ARGUMENT.
 */
export const isNoRecord = ({ kind }: ServerFailure): boolean =>
  kind === 'other' || kind === 'invalid';

/** What was being done, where, for messages. */
export interface Doing {
  /** As in `reading the log`. */
  readonly operation: string;
  /** The server, without secrets. */
  readonly place: string;
}

export const unreachable = (
  failure: ServerFailure,
  { operation, place, waitedMs }: Doing & { readonly waitedMs: number },
): LedgerError =>
  new LedgerError(
    'LOG_UNREACHABLE',
    `found no answer from ${place} while ${operation}, for ${Math.round(waitedMs / 1000)} s of trying again: ${failure.text}; start the server, or check the address and the network between, then run this again: what was committed is safe`,
    { place, operation, waitedMs: Math.round(waitedMs), answer: failure.text },
    failure.thrown,
  );

export const refused = (failure: ServerFailure, { operation, place }: Doing): LedgerError =>
  failure.kind === 'tooLarge'
    ? new LedgerError(
        'EVENT_TOO_LARGE',
        `${place} refused ${operation}: ${failure.text}; raise the server's MaxAppendSize to 1 MiB at least, which is its default`,
        { place, operation, answer: failure.text },
        failure.thrown,
      )
    : new LedgerError(
        'LOG_REFUSED',
        `${place} refused ${operation}: ${failure.text}; check user and password (or certificates) in the ledger's URL, and that this user may read $all and write the ledger's streams`,
        { place, operation, answer: failure.text },
        failure.thrown,
      );

/** The failure of a call to a server that speaks TLS where none was expected, or the reverse. */
export const otherwiseSecured = (
  failure: ServerFailure,
  { operation, place, spoken }: Doing & { readonly spoken: Spoken },
): LedgerError =>
  new LedgerError(
    'LOG_REFUSED',
    spoken === 'plain'
      ? `${place} speaks without TLS, and was called with TLS while ${operation}; if that is the server that is meant, say tls=false in the ledger's URL: all then crosses the network in the clear`
      : `${place} speaks TLS, and was called without while ${operation}; leave tls=false out of the ledger's URL, and name the authority of a certificate of one's own with tlsCAFile`,
    { place, operation, answer: failure.text, spoken },
    failure.thrown,
  );

export const streamDeleted = (
  stream: string,
  { place, found }: { readonly place: string; readonly found: string },
): LedgerError =>
  new LedgerError(
    'LOG_DAMAGED',
    `found stream ${stream} on ${place} ${found}; expected all its events from the first on; pageledger never deletes or truncates streams: restore the server from a copy, or copy the ledger into a new one`,
    { stream, place },
  );

export const logClosed = (place: string): LedgerError =>
  new LedgerError(
    'LEDGER_CLOSED',
    `the event log ${place} was closed while it was used; open it again`,
    { place },
  );
