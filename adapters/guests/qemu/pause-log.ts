// How long a guest stood still, from the times that QEMU puts on its STOP and RESUME events.

import type { Qmp } from './qmp.ts';

export class PauseLog {
  readonly #qmp: Qmp;
  readonly #stop: () => void;
  #stoppedAtMs: number | null = null;
  #pauseMs: number | null = null;
  #wake: (() => void) | null = null;

  constructor(qmp: Qmp) {
    this.#qmp = qmp;
    this.#stop = qmp.onEvent(({ event, timeMs }) => {
      if (event === 'STOP') this.#stoppedAtMs = timeMs;
      if (event !== 'RESUME' || this.#stoppedAtMs === null) return;
      this.#pauseMs = (this.#pauseMs ?? 0) + Math.max(0, timeMs - this.#stoppedAtMs);
      this.#stoppedAtMs = null;
      this.#wake?.();
    });
  }

  /** All pauses since the log was begun; null: none was told of. */
  get pauseMs(): number | null {
    return this.#pauseMs;
  }

  /** Waits, at most `ms`, until a guest that runs again is told to have stood still. */
  async untilResumed(ms: number): Promise<void> {
    const isOver = this.#stoppedAtMs === null && this.#pauseMs !== null;
    if (isOver || !this.#qmp.hasEvents) return;
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
