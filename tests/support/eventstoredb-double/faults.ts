// What can go wrong between the double and its client, set by a test and met by the next calls. A
// fault that is not set costs nothing. Faults that count are used up; latency and holds stay until
// they are taken away. They survive a stop and start of the double, as a broken network would.

import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { assert } from '../../../domain/values/assert.ts';
import { notLeader, refusal, type Refusal } from './refusals.ts';
import { CONSUMER_TOO_SLOW } from './server-behaviour.ts';

/** The calls a client makes; a subscription is a Read that never ends. */
export type Method =
  'append' | 'batchAppend' | 'read' | 'subscribe' | 'delete' | 'tombstone' | 'features' | 'gossip';

/** Calls whose answer is a sequence. */
export type Flow = 'read' | 'subscribe';

/** Of calls that store: before anything is stored, or when it is and only the answer is lost. */
export type Moment = 'before' | 'after';

/** Calls that wait until a test lets them go on. */
export interface Hold {
  /** Calls, or events of flows, that wait here now. */
  waiting(): number;
  /** Resolves as soon as so many wait here. */
  reached(count: number): Promise<void>;
  /** Lets those that wait go on, and all that come. */
  release(): void;
}

interface Failure {
  readonly method: Method;
  readonly moment: Moment;
  readonly refusal: Refusal;
  left: number;
}

interface Cut {
  readonly flow: Flow;
  readonly refusal: Refusal;
  eventsLeft: number;
}

interface Gate {
  readonly method: Method;
  readonly moment: Moment;
  readonly hold: HoldingGate;
}

const CANCELLED: Refusal = refusal(status.CANCELLED, 'Call canceled by the server.');

export class Faults {
  private readonly latencies = new Map<Method, number>();
  private failures: Failure[] = [];
  private cuts: Cut[] = [];
  private gates: Gate[] = [];
  private readonly openFlows = new Map<Flow, Set<(refusal: Refusal) => void>>([
    ['read', new Set()],
    ['subscribe', new Set()],
  ]);

  /** From now on calls of the method, and each event of a flow, take so much longer. 0 ends it. */
  latency(method: Method, latencyMs: number): void {
    this.latencies.set(method, latencyMs);
  }

  /** The next `count` calls of the method fail with a gRPC status. */
  fail(request: {
    readonly method: Method;
    readonly status: status;
    readonly count?: number;
    readonly moment?: Moment;
    readonly message?: string;
  }): void {
    const message = request.message ?? `A fault set by the test: ${status[request.status]}.`;
    this.failWith({ ...request, refusal: refusal(request.status, message) });
  }

  /** The next `count` calls of the method are refused by a node that names another as its leader. */
  notLeader(request: {
    readonly leader: { readonly host: string; readonly port: number };
    readonly method?: Method;
    readonly count?: number;
  }): void {
    this.failWith({
      ...request,
      method: request.method ?? 'append',
      refusal: notLeader(request.leader),
    });
  }

  /**
   * Ends all flows of a kind that are open: now, or when so many more events have been sent on them
   * together. The default status is that of a server that cancels.
   */
  cut(request: {
    readonly flow: Flow;
    readonly afterEvents?: number;
    readonly status?: status;
    readonly message?: string;
  }): void {
    const reason =
      request.status === undefined
        ? CANCELLED
        : refusal(request.status, request.message ?? 'A fault set by the test ends the call.');
    if (request.afterEvents === undefined) this.endFlows(request.flow, reason);
    else this.cuts.push({ flow: request.flow, refusal: reason, eventsLeft: request.afterEvents });
  }

  /** Ends all open subscriptions as a server does whose buffer for a slow consumer is full. */
  consumerTooSlow(request: { readonly afterEvents?: number } = {}): void {
    this.cut({
      flow: 'subscribe',
      status: status.ABORTED,
      message: CONSUMER_TOO_SLOW,
      ...request,
    });
  }

  /** Calls of the method, or each event of a flow, wait until the hold is released. */
  hold(method: Method, moment: Moment = 'before'): Hold {
    const hold = new HoldingGate(() => {
      this.gates = this.gates.filter((gate) => gate.hold !== hold);
    });
    this.gates.push({ method, moment, hold });
    return hold;
  }

  /** Takes all faults away and releases what is held. */
  clear(): void {
    this.latencies.clear();
    this.failures = [];
    this.cuts = [];
    for (const { hold } of this.gates) hold.release();
  }

  /** Services ask here, at each moment of a call; the answer is why the call is to fail, or null. */
  async meet(method: Method, moment: Moment): Promise<Refusal | null> {
    if (moment === 'before') await this.delay(method);
    for (const gate of this.gates)
      if (gate.method === method && gate.moment === moment) await gate.hold.pass();
    const failure = this.failures.find(
      (candidate) => candidate.method === method && candidate.moment === moment,
    );
    if (failure === undefined) return null;
    failure.left -= 1;
    if (failure.left === 0) this.failures = this.failures.filter((other) => other !== failure);
    return failure.refusal;
  }

  /** Whether events of a flow have to wait for `passEvent`. */
  slows(flow: Flow): boolean {
    return (this.latencies.get(flow) ?? 0) > 0 || this.gates.some(({ method }) => method === flow);
  }

  /** Waits as long as an event of this flow has to. */
  async passEvent(flow: Flow): Promise<void> {
    await this.delay(flow);
    for (const gate of this.gates) if (gate.method === flow) await gate.hold.pass();
  }

  /** Registers an open flow, which `end` will end; the answer takes it out again. */
  opened(flow: Flow, end: (refusal: Refusal) => void): () => void {
    const flows = this.openFlows.get(flow)!;
    flows.add(end);
    return () => flows.delete(end);
  }

  /** Tells that a flow has sent an event. */
  sent(flow: Flow): void {
    if (this.cuts.length === 0) return;
    for (const cut of this.cuts.filter((candidate) => candidate.flow === flow)) {
      cut.eventsLeft -= 1;
      if (cut.eventsLeft > 0) continue;
      this.cuts = this.cuts.filter((other) => other !== cut);
      this.endFlows(flow, cut.refusal);
    }
  }

  private failWith(request: {
    readonly method: Method;
    readonly refusal: Refusal;
    readonly count?: number;
    readonly moment?: Moment;
  }): void {
    const { method, count: left = 1, moment = 'before' } = request;
    assert(left > 0, 'a failure meets at least one call');
    this.failures.push({ method, moment, refusal: request.refusal, left });
  }

  private endFlows(flow: Flow, reason: Refusal): void {
    for (const end of this.openFlows.get(flow)!) end(reason);
  }

  private async delay(method: Method): Promise<void> {
    const latencyMs = this.latencies.get(method) ?? 0;
    // A latency of a test never keeps its process alive.
    if (latencyMs > 0) await sleep(latencyMs, undefined, { ref: false });
  }
}

class HoldingGate implements Hold {
  private readonly waiters: (() => void)[] = [];
  private readonly watchers: { readonly count: number; readonly done: () => void }[] = [];
  private released = false;
  private readonly forget: () => void;

  constructor(forget: () => void) {
    this.forget = forget;
  }

  waiting(): number {
    return this.waiters.length;
  }

  async reached(count: number): Promise<void> {
    if (this.waiters.length >= count) return;
    await new Promise<void>((done) => this.watchers.push({ count, done }));
  }

  release(): void {
    this.released = true;
    this.forget();
    for (const go of this.waiters.splice(0)) go();
  }

  async pass(): Promise<void> {
    if (this.released) return;
    await new Promise<void>((go) => {
      this.waiters.push(go);
      for (const watcher of this.watchers) if (this.waiters.length >= watcher.count) watcher.done();
    });
  }
}
