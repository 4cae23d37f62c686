// A guest at a point, to whatever takes it. A file's memory is filled in place on the
// engine's threads, each storage block read once; a pipe or a stream is given runs in the order of
// their pages, whose blocks were verified before. Where something is damaged the target never hears
// that it is done, so nobody takes what was sent for whole.

import type { GuestTarget, RestoredGuest } from '../../ports/guests.ts';
import { mainPagesOf } from '../../values/memory-map.ts';
import type { PointReader } from '../layout/laid-out-reader.ts';
import type { BulkRequest } from '../pages/page-reader.ts';

export interface RestoreGuestRequest extends BulkRequest {
  /** What the pages of the table belong to. */
  readonly guest: RestoredGuest;
}

/** Restores a guest. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED, and what the target throws. */
export async function restoreGuest(
  reader: Omit<PointReader, 'read'>,
  request: RestoreGuestRequest,
  target: GuestTarget,
): Promise<void> {
  const { guest, ...bulk } = request;
  const pages = target.takes === 'guest' ? bulk.table.length : mainPagesOf(guest.memoryMap);
  const wanted = { ...bulk, table: bulk.table.subarray(0, pages) };
  if (target._tag === 'filled') {
    await reader.fill(wanted, await target.begin(guest));
  } else {
    await target.begin(guest);
    for await (const run of reader.inOrder(wanted)) await target.write(run);
  }
  await target.done();
}
