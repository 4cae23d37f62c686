// A cache under random reads: always the right bytes, never above its bound, alone and shared with
// other processes.

import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { cachePages } from '../../../../adapters/stores/page-store-cached/cached-pages.ts';
import type { CacheStats } from '../../../../adapters/stores/page-store-cached/cached-pages.ts';
import type { HeldPacks } from '../../../../adapters/stores/page-store-memory/page-store-memory.ts';
import { makePack } from '../../../contracts/page-store.ts';
import { valueOf } from '../../../support/outcomes.ts';
import { folderRangeStore, memoryRangeStore } from '../../../support/packs/range-stores.ts';
import { withTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import { triesOf } from '../../../support/long-run.ts';

const WINDOW_BYTES = 4096;
const PACKS = Array.from({ length: 4 }, (_, i) =>
  makePack({ seed: 40 + i, sizeBytes: 1 + 9000 * (i + 1) }),
);

/** What the files of a cache take, in blocks of a disk. */
const takenBytes = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(folder, name), { throwIfNoEntry: false }))
    .filter((facts) => facts?.isFile() === true)
    .reduce((sum, facts) => sum + Math.ceil(facts!.size / 4096) * 4096, 0);

type Read = { readonly pack: number; readonly from: number; readonly length: number };

const read: fc.Arbitrary<Read> = fc.record({
  pack: fc.nat({ max: PACKS.length - 1 }),
  from: fc.nat({ max: 40_000 }),
  length: fc.nat({ max: 20_000 }),
});

describe('a cache under random reads', () => {
  test('gives the right bytes, counts them, and is within its bound after each', async () => {
    const check = fc.asyncProperty(
      fc.array(fc.array(read, { minLength: 1, maxLength: 4 }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 40 }),
      (rounds, blocks) =>
        withTemporaryFolder(async (path) => {
          const folder = join(path, 'cache');
          mkdirSync(folder);
          const packs: HeldPacks = new Map(
            PACKS.map(({ name, bytes }) => [name, { bytes, writtenAtMs: 0 }]),
          );
          const bytesMax = blocks * 4096;
          const pages = cachePages({
            store: memoryRangeStore(packs),
            files: nodeFiles,
            folder,
            bytesMax,
            windowBytes: WINDOW_BYTES,
          });
          let servedBytes = 0;
          for (const round of rounds) {
            const right = await Promise.all(
              round.map(async ({ pack, from, length }) => {
                const { name, bytes } = PACKS[pack]!;
                const offsetBytes = Math.min(from, bytes.length - 1);
                const lengthBytes = Math.min(length, bytes.length - offsetBytes);
                const found = await valueOf(pages.get({ name, offsetBytes, lengthBytes }));
                servedBytes += lengthBytes;
                const end = offsetBytes + lengthBytes;
                return Buffer.from(found).equals(bytes.subarray(offsetBytes, end));
              }),
            );
            expect(right).toEqual(round.map(() => true));
            expect(takenBytes(folder)).toBeLessThanOrEqual(bytesMax);
          }
          await pages.close();
          expect(takenBytes(folder)).toBeLessThanOrEqual(bytesMax);
          expect(pages.stats().bytesServed).toBe(servedBytes);
        }),
    );
    await fc.assert(check, { numRuns: triesOf(60) });
  }, 300_000);
});

const READER = fileURLToPath(new URL('../../../support/packs/cache-reader.js', import.meta.url));

interface Told {
  readonly wrong: number;
  readonly notices: readonly string[];
  readonly stats: CacheStats;
}

describe('processes that share a cache', () => {
  test('all read the right bytes, and together stay near the bound', async () => {
    await withTemporaryFolder(async (path) => {
      const packs = join(path, 'packs');
      const folder = join(path, 'cache');
      const store = folderRangeStore(packs);
      for (const pack of PACKS) await valueOf(store.put(pack));
      const bytesMax = 64 * 4096;
      const reader = async (seed: number): Promise<Told> => {
        const args = [READER, packs, folder, ...[bytesMax, WINDOW_BYTES, seed, 300].map(String)];
        const { stdout } = await promisify(execFile)(process.execPath, args, {
          env: { ...process.env, NODE_OPTIONS: '' },
        });
        return JSON.parse(stdout) as Told;
      };
      const told = await Promise.all([reader(1), reader(2), reader(3)]);
      expect(told.map(({ wrong, notices }) => ({ wrong, notices }))).toEqual(
        told.map(() => ({ wrong: 0, notices: [] })),
      );
      for (const { stats } of told) expect(stats.hits).toBeGreaterThan(100);
      // A sixteenth for each process but one, and a file that each was about to write.
      expect(takenBytes(folder)).toBeLessThanOrEqual(bytesMax + 2 * (bytesMax / 16 + 8192));
    });
  }, 300_000);
});
