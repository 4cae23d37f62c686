// The pages that a checkpoint has copies of, in the order of their copies: out of the packs; or, of a
// point that was captured just now, out of the memory that was captured, which has all of them, so that
// nothing is read back that was written a moment ago.

import { looseOf, stretchOf, type Image, type PageRun } from '../../ports/guests.ts';
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
        let end = from;
        for (; end < taken.length && taken[end] === taken[from]! + end - from; end += 1) {
          const gfn = taken[end]!;
          assert(gfn < image.pageCount, 'a page that is copied was captured');
          assert(image.zeros?.[gfn] !== 1, 'a page that is copied is none of zeros');
        }
        const { pages, offsetBytes } = stretchOf(image, taken[from]!, end - from);
        const into = room.subarray(from * PAGE_BYTES, (from + pages) * PAGE_BYTES);
        const loose = looseOf(image, offsetBytes, into.length);
        if (loose === null) read(image, offsetBytes, into);
        else into.set(loose);
        from += pages;
      }
      yield { firstPage, pages: room.subarray(0, taken.length * PAGE_BYTES) };
    }
  };
