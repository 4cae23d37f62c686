// Where bytes stood, held against looking at the whole memory of every capture.

import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import {
  ByteFinder,
  PLACES_MAX,
  type FindPorts,
  type FoundPlace,
  type Span,
} from '../../../../domain/use-cases/travel/find.ts';
import { needleOf, type IndexOf } from '../../../../domain/use-cases/travel/needle.ts';
import { ZERO, type Holding } from '../../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { triesOf } from '../../../support/long-run.ts';

const VMS = ['a', 'b'];
const PAGES = 4;
const CAPTURES = 5;
const EDGE_BYTES = 3;

const indexOf: IndexOf = (bytes, needle, from) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(needle, from);

/** A page that is zeros but for how it begins and ends, and a stretch in between. */
interface Edges {
  readonly begins: readonly number[];
  readonly ends: readonly number[];
  readonly between: readonly number[];
}

function pageOf({ begins, ends, between }: Edges): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  page.set(begins);
  page.set(between, 1000);
  page.set(ends, PAGE_BYTES - ends.length);
  return page;
}

/** Pages in the order of their frames, from a capture on: they may be moved once, with a hole. */
type Frames = readonly (number | null)[];

interface World {
  /** Distinct pages; 0 is zeros. */
  readonly contents: readonly Uint8Array[];
  /** By VM, capture and page: which content it holds. */
  readonly holds: readonly (readonly (readonly number[])[])[];
  readonly frames: readonly [Frames, Frames];
  /** The first capture at which the second order of frames holds. */
  readonly movedAt: number;
}

const CAPTURE_NUMBERS = Array.from({ length: CAPTURES }, (_, i) => i + 1);
const heldAt = ({ holds }: World, vm: string, capture: number, gfn: number): Holding =>
  holds[VMS.indexOf(vm)]![capture - 1]![gfn]!;

/** Spans in which something is the same, out of what it is at each capture. */
function spansOf<A>(at: (capture: number) => A): (Span & { readonly value: A })[] {
  const spans: { from: number; to: number; value: A }[] = [];
  for (const capture of CAPTURE_NUMBERS) {
    const value = at(capture);
    const last = spans.at(-1);
    if (last?.value === value) continue;
    if (last !== undefined) last.to = capture;
    spans.push({ from: capture, to: Infinity, value });
  }
  return spans;
}

function portsOf(world: World): FindPorts {
  const { contents, frames, movedAt } = world;
  const gfns = Array.from({ length: PAGES }, (_, gfn) => gfn);
  return {
    indexOf,
    // eslint-disable-next-line typescript/require-await -- the port is one that waits
    async *pages(which) {
      const all = which === 'all' ? contents.map((_, i) => i).filter((i) => i !== ZERO) : which;
      const bytes = new Uint8Array(all.length * PAGE_BYTES);
      for (const [i, holding] of all.entries()) bytes.set(contents[holding]!, i * PAGE_BYTES);
      yield { holdings: all, bytes };
    },
    holders: (holdings) =>
      Promise.resolve(
        new Map(
          holdings.map((holding) => [
            holding,
            VMS.flatMap((vm) =>
              gfns.flatMap((gfn) =>
                spansOf((capture) => heldAt(world, vm, capture, gfn))
                  .filter(({ value }) => value === holding)
                  .map(({ from, to }) => ({ vm, gfn, from, to })),
              ),
            ),
          ]),
        ),
      ),
    versions: (vm, gfn) =>
      Promise.resolve(
        spansOf((capture) => heldAt(world, vm, capture, gfn)).map(({ value, ...span }) => ({
          ...span,
          holding: value,
        })),
      ),
    neighbours: ({ gfn }, by) =>
      frames.flatMap((order, i) => {
        const at = order.indexOf(gfn);
        const beside = at < 0 ? undefined : order[at + by];
        if (beside === undefined || beside === null) return [];
        const span = i === 0 ? { from: 0, to: movedAt } : { from: movedAt, to: Infinity };
        return [{ ...span, gfn: beside }];
      }),
  };
}

/** By reading the whole memory of every capture; a hole has no bytes. */
function lookedUp(world: World, bytes: Uint8Array): FoundPlace[] {
  const places = new Map<string, Set<number>>();
  for (const vm of VMS)
    for (const capture of CAPTURE_NUMBERS) {
      const order = world.frames[capture < world.movedAt ? 0 : 1];
      const alone = Array.from({ length: PAGES }, (_, gfn) => gfn).filter(
        (gfn) => !order.includes(gfn),
      );
      const runs: number[][] = alone.map((gfn) => [gfn]);
      runs.push([]);
      for (const gfn of order)
        if (gfn === null) runs.push([]);
        else runs.at(-1)!.push(gfn);
      for (const run of runs) {
        const memory = Buffer.concat(
          run.map((gfn) => world.contents[heldAt(world, vm, capture, gfn)]!),
        );
        for (let at = memory.indexOf(bytes); at >= 0; at = memory.indexOf(bytes, at + 1)) {
          const key = JSON.stringify([vm, run[Math.floor(at / PAGE_BYTES)], at % PAGE_BYTES]);
          places.set(key, (places.get(key) ?? new Set()).add(capture));
        }
      }
    }
  return [...places].flatMap(([key, captures]) => {
    const [vm, gfn, offset] = JSON.parse(key) as [string, number, number];
    return spansOf((capture) => captures.has(capture))
      .filter(({ value }) => value)
      .map(({ from, to }) => ({ vm, gfn, offset, from, to }));
  });
}

const ordered = (places: readonly FoundPlace[]): FoundPlace[] =>
  places.toSorted(
    (a, b) =>
      (a.vm < b.vm ? -1 : Number(a.vm > b.vm)) ||
      a.gfn - b.gfn ||
      a.offset - b.offset ||
      a.from - b.from,
  );

const found = async (world: World, bytes: Uint8Array): Promise<readonly FoundPlace[]> => {
  const needle = needleOf(bytes);
  if (either.isLeft(needle)) throw new TypeError(needle.left._tag);
  return new ByteFinder(portsOf(world), needle.right).find();
};

const letters = fc.constantFrom(0, 1, 1, 2);
const edge = fc.array(letters, { maxLength: EDGE_BYTES });
const content = fc.record({ begins: edge, ends: edge, between: edge });
const frames: fc.Arbitrary<Frames> = fc.shuffledSubarray<number | null>([0, 1, 2, 3, null], {
  minLength: 3,
});
/** Pages are made where they are used: a counterexample tells of their edges. */
type Sketch = Omit<World, 'contents'> & { readonly contents: readonly Edges[] };
const madeOf = (sketch: Sketch): World => ({ ...sketch, contents: sketch.contents.map(pageOf) });
const ZEROS: Edges = { begins: [], ends: [], between: [] };
const world: fc.Arbitrary<Sketch> = fc
  .array(content, { minLength: 1, maxLength: 6 })
  .map((contents) => [ZEROS, ...contents])
  .chain((contents) => {
    const held = fc.nat({ max: contents.length - 1 });
    const memory = fc.array(held, { minLength: PAGES, maxLength: PAGES });
    const history = fc.array(memory, { minLength: CAPTURES, maxLength: CAPTURES });
    return fc.record({
      contents: fc.constant(contents),
      holds: fc.tuple(history, history),
      frames: fc.tuple(frames, frames),
      movedAt: fc.integer({ min: 1, max: CAPTURES }),
    });
  });
const needle = fc
  .array(letters, { minLength: 1, maxLength: 5 })
  .filter((bytes) => bytes.some((byte) => byte !== 0))
  .map((bytes) => Uint8Array.from(bytes));

describe('bytes in a history', () => {
  test('are found where they stood, inside pages and across them, as long as they did', async () => {
    await fc.assert(
      fc.asyncProperty(world, needle, async (sketch, bytes) => {
        const of = madeOf(sketch);
        expect(await found(of, bytes)).toEqual(ordered(lookedUp(of, bytes)));
      }),
      { numRuns: triesOf(300) },
    );
  });

  test('of a whole page are found across two, and where the page was replaced by another that has them', async () => {
    const bytes = Uint8Array.from({ length: PAGE_BYTES }, (_, i) => 1 + (i % 251));
    const [head, tail, same] = [0, 0, 0].map(() => new Uint8Array(PAGE_BYTES));
    head!.set(bytes.subarray(0, 4095), 1);
    tail!.set(bytes.subarray(4095));
    same!.set(tail!);
    same![2000] = 7;
    const memories = [
      [1, 2, 0, 0],
      [1, 3, 0, 0],
      [1, 0, 0, 0],
      [1, 2, 0, 0],
      [1, 2, 0, 0],
    ];
    const of: World = {
      contents: [new Uint8Array(PAGE_BYTES), head!, tail!, same!],
      holds: [memories, memories.map(() => [0, 0, 0, 0])],
      frames: [
        [0, 1, 2, 3],
        [0, 1, 2, 3],
      ],
      movedAt: CAPTURES,
    };
    const place = { vm: 'a', gfn: 0, offset: 1 };
    expect(await found(of, bytes)).toEqual([
      { ...place, from: 1, to: 3 },
      { ...place, from: 4, to: Infinity },
    ]);
  });

  test('that are everywhere, nothing, or more than a page, are refused', async () => {
    const refusal = (length: number, byte = 0) => needleOf(new Uint8Array(length).fill(byte));
    for (const bad of [refusal(0), refusal(8), refusal(PAGE_BYTES + 1, 1)])
      expect(bad).toMatchObject({ left: { _tag: 'BadNeedle' } });
    const count = Math.ceil(PLACES_MAX / PAGE_BYTES) + 1;
    const full = {
      ...portsOf({ contents: [], holds: [], frames: [[], []], movedAt: 1 }),
      // eslint-disable-next-line typescript/require-await -- the port is one that waits
      async *pages() {
        const bytes = new Uint8Array(count * PAGE_BYTES).fill(1);
        yield { holdings: Array.from({ length: count }, (_, i) => 256 + i), bytes };
      },
    };
    const one = needleOf(Uint8Array.of(1));
    if (either.isLeft(one)) throw new TypeError('one byte can be looked for');
    await expect(new ByteFinder(full, one.right).find()).rejects.toMatchObject({
      refusal: { _tag: 'FoundTooOften' },
    });
  });
});
