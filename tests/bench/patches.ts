// Patches: what it costs to keep a page as what it differs in from an earlier one, and to get it
// back, against keeping the same pages plain. Difference Engine (OSDI'08, its table of costs a page)
// needed 338 microseconds to make a patch and 18.6 to apply one.

import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { memoryOfDescriptor } from '../../adapters/files/memory-file.ts';
import { deriveEngineKeys } from '../../adapters/kernels/keys.ts';
import { createPageEngine } from '../../adapters/kernels/engine/page-engine.ts';
import { assert } from '../../domain/values/assert.ts';
import { CHUNK_PAGES, FINGERPRINT_BYTES } from '../../domain/ports/page-engine.ts';
import type {
  PageEngine,
  PatchedBlocks,
  ScannedChunk,
  StoredBlocks,
} from '../../domain/ports/page-engine.ts';
import { CODEC_RAW } from '../../domain/values/pack.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { fillRequest, joined } from '../support/packs/fill-requests.ts';
import { seededRandom } from '../support/images.ts';
import type { Bench, BenchContext } from './bench.ts';
import { guestImage } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const THEIRS = { encode: 338, decode: 18.6 };
/** Words of 8 bytes that a page's next version has changed, at most: counters, pointers, a record. */
const CHANGED_WORDS_MAX = 48;
const WORD_BYTES = 8;
/** Pages of the image that are looked through for content. */
const IMAGE_MIB = 64;

/** A chunk of distinct content from an image like a guest's. */
function contentPages(image: string): Buffer {
  const bytes = readFileSync(image);
  const pages = Buffer.alloc(CHUNK_PAGES * PAGE_BYTES);
  let count = 0;
  for (let at = 0; count < CHUNK_PAGES; at += PAGE_BYTES) {
    assert(at < bytes.length, 'the image has enough pages of content');
    const page = bytes.subarray(at, at + PAGE_BYTES);
    // Short patterns are no content: here, whatever repeats its first 64 bytes.
    if (page.subarray(64, 128).equals(page.subarray(0, 64))) continue;
    page.copy(pages, count * PAGE_BYTES);
    count += 1;
  }
  return pages;
}

/** The next version of each page: some words of it are others. */
function nextVersions(pages: Buffer): Buffer {
  const random = seededRandom(11);
  const next = Buffer.from(pages);
  for (let page = 0; page < CHUNK_PAGES; page += 1)
    for (let words = 1 + random(CHANGED_WORDS_MAX); words > 0; words -= 1) {
      const at = page * PAGE_BYTES + random(PAGE_BYTES / WORD_BYTES) * WORD_BYTES;
      next.writeUInt32LE(random(2 ** 32), at);
    }
  return next;
}

/** Microseconds a page that work on one chunk took. */
async function microsecondsOf(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return ((performance.now() - start) * 1000) / CHUNK_PAGES;
}

/** Pages as blocks of a page each that are stored as they are. */
function rawBlocks(pages: Buffer): StoredBlocks {
  const count = pages.length / PAGE_BYTES;
  const pageAt = (page: number): Buffer =>
    pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  return {
    bytes: pages,
    codecs: new Uint8Array(count).fill(CODEC_RAW),
    pages: new Uint8Array(count).fill(1),
    lengths: new Uint32Array(count).fill(PAGE_BYTES),
    checksums: Uint32Array.from({ length: count }, (_, page) => crc32(pageAt(page))),
  };
}

interface Subject {
  readonly engine: PageEngine;
  readonly chunk: ScannedChunk;
  readonly references: Buffer;
  /** A file that holds the references. */
  readonly fd: number;
}

interface Samples {
  readonly plain: number[];
  readonly patch: number[];
}

async function encodeSamples(subject: Subject, count: number): Promise<Samples> {
  const rows = Uint32Array.from(subject.chunk.gfns.keys());
  const of = Int32Array.from(rows);
  const references = { pages: subject.references, of };
  const samples: Samples = { plain: [], patch: [] };
  for (let sample = -1; sample < count; sample += 1) {
    const plain = await microsecondsOf(() => subject.chunk.store({ rows, cuts: [] }));
    const patch = await microsecondsOf(() => subject.chunk.store({ rows, cuts: [], references }));
    if (sample < 0) continue;
    samples.plain.push(plain);
    samples.patch.push(patch);
  }
  return samples;
}

async function decodeSamples(
  subject: Subject,
  stored: { readonly plain: PatchedBlocks; readonly patches: PatchedBlocks },
  count: number,
): Promise<Samples> {
  const pages = Array.from({ length: CHUNK_PAGES }, (_, page) => page);
  // What patches go onto is at hand, as it is.
  const onto = rawBlocks(subject.references);
  const twice = [...pages, ...pages];
  const requests = {
    write: fillRequest(subject, { blocks: stored.plain, slots: pages, pages }),
    xor: fillRequest(subject, {
      blocks: joined(onto, stored.patches),
      slots: twice.map((_, row) => row),
      pages: twice,
    }),
  };
  const fill = (mode: 'write' | 'xor') => subject.engine.fill(requests[mode]);
  const samples: Samples = { plain: [], patch: [] };
  for (let sample = -1; sample < count; sample += 1) {
    const plain = await microsecondsOf(() => fill('write'));
    const patch = await microsecondsOf(() => fill('xor'));
    if (sample < 0) continue;
    samples.plain.push(plain);
    samples.patch.push(patch);
  }
  return samples;
}

function rowsOf(
  kind: 'encode' | 'decode',
  samples: Samples,
  words: { readonly what: string; readonly plain: string; readonly note: string },
): readonly Row[] {
  const unit = 'microseconds a page';
  const measured = figureOf(samples.patch, unit);
  const times = (THEIRS[kind] / measured.median).toFixed(1);
  return [
    rowOf({
      what: words.what,
      measured,
      target: { sense: 'at most', bound: THEIRS[kind] },
      note: `Difference Engine: ${THEIRS[kind]} microseconds a page, ${times} x as long; ${words.note}`,
    }),
    rowOf({
      what: `${words.what}, against the same pages plain`,
      measured,
      limit: { what: words.plain, figure: figureOf(samples.plain, unit) },
    }),
  ];
}

async function measure(subject: Subject, samples: number): Promise<readonly Row[]> {
  const rows = Uint32Array.from(subject.chunk.gfns.keys());
  const plain = await subject.chunk.store({ rows, cuts: [] });
  const references = { pages: subject.references, of: Int32Array.from(rows) };
  const patches = await subject.chunk.store({ rows, cuts: [], references });
  assert(
    patches.patched.every((isPatched) => isPatched === 1),
    'every next version is kept as a patch',
  );
  const each = (blocks: PatchedBlocks): string => (blocks.bytes.length / CHUNK_PAGES).toFixed(0);
  const bytes = `${each(patches)} bytes a patch, ${each(plain)} a page kept plain`;
  return [
    ...rowsOf('encode', await encodeSamples(subject, samples), {
      what: 'make a patch: XOR with the reference at hand, count, compress',
      plain: 'compress the page',
      note: bytes,
    }),
    ...rowsOf('decode', await decodeSamples(subject, { plain, patches }, samples), {
      what: 'apply a patch: decompress, lay it onto the reference, write',
      plain: 'decompress and write the page',
      note: 'its reference lies in the target and in the page cache',
    }),
  ];
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const references = contentPages(guestImage(context, IMAGE_MIB));
  const [older, newer] = ['references.raw', 'versions.raw'].map((name) =>
    join(context.folder, name),
  ) as [string, string];
  writeFileSync(older, references);
  writeFileSync(newer, nextVersions(references));
  const fd = openSync(older, 'r+');
  const source = openSync(newer, 'r');
  const engine = createPageEngine({ threads: 0 });
  try {
    await engine.useKeys(deriveEngineKeys(new Uint8Array(32).fill(7)));
    const pageCount = CHUNK_PAGES;
    const chunk = await engine.scan({
      image: {
        file: memoryOfDescriptor(source),
        offsetBytes: 0,
        pageCount,
        zeros: null,
        label: newer,
      },
      firstPage: 0,
      pageCount,
      previous: null,
      next: new SharedArrayBuffer(pageCount * FINGERPRINT_BYTES),
    });
    const rows = await measure({ engine, chunk, references, fd }, context.isQuick ? 3 : 15);
    chunk.release();
    return rows;
  } finally {
    closeSync(fd);
    closeSync(source);
    await engine.close();
  }
}

export const patches: Bench = { name: 'patches', title: 'Pages kept as patches', run };
