// Page events read by the kernel, from an event's bytes to what its rows wrote.

import * as either from 'fp-ts/lib/Either.js';
import { readBatchHead, ROW_BYTES_MAX } from '../../domain/events/pages-written.ts';
import { PACK_WORDS, type ReadPageWrites } from '../../domain/ports/page-writes.ts';
import { BATCH_ROWS_MAX } from '../../domain/values/page.ts';
import { loadKernels, type Kernels } from './engine/kernels.ts';

const WORD_BYTES = 4;
/** More than any rows take. What is read behind them is past the room, where spans begin. */
const COLUMNS_BYTES = BATCH_ROWS_MAX * ROW_BYTES_MAX;
const ROWS_BYTES = BATCH_ROWS_MAX * WORD_BYTES;
/** As many as a head can name, and the public patterns. */
const SPANS_BYTES = 2 ** 16 * PACK_WORDS * WORD_BYTES;

/** Where things lie in the kernel's memory. */
const roomsOf = ({ arena, bytes }: Kernels) => {
  const columns = arena + 2 * ROWS_BYTES;
  const spans = columns + COLUMNS_BYTES;
  return {
    gfns: new Uint32Array(bytes.buffer, arena, BATCH_ROWS_MAX),
    holdings: new Uint32Array(bytes.buffer, arena + ROWS_BYTES, BATCH_ROWS_MAX),
    columns: bytes.subarray(columns, spans),
    spans: new Int32Array(bytes.buffer, spans, SPANS_BYTES / WORD_BYTES),
  };
};

const load = () => {
  const kernels = loadKernels({ arenaBytes: 2 * ROWS_BYTES + COLUMNS_BYTES + SPANS_BYTES });
  return { kernels, rooms: roomsOf(kernels) };
};

let loaded: ReturnType<typeof load> | null = null;

/** Reads page events with the kernel of this thread, which is loaded when the first one comes. */
export const readPageWrites: ReadPageWrites = (data, spansOf) => {
  const head = readBatchHead(data);
  if (either.isLeft(head)) return null;
  const { rows, packs, kindsAt, ...sizes } = head.right;
  if (data.length - kindsAt > COLUMNS_BYTES) return null;
  loaded ??= load();
  const { kernels, rooms } = loaded;
  const { gfns, holdings, columns, spans } = rooms;
  columns.set(data.subarray(kindsAt));
  spans.set(spansOf(packs));
  const at = { kinds: columns.byteOffset, spans: spans.byteOffset };
  const batch = { ...at, ...sizes, rows, packs: packs.length };
  const out = { gfns: gfns.byteOffset, holdings: holdings.byteOffset };
  if (!kernels.pageWrites(batch, out)) return null;
  return { gfns: gfns.subarray(0, rows), holdings: holdings.subarray(0, rows) };
};
