// What every service of the double is given, and what they do alike: who may call, which calls are
// counted and open, and how a refusal that was thrown becomes the status of a call.

import { Buffer } from 'node:buffer';
import type { EventEmitter } from 'node:events';
import type { Metadata, sendUnaryData, status } from '@grpc/grpc-js';
import type { DoubleRecords } from './double-records.ts';
import type { Faults, Flow, Method } from './faults.ts';
import { accessDenied, unauthenticated, unknown, type Refusal } from './refusals.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** The double as its services see it. */
export interface Services {
  readonly records: DoubleRecords;
  readonly faults: Faults;
  readonly book: CallBook;
  readonly credentials: Credentials | null;
  readonly appendBytesMax: number;
  /** Live events that a subscriber may lag behind before the server drops it; null: any number. */
  readonly lagEventsMax: number | null;
  /** Of a read of $all from a place that is no record's. */
  readonly noRecordStatus: status;
}

/** A refusal on its way to the call that it ends. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.details);
    this.refusal = refusal;
  }
}

/** Raises `refusal`, if there is one. */
export function refuse(refusal: Refusal | null): void {
  if (refusal !== null) throw new Refused(refusal);
}

/** The status for whatever a handler threw; a bug of the double is not mistaken for a refusal. */
export const refusalOf = (thrown: unknown): Refusal =>
  thrown instanceof Refused ? thrown.refusal : unknown(`defect of the double: ${String(thrown)}`);

/** How often each method was called, which calls are open, and what flows have sent. */
export class CallBook {
  private readonly events = new Map<Method, number>();
  private readonly begun = new Map<Method, number>();
  private readonly open = new Map<Method, number>();

  begin(method: Method): () => void {
    this.add(this.begun, method, 1);
    this.add(this.open, method, 1);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.add(this.open, method, -1);
    };
  }

  sentEvent(flow: Flow): void {
    this.add(this.events, flow, 1);
  }

  sentEvents(flow: Flow): number {
    return this.events.get(flow) ?? 0;
  }

  calls(method: Method): number {
    return this.begun.get(method) ?? 0;
  }

  openCalls(method?: Method): number {
    if (method !== undefined) return this.open.get(method) ?? 0;
    return [...this.open.values()].reduce((sum, count) => sum + count, 0);
  }

  private add(counts: Map<Method, number>, method: Method, change: number): void {
    counts.set(method, (counts.get(method) ?? 0) + change);
  }
}

/** Refuses wrong credentials everywhere, and none where the call touches streams. */
export function authorize(
  services: Services,
  call: { readonly metadata: Metadata; readonly anonymous: boolean },
): void {
  if (services.credentials === null) return;
  const [header] = call.metadata.get('authorization');
  if (header === undefined) {
    if (!call.anonymous) throw new Refused(accessDenied());
    return;
  }
  const { username, password } = services.credentials;
  const expected = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  if (header !== expected) throw new Refused(unauthenticated());
}

/** Answers a call that has one answer: what `work` resolves to, or the status of its refusal. */
export function answer<Response>(
  services: Services,
  call: EventEmitter & { readonly metadata: Metadata },
  request: {
    readonly method: Method;
    readonly anonymous?: boolean;
    readonly callback: sendUnaryData<Response>;
    readonly work: () => Promise<Response>;
  },
): void {
  const end = services.book.begin(request.method);
  call.on('cancelled', end);
  const work = async (): Promise<Response> => {
    authorize(services, { metadata: call.metadata, anonymous: request.anonymous ?? false });
    return request.work();
  };
  // The callback is called outside of the promise: what it throws is no refusal of ours.
  void work()
    .then(
      (response) => () => request.callback(null, response),
      (thrown: unknown) => () => request.callback(refusalOf(thrown)),
    )
    .then((reply) => {
      end();
      return reply();
    });
}
