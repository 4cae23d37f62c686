// The limits that rates are held against, measured warm in the same run.

import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { gigabytesPerSecond } from './measure.ts';

const COPIES = 3;

/** One thread's memcpy: Buffer.copy of a whole warm buffer, GB/s. */
export class Memcpy {
  readonly #source: Buffer;
  readonly #target: Buffer;

  constructor(bytes: number) {
    this.#source = Buffer.allocUnsafeSlow(bytes).fill(1);
    this.#target = Buffer.allocUnsafeSlow(bytes).fill(2);
  }

  sample(): number {
    const start = performance.now();
    for (let i = 0; i < COPIES; i += 1) this.#source.copy(this.#target);
    const seconds = (performance.now() - start) / 1000;
    return gigabytesPerSecond(COPIES * this.#source.length, seconds);
  }
}

/** crypto.hash('sha256') of each page of a buffer on one thread, GB/s. */
export function hashRate(pages: Buffer): number {
  const start = performance.now();
  let ends = 0;
  for (let at = 0; at < pages.length; at += PAGE_BYTES)
    ends += hash('sha256', pages.subarray(at, at + PAGE_BYTES), 'buffer')[0]!;
  const seconds = (performance.now() - start) / 1000;
  assert(ends >= 0, 'every page was hashed');
  return gigabytesPerSecond(pages.length, seconds);
}

/** Seconds of `cp` of a file into a fresh one, which is removed again, after `use` of it. */
export function copySeconds(
  source: string,
  target: string,
  use: () => void = () => undefined,
): number {
  const start = performance.now();
  const { status } = spawnSync('cp', ['--sparse=never', '--reflink=never', source, target]);
  const seconds = (performance.now() - start) / 1000;
  assert(status === 0, 'cp copied the file');
  use();
  rmSync(target);
  return seconds;
}
