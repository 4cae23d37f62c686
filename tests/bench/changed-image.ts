// A copy of an image with some pages rewritten.

import { copyFileSync, closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { fillPage, seededRandom } from '../support/images.ts';
import type { BenchContext } from './bench.ts';

/** Writes the image if it is not there: `base` with so many pages of fresh text. */
export function changedImage(
  context: BenchContext,
  request: { readonly base: string; readonly seed: number; readonly changedPages: number },
): string {
  const path = join(context.folder, `changed-${request.seed}.raw`);
  if (existsSync(path)) return path;
  copyFileSync(request.base, path);
  const pages = statSync(path).size / PAGE_BYTES;
  const random = seededRandom(1000 + request.seed);
  const page = Buffer.alloc(PAGE_BYTES);
  const fd = openSync(path, 'r+');
  for (let i = 0; i < request.changedPages; i += 1) {
    fillPage(page, 'text', random);
    writeSync(fd, page, 0, PAGE_BYTES, random(pages) * PAGE_BYTES);
  }
  closeSync(fd);
  return path;
}
