import diagnosticsChannel from 'node:diagnostics_channel';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { memoryOfDescriptor } from '../../../../adapters/files/memory-file.ts';
import { createPageEngine } from '../../../../adapters/kernels/engine/page-engine.ts';
import { deriveEngineKeys } from '../../../../adapters/kernels/keys.ts';
import {
  CHUNK_PAGES,
  FINGERPRINT_BYTES,
  type PageEngine,
} from '../../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { mixedImage, randomBytes } from '../random-pages.ts';

const KEYS = deriveEngineKeys(randomBytes(32, 1));
const SMALL_PAGES = 4 * CHUNK_PAGES;
const IMAGE_PAGES = SMALL_PAGES + 1;

let folder: string;
let handle: number;
let started = 0;
const count = (): void => void (started += 1);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pageledger-threads-'));
  const path = join(folder, 'image');
  writeFileSync(path, mixedImage(IMAGE_PAGES, 40));
  handle = openSync(path, 'r');
});
afterAll(() => {
  closeSync(handle);
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  started = 0;
  diagnosticsChannel.subscribe('worker_threads', count);
});
afterEach(() => {
  diagnosticsChannel.unsubscribe('worker_threads', count);
});

/** Scans the beginning of the image as if that were all of it. */
async function scan(engine: PageEngine, pageCount: number): Promise<void> {
  await engine.useKeys(KEYS);
  const image = {
    file: memoryOfDescriptor(handle),
    offsetBytes: 0,
    pageCount,
    zeros: null,
    label: 'an image',
  };
  const next = new SharedArrayBuffer(pageCount * FINGERPRINT_BYTES);
  for (let firstPage = 0; firstPage < pageCount; firstPage += CHUNK_PAGES) {
    const pages = Math.min(CHUNK_PAGES, pageCount - firstPage);
    const request = { image, firstPage, pageCount: pages, previous: null, next };
    (await engine.scan(request)).release();
  }
}

test('without being told, an engine scans small images inline as long as they take little of its time', async () => {
  let nowMs = 0;
  let scanMs = 10;
  let looks = 0;
  // For each chunk it is asked how much was done, and looked when its work begins and ends.
  const now = (): number => {
    looks += 1;
    if (looks % 3 === 0) nowMs += scanMs;
    return nowMs;
  };
  const engine = createPageEngine({ now });
  for (let i = 0; i < 20; i += 1) {
    await scan(engine, SMALL_PAGES);
    nowMs += 100;
  }
  expect(started).toBe(0);
  scanMs = 1000;
  await scan(engine, SMALL_PAGES);
  expect(started).toBe(engine.threads);
  scanMs = 0;
  await scan(engine, 1);
  expect(started).toBe(engine.threads);
  await engine.close();
});

test('an image that is large enough is scanned on threads from its first chunk on', async () => {
  const engine = createPageEngine();
  await engine.useKeys(KEYS);
  await scan(engine, IMAGE_PAGES);
  expect(started).toBe(engine.threads);
  await engine.close();
});

test('pages that are packed count as work', async () => {
  const engine = createPageEngine();
  const pages = mixedImage(CHUNK_PAGES, 41);
  for (let i = 0; i < 2; i += 1) {
    await engine.pack({ pages, cuts: [], level: 1 });
    expect(started).toBe(0);
  }
  await engine.pack({ pages: pages.subarray(0, PAGE_BYTES), cuts: [], level: 1 });
  expect(started).toBe(engine.threads);
  await engine.close();
});

test('an engine starts the threads that it was told of with its first work, and not before', async () => {
  const engine = createPageEngine({ threads: 1 });
  await engine.useKeys(KEYS);
  expect(started).toBe(0);
  await scan(engine, 1);
  expect(started).toBe(1);
  await engine.close();
});
