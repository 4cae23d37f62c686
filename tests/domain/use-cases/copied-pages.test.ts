// The pages of a checkpoint's copies, taken from the memory that was captured.

import { describe, expect, test } from '@jest/globals';
import { piecesAround, type ImageGap } from '../../../adapters/guests/images/told-layout.ts';
import { sharedMemory, type Image, type ImagePieces } from '../../../domain/ports/guests.ts';
import { pagesOfImage } from '../../../domain/use-cases/layout/copied-pages.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

const PAGES = 700;

/** An image each of whose pages says its number, behind a page that is none of it. */
function imageOf(gap?: ImageGap): Image {
  const behind = (gfn: number): number => (gap !== undefined && gfn >= gap.page ? gap.pages : 0);
  const bytes = new SharedArrayBuffer((1 + PAGES + (gap?.pages ?? 0)) * PAGE_BYTES);
  const words = new Uint32Array(bytes);
  for (let gfn = 0; gfn < PAGES; gfn += 1)
    words[((1 + gfn + behind(gfn)) * PAGE_BYTES) / 4] = gfn + 1;
  const zeros = new Uint8Array(new SharedArrayBuffer(PAGES));
  zeros[9] = 1;
  return {
    file: sharedMemory(bytes),
    offsetBytes: PAGE_BYTES,
    pageCount: PAGES,
    zeros,
    label: 'an image',
    ...(gap === undefined ? {} : { pieces: shifted(piecesAround(gap)) }),
  };
}

/** Pieces of a memory that lies behind a page. */
const shifted = (pieces: ImagePieces): ImagePieces => ({
  ...pieces,
  offsets: pieces.offsets.map((offset) => offset + PAGE_BYTES),
});

/** The numbers of the pages that come, and how many times the image was read for them. */
async function takenOf(image: Image, gfns: readonly number[]) {
  let reads = 0;
  const pages = pagesOfImage(image, ({ file }, offsetBytes, into) => {
    reads += 1;
    into.set(new Uint8Array(file.handle as SharedArrayBuffer, offsetBytes, into.length));
  });
  const taken: number[] = [];
  const plan = { gfns: Uint32Array.from(gfns), holdings: new Uint32Array(gfns.length) };
  for await (const run of pages(plan, 'a point')) {
    expect(run.firstPage).toBe(taken.length);
    const view = new DataView(run.pages.buffer, run.pages.byteOffset, run.pages.length);
    for (let at = 0; at < run.pages.length; at += PAGE_BYTES)
      taken.push(view.getUint32(at, true) - 1);
  }
  return { taken, reads };
}

describe('pages of an image that are copied', () => {
  test('come in the order of the plan, neighbours with one read', async () => {
    expect(await takenOf(imageOf(), [4, 5, 6, 600, 2, 3])).toEqual({
      taken: [4, 5, 6, 600, 2, 3],
      reads: 3,
    });
  });

  test('come a part at a time where they are many', async () => {
    const gfns = Array.from({ length: PAGES - 10 }, (_, i) => i + 10);
    expect(await takenOf(imageOf(), gfns)).toEqual({ taken: gfns, reads: 3 });
  });

  test('are found before and behind what is none of the memory', async () => {
    expect(await takenOf(imageOf({ page: 100, pages: 3 }), [98, 99, 100, 101])).toEqual({
      taken: [98, 99, 100, 101],
      reads: 2,
    });
  });

  test('are none that the capture has not, and none of zeros', async () => {
    await expect(takenOf(imageOf(), [1, PAGES])).rejects.toThrow('was captured');
    await expect(takenOf(imageOf(), [8, 9])).rejects.toThrow('none of zeros');
  });
});
