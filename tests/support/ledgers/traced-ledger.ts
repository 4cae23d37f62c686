// A ledger for audit questions, recorded through the engine: three VMs, one of them in a group of its
// own, pages of every kind, and what each page was at each capture.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLedger, recordImages } from '../../../index.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { seededRandom } from '../images.ts';

export const TRACED_PAGES = 48;

/** The memory of each capture, by VM, oldest first. */
export type TracedMemory = Readonly<Record<string, readonly Uint8Array[]>>;

/** Bytes that no pattern describes. */
function randomPage(seed: number): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length: PAGE_BYTES }, () => random(256));
}

const filled = (...unit: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: PAGE_BYTES }, (_, i) => unit[i % unit.length]!);

/** The page with these bytes at an offset. */
export function edited(page: Uint8Array, offset: number, ...bytes: readonly number[]): Uint8Array {
  const copy = page.slice();
  copy.set(bytes, offset);
  return copy;
}

/** Pages of zeros but for those given. */
function memoryOf(pages: Readonly<Record<number, Uint8Array>>): Uint8Array {
  const memory = new Uint8Array(TRACED_PAGES * PAGE_BYTES);
  for (const [gfn, page] of Object.entries(pages)) memory.set(page, Number(gfn) * PAGE_BYTES);
  return memory;
}

const [first, second, third, fourth] = [1, 2, 3, 4].map(randomPage) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

/** `a` and `b` share contents; `c` has the same ones in a group of its own. */
export const TRACED: TracedMemory = {
  a: [
    memoryOf({ 0: first, 1: first, 2: second, 5: filled(0xaa), 6: filled(1, 2, 3, 4) }),
    memoryOf({
      0: first,
      1: edited(first, 100, 1, 2, 3, 4),
      2: third,
      5: filled(0xaa),
      6: filled(9, 9, 1),
    }),
    memoryOf({ 1: edited(first, 100, 1, 2, 3, 4), 2: second, 5: filled(0x17), 7: fourth }),
  ],
  b: [memoryOf({ 3: first, 4: second }), memoryOf({ 3: edited(first, 4090, 7), 4: second })],
  c: [memoryOf({ 0: first, 1: first, 2: second, 5: filled(0xaa), 6: filled(1, 2, 3, 4) })],
};

/** The order in which they were captured. */
export const TRACED_ORDER = ['a', 'b', 'a', 'c', 'b', 'a'] as const;

/** Time of the nth capture of all, from 0. */
export const tracedTimeMs = (n: number): number => Date.parse('2026-11-20T10:00:00Z') + n * 60_000;

/** Records them; the folder of the ledger is `url`. */
export async function makeTracedLedger(options: {
  readonly url: string;
  readonly scratch: string;
}): Promise<void> {
  const ledger = await openLedger({ url: options.url, mode: 'create', threads: 0 });
  const done = new Map<string, number>();
  const file = join(options.scratch, 'image');
  for (const [n, vm] of TRACED_ORDER.entries()) {
    const capture = done.get(vm) ?? 0;
    writeFileSync(file, TRACED[vm]![capture]!);
    const group = vm === 'c' ? 'apart' : null;
    const series = { files: [file], timeMs: tracedTimeMs(n) };
    await recordImages(ledger, { vm, group }, series, () => undefined);
    done.set(vm, capture + 1);
  }
  rmSync(file);
  await ledger.close();
}
