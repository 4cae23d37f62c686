// One open answer of many messages: a read or a subscription. It waits while the client does not
// read, so nothing is kept for it, and ends when the client leaves, the connection goes or a fault
// cuts it.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { DoubleRecord } from './double-records.ts';
import type { Faults, Flow } from './faults.ts';
import { eventMessage } from './messages.ts';
import type { Refusal } from './refusals.ts';
import { Refused, type CallBook } from './services.ts';

export type ReadCall = ServerWritableStream<ReadReq, ReadResp>;

/** Thrown inside a flow whose client has gone; nobody is left to be told. */
export class FlowGone extends Error {
  override readonly name = 'FlowGone';
}

export class OpenFlow {
  private readonly call: ReadCall;
  private readonly faults: Faults;
  private readonly book: CallBook;
  private readonly kind: Flow;
  /** Those who wait inside the flow, to be woken when it ends. */
  private readonly waiters = new Set<() => void>();
  private ended = false;
  private cut: Refusal | null = null;
  private readonly forget: () => void;

  constructor(
    call: ReadCall,
    options: { readonly faults: Faults; readonly book: CallBook; readonly kind: Flow },
  ) {
    this.call = call;
    this.faults = options.faults;
    this.book = options.book;
    this.kind = options.kind;
    call.on('cancelled', () => this.wakeAll());
    call.on('close', () => this.wakeAll());
    this.forget = this.faults.opened(this.kind, (refusal) => this.end(refusal));
  }

  /** Ends the flow with this status, wherever it waits. */
  end(refusal: Refusal): void {
    this.cut ??= refusal;
    this.wakeAll();
  }

  /** Takes the flow out of those that a fault can end. */
  close(): void {
    this.forget();
  }

  async sendEvent(record: DoubleRecord): Promise<void> {
    await this.send(eventMessage(record));
    this.book.sentEvent(this.kind);
    this.faults.sent(this.kind);
    // A cut after this event comes before the next message, also when nothing else waits.
    this.check();
  }

  /** Sends one message, and waits while the client does not take any. */
  async send(message: ReadResp): Promise<void> {
    this.check();
    if (this.faults.slows(this.kind)) {
      await this.orEnd(this.faults.passEvent(this.kind));
      this.check();
    }
    if (!this.call.write(message)) await this.orEnd(once(this.call, 'drain'));
    this.check();
  }

  /** Waits for `event`, but no longer than the flow lives. */
  async wait(event: Promise<unknown>): Promise<void> {
    await this.orEnd(event);
    this.check();
  }

  async pause(pauseMs: number): Promise<void> {
    await this.wait(sleep(pauseMs, undefined, { ref: false }));
  }

  private check(): void {
    if (this.cut !== null) throw new Refused(this.cut);
    if (this.ended) throw new FlowGone();
  }

  private wakeAll(): void {
    this.ended = true;
    for (const wake of this.waiters) wake();
    this.waiters.clear();
  }

  private async orEnd(event: Promise<unknown>): Promise<void> {
    if (this.ended) return;
    // A promise for each wait: racing one that lives as long as the flow would pile up behind it.
    let wake = (): void => {};
    const ending = new Promise<void>((resolve) => (wake = resolve));
    this.waiters.add(wake);
    try {
      await Promise.race([event, ending]);
    } finally {
      this.waiters.delete(wake);
    }
  }
}
