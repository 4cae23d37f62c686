// Page stores that also say how long a pack is, for tests of what reads through them.

import * as taskEither from 'fp-ts/lib/TaskEither.js';
import { nodeFiles } from '../../../adapters/files/files.ts';
import type { RangeSource } from '../../../adapters/stores/page-store-cached/range-source.ts';
import { openPagePacks } from '../../../adapters/stores/page-store-folder/page-packs.ts';
import { createMemoryPageStore } from '../../../adapters/stores/page-store-memory/page-store-memory.ts';
import type { HeldPacks } from '../../../adapters/stores/page-store-memory/page-store-memory.ts';
import type { PageStore } from '../../../domain/ports/page-store.ts';
import { gather } from '../outcomes.ts';

/** A range that was asked for. */
export interface AskedRange {
  readonly name: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export type RangeStore = PageStore & RangeSource;

/** A store as a source of ranges: what of a range lies before the pack's end is read. */
function withRanges(
  store: PageStore,
  sizeOf: (name: string) => Promise<number>,
  asked: AskedRange[],
): RangeStore {
  return {
    ...store,
    find: (range) => async () => {
      asked.push(range);
      const sizeBytes = await sizeOf(range.name);
      const start = Math.min(range.offsetBytes, sizeBytes);
      const end = Math.min(range.offsetBytes + range.lengthBytes, sizeBytes);
      const { name } = range;
      const read = store.get({ name, offsetBytes: start, lengthBytes: end - start });
      return taskEither.map((bytes: Uint8Array) => ({ bytes, sizeBytes }))(read)();
    },
  };
}

/** Packs in memory; `asked` gathers what is asked of them. */
export const memoryRangeStore = (packs: HeldPacks, asked: AskedRange[] = []): RangeStore =>
  withRanges(
    createMemoryPageStore(packs),
    (name) => Promise.resolve(packs.get(name)?.bytes.length ?? 0),
    asked,
  );

/** Packs in a folder, as several processes have it. */
export function folderRangeStore(folder: string, asked: AskedRange[] = []): RangeStore {
  const store = openPagePacks({ files: nodeFiles, folder });
  const sizeOf = async (name: string): Promise<number> =>
    (await gather(store.list())).find((entry) => entry.name === name)?.sizeBytes ?? 0;
  return withRanges(store, sizeOf, asked);
}
