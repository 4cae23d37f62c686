// The counts of a sharing report alone, as a projection of them or a naive model has them.

import { sharingReport, type SharingCounts } from '../../../projections/questions/sharing-at.ts';

export async function sharingAt(
  ...request: Parameters<typeof sharingReport>
): Promise<SharingCounts> {
  const { vms, pages, zero, pattern, unique, mergedIntra, mergedInter, patched, unknown } =
    await sharingReport(...request);
  return { vms, pages, zero, pattern, unique, mergedIntra, mergedInter, patched, unknown };
}
