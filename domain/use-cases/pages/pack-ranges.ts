// A range of a pack, read for a use that may find it damaged.

import { isLedgerError } from '../../values/ledger-error.ts';
import { run } from '../../ports/run.ts';
import type { PageStore } from '../../ports/page-store.ts';

/**
 * What `use` makes of a range of a pack. Where that finds damage in what a store keeps nearer than
 * where the pack lies, the store forgets it, and the range is read and used once more: the pack itself
 * may be sound, or have been put back.
 */
export async function useRange<A>(
  store: PageStore,
  range: Parameters<PageStore['get']>[0],
  use: (bytes: Uint8Array) => A | Promise<A>,
): Promise<A> {
  for (let isAgain = false; ; isAgain = true) {
    try {
      return await use(await run(store.get(range)));
    } catch (thrown) {
      const isDamaged = isLedgerError(thrown) && thrown.code === 'PACK_DAMAGED';
      if (!isDamaged || isAgain || store.drop === undefined) throw thrown;
      await store.drop(range.name);
    }
  }
}
