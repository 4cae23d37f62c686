// The pages that a checkpoint has copies of, in the order of their copies: out of the packs; or, of a
// point that was captured just now, out of the memory that was captured, which has all of them, so that
// nothing is read back that was written a moment ago.

import { offsetOfPage, type Image, type PageRun } from '../../ports/guests.ts';
import { assert } from '../../values/assert.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import type { PageReader } from '../pages/page-reader.ts';
import type { LayoutPlan } from './layout-plan.ts';

/** Gives a plan's pages: a run's first page is its number in the plan. Every page is in a run. */
export type CopiedPages = (plan: LayoutPlan, label: string) => AsyncIterable<PageRun>;

/** As the ledger has them. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED. */
export const pagesOfPacks =
  (reader: Pick<PageReader, 'inOrder'>): CopiedPages =>
  ({ holdings }, label) =>
    reader.inOrder({ table: holdings, label });

/** Reads pages of an image that lie side by side, from byte `offsetBytes` of its file on, into `into`. */
export type ReadImage = (image: Image, offsetBytes: number, into: Uint8Array) => void;

/** Pages in memory at once (1 MiB). */
const TAKEN_PAGES = 256;

/** As an image has them: the whole memory of the plan's point. SOURCE_UNREADABLE, SOURCE_SIZE. */
export const pagesOfImage = (image: Image, read: ReadImage): CopiedPages =>
  async function* ({ gfns }) {
    const room = new Uint8Array(Math.min(gfns.length, TAKEN_PAGES) * PAGE_BYTES);
    for (let firstPage = 0; firstPage < gfns.length; firstPage += TAKEN_PAGES) {
      const taken = gfns.subarray(firstPage, firstPage + TAKEN_PAGES);
      for (let from = 0; from < taken.length;) {
        const offsetBytes = offsetOfPage(image, taken[from]!);
        let end = from;
        for (; end < taken.length; end += 1) {
          const gfn = taken[end]!;
          if (offsetOfPage(image, gfn) !== offsetBytes + (end - from) * PAGE_BYTES) break;
          assert(gfn < image.pageCount, 'a page that is copied was captured');
          assert(image.zeros?.[gfn] !== 1, 'a page that is copied is none of zeros');
        }
        read(image, offsetBytes, room.subarray(from * PAGE_BYTES, end * PAGE_BYTES));
        from = end;
      }
      yield { firstPage, pages: room.subarray(0, taken.length * PAGE_BYTES) };
    }
  };
