// What guests asked for that ran before their memory was there: by capture the pages, over all restores of
// it, in the order in which they were first asked for. Whoever gives that memory the next time gives
// these first; what is prefetched is never asked for, and stays. Nothing else depends on it.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { EventOf } from './events/control.ts';
import { isInRanges, rangesOf, unionOf } from './values/capture-ranges.ts';
import { pagesIn, type PageRanges } from './values/page-ranges.ts';

export type RequestsEvent = EventOf<'PageRequested'>;

/** The pages that were asked for of a capture: those that were asked for together, one set after the other. */
export type Trace = readonly PageRanges[];

/** The pages of one VM that were asked for, by capture. */
export type Traces = ReadonlyMap<number, Trace>;

export interface RecordRequests {
  readonly _tag: 'RecordRequests';
  readonly vm: string;
  readonly capture: number;
  /** In the order in which they were asked for. */
  readonly pages: Iterable<number>;
}

export const initialTraces: Traces = new Map();

/** Most pages of one event: what is asked for after them is asked for later. */
export const TOGETHER_PAGES_MAX = 128;
/** Pages of a trace from which on nothing is added: a guest that runs for long asks for all it has. */
export const TRACE_PAGES_MAX = 2 ** 18;

/** All pages of a trace. */
export const pagesOf = (trace: Trace): PageRanges => unionOf([], trace.flat());

/** What recording requests brings about: an event for what the trace does not have, or none. */
export const decideRequests =
  (traces: Traces) =>
  ({ vm, capture, pages }: RecordRequests): Either<never, readonly RequestsEvent[]> => {
    const known = pagesOf(traces.get(capture) ?? []);
    const room = TRACE_PAGES_MAX - pagesIn(known);
    const news = [...new Set(pages)]
      .filter((page) => !isInRanges(known, page))
      .slice(0, Math.max(0, room));
    const events: RequestsEvent[] = [];
    for (let at = 0; at < news.length; at += TOGETHER_PAGES_MAX) {
      const together = rangesOf(news.slice(at, at + TOGETHER_PAGES_MAX));
      events.push({ type: 'PageRequested', data: { vm, capture, pages: together } });
    }
    return either.right(events);
  };

/** The traces after an event. */
export function evolveRequests(traces: Traces, { data }: RequestsEvent): Traces {
  const { capture, pages } = data;
  return new Map(traces).set(capture, [...(traces.get(capture) ?? []), pages]);
}

/** What to prefetch at a capture: its own trace, else that of the nearest before it; null: there is none. */
export function traceFor(traces: Traces, capture: number): Trace | null {
  let nearest = 0;
  for (const traced of traces.keys()) if (traced <= capture && traced > nearest) nearest = traced;
  return traces.get(nearest) ?? null;
}
