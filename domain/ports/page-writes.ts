// The port to what reads page events in bulk: an event's bytes in, what its rows wrote out.

/** What the rows of a batch wrote: page `gfns[i]` holds `holdings[i]` since. */
export interface PageWrites {
  readonly gfns: Uint32Array;
  readonly holdings: Uint32Array;
}

/** Words for each pack that a batch names, and for the public patterns behind them: two spans. */
export const PACK_WORDS = 8;
/**
 * The first span is of contents, the second of patterns. A span: what slot 0 would hold, the first slot
 * that holds such, and how many do. A slot outside of it holds UNKNOWN.
 */
export const SPAN_WORDS = 4;
export const SPAN_FIRST = 1;
export const SPAN_COUNT = 2;

/** What slots of packs of these names hold, of the spans' form. */
export type SpansOf = (packs: readonly string[]) => Int32Array;

/**
 * What a PagesWritten wrote, as it was recorded; null where its data is malformed, just as it is for
 * `decodePageColumns`. Valid until the next call.
 */
export type ReadPageWrites = (data: Uint8Array, spansOf: SpansOf) => PageWrites | null;
