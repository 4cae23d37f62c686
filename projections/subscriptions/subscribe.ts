// Subscriptions as the library gives them (docs/events.md, "Following a ledger"): iterations, and
// Observables of them. What they do is in follow.ts, loaded when the first is begun: a ledger that
// nobody follows opens quickly.

import type { Observable } from 'rxjs';
import { observed } from '../observable.ts';
import type {
  AnyStatesRequest,
  FollowedLedger,
  ObservedNamedStates,
  ObservedRequest,
  ObservedRows,
  ObservedStates,
  RowMessage,
  RowsRequest,
  StateMessage,
  StatesRequest,
} from './messages.ts';

async function* rowArrays(
  ledger: FollowedLedger,
  request: RowsRequest,
): AsyncGenerator<readonly RowMessage[]> {
  const following = await import('./follow.ts');
  yield* following.rowArrays(ledger, request);
}

async function* stateArrays(
  ledger: FollowedLedger,
  request: AnyStatesRequest,
): AsyncGenerator<readonly StateMessage<unknown>[]> {
  const { anyStates } = await import('./follow.ts');
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
