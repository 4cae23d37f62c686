import { expect, test } from '@jest/globals';
import { createMemoryPageStore } from '../../../../adapters/stores/page-store-memory/page-store-memory.ts';
import type { HeldPacks } from '../../../../adapters/stores/page-store-memory/page-store-memory.ts';
import { PackBytes } from '../../../../domain/values/pack-bytes.ts';
import { makePack, pageStoreContract } from '../../../contracts/page-store.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';

pageStoreContract('in memory', () => {
  const packs: HeldPacks = new Map();
  return Promise.resolve({
    store: createMemoryPageStore(packs),
    another: () => Promise.resolve(createMemoryPageStore(packs)),
    close: () => Promise.resolve(),
  });
});

test('what has just been named by its bytes is not named again by the store', async () => {
  const store = createMemoryPageStore();
  const { bytes } = makePack({ seed: 6, sizeBytes: 5000 });
  // No SHA-256, so that one who made it would see another name.
  const named = new PackBytes(bytes, () => new Uint8Array(32).fill(0x5a));
  expect((await failureOf(store.put({ name: named.name, bytes }))).code).toBe('PACK_DAMAGED');
  await valueOf(store.put(named));
  expect(await valueOf(store.has({ name: '5a'.repeat(32), sizeBytes: 5000 }))).toBe(true);
});
