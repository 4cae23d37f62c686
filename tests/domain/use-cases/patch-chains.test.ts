// Two hosts that write at once can make a patch of a patch; whoever reads pages follows the chain.

import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { memoryOfDescriptor } from '../../../adapters/files/memory-file.ts';
import { crc32 } from 'node:zlib';
import { createPageEngine } from '../../../adapters/kernels/engine/page-engine.ts';
import { createMemoryPageStore } from '../../../adapters/stores/page-store-memory/page-store-memory.ts';
import type { PageEngine } from '../../../domain/ports/page-engine.ts';
import { CODEC_RAW, packHeader } from '../../../domain/values/pack.ts';
import { FIRST_CONTENT, ZERO, type Holding } from '../../../domain/values/holding.ts';
import { PACK_SLOTS, PAGE_BYTES } from '../../../domain/values/page.ts';
import type { PageStore } from '../../../domain/ports/page-store.ts';
import type { PageLocator, ReadPack } from '../../../domain/ports/models.ts';
import { PageReader } from '../../../domain/use-cases/pages/page-reader.ts';
import { seededRandom } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const CHAIN = 4;
const random = seededRandom(11);
const noise = (): Uint8Array => Uint8Array.from({ length: PAGE_BYTES }, () => random(256));
/** Page n of the chain is the XOR of stored pages 0 to n; page 0 is stored whole. */
const stored = Array.from({ length: CHAIN }, noise);
const pages = stored.map((_, n) =>
  stored.slice(0, n + 1).reduce((page, mask) => page.map((byte, i) => byte ^ mask[i]!)),
);

let folder: TemporaryFolder;
let engine: PageEngine;
const store: PageStore = createMemoryPageStore();
/** Each page in a pack of its own, which refers to the one before. */
const packs: ReadPack[] = [];

const locator: PageLocator = {
  placeOf: (holding) => (holding - FIRST_CONTENT) * PACK_SLOTS,
  packAt: (place) => packs[Math.floor(place / PACK_SLOTS)]!,
  referenceAt: (place): Holding | null =>
    packs[Math.floor(place / PACK_SLOTS)]!.references[0] ?? null,
};

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  engine = createPageEngine({ threads: 0 });
  for (const [n, page] of stored.entries()) {
    const header = packHeader({ group: 'g', random: new Uint8Array(16).fill(n) });
    const bytes = Uint8Array.of(...header, ...page);
    const name = createHash('sha256').update(bytes).digest('hex');
    await valueOf(store.put({ name, bytes }));
    packs.push({
      ordinal: n,
      name,
      sizeBytes: bytes.length,
      blocks: {
        codecs: Uint8Array.of(CODEC_RAW),
        pages: Uint8Array.of(1),
        lengths: Uint32Array.of(PAGE_BYTES),
        checksums: Uint32Array.of(crc32(page)),
      },
      patches: { slots: n === 0 ? new Uint16Array(0) : Uint16Array.of(0) },
      references: n === 0 ? new Uint32Array(0) : Uint32Array.of(FIRST_CONTENT + n - 1),
    });
  }
});
afterAll(async () => {
  await engine.close();
  await folder.remove();
});

/** Every page of the chain, zeros, a public pattern, and one of the chain again. */
const HOLDINGS = Uint32Array.of(
  FIRST_CONTENT + 3,
  ZERO,
  FIRST_CONTENT + 1,
  1,
  FIRST_CONTENT,
  FIRST_CONTENT + 2,
  FIRST_CONTENT + 3,
);
const EXPECTED = Buffer.concat([
  pages[3]!,
  new Uint8Array(PAGE_BYTES),
  pages[1]!,
  new Uint8Array(PAGE_BYTES).fill(0xff),
  pages[0]!,
  pages[2]!,
  pages[3]!,
]);

describe('a patch of a patch', () => {
  test.each([0, PAGE_BYTES, 1024 * PAGE_BYTES])(
    'is read one by one, with %d bytes for what was decoded',
    async (cacheBytes) => {
      const reader = new PageReader({ engine, store, locator: () => locator }, cacheBytes);
      const room = new Uint8Array(HOLDINGS.length * PAGE_BYTES);
      for (let again = 0; again < 2; again += 1)
        expect(EXPECTED.equals(await reader.read(HOLDINGS, room.fill(7)))).toBe(true);
      for (const [i, holding] of HOLDINGS.entries()) {
        const page = await reader.read([holding], room);
        expect(
          EXPECTED.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES).equals(
            page.subarray(0, PAGE_BYTES),
          ),
        ).toBe(true);
      }
    },
  );

  test('is restored into a file', async () => {
    const path = join(folder.path, 'memory');
    const fd = openSync(path, 'wx+');
    ftruncateSync(fd, EXPECTED.length);
    const told: number[] = [];
    const reader = new PageReader({ engine, store, locator: () => locator });
    const onProgress = ({ pages: done }: { readonly pages: number }) => told.push(done);
    await reader.fill(
      { table: HOLDINGS, label: 'a chain', onProgress },
      { file: memoryOfDescriptor(fd), offsetBytes: 0 },
    );
    closeSync(fd);
    expect(readFileSync(path).equals(EXPECTED)).toBe(true);
    // Zeros are not written, and a page counts once however many masks lie on it.
    expect(told.at(-1)).toBe(HOLDINGS.length - 1);
  });

  test.each([0, 2])('is read in order, with %d threads', async (threads) => {
    const threaded = createPageEngine({ threads });
    const reader = new PageReader({ engine: threaded, store, locator: () => locator });
    const read = new Uint8Array(EXPECTED.length);
    const runs: number[][] = [];
    for await (const run of reader.inOrder({ table: HOLDINGS, label: 'a chain' })) {
      runs.push([run.firstPage, run.pages.length / PAGE_BYTES]);
      read.set(run.pages, run.firstPage * PAGE_BYTES);
    }
    await threaded.close();
    expect(EXPECTED.equals(read)).toBe(true);
    // Zeros are in no run.
    expect(runs).toEqual([
      [0, 1],
      [2, 5],
    ]);
  });

  test('that refers to itself is refused as damage', async () => {
    const endless: PageLocator = { ...locator, referenceAt: () => FIRST_CONTENT };
    const reader = new PageReader({ engine, store, locator: () => endless });
    await expect(reader.read([FIRST_CONTENT], new Uint8Array(PAGE_BYTES))).rejects.toThrow(
      /without end/u,
    );
  });
});
