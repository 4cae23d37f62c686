// Whose turn it is where one process records many guests: a few are captured at a time, one that sends
// nothing keeps nobody waiting, and one capture at a time is taken in, so that memory is that of one recorder.

import { Limiter } from '../../../domain/values/limiter.ts';

/** How many guests send at a time. */
const SENDING_MAX = 4;
/** A guest that sent nothing for so long does not count any more, whatever becomes of it. */
const SILENT_MS = 5_000;
const LOOK_MS_MAX = 1_000;

/** A guest's turn. */
export interface GuestTurn {
  /** All was sent: another guest may send. Waits until the capture may be taken in. */
  readonly sent: () => Promise<void>;
  /** The capture was taken in, or there is none. */
  readonly end: () => void;
}

export class GuestTurns {
  readonly #sending: Limiter;
  readonly #taking = new Limiter(1);
  readonly #silentMs: number;

  constructor({ sendingMax = SENDING_MAX, silentMs = SILENT_MS } = {}) {
    this.#sending = new Limiter(sendingMax);
    this.#silentMs = silentMs;
  }

  /** Waits for a guest's turn to be captured. `arrived` grows as long as the guest sends. */
  async take(arrived: () => number): Promise<GuestTurn> {
    await this.#sending.enter();
    const watched = this.#watch(arrived);
    let isTaking = false;
    return {
      sent: async () => {
        watched.leave();
        await this.#taking.enter();
        isTaking = true;
      },
      end: () => {
        watched.leave();
        if (isTaking) this.#taking.leave();
        isTaking = false;
      },
    };
  }

  /** Lets another guest send when this one is done with it, or silent; once. */
  #watch(arrived: () => number): { readonly leave: () => void } {
    let before = arrived();
    let sinceMs = performance.now();
    const timer = setInterval(
      () => {
        const [now, nowMs] = [arrived(), performance.now()];
        if (now !== before) [before, sinceMs] = [now, nowMs];
        else if (nowMs - sinceMs >= this.#silentMs) leave();
      },
      Math.min(this.#silentMs, LOOK_MS_MAX),
    );
    timer.unref();
    let isIn = true;
    const leave = (): void => {
      clearInterval(timer);
      if (isIn) this.#sending.leave();
      isIn = false;
    };
    return { leave };
  }
}
