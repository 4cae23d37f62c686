// Packs that are open for reading: a few, the ones used last. A pack never changes, so an open one
// stays right for as long as it is open, also when its name is gone.

import { RecentMap } from '../../../domain/values/recent-map.ts';
import type { OpenFile } from '../../files/file-port.ts';

/** Packs that stay open when nobody reads them. */
const OPEN_MAX = 64;

/** An open pack and how long it is. */
export interface OpenPack {
  readonly file: OpenFile;
  readonly sizeBytes: number;
}

interface Holding {
  readonly pack: Promise<OpenPack>;
  readers: number;
  /** Out of the table: closed when its last reader is done. */
  isDropped: boolean;
}

export interface OpenPacks {
  /** Runs `work` on the pack, opened if it was not; it stays open meanwhile. */
  use<A>(name: string, work: (pack: OpenPack) => Promise<A>): Promise<A>;
  /** Who asks for it later opens it anew. */
  drop(name: string): Promise<void>;
  close(): Promise<void>;
}

/** A table of open packs; `open` opens one. */
export function createOpenPacks(open: (name: string) => Promise<OpenPack>): OpenPacks {
  const table = new RecentMap<string, Holding>({ max: OPEN_MAX });

  async function closeIfUnused(holding: Holding): Promise<void> {
    if (!holding.isDropped || holding.readers > 0) return;
    // A pack that could not be opened was said to whoever asked for it.
    const pack = await holding.pack.catch(() => null);
    await pack?.file.close();
  }

  async function drop(name: string): Promise<void> {
    const holding = table.delete(name);
    if (holding === undefined) return;
    holding.isDropped = true;
    await closeIfUnused(holding);
  }

  function add(name: string): { readonly holding: Holding; readonly tooMany: readonly Holding[] } {
    const holding: Holding = { pack: open(name), readers: 0, isDropped: false };
    const tooMany = table.set(name, holding);
    for (const dropped of tooMany) dropped.isDropped = true;
    return { holding, tooMany };
  }

  return {
    async use(name, work) {
      const found = table.get(name);
      const { holding, tooMany } =
        found === undefined ? add(name) : { holding: found, tooMany: [] };
      holding.readers += 1;
      try {
        for (const dropped of tooMany) await closeIfUnused(dropped);
        return await work(await holding.pack);
      } catch (thrown) {
        // Neither a failed opening nor a file that fails to read is kept for the next one.
        if (table.get(name) === holding) table.delete(name);
        holding.isDropped = true;
        throw thrown;
      } finally {
        holding.readers -= 1;
        await closeIfUnused(holding);
      }
    },
    drop,
    async close() {
      for (const name of table.keys()) await drop(name);
    },
  };
}
