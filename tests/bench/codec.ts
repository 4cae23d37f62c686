// Packing pages against zstd at recording's level, on the blocks that a recorder makes of the memory of
// guests that no table was trained on: what they take, and how long it takes to pack them and to unpack
// them. The programs take turns at each block of a sample, one block after the other, and of each block
// the least time of all rounds counts, so that a busy machine costs both the same.

import { toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { compress, decompress } from '../../adapters/kernels/codec/zstd.ts';
import { loadKernels, PACKED_ROOM_BYTES } from '../../adapters/kernels/engine/kernels.ts';
import { assert } from '../../domain/values/assert.ts';
import { PACKED_PAGES_MAX } from '../../domain/values/pack.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { buildGuest, MIXED } from '../support/guest/mixed-guests.ts';
import { twoMemories } from '../support/guest/two-memories.ts';
import type { Bench, BenchContext } from './bench.ts';
import { guestBlocks } from './guest-blocks.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const LEVEL = 1;
const RAW_SHARE = 15 / 16;
/** How much coding literals must save, as a shift of their bytes. */
const GRADES = [
  { name: 'normal', shift: 4, targets: { bytes: 1.02, encode: 2, decode: 4 } },
  { name: 'fast', shift: 0, targets: null },
] as const;
type Grade = (typeof GRADES)[number];

const sizes = (context: BenchContext) =>
  context.isQuick
    ? { memoryMib: 192, scale: 4, ticks: [3, 5] as const, sampled: 60, rounds: 3 }
    : { memoryMib: 320, scale: 20, ticks: [12, 20] as const, sampled: 400, rounds: 12 };

/** The kernels with room for a block and its packed form. */
class Packer {
  readonly #kernels = loadKernels({
    arenaBytes: 2 * PACKED_ROOM_BYTES + 2 * PACKED_PAGES_MAX * PAGE_BYTES,
  });
  readonly #packedAt = this.#kernels.arena + PACKED_PAGES_MAX * PAGE_BYTES + PAGE_BYTES;
  readonly #backAt = this.#packedAt + PACKED_ROOM_BYTES;
  readonly #out = new Uint8Array(PACKED_PAGES_MAX * PAGE_BYTES);

  /** Puts a block where a recorder has its pages. */
  load(block: Uint8Array): void {
    this.#kernels.bytes.set(block, this.#kernels.arena);
  }

  pack(lengthBytes: number, shift: number): Uint8Array {
    const { arena, bytes } = this.#kernels;
    const size = this.#kernels.packPages({ at: arena, lengthBytes }, this.#packedAt, shift);
    return bytes.slice(this.#packedAt, this.#packedAt + size);
  }

  unpack(packed: Uint8Array, lengthBytes: number): Uint8Array {
    const { bytes } = this.#kernels;
    bytes.set(packed, this.#packedAt);
    const source = { at: this.#packedAt, lengthBytes: packed.length };
    assert(
      this.#kernels.unpackPages(source, { at: this.#backAt, lengthBytes }),
      'a packed block is one',
    );
    this.#out.set(bytes.subarray(this.#backAt, this.#backAt + lengthBytes));
    return this.#out.subarray(0, lengthBytes);
  }
}

/** What a block takes where it is stored raw if it does not get small enough. */
const storedBytes = (packed: number, raw: number): number =>
  packed > raw * RAW_SHARE ? raw : packed;

interface Times {
  encode: number;
  decode: number;
}

function timed<A>(times: Times, what: keyof Times, work: () => A): A {
  const start = performance.now();
  const result = work();
  times[what] = Math.min(times[what], performance.now() - start);
  return result;
}

/** Least seconds for each of the sampled blocks, summed: of zstd first, then of each grade. */
function measure(packer: Packer, sampled: readonly Uint8Array[], rounds: number): readonly Times[] {
  const least = sampled.map(() =>
    [0, ...GRADES].map((): Times => ({ encode: Infinity, decode: Infinity })),
  );
  // All blocks each round: a processor learns the branches of a block that comes again at once.
  for (let round = 0; round < rounds; round += 1)
    for (const [i, block] of sampled.entries()) {
      const [ofZstd, ...ofGrades] = least[i]! as [Times, ...Times[]];
      const frame = timed(ofZstd, 'encode', () => compress(block, LEVEL));
      timed(ofZstd, 'decode', () => decompress(frame, block.length));
      packer.load(block);
      for (const [grade, { shift }] of GRADES.entries()) {
        const times = ofGrades[grade]!;
        const packed = timed(times, 'encode', () => packer.pack(block.length, shift));
        timed(times, 'decode', () => packer.unpack(packed, block.length));
      }
    }
  const secondsOf = (of: number, what: keyof Times): number =>
    least.reduce((sum, times) => sum + times[of]![what] / 1000, 0);
  return [0, ...GRADES].map((_, of) => ({
    encode: secondsOf(of, 'encode'),
    decode: secondsOf(of, 'decode'),
  }));
}

interface Sizes {
  raw: number;
  zstd: number;
  readonly byGrade: number[];
}

/** What all blocks take; each is compared with what comes back. */
function sizesOf(packer: Packer, blocks: readonly Uint8Array[]): Sizes {
  const sums: Sizes = { raw: 0, zstd: 0, byGrade: GRADES.map(() => 0) };
  for (const block of blocks) {
    packer.load(block);
    sums.raw += block.length;
    sums.zstd += storedBytes(compress(block, LEVEL).length, block.length);
    for (const [i, { shift }] of GRADES.entries()) {
      const packed = packer.pack(block.length, shift);
      assert(
        Buffer.compare(packer.unpack(packed, block.length), block) === 0,
        'a block comes back as it was',
      );
      sums.byGrade[i]! += storedBytes(packed.length, block.length);
    }
  }
  return sums;
}

const told = (what: string, grade: Grade): string => `${what}, ${grade.name}`;

/** The rows of one guest's blocks. */
function rowsOf(
  what: string,
  request: { readonly blocks: readonly Uint8Array[]; readonly context: BenchContext },
): Row[] {
  const { blocks, context } = request;
  const { sampled: count, rounds } = sizes(context);
  const packer = new Packer();
  const bytes = sizesOf(packer, blocks);
  const step = Math.max(1, Math.floor(blocks.length / count));
  const sampled = blocks.filter((_, i) => i % step === 0);
  const times = measure(packer, sampled, rounds);
  const pages = sampled.reduce((sum, block) => sum + block.length / PAGE_BYTES, 0);
  const microseconds = (seconds: number) => figureOf([(seconds * 1e6) / pages], 'us/page');
  const perPage = (size: number) => figureOf([(size / bytes.raw) * PAGE_BYTES], 'B/page');
  return GRADES.flatMap((grade, i) => {
    const { targets } = grade;
    const target = (sense: 'at least' | 'at most', bound: number | undefined) =>
      bound === undefined ? {} : { target: { sense, bound } };
    const own = times[i + 1]!;
    return [
      rowOf({
        what: `bytes: ${told(what, grade)}`,
        measured: perPage(bytes.byGrade[i]!),
        limit: { what: 'zstd 1', figure: perPage(bytes.zstd) },
        ...target('at most', targets?.bytes),
        ...(i === 0 ? { note: `${blocks.length} blocks, ${pages} pages of them timed` } : {}),
      }),
      ...(['encode', 'decode'] as const).map((way) =>
        rowOf({
          what: `${way}: ${told(what, grade)}`,
          measured: microseconds(own[way]),
          limit: { what: 'zstd 1', figure: microseconds(times[0]![way]) },
          inverse: true,
          ...target('at least', targets?.[way]),
        }),
      ),
    ];
  });
}

export const codec: Bench = {
  name: 'codec',
  title: 'Packing blocks of pages',
  run: async (context) => {
    const { memoryMib, scale, ticks } = sizes(context);
    const tools = toolsAtHand();
    if (tools === null) return [];
    const rows: Row[] = [];
    for (const kind of MIXED) {
      const built = await buildGuest(tools, { kind, scale });
      if (built.guests === null) {
        context.tell(`no guest can run here: ${built.reason}`);
        return rows;
      }
      context.tell(built.guests.told);
      const files = await twoMemories(built.guests, { folder: context.folder, memoryMib, ticks });
      const [first, second] = await guestBlocks(files);
      rows.push(...rowsOf(`${built.guests.told}, first memory`, { blocks: first, context }));
      rows.push(...rowsOf(`${built.guests.told}, what changed`, { blocks: second, context }));
    }
    return rows;
  },
};
