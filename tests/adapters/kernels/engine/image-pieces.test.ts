// A memory that is in its file in several pieces is read from all of them, and from nowhere else.

import { expect, test } from '@jest/globals';
import { deriveEngineKeys } from '../../../../adapters/kernels/keys.ts';
import { piecesOf } from '../../../../adapters/guests/dumps/pieces.ts';
import { createPageEngine } from '../../../../adapters/kernels/engine/page-engine.ts';
import { sharedMemory, type Image } from '../../../../domain/ports/guests.ts';
import {
  CHUNK_PAGES,
  FINGERPRINT_BYTES,
  type PageEngine,
} from '../../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { mixedImage, randomBytes } from '../random-pages.ts';

const PAGE_COUNT = CHUNK_PAGES + 20;
const CONTENT = mixedImage(PAGE_COUNT, 2);

function imageOf(bytes: Uint8Array): Image {
  const shared = new SharedArrayBuffer(bytes.length);
  new Uint8Array(shared).set(bytes);
  const file = sharedMemory(shared);
  return { file, offsetBytes: 0, pageCount: PAGE_COUNT, zeros: null, label: 'an image' };
}

/** The rows of the second chunk, and all fingerprints. */
async function scanned(engine: PageEngine, image: Image) {
  const next = new SharedArrayBuffer(PAGE_COUNT * FINGERPRINT_BYTES);
  const rows = [];
  for (const [firstPage, pageCount] of [
    [0, CHUNK_PAGES],
    [CHUNK_PAGES, PAGE_COUNT - CHUNK_PAGES],
  ] as const) {
    const chunk = await engine.scan({ image, firstPage, pageCount, previous: null, next });
    rows.push([...chunk.gfns], [...chunk.classes], [...chunk.identifiers]);
    chunk.release();
  }
  return { rows, fingerprints: new Uint8Array(next) };
}

test('pieces lie anywhere in the file, or are pages beside it', async () => {
  const engine = createPageEngine({ threads: 0 });
  await engine.useKeys(deriveEngineKeys(randomBytes(32, 1)));
  // Neither at a chunk's end nor at that of what is read at once; the last one lies first, and askew.
  const [first, loose, last] = [200, 203, CHUNK_PAGES + 3].map((page) => page * PAGE_BYTES);
  const bytes = Buffer.concat([
    randomBytes(17, 3),
    CONTENT.subarray(last),
    randomBytes(900, 5),
    CONTENT.subarray(0, first),
    randomBytes(77, 7),
    CONTENT.subarray(loose, last),
  ]);
  const lastBytes = CONTENT.length - last!;
  const pieces = piecesOf(
    [
      { page: 0, offset: 17 + lastBytes + 900 },
      { page: 200, offset: -1 },
      { page: 203, offset: 17 + lastBytes + 900 + first! + 77 },
      { page: CHUNK_PAGES + 3, offset: 17 },
    ],
    CONTENT.slice(first, loose),
  );
  expect(await scanned(engine, { ...imageOf(bytes), pieces })).toEqual(
    await scanned(engine, imageOf(CONTENT)),
  );
  await engine.close();
});
