// Subscriptions as the library gives them (docs/events.md, "Following a ledger"): iterations, and
// Observables of them. What they do is in following.ts, loaded when the first is begun: a ledger that
// nobody follows opens quickly.

import type { Observable } from 'rxjs';
import type { EventLog, Position, StateFiles } from './domain/ports.ts';
import type { EventRow } from './projections/audit/event-rows.ts';
import type { IdentifierColumn } from './projections/identifier-index.ts';
import type { LedgerState } from './projections/ledger-state.ts';
import type { Projected } from './projections/projected-state.ts';
import type { Projection } from './projections/projection.ts';
import { observed } from './projections/subscription.ts';

export type { CaptureChange, Change } from './projections/commits.ts';
export type { Folded, Projection } from './projections/projection.ts';

/** What of a ledger a subscriber needs: any log will do. */
export interface FollowedLedger {
  readonly id: string | null;
  readonly log: EventLog;
  readonly state: LedgerState;
  readonly column: IdentifierColumn;
  readonly stateFiles: StateFiles;
}

/** Where a subscriber goes on: after a row's `place`; after a position, or an item there; `latest`. */
export type From = string | { readonly position: Position; readonly item?: number | null };

export interface RowsRequest {
  /** After this. Absent: from the ledger's beginning. */
  readonly from?: From;
  /** Expand batches to page events. */
  readonly pages?: boolean;
  /** Rows of one type; of a page event type the batches that hold one, or with `pages` those alone. */
  readonly type?: string;
  /** Rows of one VM, which need not be there yet. */
  readonly vm?: string;
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
}

export interface StatesRequest<S> {
  readonly projection: Projection<S>;
  readonly signal?: AbortSignal;
}

/** The same of a registered projection. */
export interface NamedStatesRequest {
  readonly projection: string;
  readonly signal?: AbortSignal;
}

export type AnyStatesRequest = StatesRequest<unknown> | NamedStatesRequest;

/** Told in band, behind all that came before it. */
export interface Control {
  /** `caughtUp`: what was there when it was looked for has come. `reconnected`: nothing was missed. */
  readonly _tag: 'caughtUp' | 'reconnected';
  /** Where the log was read to. */
  readonly position: Position;
}

/** What can be shown of the log is not all of it: events are missing here. */
export interface Damaged {
  readonly _tag: 'damaged';
  readonly position: Position;
  readonly reason: string;
}

export type RowMessage = { readonly _tag: 'row'; readonly row: EventRow } | Damaged | Control;

/** `state` is valid until the next message is asked for. */
export type StateMessage<S> =
  ({ readonly _tag: 'state'; readonly view: () => unknown } & Projected<S>) | Control;

async function* rowArrays(
  ledger: FollowedLedger,
  request: RowsRequest,
): AsyncGenerator<readonly RowMessage[]> {
  const following = await import('./following.ts');
  yield* following.rowArrays(ledger, request);
}

async function* stateArrays(
  ledger: FollowedLedger,
  request: AnyStatesRequest,
): AsyncGenerator<readonly StateMessage<unknown>[]> {
  const { anyStates } = await import('./following.ts');
  for await (const message of anyStates(ledger, request)) yield [message];
}

/** The rows of a ledger after a place, replayed and then live, and control messages in band. */
export async function* rows(
  ledger: FollowedLedger,
  request: RowsRequest = {},
): AsyncGenerator<RowMessage> {
  for await (const messages of rowArrays(ledger, request)) yield* messages;
}

/** The states of a projection: as it was kept, then after each change that is new to it, then live. */
export function states<S>(
  ledger: FollowedLedger,
  request: StatesRequest<S>,
): AsyncGenerator<StateMessage<S>>;
export function states(
  ledger: FollowedLedger,
  request: AnyStatesRequest,
): AsyncGenerator<StateMessage<unknown>>;
export async function* states(
  ledger: FollowedLedger,
  request: AnyStatesRequest,
): AsyncGenerator<StateMessage<unknown>> {
  for await (const messages of stateArrays(ledger, request)) yield* messages;
}

/** What is called with each message before the Observable emits it; the reader waits for its promise. */
export interface Handling<T> {
  readonly handle?: (message: T) => void | Promise<void>;
}

export interface ObservedRows extends RowsRequest, Handling<RowMessage> {
  readonly projection?: never;
}

export interface ObservedStates<S> extends StatesRequest<S>, Handling<StateMessage<S>> {}

export interface ObservedNamedStates extends NamedStatesRequest, Handling<StateMessage<unknown>> {}

export type ObservedRequest = ObservedStates<unknown> | ObservedNamedStates | ObservedRows;

/**
 * Rows, or the states of a projection, as an Observable: replay, then live, until the signal aborts or
 * nobody listens. Work that takes time belongs into `handle`: the reader waits for it, and never reads
 * more than a chunk of the log ahead.
 */
export function subscribe<S>(
  ledger: FollowedLedger,
  request: ObservedStates<S>,
): Observable<StateMessage<S>>;
export function subscribe(
  ledger: FollowedLedger,
  request: ObservedNamedStates,
): Observable<StateMessage<unknown>>;
export function subscribe(ledger: FollowedLedger, request?: ObservedRows): Observable<RowMessage>;
export function subscribe(
  ledger: FollowedLedger,
  request: ObservedRequest,
): Observable<StateMessage<unknown>> | Observable<RowMessage>;
export function subscribe(
  ledger: FollowedLedger,
  request: ObservedRequest = {},
): Observable<StateMessage<unknown>> | Observable<RowMessage> {
  const { projection } = request;
  if (projection === undefined)
    return observed({ ...request, open: (signal) => rowArrays(ledger, { ...request, signal }) });
  const open = (signal: AbortSignal): AsyncGenerator<readonly StateMessage<unknown>[]> =>
    stateArrays(ledger, { ...request, signal });
  return observed({ ...request, open });
}
