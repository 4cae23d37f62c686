// One flow of events from the client, taken event by event. The client's signals run ahead of the
// events that it has read but not handed on, so each is kept until everything before it was taken.
// Back-pressure goes through: what is not taken is not asked for beyond EVENTS_AHEAD.

import type { TransformCallback } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { FlowEnded, NoAnswer, UnreadableAnswer } from './failures.ts';

/** Events that the client reads ahead of whoever takes them. */
export const EVENTS_AHEAD = 32;

/** What the client gives for a read or a subscription, as far as it is used. */
export interface Source<E> {
  readonly readableLength: number;
  on(event: string, listener: (...told: never[]) => void): unknown;
  /** The next event at hand, or null. */
  read(): E | null;
  destroy(): unknown;
  readonly cancel?: () => Promise<void>;
  readonly unsubscribe?: () => Promise<void>;
  /** How the client reads an answer; it throws, or rejects, where that is none. */
  _transform?(answer: unknown, encoding: BufferEncoding, next: TransformCallback): unknown;
}

/**
 * Lets a source fail with what its client throws over an answer that it cannot read. The client does so
 * where nobody can catch it: inside the call that hands it the answer, or in a promise of its own.
 */
function failOverAnswers<E>(source: Source<E>): void {
  const read = source._transform?.bind(source);
  if (read === undefined) return;
  source._transform = async (answer, encoding, next) => {
    try {
      await read(answer, encoding, next);
    } catch (thrown) {
      const what = thrown instanceof Error ? thrown.message : String(thrown);
      next(new UnreadableAnswer(`an answer that is none: ${what}`));
    }
  };
}

export class Feed<E> {
  readonly #source: Source<E>;
  readonly #closing: AbortSignal;
  #takenCount = 0;
  /** How many events come before the server's word that the log's end was reached. */
  #caughtUpAfter: number | null = null;
  #isConfirmed = false;
  #isEnded = false;
  #isReleased = false;
  #failure: { readonly thrown: unknown } | null = null;
  #wake: (() => void) | null = null;

  /** `source` was just made; it is let go of when `closing` aborts. */
  constructor(source: Source<E>, closing: AbortSignal) {
    this.#source = source;
    this.#closing = closing;
    failOverAnswers(source);
    source.on('readable', this.#woken);
    source.on('confirmation', () => {
      this.#isConfirmed = true;
      this.#woken();
    });
    source.on('caughtUp', () => {
      this.#caughtUpAfter ??= this.#takenCount + source.readableLength;
      this.#woken();
    });
    source.on('end', () => {
      this.#isEnded = true;
      this.#woken();
    });
    // Stays for as long as the source lives: what fails after it was let go of concerns nobody.
    source.on('error', (thrown: unknown) => {
      this.#failure ??= { thrown };
      this.#woken();
    });
    closing.addEventListener('abort', this.#onClosing, { once: true });
  }

  readonly #woken = (): void => {
    this.#wake?.();
  };

  readonly #onClosing = (): void => {
    void this.release();
  };

  /** Whether the server has taken the subscription. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  /** Whether all events before the log's end, as the server saw it, were taken. */
  get isCaughtUp(): boolean {
    return this.#caughtUpAfter !== null && this.#takenCount >= this.#caughtUpAfter;
  }

  /** The next event, if it is at hand. */
  take(): E | null {
    if (this.#isReleased) return null;
    const event = this.#source.read();
    if (event !== null) this.#takenCount += 1;
    return event;
  }

  /** The next event, if it is at hand once everything that has arrived was looked at. */
  async takeSoon(): Promise<E | null> {
    await turn();
    return this.take();
  }

  /** Whether the source ended; throws what it failed with. To be asked when nothing is at hand. */
  get isEnded(): boolean {
    if (this.#failure !== null) throw this.#failure.thrown;
    if (this.#isReleased) throw new FlowEnded('the call was ended on our side');
    return this.#isEnded;
  }

  /** Waits until something has changed, or `signal` aborts; throws NoAnswer after `limitMs`. */
  async wait(signal: AbortSignal, limitMs?: number): Promise<void> {
    if (this.#isReleased || signal.aborted || this.#failure !== null || this.#isEnded) return;
    let timer: NodeJS.Timeout | undefined;
    let isLate = false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      signal.addEventListener('abort', this.#woken, { once: true });
      if (limitMs === undefined) return;
      timer = setTimeout(() => {
        isLate = true;
        resolve();
      }, limitMs);
    });
    this.#wake = null;
    clearTimeout(timer);
    signal.removeEventListener('abort', this.#woken);
    if (isLate) throw new NoAnswer(`no answer within ${limitMs} ms`);
  }

  /** Ends the call; nothing is left open at the server. */
  async release(): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#closing.removeEventListener('abort', this.#onClosing);
    this.#woken();
    const source = this.#source;
    if (this.#isEnded) return;
    const ending = (source.unsubscribe ?? source.cancel)?.call(source);
    // Where there is no connection yet the call is ended as soon as there is one.
    const ended = ending?.catch(() => undefined).then(() => source.destroy());
    if (this.#isConfirmed || this.#takenCount > 0) await ended;
  }
}

/** All events of a read with an end. */
export async function* drain<E>(feed: Feed<E>, callMs: number): AsyncGenerator<E> {
  const { signal } = new AbortController();
  try {
    for (;;) {
      const event = feed.take();
      if (event !== null) yield event;
      else if (feed.isEnded) return;
      else await feed.wait(signal, callMs);
    }
  } finally {
    await feed.release();
  }
}
