import { spawnSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { types } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { memoryOfDescriptor } from '../../../../adapters/files/memory-file.ts';
import { deriveEngineKeys } from '../../../../adapters/kernels/keys.ts';
import type { Image } from '../../../../domain/ports/guests.ts';
import { createPageEngine } from '../../../../adapters/kernels/engine/page-engine.ts';
import { ThreadRunner } from '../../../../adapters/kernels/engine/page-thread.ts';
import {
  CHUNK_PAGES,
  CLASS_NONE,
  CLASS_ZERO,
  FINGERPRINT_BYTES,
  IDENTIFIER_BYTES,
} from '../../../../domain/ports/page-engine.ts';
import type { PageEngine } from '../../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { pageAt } from '../../../support/images.ts';
import { openFiles, type OpenFiles } from '../../../support/disks/open-files.ts';
import { mixedImage, numbers, randomBytes, textBytes } from '../random-pages.ts';

const KEYS = deriveEngineKeys(randomBytes(32, 1));
const PAGE_COUNT = CHUNK_PAGES + 300;
const CONTENT = mixedImage(PAGE_COUNT, 2);

let files: OpenFiles;
beforeAll(() => {
  files = openFiles();
});
afterAll(() => files.remove());

function imageOf(name: string, bytes: Uint8Array, zeros: Uint8Array | null = null): Image {
  const { fd } = files.fileOf(name, bytes);
  const pageCount = bytes.length / PAGE_BYTES;
  return { file: memoryOfDescriptor(fd), offsetBytes: 0, pageCount, zeros, label: name };
}

const sharedColumn = (pageCount: number): SharedArrayBuffer =>
  new SharedArrayBuffer(pageCount * FINGERPRINT_BYTES);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** A whole scan in one comparable value. */
async function scanAll(
  engine: PageEngine,
  scan: { image: Image; previous: SharedArrayBuffer | null; next: SharedArrayBuffer },
) {
  const chunks = [];
  for (let firstPage = 0; firstPage < scan.image.pageCount; firstPage += CHUNK_PAGES) {
    const pageCount = Math.min(CHUNK_PAGES, scan.image.pageCount - firstPage);
    const chunk = await engine.scan({ ...scan, firstPage, pageCount });
    const rows = Uint32Array.from(chunk.gfns.keys()).filter((row) => chunk.classes[row] === 0);
    const blocks = await chunk.store({ rows, cuts: [1, 6] });
    chunks.push({
      unchanged: chunk.unchanged,
      gfns: [...chunk.gfns],
      classes: [...chunk.classes],
      identifiers: hex(chunk.identifiers),
      bytes: hex(blocks.bytes),
      pages: [...blocks.pages],
      codecs: [...blocks.codecs],
      lengths: [...blocks.lengths],
      checksums: [...blocks.checksums],
    });
    chunk.release();
  }
  return chunks;
}

test('an engine on threads gives the same columns, blocks and fingerprints as one inline', async () => {
  const image = imageOf('both', CONTENT);
  const results = [];
  for (const threads of [0, 2]) {
    const engine = createPageEngine({ threads });
    await engine.useKeys(KEYS);
    const next = sharedColumn(PAGE_COUNT);
    results.push({
      chunks: await scanAll(engine, { image, previous: null, next }),
      fingerprints: hex(new Uint8Array(next)),
    });
    await engine.close();
  }
  expect(results[1]).toEqual(results[0]);
});

test('without being told, an engine has a thread for each of several processors', async () => {
  const engine = createPageEngine();
  expect(engine.threads).not.toBe(1);
  expect(engine.chunksMax).toBe(3 * Math.max(engine.threads, 1));
  await engine.close();
});

describe.each([0, 2])('an engine with %i threads', (threads) => {
  let engine: PageEngine;
  beforeAll(async () => {
    engine = createPageEngine({ threads });
    await engine.useKeys(KEYS);
  });
  afterAll(() => engine.close());

  const scanOne = async (
    image: Image,
    columns: { previous?: SharedArrayBuffer; next?: SharedArrayBuffer } = {},
  ) =>
    engine.scan({
      image,
      firstPage: 0,
      pageCount: image.pageCount,
      previous: columns.previous ?? null,
      next: columns.next ?? sharedColumn(image.pageCount),
    });

  /** Classes and identifiers as a scan has them: those of patterns are zeros. */
  function identified(bytes: Uint8Array) {
    const { classes, identifiers } = engine.identify(bytes);
    for (const [page, pageClass] of classes.entries())
      if (pageClass !== CLASS_NONE)
        identifiers.fill(0, page * IDENTIFIER_BYTES, (page + 1) * IDENTIFIER_BYTES);
    return { classes, identifiers };
  }

  test('makes every page a candidate where there is no earlier capture', async () => {
    const bytes = CONTENT.subarray(0, 200 * PAGE_BYTES);
    const chunk = await scanOne(imageOf(`first-${threads}`, bytes));
    const expected = identified(bytes);
    expect(chunk.unchanged).toBe(0);
    expect([...chunk.gfns]).toEqual(Array.from({ length: 200 }, (_, gfn) => gfn));
    expect(hex(chunk.classes)).toBe(hex(expected.classes));
    expect(hex(chunk.identifiers) === hex(expected.identifiers)).toBe(true);
    chunk.release();
    for (let page = 0; page < 200; page += 1) {
      const isZero = pageAt(bytes, page).every((byte) => byte === 0);
      expect(expected.classes[page]).toBe(isZero ? CLASS_ZERO : CLASS_NONE);
      const row = expected.identifiers.subarray(page * IDENTIFIER_BYTES).subarray(0, 32);
      expect(row.every((byte) => byte === 0)).toBe(isZero);
    }
  });

  test('finds exactly the pages that changed since the last capture', async () => {
    const next = numbers(20);
    const before = CONTENT.slice(0, 700 * PAGE_BYTES);
    const fingerprints = sharedColumn(700);
    (await scanOne(imageOf(`before-${threads}`, before), { next: fingerprints })).release();
    for (const count of [0, 1, 40, 700]) {
      const after = before.slice();
      const changed = new Set<number>();
      while (changed.size < count) changed.add(next() % 700);
      for (const page of changed) after[page * PAGE_BYTES + (next() % PAGE_BYTES)]! ^= 0x40;
      const image = imageOf(`after-${threads}-${count}`, after);
      const chunk = await scanOne(image, { previous: fingerprints });
      expect(chunk.unchanged).toBe(700 - count);
      expect([...chunk.gfns]).toEqual([...changed].toSorted((a, b) => a - b));
      const all = identified(after);
      const expected = [...chunk.gfns].map((gfn) =>
        hex(all.identifiers.slice(gfn * IDENTIFIER_BYTES, (gfn + 1) * IDENTIFIER_BYTES)),
      );
      expect(hex(chunk.identifiers) === expected.join('')).toBe(true);
      chunk.release();
    }
  });

  test('takes pages that are said to be zero as zero, whatever the file holds', async () => {
    const bytes = textBytes(40 * PAGE_BYTES, 21);
    const zeros = new Uint8Array(new SharedArrayBuffer(40));
    for (const page of [0, 1, 2, 17, 39]) zeros[page] = 1;
    const asSaid = bytes.slice();
    for (const [page, zero] of zeros.entries()) if (zero === 1) pageAt(asSaid, page).fill(0);
    const [said, real] = [sharedColumn(40), sharedColumn(40)];
    const chunk = await scanOne(imageOf(`said-${threads}`, bytes, zeros), { next: said });
    const plain = await scanOne(imageOf(`real-${threads}`, asSaid), { next: real });
    expect(hex(new Uint8Array(said))).toBe(hex(new Uint8Array(real)));
    expect(hex(chunk.classes)).toBe(hex(plain.classes));
    expect(hex(chunk.identifiers)).toBe(hex(plain.identifiers));
    chunk.release();
    plain.release();
    const again = await scanOne(imageOf(`again-${threads}`, bytes, zeros), { previous: real });
    expect(again.unchanged).toBe(40);
    again.release();
  });

  test('stores the rows asked for, in their order, in blocks that end at cuts', async () => {
    const bytes = textBytes(30 * PAGE_BYTES, 22);
    const chunk = await scanOne(imageOf(`cuts-${threads}`, bytes));
    const rows = Uint32Array.from([0, 1, 2, 5, 4, 9, 10, 11, 12, 13, 29]);
    const blocks = await chunk.store({ rows, cuts: [3, 3, 9] });
    expect([...blocks.pages]).toEqual([3, 4, 2, 2]);
    const back = engine.decode({ bytes: blocks.bytes, blocks, label: 'pack abc' });
    for (const [i, row] of rows.entries())
      expect(hex(pageAt(back, i))).toBe(hex(pageAt(bytes, row)));
    chunk.release();
  });

  test('puts what it stores of a chunk into memory that it uses again', async () => {
    const bytes = textBytes((engine.chunksMax + 1) * PAGE_BYTES, 25);
    const image = imageOf(`again-stored-${threads}`, bytes);
    const next = sharedColumn(image.pageCount);
    const storeAt = async (firstPage: number) => {
      const chunk = await engine.scan({ image, firstPage, pageCount: 1, previous: null, next });
      return { chunk, blocks: await chunk.store({ rows: Uint32Array.of(0), cuts: [] }) };
    };
    const first = await storeAt(0);
    const was = hex(first.blocks.bytes);
    expect(types.isSharedArrayBuffer(first.blocks.bytes.buffer)).toBe(true);
    first.chunk.release();
    // All slots at once, the first one's among them.
    const others = await Promise.all(
      Array.from({ length: engine.chunksMax }, (_, i) => storeAt(i + 1)),
    );
    expect(hex(first.blocks.bytes)).not.toBe(was);
    for (const { chunk } of others) chunk.release();
  });

  test('keeps chunks apart, and makes a scan beyond the most wait for a release', async () => {
    const bytes = textBytes((engine.chunksMax + 1) * PAGE_BYTES, 23);
    const image = imageOf(`wait-${threads}`, bytes);
    const next = sharedColumn(image.pageCount);
    const scan = (firstPage: number) =>
      engine.scan({ image, firstPage, pageCount: 1, previous: null, next });
    const numbersOf = Array.from({ length: engine.chunksMax }, (_, i) => i);
    const chunks = await Promise.all(numbersOf.map(scan));
    let isThere = false;
    const late = (async () => {
      const chunk = await scan(engine.chunksMax);
      isThere = true;
      return chunk;
    })();
    for (const [i, chunk] of chunks.entries()) {
      const blocks = await chunk.store({ rows: Uint32Array.of(0), cuts: [] });
      const back = engine.decode({ bytes: blocks.bytes, blocks, label: 'pack abc' });
      expect(hex(back)).toBe(hex(pageAt(bytes, i)));
    }
    expect(isThere).toBe(false);
    for (const chunk of chunks) chunk.release();
    (await late).release();
    expect(() => chunks[0]!.release()).toThrow('released once');
  });

  test('refuses an image that is shorter than it was, and goes on with the next', async () => {
    const bytes = textBytes(20 * PAGE_BYTES, 24);
    const image = imageOf(`short-${threads}`, bytes);
    truncateSync(files.pathOf(image.label), 11 * PAGE_BYTES + 5);
    for (let i = 0; i <= engine.chunksMax; i += 1)
      await expect(scanOne(image)).rejects.toMatchObject({
        code: 'SOURCE_SIZE',
        facts: { found: 11 * PAGE_BYTES + 5, expected: 20 * PAGE_BYTES, label: image.label },
      });
    (await scanOne(imageOf(`whole-${threads}`, bytes))).release();
  });

  test('refuses to store a row of zeros', async () => {
    const chunk = await scanOne(imageOf(`zero-${threads}`, new Uint8Array(PAGE_BYTES)));
    await expect(chunk.store({ rows: Uint32Array.of(0), cuts: [] })).rejects.toThrow(
      'no pattern describes',
    );
    chunk.release();
  });

  test('scans with the keys that were set when the scan was asked for', async () => {
    const bytes = textBytes(4 * PAGE_BYTES, 25);
    const image = imageOf(`keys-${threads}`, bytes);
    const other = deriveEngineKeys(randomBytes(32, 26));
    const first = scanOne(image);
    await engine.useKeys(other);
    const second = await scanOne(image);
    const secondExpected = hex(engine.identify(bytes).identifiers);
    await engine.useKeys(KEYS);
    const firstExpected = hex(engine.identify(bytes).identifiers);
    expect(hex(second.identifiers)).toBe(secondExpected);
    expect(hex((await first).identifiers)).toBe(firstExpected);
    expect(firstExpected).not.toBe(secondExpected);
    (await first).release();
    second.release();
  });
});

describe.each([0, 1])('a closed engine with %i threads', (threads) => {
  test('refuses what comes after', async () => {
    const engine = createPageEngine({ threads });
    await engine.useKeys(KEYS);
    const image = imageOf(`closed-${threads}`, textBytes(PAGE_BYTES, 33));
    await engine.close();
    await engine.close();
    const next = sharedColumn(1);
    await expect(
      engine.scan({ image, firstPage: 0, pageCount: 1, previous: null, next }),
    ).rejects.toMatchObject({ code: 'LEDGER_CLOSED' });
  });
});

test('an engine that is idle and was not closed lets the process end', () => {
  const modules = ['engine/page-engine.js', 'keys.js'].map(
    (name) => new URL(`../../../../adapters/kernels/${name}`, import.meta.url).href,
  );
  const { fd } = files.fileOf('idle', textBytes(PAGE_BYTES, 35));
  const program = `
    const { createPageEngine } = await import('${modules[0]}');
    const { deriveEngineKeys } = await import('${modules[1]}');
    createPageEngine({ threads: 1 });
    const used = createPageEngine({ threads: 1 });
    await used.useKeys(deriveEngineKeys(new Uint8Array(32)));
    const next = new SharedArrayBuffer(${FINGERPRINT_BYTES});
    const image = { file: { handle: 3 }, offsetBytes: 0, pageCount: 1, zeros: null, label: 'idle' };
    const chunk = await used.scan({ image, firstPage: 0, pageCount: 1, previous: null, next });
    console.log('scanned', chunk.gfns.length);`;
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe', fd],
    encoding: 'utf8',
    timeout: 30_000,
  });
  expect({ status: ended.status, signal: ended.signal }).toEqual({ status: 0, signal: null });
  expect(ended.stdout).toBe('scanned 1\n');
}, 40_000);

describe('a worker thread', () => {
  const request = (name: string) => ({
    image: imageOf(name, textBytes(PAGE_BYTES, 34)),
    firstPage: 0,
    pageCount: 1,
    previous: null,
    next: sharedColumn(1),
  });

  test('that dies fails the calls under way and all that follow', async () => {
    const program = `import { parentPort } from 'node:worker_threads';
      parentPort.on('message', () => process.exit(3));`;
    const entry = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
    const runner = new ThreadRunner({ entry });
    const dies = { code: 'IO_FAILED', facts: { reason: 'exit code 3', waiting: 2 } };
    const both = await Promise.allSettled([
      runner.scan(0, request('dies'), KEYS),
      runner.store(1, { rows: Uint32Array.of(0), cuts: [] }),
    ]);
    for (const outcome of both) expect(outcome).toMatchObject({ status: 'rejected', reason: dies });
    expect(runner.pending).toBe(0);
    await expect(runner.scan(0, request('dead'), KEYS)).rejects.toMatchObject(dies);
    await runner.close();
  });

  test('that is closed fails the calls under way', async () => {
    const runner = new ThreadRunner();
    const [outcome] = await Promise.allSettled([
      runner.scan(0, request('closing'), KEYS),
      runner.close(),
    ]);
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'LEDGER_CLOSED' } });
  });
});
