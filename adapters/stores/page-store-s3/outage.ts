// Trying again: how often, how long, and what the user is told meanwhile. Every request of a page
// store may be repeated, since packs are named by their content.

import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpTrouble } from './http-exchange.ts';

/** The first pause; each is up to twice the one before. */
const PAUSE_MS_FIRST = 50;
const PAUSE_MS_MAX = 2000;
/** Attempts after which an answer that makes no sense is believed to be what the server has to say. */
const NONSENSE_MAX = 3;
/** Attempts of one request before the user is told: one failure is nothing unusual. */
const TOLD_AFTER = 2;

export interface OutageOptions {
  /** How messages call the store. */
  readonly label: string;
  /** No attempt begins when this has passed since a request first failed; Infinity: one always does. */
  readonly patienceMs: number;
  readonly onNotice: (text: string) => void;
}

/** The attempts of one request. */
export interface Attempts {
  readonly attempts: number;
  /** Since the first failure. */
  readonly waitedMs: number;
  /** Waits before the next attempt; false: there is to be none. */
  again(trouble: HttpTrouble): Promise<boolean>;
}

/** What the requests of one store have to do with each other when the server is away. */
export interface Outage {
  begin(): Attempts;
  /** The server says nothing, and is still waited for. */
  silent(what: string): void;
  /** The server answered. */
  over(): void;
  /** Ends all waiting. */
  close(): void;
}

/** Up to twice as long each time, at random, so that many clients do not come back together. */
const pauseMs = (attempts: number): number =>
  Math.random() * Math.min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2 ** attempts);

/** The outages of one store. */
export function createOutage({ label, patienceMs, onNotice }: OutageOptions): Outage {
  const closing = new AbortController();
  // As many as there are requests waiting.
  setMaxListeners(0, closing.signal);
  let toldAtMs: number | null = null;

  function tell(what: string): void {
    if (toldAtMs !== null) return;
    toldAtMs = performance.now();
    const howLong =
      patienceMs === Infinity ? 'as long as it takes' : `up to ${Math.ceil(patienceMs / 1000)} s`;
    onNotice(
      `the object store ${label} does not answer as it should (${what}); waiting and trying again for ${howLong}`,
    );
  }

  const pause = async (ms: number): Promise<boolean> =>
    sleep(ms, true, { signal: closing.signal }).catch(() => false);

  return {
    begin() {
      let attempts = 0;
      let firstFailureMs = 0;
      const waitedMs = (): number => (attempts === 0 ? 0 : performance.now() - firstFailureMs);
      return {
        get attempts() {
          return attempts;
        },
        get waitedMs() {
          return waitedMs();
        },
        async again(trouble) {
          if (attempts === 0) firstFailureMs = performance.now();
          attempts += 1;
          if (trouble.kind === 'untrusted') return false;
          if (trouble.kind === 'nonsense' && attempts >= NONSENSE_MAX) return false;
          if (waitedMs() >= patienceMs) return false;
          if (attempts >= TOLD_AFTER) tell(trouble.what);
          return pause(Math.min(pauseMs(attempts), patienceMs - waitedMs()));
        },
      };
    },
    silent: tell,
    over() {
      if (toldAtMs === null) return;
      const seconds = ((performance.now() - toldAtMs) / 1000).toFixed(1);
      toldAtMs = null;
      onNotice(`the object store ${label} answers again, after ${seconds} s`);
    },
    close() {
      closing.abort();
    },
  };
}
