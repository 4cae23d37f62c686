// Captures of an image of which pages are rewritten at random places, everywhere.

import { copyFileSync, closeSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { recordImages, type LargeHolding, type Ledger } from '../../index.ts';
import { fillPage, seededRandom } from '../support/images.ts';

/** Records so many captures of the VM `guest`, with so many pages of fresh text in each. */
export async function recordScattered(
  ledger: Ledger,
  of: {
    readonly image: string;
    readonly folder: string;
    readonly captures: number;
    readonly changed: number;
    readonly large?: LargeHolding;
  },
): Promise<void> {
  const path = join(of.folder, 'scattered.raw');
  copyFileSync(of.image, path);
  const pages = statSync(path).size / PAGE_BYTES;
  const random = seededRandom(9);
  const page = Buffer.alloc(PAGE_BYTES);
  const fd = openSync(path, 'r+');
  const files = Array.from({ length: of.captures }, () => path);
  const request = { files, timeMs: null, format: 'raw' } as const;
  const recorder = { vm: 'guest', group: null };
  const options = of.large === undefined ? recorder : { ...recorder, large: of.large };
  await recordImages(ledger, options, request, () => {
    for (let i = 0; i < of.changed; i += 1) {
      fillPage(page, 'text', random);
      writeSync(fd, page, 0, PAGE_BYTES, random(pages) * PAGE_BYTES);
    }
  });
  closeSync(fd);
}
