// What subscribers ask for and what they are told (docs/events.md, "Following a ledger").

import type { StateFiles } from '../../domain/ports/derived-files.ts';
import type { EventLog, Position } from '../../domain/ports/event-log.ts';
import type { IdentifierColumn } from '../models/identifier-index.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import type { EventRow } from '../questions/event-rows.ts';
import type { Projected } from './projected-state.ts';
import type { Projection } from '../projection.ts';

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

/** Which rows are followed, and from where. */
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

/** The states of a projection of the caller's own. */
export interface StatesRequest<S> {
  readonly projection: Projection<S>;
  readonly signal?: AbortSignal;
}

/** The same of a registered projection. */
export interface NamedStatesRequest {
  readonly projection: string;
  readonly signal?: AbortSignal;
}

/** A projection, by itself or by its name. */
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

/** What a follower of rows is told: a row, what is damaged, or where it stands. */
export type RowMessage = { readonly _tag: 'row'; readonly row: EventRow } | Damaged | Control;

/** `state` is valid until the next message is asked for. */
export type StateMessage<S> =
  ({ readonly _tag: 'state'; readonly view: () => unknown } & Projected<S>) | Control;

/** What is called with each message before the Observable emits it; the reader waits for its promise. */
export interface Handling<T> {
  readonly handle?: (message: T) => void | Promise<void>;
}

/** `subscribe` to rows: as `rows`, pushed, with work that is waited for. */
export interface ObservedRows extends RowsRequest, Handling<RowMessage> {
  readonly projection?: never;
}

/** `subscribe` to the states of a projection. */
export interface ObservedStates<S> extends StatesRequest<S>, Handling<StateMessage<S>> {}

/** `subscribe` to the states of a registered projection. */
export interface ObservedNamedStates extends NamedStatesRequest, Handling<StateMessage<unknown>> {}

/** Whatever `subscribe` can be asked for. */
export type ObservedRequest = ObservedStates<unknown> | ObservedNamedStates | ObservedRows;
