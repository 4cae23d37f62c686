// The instants at which a guest is captured, and waiting for them with an eye on the guest.

/** A grid of instants. Those that pass while a capture is under way are skipped, never queued. */
export class Ticks {
  readonly #everyMs: number;
  #last = 0;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** The tick to wait for after one was used, and how many before it went by. */
  next(elapsedMs: number): { readonly waitMs: number; readonly skipped: number } {
    const wanted = this.#last + 1;
    this.#last = Math.max(wanted, Math.ceil(elapsedMs / this.#everyMs));
    return { waitMs: this.#last * this.#everyMs - elapsedMs, skipped: this.#last - wanted };
  }
}

/** How often a guest is looked at while nothing else is to be done. */
const LOOK_MS = 250;

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted || ms <= 0) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });

/** Waits so long, until the signal aborts, or until `isOver` says that there is nothing to wait for. */
export async function pauseUnless(
  ms: number,
  signal: AbortSignal,
  isOver: () => boolean,
): Promise<void> {
  const untilMs = performance.now() + ms;
  for (let leftMs = ms; leftMs > 0 && !signal.aborted && !isOver();) {
    await pause(Math.min(leftMs, LOOK_MS), signal);
    leftMs = untilMs - performance.now();
  }
}
