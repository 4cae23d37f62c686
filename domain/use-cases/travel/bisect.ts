// The first of moments in order from which on something is true, by asking at few of them: as `git
// bisect` does, it is taken that what is once true stays so. Moments at which it cannot be told are passed
// over.

/** What was answered at a moment. */
export type Verdict = 'true' | 'false' | 'skip';

export interface Bisected {
  /** Moments from 0. */
  readonly count: number;
  /** What was answered so far, by moment. */
  readonly verdicts: ReadonlyMap<number, Verdict>;
}

/** What comes next: a moment to ask at, or the answer. */
export type BisectStep =
  | { readonly _tag: 'ask'; readonly moment: number }
  /** It was first true at one of these, ascending: of several those before the last cannot be told. */
  | { readonly _tag: 'found'; readonly among: readonly number[] }
  | { readonly _tag: 'never' }
  /** It could be told at none. */
  | { readonly _tag: 'untold' };

/** The next step. The last moment is asked first: where it is not true there, it never is. */
export function bisectStep({ count, verdicts }: Bisected): BisectStep {
  let high = count;
  let low = -1;
  for (const [moment, verdict] of verdicts) {
    if (verdict === 'true' && moment < high) high = moment;
    if (verdict === 'false' && moment > low) low = moment;
  }
  if (high === count) {
    // From the end back until it can be told.
    for (let moment = count - 1; moment > low; moment -= 1)
      if (!verdicts.has(moment)) return { _tag: 'ask', moment };
    return { _tag: low < 0 ? 'untold' : 'never' };
  }
  if (low > high) return { _tag: 'found', among: [high] };
  const between: number[] = [];
  for (let moment = low + 1; moment < high; moment += 1)
    if (!verdicts.has(moment)) between.push(moment);
  const middle = (low + high) / 2;
  const [nearest] = between.toSorted((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
  if (nearest !== undefined) return { _tag: 'ask', moment: nearest };
  const among: number[] = [];
  for (let moment = low + 1; moment <= high; moment += 1) among.push(moment);
  return { _tag: 'found', among };
}
