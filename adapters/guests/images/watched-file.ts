// Whether a file stays as it is while it is read: by its size and times, by a sample of its pages, and
// by whether a process can write to it. A page that is mapped and dirty already moves no time, and not
// of every file its writers are told: hence all three.

import { fstatSync, readSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { crc32 } from 'node:zlib';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { mayHaveWriters } from '../../files/writers.ts';
import type { ImageFile } from './image-file.ts';

const SAMPLES = 64;
/** Times of files move by ticks of the kernel's clock: what was written just now may be again. */
const TICK_NS = 20_000_000n;

export class WatchedFile {
  readonly #file: ImageFile;
  readonly #before: BigIntStats;
  readonly #sample: number;
  readonly #openedAtNs = BigInt(Date.now()) * 1_000_000n;

  constructor(file: ImageFile) {
    this.#file = file;
    this.#before = fstatSync(file.fd, { bigint: true });
    this.#sample = sampleOf(file);
  }

  /** Whether it may have changed since this watch began. */
  async mayHaveChanged(): Promise<boolean> {
    const { size, mtimeNs, ctimeNs } = fstatSync(this.#file.fd, { bigint: true });
    const before = this.#before;
    return (
      size !== before.size ||
      mtimeNs !== before.mtimeNs ||
      ctimeNs !== before.ctimeNs ||
      isNear(mtimeNs, this.#openedAtNs) ||
      sampleOf(this.#file) !== this.#sample ||
      (await mayHaveWriters(this.#file.fd))
    );
  }
}

const isNear = (a: bigint, b: bigint): boolean => a - b < TICK_NS && b - a < TICK_NS;

/** Where a page of a sample is read: nobody needs it longer. */
const page = Buffer.allocUnsafeSlow(PAGE_BYTES);

/** A checksum of pages at even distances, the first and the last among them. */
function sampleOf({ fd, sizeBytes }: ImageFile): number {
  const pages = Math.floor(sizeBytes / PAGE_BYTES);
  const count = Math.min(SAMPLES, pages);
  let checksum = 0;
  for (let i = 0; i < count; i += 1) {
    const at = count === 1 ? 0 : Math.floor((i * (pages - 1)) / (count - 1));
    const bytes = readSync(fd, page, 0, PAGE_BYTES, at * PAGE_BYTES);
    checksum = crc32(page.subarray(0, bytes), checksum);
  }
  return checksum;
}
