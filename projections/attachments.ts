// What the pages of a capture's attachments hold. Their rows count through all of them, in the order of
// the commit's list, each from a page of its own.

import type { AttachmentEntry } from '../domain/values/attachment.ts';
import { UNKNOWN } from '../domain/values/holding.ts';
import { pagesOf } from '../domain/values/page.ts';
import type { PageColumns } from '../domain/events/pages-written.ts';
import type { Contents } from './models/contents.ts';
import { holdingsOf } from './table.ts';

/** What the pages of each attachment hold, in the order of the entries; UNKNOWN where that is lost. */
export function attachedHoldings(
  contents: Contents,
  entries: readonly AttachmentEntry[],
  batches: readonly PageColumns[],
): readonly Uint32Array[] {
  const pages = entries.reduce((sum, { bytes }) => sum + pagesOf(bytes), 0);
  const all = new Uint32Array(pages).fill(UNKNOWN);
  for (const columns of batches) {
    const holdings = holdingsOf(contents, columns);
    // Rows beyond are of a damaged event.
    if (columns.firstRow < pages)
      all.set(holdings.subarray(0, pages - columns.firstRow), columns.firstRow);
  }
  let at = 0;
  return entries.map(({ bytes }) => {
    const holdings = all.subarray(at, at + pagesOf(bytes));
    at += pagesOf(bytes);
    return holdings;
  });
}
