// What a Linux guest's own page tables say was accessed of the regions of its memory, at a point.

import { AccessedPages, type AccessBits } from '../../../domain/guest/accessed-pages.ts';
import { regionsIn } from '../../../domain/region-pages.ts';
import { REGION_PAGES } from '../../../domain/values/page.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { describeGuest, tasksIn, type GuestPoint } from './guest.ts';

/**
 * The accessed and dirty bits of each whole region of 2 MiB, in order. GUEST_UNDESCRIBED and GUEST_INVALID
 * where the guest is no Linux that tells of itself. Cost: the page tables of all its processes are read.
 */
export async function regionBits(
  ledger: Ledger,
  point: GuestPoint,
): Promise<readonly AccessBits[]> {
  const guest = await describeGuest(ledger, point);
  const { memory, kernel } = guest;
  const { reader, all } = tasksIn(guest);
  const accessed = await AccessedPages.of(kernel.memory, reader, await all());
  return Array.from({ length: regionsIn(memory.table.length) }, (_, region) => {
    const first = region * REGION_PAGES;
    return accessed.bitsOf(
      Array.from({ length: REGION_PAGES }, (_page, i) => memory.frameOf(first + i)),
    );
  });
}
