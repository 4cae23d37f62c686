// Packs that are gone because compaction rewrote them: the log says where their content lies now.

import { isLedgerError } from '../../values/ledger-error.ts';

/**
 * Does work that reads packs, and does it once more where one is gone, after `catchUp` learned where
 * content lies now; absent: nothing moves.
 */
export async function followingMoves<A>(
  catchUp: (() => Promise<void>) | undefined,
  work: (isAgain: boolean) => Promise<A>,
): Promise<A> {
  if (catchUp === undefined) return work(true);
  try {
    return await work(false);
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'PACK_MISSING') throw thrown;
  }
  await catchUp();
  return work(true);
}
