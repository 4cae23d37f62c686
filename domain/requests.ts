// What guests asked for that ran before their memory was there: by capture the pages, over all restores of
// it. Whoever gives that memory the next time gives these first; what is prefetched is never asked for,
// and stays. Nothing else depends on it.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { EventOf } from './events/control.ts';
import { isInRanges, rangesOf, unionOf, type CaptureRanges } from './values/capture-ranges.ts';

export type RequestsEvent = EventOf<'PageRequested'>;

/** Ranges of pages, as of captures. */
export type PageRanges = CaptureRanges;

/** The pages of one VM that were asked for, by capture. */
export type Traces = ReadonlyMap<number, PageRanges>;

export interface RecordRequests {
  readonly _tag: 'RecordRequests';
  readonly vm: string;
  readonly capture: number;
  /** In any order. */
  readonly pages: Iterable<number>;
}

export const initialTraces: Traces = new Map();

/** Ranges of one event: below EVENT_BYTES_MAX whatever the numbers are. */
export const REQUEST_RANGES_MAX = 8192;
/** Pages of a trace from which on nothing is added: a guest that runs for long asks for all it has. */
export const TRACE_PAGES_MAX = 2 ** 18;

/** Pages in ranges. */
export const pagesIn = (ranges: PageRanges): number =>
  ranges.reduce((pages, [first, last]) => pages + last - first + 1, 0);

/** What recording requests brings about: an event for what the trace does not have, or none. */
export const decideRequests =
  (traces: Traces) =>
  ({ vm, capture, pages }: RecordRequests): Either<never, readonly RequestsEvent[]> => {
    const known = traces.get(capture) ?? [];
    const room = TRACE_PAGES_MAX - pagesIn(known);
    const news = [...new Set(pages)].filter((page) => !isInRanges(known, page));
    const ranges = rangesOf(news.slice(0, Math.max(0, room)));
    const events: RequestsEvent[] = [];
    for (let at = 0; at < ranges.length; at += REQUEST_RANGES_MAX) {
      const some = ranges.slice(at, at + REQUEST_RANGES_MAX);
      events.push({ type: 'PageRequested', data: { vm, capture, pages: some } });
    }
    return either.right(events);
  };

/** The traces after an event. */
export function evolveRequests(traces: Traces, { data }: RequestsEvent): Traces {
  const { capture, pages } = data;
  return new Map(traces).set(capture, unionOf(traces.get(capture) ?? [], pages));
}

/** What to prefetch at a capture: its own trace, else that of the nearest before it; null: there is none. */
export function traceFor(traces: Traces, capture: number): PageRanges | null {
  let nearest = 0;
  for (const traced of traces.keys()) if (traced <= capture && traced > nearest) nearest = traced;
  return traces.get(nearest) ?? null;
}
