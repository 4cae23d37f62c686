// How long a guest stood still, from the times that QEMU puts on its STOP and RESUME events.

import type { QmpClient } from './qmp-client.ts';

export class PauseLog {
  readonly #stop: () => void;
  #stoppedAtMs: number | null = null;
  #pauseMs = 0;
  #wake: (() => void) | null = null;

  constructor(qmp: QmpClient) {
    this.#stop = qmp.onEvent(({ event, timeMs }) => {
      if (event === 'STOP') this.#stoppedAtMs = timeMs;
      if (event !== 'RESUME' || this.#stoppedAtMs === null) return;
      this.#pauseMs += Math.max(0, timeMs - this.#stoppedAtMs);
      this.#stoppedAtMs = null;
      this.#wake?.();
    });
  }

  /** All pauses since the log was begun. */
  get pauseMs(): number {
    return this.#pauseMs;
  }

  /** Waits until the guest runs again, at most `ms`. */
  async untilResumed(ms: number): Promise<void> {
    if (this.#stoppedAtMs === null) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }

  close(): void {
    this.#stop();
  }
}
