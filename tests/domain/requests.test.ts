// What guests asked for while their memory arrived: recorded once, kept by capture, prefetched next time.

import { describe, expect, test } from '@jest/globals';
import {
  decideRequests,
  evolveRequests,
  initialTraces,
  pagesOf,
  TOGETHER_PAGES_MAX,
  traceFor,
  TRACE_PAGES_MAX,
  type RecordRequests,
  type RequestsEvent,
} from '../../domain/requests.ts';
import { encodeControl } from '../../domain/events/control.ts';
import { pagesIn, type PageRanges } from '../../domain/values/page-ranges.ts';
import { events, specify } from '../support/given-when-then.ts';

const given = specify({
  initial: initialTraces,
  decide: decideRequests,
  evolve: evolveRequests,
});

const asked = (capture: number, ...pages: readonly number[]): RecordRequests => ({
  _tag: 'RecordRequests',
  vm: 'web',
  capture,
  pages,
});
const requested = (capture: number, ...pages: PageRanges): RequestsEvent => ({
  type: 'PageRequested',
  data: { vm: 'web', capture, pages },
});

describe('requests of a guest', () => {
  test('are recorded as ranges, each page once', () => {
    expect(given().when(asked(2, 7, 5, 6, 5, 0))).toEqual(events(requested(2, [0, 0], [5, 7])));
  });

  test('that the trace has are not recorded again, those of another capture are', () => {
    const past = [requested(2, [0, 0], [5, 7])];
    expect(given(...past).when(asked(2, 6, 8))).toEqual(events(requested(2, [8, 8])));
    expect(given(...past).when(asked(2, 6))).toEqual(events());
    expect(given(...past).when(asked(3, 6))).toEqual(events(requested(3, [6, 6])));
  });

  test('are cut, in their order, into sets of pages that were asked for together', () => {
    const pages = Array.from({ length: TOGETHER_PAGES_MAX + 2 }, (_, i) => 4_000_000_000 - 2 * i);
    const some = given().when(asked(1, ...pages));
    const list = some._tag === 'Right' ? some.right : [];
    expect(list.map(({ data }) => data.pages.length)).toEqual([TOGETHER_PAGES_MAX, 2]);
    const [last, lastButOne] = pages.slice(-2).toReversed();
    expect(list[1]!.data.pages).toEqual([
      [last, last],
      [lastButOne, lastButOne],
    ]);
    for (const event of list) expect(encodeControl(event)._tag).toBe('Right');
  });

  test('end where the trace is full', () => {
    const past = [requested(1, [0, TRACE_PAGES_MAX - 3])];
    const list = given(...past).when(asked(1, 500_000, 600_000, 700_000));
    expect(list).toEqual(events(requested(1, [500_000, 500_000], [600_000, 600_000])));
    expect(given(requested(1, [0, TRACE_PAGES_MAX])).when(asked(1, 500_000))).toEqual(events());
  });

  test('of a capture, else of the nearest before it, are what is prefetched', () => {
    const traces = [requested(2, [1, 1]), requested(5, [9, 9]), requested(5, [2, 3])].reduce(
      evolveRequests,
      initialTraces,
    );
    expect(traceFor(traces, 1)).toBeNull();
    expect(traceFor(traces, 4)).toEqual([[[1, 1]]]);
    // One set after the other, as they were asked for.
    expect(traceFor(traces, 5)).toEqual([[[9, 9]], [[2, 3]]]);
    expect(pagesIn(pagesOf(traceFor(traces, 8)!))).toBe(3);
  });
});
