// The connection to the server: one client at a time, replaced when it failed; trying again with
// growing, random pauses; and what the user is told of that. Every call of the log goes through here.
//
// Invariant: after `close` no call begins, and every wait has ended.

import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { createClient, type Certificates, type LogClient } from './client.ts';
import {
  isOfTransport,
  isTransient,
  logClosed,
  NoAnswer,
  otherwiseSecured,
  readFailure,
  refused,
  unreachable,
  type ServerFailure,
} from './failures.ts';
import { spokenBy, type Spoken } from '../spoken-tls.ts';
import { placeOf, type Endpoint, type ServerSettings } from './ledger-url.ts';

/** What the user is told while the server does not answer. */
export interface LogNotice {
  readonly kind: 'reconnecting' | 'retrying' | 'reconnected';
  readonly text: string;
}

/** Bounds of time and of what is under way at once. */
export interface LogLimits {
  /** How long a call is made again and again before LOG_UNREACHABLE; subscriptions never give up. */
  readonly giveUpAfterMs: number;
  /** How long one call may take before it is made again. */
  readonly callMs: number;
  /** Pauses between two tries: the first, and the longest. */
  readonly pauseFirstMs: number;
  readonly pauseMaxMs: number;
}

export const LOG_LIMITS: LogLimits = {
  giveUpAfterMs: 30_000,
  callMs: 10_000,
  pauseFirstMs: 100,
  pauseMaxMs: 5000,
};

/** At most so often the user is told that nothing has changed. */
const NOTICE_EVERY_MS = 5000;

export interface ConnectionOptions {
  readonly settings: ServerSettings;
  readonly certificates: Certificates;
  readonly limits: LogLimits;
  readonly onNotice: (notice: LogNotice) => void;
}

export class Connection {
  /** How the server is called in messages. */
  readonly place: string;
  readonly limits: LogLimits;
  readonly #options: ConnectionOptions;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #generation = 0;
  #client: LogClient;
  #hasAnswered = false;
  #spoken: Promise<Spoken | null> | null = null;
  #lostAtMs: number | null = null;
  #noticedAtMs = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.place = placeOf(options.settings);
    // Every flow that is open listens to it, however many they are.
    setMaxListeners(0, this.#closing.signal);
    this.#client = this.#connect(null);
  }

  #connect(leader: Endpoint | null): LogClient {
    const { settings, certificates } = this.#options;
    return createClient({ settings, certificates, generation: this.#generation, leader });
  }

  get client(): LogClient {
    this.checkOpen();
    return this.#client;
  }

  /** Aborts when the log is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  closed(): LedgerError {
    return logClosed(this.place);
  }

  checkOpen(): void {
    if (this.closing.aborted) throw this.closed();
  }

  /** A call of this client failed so that nobody knows why: others begin on a new one. */
  lost(client: LogClient, failure: ServerFailure): void {
    if (failure.kind === 'tooSlow' || this.closing.aborted) return;
    if (client === this.#client) {
      this.#generation += 1;
      this.#client = this.#connect(failure.leader);
      void client.retire();
    }
    const nowMs = performance.now();
    const kind = this.#lostAtMs === null ? 'reconnecting' : 'retrying';
    if (kind === 'retrying' && nowMs - this.#noticedAtMs < NOTICE_EVERY_MS) return;
    this.#lostAtMs ??= nowMs;
    this.#noticedAtMs = nowMs;
    this.#notify(kind, `found no answer from ${this.place} (${failure.text}); trying again`);
  }

  /** The server answered. */
  answered(): void {
    this.#hasAnswered = true;
    if (this.#lostAtMs === null) return;
    const seconds = ((performance.now() - this.#lostAtMs) / 1000).toFixed(1);
    this.#lostAtMs = null;
    this.#notify('reconnected', `${this.place} answers again after ${seconds} s`);
  }

  /**
   * What a server speaks that has never answered, where it was called otherwise: with TLS, or without.
   * It is asked once.
   */
  async spokenOtherwise(failure: ServerFailure): Promise<Spoken | null> {
    if (this.#hasAnswered || !isOfTransport(failure)) return null;
    const { endpoints, isTls } = this.#options.settings;
    const { address: host, port } = endpoints[0]!;
    this.#spoken ??= spokenBy({ host, port });
    const spoken = await this.#spoken;
    return spoken === (isTls ? 'plain' : 'tls') ? spoken : null;
  }

  #notify(kind: LogNotice['kind'], text: string): void {
    this.#options.onNotice({ kind, text });
  }

  /**
   * Makes a call until it is answered, for as long as the limits say. `work` may be run several times
   * and must mean the same each time. Closing the log waits for the call that is under way.
   */
  async call<T>(
    doing: string | OperationTries,
    work: (client: LogClient) => Promise<T>,
  ): Promise<T> {
    const { giveUpAfterMs } = this.limits;
    const tries = new Tries(
      this,
      typeof doing === 'string' ? { operation: doing, giveUpAfterMs } : doing,
    );
    for (;;) {
      const { client } = this;
      try {
        const value = await this.#tracked(this.#once(work(client)));
        tries.progressed();
        return value;
      } catch (thrown) {
        await tries.failed(client, thrown);
      }
    }
  }

  async #tracked<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** The client's promises may never settle, as where the search for a cluster's nodes hangs. */
  async #once<T>(answer: Promise<T>): Promise<T> {
    const { callMs } = this.limits;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new NoAnswer(`no answer within ${callMs} ms`)),
        callMs + GRACE_MS,
      );
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running);
    await this.#client.retire();
    await this.#client.dispose();
  }
}

/** The server's own deadline comes first. */
const GRACE_MS = 500;

/** An operation that is tried again. */
export interface OperationTries {
  /** What is done, as messages say it: `reading the log`. */
  readonly operation: string;
  /** How long, since it last went on. */
  readonly giveUpAfterMs: number;
  /** Ends a pause between two tries early. */
  readonly signal?: AbortSignal;
}

/** The tries of one operation: decides after each failure whether there is another, and waits for it. */
export class Tries {
  readonly #connection: Connection;
  readonly #operation: string;
  readonly #giveUpAfterMs: number;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;
  #sinceMs = 0;

  constructor(connection: Connection, options: OperationTries) {
    this.#connection = connection;
    this.#operation = options.operation;
    this.#giveUpAfterMs = options.giveUpAfterMs;
    this.#signal = options.signal;
  }

  /** The operation went on: a later failure is the first again. */
  progressed(): void {
    this.#failures = 0;
    this.#connection.answered();
  }

  /** Throws what the caller is told, or returns when it is time to try again, or when aborted. */
  async failed(client: LogClient, thrown: unknown): Promise<void> {
    this.#connection.checkOpen();
    const failure = readFailure(thrown);
    const { place, limits } = this.#connection;
    const doing = { operation: this.#operation, place };
    const spoken = await this.#connection.spokenOtherwise(failure);
    this.#connection.checkOpen();
    if (spoken !== null) throw otherwiseSecured(failure, { ...doing, spoken });
    if (!isTransient(failure)) throw refused(failure, doing);
    this.#connection.lost(client, failure);
    const nowMs = performance.now();
    if (this.#failures === 0) this.#sinceMs = nowMs;
    this.#failures += 1;
    const waitedMs = nowMs - this.#sinceMs;
    const leftMs = this.#giveUpAfterMs - waitedMs;
    if (leftMs <= 0) throw unreachable(failure, { ...doing, waitedMs });
    const longestMs = Math.min(limits.pauseMaxMs, limits.pauseFirstMs * 2 ** (this.#failures - 1));
    // Between half and all of it, so that many that lost the same server do not come back at once.
    await this.#wait(Math.min(leftMs, longestMs * (1 - Math.random() / 2)));
    this.#connection.checkOpen();
  }

  async #wait(ms: number): Promise<void> {
    const { closing } = this.#connection;
    const signal = this.#signal === undefined ? closing : AbortSignal.any([closing, this.#signal]);
    try {
      await pause(ms, undefined, { signal });
    } catch {
      // Aborted: whoever waits looks at the signals himself.
    }
  }
}
