// The identifier index at ten million pages: how quickly it takes identifiers in, and what a look-up
// costs against one random read of a cache line of an array of the same size.
//
// One read is timed in a chain, where each place depends on the value read before: the time that one
// takes. A look-up ends with a branch that depends on what it read, so look-ups hardly overlap; reads
// that overlap are told beside it.

import { randomFillSync } from 'node:crypto';
import { mkdirSync, openSync, readSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFiles } from '../../adapters/files/files.ts';
import { identifierFile } from '../../adapters/stores/derived/identifier-file.ts';
import { assert } from '../../domain/values/assert.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { PACK_PAGES_MAX } from '../../domain/values/page.ts';
import { IdentifierIndex } from '../../projections/models/identifier-index.ts';
import type { Bench, BenchContext } from './bench.ts';
import { freshFolder } from './ledgers.ts';
import { figureOf, rowOf, sampled, type Row } from './measure.ts';

const INSERTS_AT_LEAST = 5;
const LOOKUPS_AT_MOST = 2;
/** Bytes that the identifier file is read by: one page of the system. */
const READ_BYTES = 4032;
/** Most numbers that are kept to look up again. */
const WANTED_MAX = 200_000;

interface Built {
  readonly index: IdentifierIndex;
  readonly found: Uint8Array;
  readonly absent: Uint8Array;
  readonly insertsPerSecond: number;
  readonly path: string;
  close(): void;
}

/** Fills an index with random identifiers, a pack at a time, as the fold does. */
async function build(context: BenchContext, entries: number, wanted: number): Promise<Built> {
  const folder = freshFolder(context, 'index');
  mkdirSync(folder);
  const path = join(folder, 'identifiers');
  const column = identifierFile({ files: nodeFiles, path });
  await column.ready();
  const index = new IdentifierIndex(column);
  const found = new Uint8Array(wanted * IDENTIFIER_BYTES);
  const absent = randomFillSync(new Uint8Array(wanted * IDENTIFIER_BYTES));
  const pack = new Uint8Array(PACK_PAGES_MAX * IDENTIFIER_BYTES);
  let ms = 0;
  const keptOfPack = Math.ceil((wanted * PACK_PAGES_MAX) / entries);
  let kept = 0;
  for (let first = 0; first < entries; first += PACK_PAGES_MAX) {
    randomFillSync(pack);
    const start = performance.now();
    column.append(first, pack);
    index.insertAll(pack, { first, rows: PACK_PAGES_MAX }, () => undefined);
    ms += performance.now() - start;
    for (let i = 0; i < keptOfPack && kept < wanted; i += 1) {
      const at = Math.floor((i * PACK_PAGES_MAX) / keptOfPack) * IDENTIFIER_BYTES;
      found.set(pack.subarray(at, at + IDENTIFIER_BYTES), kept * IDENTIFIER_BYTES);
      kept += 1;
    }
  }
  assert(index.count >= entries, 'random identifiers are distinct');
  const insertsPerSecond = index.count / (ms / 1000);
  return {
    index,
    found: found.subarray(0, kept * IDENTIFIER_BYTES),
    absent,
    insertsPerSecond,
    path,
    close: () => column.close(),
  };
}

/** Row numbers in random order. */
function shuffled(count: number): Uint32Array {
  const rows = Uint32Array.from({ length: count }, (_, i) => i);
  const random = randomFillSync(new Uint32Array(count));
  for (let i = count - 1; i > 0; i -= 1) {
    const other = random[i]! % (i + 1);
    [rows[i], rows[other]] = [rows[other]!, rows[i]!];
  }
  return rows;
}

type Loop = (rows: Uint32Array) => number;

/** Nanoseconds of one of the loop's steps. */
function stepNs(loop: Loop, rows: Uint32Array): number {
  const start = performance.now();
  const sum = loop(rows);
  const ns = ((performance.now() - start) * 1e6) / rows.length;
  assert(Number.isFinite(sum), 'the loop was run');
  return ns;
}

const lookUps =
  (index: IdentifierIndex, identifiers: Uint8Array): Loop =>
  (rows) => {
    let sum = 0;
    for (let i = 0; i < rows.length; i += 1) sum += index.find(identifiers, rows[i]!);
    return sum;
  };

/** Reads of an array of zeros at random places; in turn, each place depends on the value before. */
function lineReads(array: Uint32Array, places: Uint32Array): { inTurn: Loop; together: Loop } {
  return {
    inTurn: (rows) => {
      let value = 0;
      for (let i = 0; i < rows.length; i += 1) value = array[places[rows[i]!]! + value]!;
      return value;
    },
    together: (rows) => {
      let sum = 0;
      for (let i = 0; i < rows.length; i += 1) sum += array[places[rows[i]!]!]!;
      return sum;
    },
  };
}

/** Nanoseconds of one read of the identifier file at a random place, warm. */
function fileReadNs(path: string, request: { entries: number; count: number }): number {
  const fd = openSync(path, 'r');
  const target = new Uint8Array(READ_BYTES);
  const random = randomFillSync(new Uint32Array(request.count));
  const start = performance.now();
  for (const draw of random) readSync(fd, target, 0, READ_BYTES, (draw % request.entries) * 36);
  const ns = ((performance.now() - start) * 1e6) / request.count;
  closeSync(fd);
  return ns;
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const entries = (context.isQuick ? 32 : 2442) * PACK_PAGES_MAX;
  const wanted = context.isQuick ? 10_000 : WANTED_MAX;
  const samples = context.isQuick ? 3 : 15;
  context.tell(`an index of ${entries} identifiers`);
  const rates = await sampled(context.isQuick ? 1 : 3, async () => {
    const built = await build(context, entries, wanted);
    built.close();
    return built.insertsPerSecond / 1e6;
  });
  const built = await build(context, entries, wanted);
  const { index, found, absent, path } = built;
  const array = new Uint32Array(index.byteLength / 4).fill(1).fill(0);
  const places = randomFillSync(new Uint32Array(wanted)).map((draw) => draw % array.length);
  const { inTurn, together } = lineReads(array, places);
  const rowsOfFound = found.length / IDENTIFIER_BYTES;
  const times = { inTurn: [0], together: [0], absent: [0], found: [0], file: [0] };
  for (let sample = -2; sample < samples; sample += 1) {
    const rows = shuffled(wanted);
    const one = {
      inTurn: stepNs(inTurn, rows),
      together: stepNs(together, shuffled(wanted)),
      absent: stepNs(lookUps(index, absent), shuffled(wanted)),
      found: stepNs(lookUps(index, found), shuffled(rowsOfFound)),
      file: fileReadNs(path, { entries, count: rowsOfFound }),
    };
    for (const key of ['inTurn', 'together', 'absent', 'found', 'file'] as const) {
      if (sample === 0) times[key].length = 0;
      times[key].push(one[key]);
    }
  }
  built.close();
  const line = figureOf(times.inTurn, 'ns');
  const lineAndFile = times.inTurn.map((ns, i) => ns + times.file[i]!);
  const atMost = { sense: 'at most', bound: LOOKUPS_AT_MOST } as const;
  return [
    rowOf({
      what: `identifiers taken into the index, up to ${entries}`,
      measured: figureOf(rates, 'M/s'),
      target: { sense: 'at least', bound: INSERTS_AT_LEAST },
      note: `looked up, taken in and written to the identifier file; the table takes ${(index.byteLength / index.count).toFixed(1)} bytes an entry`,
    }),
    rowOf({
      what: 'look-up, not found',
      measured: figureOf(times.absent, 'ns'),
      limit: { what: 'one random read of a cache line', figure: line },
      target: atMost,
    }),
    rowOf({
      what: 'look-up, found',
      measured: figureOf(times.found, 'ns'),
      limit: {
        what: 'such a read and a warm read of the identifier file',
        figure: figureOf(lineAndFile, 'ns'),
      },
      target: atMost,
    }),
    rowOf({
      what: 'look-up, not found, against reads that do not wait for each other',
      measured: figureOf(times.absent, 'ns'),
      limit: { what: 'a random read of a cache line', figure: figureOf(times.together, 'ns') },
    }),
  ];
}

export const identifierIndex: Bench = {
  name: 'identifier-index',
  title: 'The identifier index at ten million pages',
  run,
};
