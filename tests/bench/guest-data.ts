// An image like a guest's memory: 40 % zero pages, 10 % short repeated patterns, 8 % copies of other
// pages, and the rest distinct pages of real ELF files and real text of this machine, in runs as a
// guest has them. The same seed on the same machine gives the same image.

import { hash } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { seededRandom, type Random } from '../support/images.ts';

const FILE_BYTES_MIN = 16 * 1024;
const FILE_BYTES_MAX = 64 * 1024 * 1024;
const TEXT = /\.(?:[cm]?[jt]s|json|md|txt|py|pl|map)$/u;
const ELF_FOLDERS = ['/usr/bin', '/usr/lib', '/usr/libexec', '/usr/local/bin', '/usr/local/lib'];
const RUN_PAGES_MAX = 64;
const RING_PAGES = 4096;
/** Shares in percent; what is left is distinct. */
const ZERO = 40;
const REPEATED = 10;
const DUPLICATE = 8;

/** Files below a folder, in a stable order; links are not followed. */
function* filesBelow(folder: string): Generator<string> {
  if (!existsSync(folder)) return;
  const entries = readdirSync(folder, { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

function readable(path: string): Buffer {
  try {
    const bytes = readFileSync(path);
    return bytes.length < FILE_BYTES_MIN || bytes.length > FILE_BYTES_MAX ? Buffer.alloc(0) : bytes;
  } catch {
    return Buffer.alloc(0);
  }
}

function* elfFiles(): Generator<Buffer> {
  for (const folder of ELF_FOLDERS)
    for (const path of filesBelow(folder)) {
      const bytes = readable(path);
      if (bytes.length > 4 && bytes.readUInt32BE(0) === 0x7f45_4c46) yield bytes;
    }
}

function* textFiles(): Generator<Buffer> {
  const packages = dirname(dirname(new URL(import.meta.resolve('rxjs')).pathname));
  const modules = packages.slice(0, packages.lastIndexOf('node_modules') + 'node_modules'.length);
  for (const path of filesBelow(modules)) if (TEXT.test(path)) yield readable(path);
}

/** Distinct pages of the machine's own files, an ELF file and a text file in turn. */
function* distinctPages(random: Random): Generator<Buffer> {
  const seen = new Set<string>();
  for (let round = 0; ; round += 1) {
    const open = new Set([elfFiles(), textFiles()]);
    while (open.size > 0)
      for (const source of open) {
        const next = source.next();
        if (next.done === true) {
          open.delete(source);
          continue;
        }
        for (let at = 0; at + PAGE_BYTES <= next.value.length; at += PAGE_BYTES) {
          const page = next.value.subarray(at, at + PAGE_BYTES);
          // Where the machine has too few files, they come again, each page with a stamp.
          if (round > 0) page.writeUInt32LE(random(2 ** 32), random(PAGE_BYTES - 4));
          const digest = hash('sha1', page, 'base64');
          if (seen.has(digest) || page.every((byte) => byte === 0)) continue;
          seen.add(digest);
          yield page;
        }
      }
  }
}

function fillPattern(page: Buffer, random: Random): void {
  const period = 2 ** random(5);
  const unit = Buffer.from(Array.from({ length: period }, () => random(256)));
  unit[0] = 1 + random(255);
  page.fill(unit);
}

export interface GuestImageRequest {
  readonly path: string;
  readonly pages: number;
  readonly seed: number;
}

/** Writes an image, if it is not there. */
export function writeGuestImage({ path, pages, seed }: GuestImageRequest): void {
  if (existsSync(path)) return;
  const random = seededRandom(seed);
  const distinct = distinctPages(random);
  const ring = Buffer.alloc(RING_PAGES * PAGE_BYTES);
  let ringCount = 0;
  const run = Buffer.alloc(RUN_PAGES_MAX * PAGE_BYTES);
  const fd = openSync(path, 'w');
  for (let done = 0; done < pages;) {
    const count = Math.min(1 + random(RUN_PAGES_MAX), pages - done);
    const draw = random(100);
    for (let i = 0; i < count; i += 1) {
      const page = run.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      if (draw < ZERO) page.fill(0);
      else if (draw < ZERO + REPEATED) fillPattern(page, random);
      else if (draw < ZERO + REPEATED + DUPLICATE && ringCount > 0) {
        const from = random(Math.min(ringCount, RING_PAGES)) * PAGE_BYTES;
        ring.copy(page, 0, from, from + PAGE_BYTES);
      } else {
        const next = distinct.next();
        assert(next.done !== true, 'there is always another page');
        next.value.copy(page);
        page.copy(ring, (ringCount % RING_PAGES) * PAGE_BYTES);
        ringCount += 1;
      }
    }
    writeSync(fd, run, 0, count * PAGE_BYTES);
    done += count;
  }
  closeSync(fd);
}
