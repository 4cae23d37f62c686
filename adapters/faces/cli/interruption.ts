// SIGINT and SIGTERM: work that can end cleanly is told to, ends at its next step and says what is done
// and what is left; other work ends at once, as all does at a second signal.

import { Interrupted } from '../rows/failure-rows.ts';

/** How long the next step of work is waited for. */
const UNTIL_STEP_MS = 3000;

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
type Signal = (typeof SIGNALS)[number];

/** Reports what is done and left. */
type Told = () => string;

/** What an interrupted command shows, and the code that it ends with; set by the entry. */
type End = (failure: Interrupted) => void;

const state: { signal: Signal | null; told: Told; isStepping: boolean } = {
  signal: null,
  told: () => 'nothing was changed',
  isStepping: false,
};

const interruptedBy = (signal: Signal): Interrupted =>
  new Interrupted(signal, `interrupted by ${signal}: ${state.told()}`);

/** Watches for signals, for commands that do not themselves. */
export function watchInterruptions(end: End): void {
  for (const signal of SIGNALS)
    process.on(signal, () => {
      // A command that has handlers of its own goes on to its end.
      if (process.listenerCount(signal) > 1) return;
      const isSecond = state.signal !== null;
      state.signal = signal;
      if (isSecond || !state.isStepping) end(interruptedBy(signal));
      // What waits for a pipe or a server may not come to its next step.
      else setTimeout(() => end(interruptedBy(signal)), UNTIL_STEP_MS).unref();
    });
}

/**
 * Does work that calls `step` again and again, and that an Interrupted thrown there ends cleanly; `told`
 * says what is done and what is left.
 */
export async function interruptible<A>(
  told: Told,
  work: (step: () => void) => Promise<A>,
): Promise<A> {
  const before = state.told;
  state.told = told;
  state.isStepping = true;
  try {
    return await work(() => {
      if (state.signal !== null) throw interruptedBy(state.signal);
    });
  } finally {
    state.isStepping = false;
    state.told = before;
  }
}

/** Gives a signal that aborts at SIGINT or SIGTERM, to work that ends cleanly by itself. */
export async function untilSignal<A>(
  work: (abort: AbortSignal) => Promise<A>,
): Promise<{ readonly result: A; readonly signal: Signal | null }> {
  const abort = new AbortController();
  let met: Signal | null = null;
  const handlers = SIGNALS.map((signal) => {
    const stop = (): void => {
      met = signal;
      abort.abort();
    };
    process.once(signal, stop);
    return { signal, stop };
  });
  try {
    return { result: await work(abort.signal), signal: met };
  } finally {
    for (const { signal, stop } of handlers) process.off(signal, stop);
  }
}
