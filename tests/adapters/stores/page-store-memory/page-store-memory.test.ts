import { createMemoryPageStore } from '../../../../adapters/stores/page-store-memory/page-store-memory.ts';
import type { HeldPacks } from '../../../../adapters/stores/page-store-memory/page-store-memory.ts';
import { pageStoreContract } from '../../../contracts/page-store.ts';

pageStoreContract('in memory', () => {
  const packs: HeldPacks = new Map();
  return Promise.resolve({
    store: createMemoryPageStore(packs),
    another: () => Promise.resolve(createMemoryPageStore(packs)),
    close: () => Promise.resolve(),
  });
});
