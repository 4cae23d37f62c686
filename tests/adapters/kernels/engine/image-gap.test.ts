// Bytes of a file that are none of the memory in it are passed over.

import { expect, test } from '@jest/globals';
import { deriveEngineKeys } from '../../../../adapters/kernels/keys.ts';
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

test('a gap lies before a chunk, and no page is read from it', async () => {
  const engine = createPageEngine({ threads: 0 });
  await engine.useKeys(deriveEngineKeys(randomBytes(32, 1)));
  const at = CHUNK_PAGES * PAGE_BYTES;
  const between = randomBytes(3 * PAGE_BYTES, 5);
  const bytes = Buffer.concat([CONTENT.subarray(0, at), between, CONTENT.subarray(at)]);
  const gap = { page: CHUNK_PAGES, pages: 3 };
  expect(await scanned(engine, { ...imageOf(bytes), gap })).toEqual(
    await scanned(engine, imageOf(CONTENT)),
  );
  await engine.close();
});
