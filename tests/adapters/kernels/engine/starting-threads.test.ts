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
const IMAGE_PAGES = 2 * CHUNK_PAGES + 1;

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

test('without being told, an engine starts threads when there turns out to be much to do', async () => {
  const engine = createPageEngine();
  for (let i = 0; i < 3; i += 1) await scan(engine, CHUNK_PAGES / 2);
  expect(started).toBe(0);
  // Half a chunk more would be done without them: this is a whole one.
  await scan(engine, CHUNK_PAGES);
  expect(started).toBe(engine.threads);
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
