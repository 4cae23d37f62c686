// Signals that interrupt: work that can end cleanly is told to, ends at its next step and says what is
// done and what is left; other work ends at once, as all does at a second signal, unless it holds that.

import { Interrupted, INTERRUPTING, type Interrupting } from '../rows/failure-rows.ts';

/** How long the next step of work is waited for. */
const UNTIL_STEP_MS = 3000;

/** Reports what is done and left. */
type Told = () => string;

/** What an interrupted command shows, and the code that it ends with; set by the entry. */
type End = (failure: Interrupted) => void;

const state: {
  signal: Interrupting | null;
  told: Told;
  isStepping: boolean;
  /** Whether work was told to end, and takes back what it began. */
  isEnding: boolean;
  /** What is taken away where the command ends at once. */
  takeAway: () => void;
  end: End;
} = {
  signal: null,
  told: () => 'nothing was changed',
  isStepping: false,
  isEnding: false,
  takeAway: () => undefined,
  end: () => undefined,
};

/** What is said of an interruption from here on, by work that has no steps. */
export function tellOfInterruption(told: Told): void {
  state.told = told;
}

/** Does work that leaves something behind where it is ended at once: `takeAway`, which waits for nothing, takes that. */
export async function leavingNothing<A>(takeAway: () => void, work: () => Promise<A>): Promise<A> {
  const before = state.takeAway;
  state.takeAway = takeAway;
  try {
    return await work();
  } finally {
    state.takeAway = before;
  }
}

const interruptedBy = (signal: Interrupting): Interrupted =>
  new Interrupted(signal, `interrupted by ${signal}: ${state.told()}`);

/** Watches for signals, for commands that do not themselves. */
export function watchInterruptions(end: End): void {
  state.end = (failure) => {
    state.takeAway();
    end(failure);
  };
  for (const signal of INTERRUPTING)
    process.on(signal, () => {
      // A command that has handlers of its own goes on to its end.
      if (process.listenerCount(signal) > 1) return;
      const isSecond = state.signal !== null;
      state.signal = signal;
      if (isSecond || !state.isStepping) state.end(interruptedBy(signal));
      // What waits for a pipe or a server may not come to its next step.
      else
        setTimeout(() => {
          if (!state.isEnding) state.end(interruptedBy(signal));
        }, UNTIL_STEP_MS).unref();
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
  const { told: before, isStepping: wasStepping } = state;
  state.told = told;
  state.isStepping = true;
  try {
    return await work(() => {
      if (state.signal === null) return;
      state.isEnding = true;
      throw interruptedBy(state.signal);
    });
  } finally {
    state.isStepping = wasStepping;
    state.told = before;
  }
}

/** Calls back at every interruption from here on, until what it gives is called. */
export function onInterruptions(met: (signal: Interrupting) => void): () => void {
  const handlers = INTERRUPTING.map((signal) => {
    const handler = (): void => met(signal);
    process.on(signal, handler);
    return { signal, handler };
  });
  return () => {
    for (const { signal, handler } of handlers) process.off(signal, handler);
  };
}

/** Interruptions, one after the other: those too that come before anybody waits for one. */
export interface Interruptions {
  next(): Promise<void>;
  /** Watches for none any more. */
  end(): void;
}

/** Takes interruptions from here on. */
export function interruptions(): Interruptions {
  let met = 0;
  let wake = (): void => undefined;
  const end = onInterruptions(() => {
    met += 1;
    wake();
  });
  return {
    async next() {
      if (met === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      met -= 1;
    },
    end,
  };
}

/**
 * Does work that takes back by itself what it began where it is broken off, which it is by what the signal
 * that it is given throws. `told`: what is so then. What it does after it has looked for the last time is done.
 */
export async function unlessInterrupted(
  told: string,
  work: (abort: AbortSignal) => Promise<void>,
): Promise<void> {
  const { result: isDone, signal } = await untilSignal((abort) =>
    work(abort).then(
      () => true,
      (thrown: unknown) => {
        if (abort.aborted && thrown === abort.reason) return false;
        throw thrown;
      },
    ),
  );
  if (!isDone) throw new Interrupted(signal!, `interrupted by ${signal!}: ${told}`);
}

/**
 * Gives a signal that aborts when the command is interrupted, to work that ends cleanly by itself. The
 * next signal ends it at once, unless `holds` answers that: then it is of no effect.
 */
export async function untilSignal<A>(
  work: (abort: AbortSignal) => Promise<A>,
  holds: () => boolean = () => false,
): Promise<{ readonly result: A; readonly signal: Interrupting | null }> {
  const abort = new AbortController();
  let met: Interrupting | null = null;
  const end = onInterruptions((signal) => {
    if (met !== null && !holds()) state.end(interruptedBy(signal));
    met ??= signal;
    abort.abort();
  });
  try {
    return { result: await work(abort.signal), signal: met };
  } finally {
    end();
  }
}
