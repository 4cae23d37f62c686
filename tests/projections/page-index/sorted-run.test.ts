import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { StateUnfit } from '../../../projections/models/state-bytes.ts';
import { HOLDING_WORDS, joinedHoldings } from '../../../projections/page-index/holding-records.ts';
import { Workspace } from '../../../projections/page-index/workspace.ts';
import { orderedBy } from '../../../projections/page-index/radix-order.ts';
import { recordsIn, type Records } from '../../../projections/page-index/record-block.ts';
import { mergedRuns } from '../../../projections/page-index/run-merge.ts';
import { runBlocks, SortedRun } from '../../../projections/page-index/sorted-run.ts';
import { MapBlockFiles } from '../../support/packs/map-block-files.ts';
import { triesOf } from '../../support/long-run.ts';

const U32_MAX = 2 ** 32 - 1;
const WIDTH = 4;

/** Few values, so that records share their first words, and the largest ones. */
const word = fc.oneof(fc.nat(3), fc.constantFrom(127, 128, 16_383, U32_MAX), fc.nat(U32_MAX));
const record = fc.tuple(word, word, word, word);

const order = (a: readonly number[], b: readonly number[]): number => {
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
};
const isBefore = (a: readonly number[], b: readonly number[]): boolean => order(a, b) < 0;
const sortedSet = (records: readonly (readonly number[])[]): (readonly number[])[] => {
  const sorted = records.toSorted(order);
  return sorted.filter((one, i) => i === 0 || isBefore(sorted[i - 1]!, one));
};

/** Whether a block gives the records that it claims, or is refused as unfit. */
function fitOf(block: Uint8Array): boolean {
  try {
    const { words, count } = recordsIn(block, WIDTH);
    return words.length === count * WIDTH;
  } catch (thrown) {
    return thrown instanceof StateUnfit;
  }
}

const recordsOf = (records: readonly (readonly number[])[], width = WIDTH): Records => ({
  words: Uint32Array.from(records.flatMap((one) => one.slice(0, width))),
  count: records.length,
});

async function* flow(...batches: readonly Records[]): AsyncGenerator<Records> {
  yield* batches;
}

function rowsOf({ words, count }: Records, width = WIDTH): number[][] {
  return Array.from({ length: count }, (_, i) => [...words.subarray(i * width, (i + 1) * width)]);
}

async function saved(records: readonly (readonly number[])[]) {
  const files = new MapBlockFiles();
  await files.save('run', runBlocks([recordsOf(records)], { width: WIDTH, id: 7n }));
  const file = (await files.open('run'))!;
  return { files, run: await SortedRun.open(file, { width: WIDTH, id: 7n }) };
}

/** Enough records for several blocks and, with small words, for long runs of equal first words. */
const manyRecords = fc
  .record({
    seed: fc.nat(),
    few: fc.array(record, { maxLength: 40 }),
    repeats: fc.constantFrom(0, 10, 9000),
  })
  .map(({ few, repeats }) =>
    sortedSet([...few, ...Array.from({ length: repeats }, (_, i) => [1, i % 3, 2, 5 * i])]),
  );

describe('a sorted run', () => {
  test('finds the records that begin with given words, whatever they are', async () => {
    await fc.assert(
      fc.asyncProperty(
        manyRecords,
        fc.array(word, { minLength: 1, maxLength: 3 }),
        async (of, asked) => {
          const { run } = await saved(of);
          for (const first of [
            asked,
            [1],
            [1, 2],
            [1, 2, 2],
            ...of.slice(0, 3).map((one) => one.slice(0, 3)),
          ]) {
            const found: number[][] = [];
            await run.find(first, (words, at) => found.push([...words.subarray(at, at + WIDTH)]));
            expect(found).toEqual(of.filter((one) => first.every((value, i) => one[i] === value)));
          }
        },
      ),
      { numRuns: triesOf(15) },
    );
  });

  test('gives all its records back in order', async () => {
    await fc.assert(
      fc.asyncProperty(manyRecords, async (of) => {
        const { run } = await saved(of);
        const all: number[][] = [];
        for await (const records of run.all()) all.push(...rowsOf(records));
        expect(all).toEqual(of);
      }),
      { numRuns: triesOf(8) },
    );
  });

  test('of another ledger, or of another kind, is none', async () => {
    const { files } = await saved([[1, 2, 3, 4]]);
    const open = async (of: { width: number; id: bigint }) =>
      SortedRun.open((await files.open('run'))!, of);
    await expect(open({ width: WIDTH, id: 8n })).rejects.toThrow(StateUnfit);
    await expect(open({ width: 3, id: 7n })).rejects.toThrow(StateUnfit);
    await expect(open({ width: WIDTH, id: 7n })).resolves.toBeInstanceOf(SortedRun);
  });

  test('whose blocks are anybody’s bytes gives records or says that it is unfit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 300 }), (bytes) => {
        const block = new Uint8Array(400);
        block.set(bytes);
        expect(fitOf(block)).toBe(true);
      }),
    );
  });
});

describe('merged runs', () => {
  test('are the records of all of them in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(record), { maxLength: 5 }), async (runs) => {
        // A record's last word tells its run: equal first words keep the order of the runs.
        const sorted = runs.map((of, i) =>
          sortedSet(of.map(([a, b, c]) => [a, b, c])).map((one) => [...one, i]),
        );
        const merged: number[][] = [];
        const sources = sorted.map((of) => flow(recordsOf(of)));
        for await (const records of mergedRuns(sources, WIDTH)) merged.push(...rowsOf(records));
        expect(merged).toEqual(sorted.flat().toSorted(order));
      }),
    );
  });

  test('of holdings join what one stretch began and a later one ended', async () => {
    const first = [
      [300, 0, 5, 1, 2],
      [300, 0, 5, 3, 0],
      [301, 0, 6, 2, 0],
    ];
    const second = [
      [300, 0, 5, 0, 4],
      [300, 0, 5, 6, 0],
      [302, 1, 6, 0, 5],
    ];
    const sources = [first, second].map((of) => flow(recordsOf(of, HOLDING_WORDS)));
    const joined: number[][] = [];
    for await (const records of joinedHoldings(mergedRuns(sources, HOLDING_WORDS)))
      joined.push(...rowsOf(records, HOLDING_WORDS));
    expect(joined).toEqual([
      [300, 0, 5, 1, 2],
      [300, 0, 5, 3, 4],
      [300, 0, 5, 6, 0],
      [301, 0, 6, 2, 0],
      [302, 1, 6, 0, 5],
    ]);
  });
});

describe('rows ordered by a column', () => {
  const space = new Workspace();

  test('keep their order where their keys are equal', () => {
    fc.assert(
      fc.property(fc.array(word), (keys) => {
        const ordered = orderedBy(Uint32Array.from(keys), space);
        const rows = keys.map((_, row) => row);
        expect([...ordered]).toEqual(rows.toSorted((a, b) => keys[a]! - keys[b]! || a - b));
      }),
    );
  });
});
