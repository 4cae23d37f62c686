// `node dist/tests/bench/train-tables.js FOLDER`: makes the tables of codes that packed pages are coded
// with (docs/format.md, "Packed pages") from the memory of guests that run free software of Debian's
// (tests/support/guest/training-guests.ts), which no bench measures. Memories that lie in FOLDER
// already are used again. The tables are part of the format: what is written here is another version
// of them, not a better one of the same.
//
// For each stream the streams of sampled blocks are grouped by which of k tables takes the fewest bits
// for them, and each table is made anew from its group, until nothing is gained (Lloyd's algorithm,
// with bits for distance).

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { loadKernels, PACKED_ROOM_BYTES } from '../../adapters/kernels/engine/kernels.ts';
import { assert } from '../../domain/values/assert.ts';
import { PACKED_PAGES_MAX } from '../../domain/values/pack.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { buildTrainingGuests, TRAINING } from '../support/guest/training-guests.ts';
import { twoMemories } from '../support/guest/two-memories.ts';
import { seededRandom } from '../support/images.ts';
import { STREAMS, streamsOf } from '../support/packs/packed-pages.ts';
import { guestBlocks } from './guest-blocks.ts';
import { resultsFolder } from './report.ts';

type StreamName = (typeof STREAMS)[number];
type Counts = Float64Array;

const TABLES: Readonly<Record<StreamName, number>> = {
  tokens: 8,
  lows: 8,
  highs: 4,
  extras: 4,
  literals: 16,
};
const LENGTH_MAX = 11;
const SYMBOLS = 256;
/** Blocks of each guest, of its first memory and of what changed. */
const SAMPLED = [1200, 1800] as const;
/** Shorter streams say too little. */
const COUNTED_FROM = 24;
const ROUNDS_MAX = 30;
const MEMORY_MIB = { java: 640, ruby: 256, php: 256, shell: 256 } as const;
const TICKS = { java: [20, 40], ruby: [12, 18], php: [12, 18], shell: [12, 18] } as const;
const SCALE = 16;

/** Evenly spread over the list. */
const sampleOf = <A>(list: readonly A[], count: number): A[] =>
  list.length <= count
    ? [...list]
    : Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]!);

/** Lengths of at most LENGTH_MAX bits that cost the least for these weights (package-merge). */
function lengthsOf(weights: Counts): number[] {
  interface Item {
    readonly weight: number;
    readonly symbols: readonly number[];
  }
  const byWeight = (a: Item, b: Item): number => a.weight - b.weight;
  const leaves = Array.from(weights, (weight, symbol): Item => ({ weight, symbols: [symbol] }));
  leaves.sort(byWeight);
  let row: Item[] = leaves;
  for (let length = 1; length < LENGTH_MAX; length += 1) {
    const pairs: Item[] = [];
    for (let i = 0; i + 1 < row.length; i += 2) {
      const [a, b] = [row[i]!, row[i + 1]!];
      pairs.push({ weight: a.weight + b.weight, symbols: [...a.symbols, ...b.symbols] });
    }
    row = [...leaves, ...pairs].toSorted(byWeight);
  }
  const lengths = Array.from(weights, () => 0);
  for (const { symbols } of row.slice(0, 2 * SYMBOLS - 2))
    for (const symbol of symbols) lengths[symbol]! += 1;
  return lengths;
}

function bitsOf(counts: Counts, lengths: readonly number[]): number {
  let bits = 0;
  for (let symbol = 0; symbol < SYMBOLS; symbol += 1) bits += counts[symbol]! * lengths[symbol]!;
  return bits;
}

function sumOf(all: readonly Counts[]): Counts {
  const sum = new Float64Array(SYMBOLS);
  for (const counts of all) for (let s = 0; s < SYMBOLS; s += 1) sum[s]! += counts[s]!;
  return sum;
}

/** A table for what was counted; every symbol has a code, the absent ones a long one. */
function tableFor(counts: Counts): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return lengthsOf(counts.map((count) => count + total / 20_000 + 0.01));
}

/** The table that takes the fewest bits for what was counted, and how many. */
function bestOf(counts: Counts, tables: readonly number[][]): { table: number; bits: number } {
  let best = { table: 0, bits: Infinity };
  for (const [table, lengths] of tables.entries()) {
    const bits = bitsOf(counts, lengths);
    if (bits < best.bits) best = { table, bits };
  }
  return best;
}

/** As many bits as information theory asks for. */
function entropyOf(counts: Counts): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.reduce((bits, n) => (n === 0 ? bits : bits - n * Math.log2(n / total)), 0);
}

/** Tables to begin with: one for all, then each for one of the streams that cost too much so far. */
function firstTables(streams: readonly Counts[], count: number): number[][] {
  const random = seededRandom(12_345);
  const all = sumOf(streams);
  const total = all.reduce((sum, n) => sum + n, 0);
  const tables = [tableFor(all)];
  while (tables.length < count) {
    const drawn = Array.from({ length: 400 }, () => streams[random(streams.length)]!);
    const costs = drawn.map((counts) => ({
      counts,
      over: bestOf(counts, tables).bits - entropyOf(counts),
    }));
    const { counts: picked } = costs.toSorted((a, b) => b.over - a.over)[20]!;
    const own = picked.reduce((sum, n) => sum + n, 0);
    tables.push(tableFor(picked.map((n, symbol) => n + (0.1 * own * all[symbol]!) / total)));
  }
  return tables;
}

/** So many tables for these streams. */
function train(streams: readonly Counts[], count: number): number[][] {
  let tables = firstTables(streams, count);
  let last = Infinity;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const groups = tables.map((): Counts[] => []);
    let bits = 0;
    for (const counts of streams) {
      const best = bestOf(counts, tables);
      groups[best.table]!.push(counts);
      bits += best.bits;
    }
    tables = groups.map((group, i) => (group.length > 0 ? tableFor(sumOf(group)) : tables[i]!));
    if (bits > last * 0.9998) break;
    last = bits;
  }
  return tables;
}

/** What is counted in the streams of blocks, by stream. */
class StreamCounts {
  readonly byStream = new Map<StreamName, Counts[]>(STREAMS.map((name) => [name, []]));
  readonly #kernels = loadKernels({
    arenaBytes: 2 * PACKED_ROOM_BYTES + PACKED_PAGES_MAX * PAGE_BYTES,
  });

  add(block: Uint8Array): void {
    const { bytes, arena } = this.#kernels;
    const out = arena + PACKED_ROOM_BYTES;
    bytes.set(block, arena);
    const size = this.#kernels.packPages({ at: arena, lengthBytes: block.length }, out, 0);
    const streams = streamsOf(bytes.subarray(out, out + size), block.length / PAGE_BYTES);
    assert(streams !== null, 'what was packed is read again');
    for (const name of STREAMS) {
      if (streams[name].length < COUNTED_FROM) continue;
      const counts = new Float64Array(SYMBOLS);
      for (const symbol of streams[name]) counts[symbol]! += 1;
      this.byStream.get(name)!.push(counts);
    }
  }
}

const digits = (lengths: readonly number[]): string =>
  lengths.map((length) => length.toString(16)).join('');

/** The tables as the kernels have them. */
function kernelText(tables: ReadonlyMap<StreamName, number[][]>): string {
  let first = 0;
  const constants: string[] = [];
  const bytes: number[] = [];
  for (const name of STREAMS) {
    const own = tables.get(name)!;
    const upper = name.toUpperCase();
    constants.push(`export const ${upper}: u32 = ${first};`);
    constants.push(`export const ${upper.slice(0, -1)}_TABLES: u32 = ${own.length};`);
    first += own.length;
    for (const lengths of own)
      for (let symbol = 0; symbol < SYMBOLS; symbol += 2)
        bytes.push(lengths[symbol]! + 16 * lengths[symbol + 1]!);
  }
  return `// The codes of packed pages (docs/format.md): the length of each symbol's code in each table, four
// bits a symbol, the lower ones first. Made by tests/bench/train-tables.ts and part of the format:
// another collection is another version.

export const TABLES_VERSION: u32 = 1;
/** The first table of each stream, and how many it has. */
${constants.join('\n')}
export const TABLES: u32 = ${first};

// prettier-ignore
export const CODE_LENGTHS = memory.data<u8>([
${Array.from({ length: bytes.length / 32 }, (_, i) => `  ${bytes.slice(32 * i, 32 * i + 32).join(',')},`).join('\n')}
]);
`;
}

async function main(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const tools = toolsAtHand();
  assert(tools !== null, 'QEMU, busybox and a kernel are here');
  const counted = new StreamCounts();
  for (const kind of TRAINING) {
    const built = await buildTrainingGuests(tools, { kinds: [kind], scale: SCALE });
    assert(built.guests !== null, `a guest can be built: ${built.reason ?? ''}`);
    const request = { folder, memoryMib: MEMORY_MIB[kind], ticks: TICKS[kind] };
    const blocks = await guestBlocks(await twoMemories(built.guests[0]!, request));
    for (const [i, own] of blocks.entries())
      for (const block of sampleOf(own, SAMPLED[i]!)) counted.add(block);
    process.stdout.write(
      `${built.guests[0]!.told}: ${blocks.map((own) => own.length).join(', ')}\n`,
    );
  }
  const tables = new Map<StreamName, number[][]>();
  for (const [name, streams] of counted.byStream) {
    const own = train(streams, TABLES[name]);
    tables.set(name, own);
    const bits = streams.reduce((sum, counts) => sum + bestOf(counts, own).bits, 0);
    const least = streams.reduce((sum, counts) => sum + entropyOf(counts), 0);
    process.stdout.write(
      `${name}: ${streams.length} streams, ${(bits / 8).toFixed(0)} bytes, least ${(least / 8).toFixed(0)}\n`,
    );
  }
  const root = join(dirname(dirname(resultsFolder())), '..');
  writeFileSync(join(root, 'adapters/kernels/assembly/code-tables.ts'), kernelText(tables));
  const lines = [...tables].flatMap(([name, own]) =>
    own.map((each) => `${name} ${digits(each)}\n`),
  );
  const golden = join(root, 'tests/golden/packed-pages-1');
  mkdirSync(golden, { recursive: true });
  writeFileSync(join(golden, 'tables.txt'), lines.join(''));
}

await main(process.argv[2]!);
