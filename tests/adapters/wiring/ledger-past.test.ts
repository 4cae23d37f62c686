// A VM's past out of what the page index says of it. Where its first captures left pages out, these are no
// memory until they are written, and not ever where nobody did, though no page table is asked for at a
// moment; and what is recorded of other VMs costs it nothing.

import { describe, expect, test } from '@jest/globals';
import type { Ledger } from '../../../adapters/wiring/ledger/ledger.ts';
import { LedgerPast } from '../../../adapters/wiring/time-travel/ledger-past.ts';
import { UNKNOWN } from '../../../domain/values/holding.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';

const CAPTURES = [1, 2, 3, 4];
/** By page: what it came to hold, and at which capture; two pages are plugged in at the third. */
const VERSIONS = [
  [[1, 300]],
  [[3, 301]],
  [],
  [
    [2, 302],
    [4, 303],
  ],
  [[3, 304]],
  [[4, 305]],
] as const;

/** What captures wrote is not asked for, but whether their source told of it all. */
const NO_COUNTS = { written: 0, stored: 0, merged: 0, pattern: 0 };

const mapOf = (pages: number): MemoryMap => ({
  blocks: [{ name: 'ram', pages }],
  ranges: [{ address: 0, block: 'ram', offset: 0, length: pages * PAGE_BYTES }],
});

const tableAt = (capture: number): Uint32Array =>
  Uint32Array.from(VERSIONS.slice(0, capture < 3 ? 4 : 6), (versions) => {
    const last = versions.findLast(([at]) => at <= capture);
    return last === undefined ? UNKNOWN : last[1];
  });

function pastOf() {
  const asked: number[] = [];
  const versionsAsked: number[] = [];
  const rowOf = (capture: number) => ({ ...NO_COUNTS, capture, isWiped: false });
  const captures = CAPTURES.map(rowOf);
  const forgotten = new Set<number>();
  const entry = {
    vm: 'a',
    captures,
    rows: captures,
    points: {},
    keptCaptures: () => captures.filter(({ capture }) => !forgotten.has(capture)),
    capture: (number: number) => captures.find(({ capture }) => capture === number),
    maps: [
      { capture: 1, memoryMap: mapOf(4) },
      { capture: 3, memoryMap: mapOf(6) },
    ],
  } as unknown as VmEntry;
  const ledger = {
    vm: () => entry,
    pageReader: () =>
      Promise.resolve({
        read: (holdings: readonly number[], into: Uint8Array) => {
          for (const [i, holding] of holdings.entries()) into[i * PAGE_BYTES] = holding - 256;
          return Promise.resolve(into);
        },
      }),
    pageIndex: () => ({
      versions: (_vm: string, gfn: number) => {
        versionsAsked.push(gfn);
        return Promise.resolve(VERSIONS[gfn]!.map(([capture, holding]) => ({ capture, holding })));
      },
    }),
    state: {
      next: 1n,
      catchUp: () => Promise.resolve(),
      contents: null,
      tables: {
        at: (_entry: VmEntry, _contents: null, { capture }: { readonly capture: number }) => {
          asked.push(capture);
          return Promise.resolve(tableAt(capture));
        },
      },
    },
  } as unknown as Ledger;
  /** Events come to the log. */
  const appended = (): void => {
    (ledger.state as { next: bigint }).next += 1n;
  };
  return {
    past: LedgerPast.open(ledger, entry),
    asked,
    versionsAsked,
    appended,
    captured: () => {
      captures.push(rowOf(captures.length + 1));
      appended();
    },
    pointed: (capture?: number) => {
      (entry as { points: object }).points = {};
      if (capture !== undefined) forgotten.add(capture);
      appended();
    },
  };
}

describe('a past that was looked at', () => {
  test('is asked for nothing again, whatever is recorded that is not of its VM', async () => {
    const { past: opening, versionsAsked, appended, pointed } = pastOf();
    const past = await opening;
    const memory = await past.memoryAt(4);
    await memory.read([1, 3]);
    versionsAsked.length = 0;
    for (const event of [appended, pointed]) {
      event();
      await past.catchUp();
      expect(await past.memoryAt(4)).toBe(memory);
      await (await past.memoryAt(2)).read([1, 3]);
      expect(await past.writesOf(1)).toEqual([1, 3]);
      expect(versionsAsked).toEqual([]);
    }
  });

  test('takes in captures of its VM, and those that are forgotten', async () => {
    const { past: opening, versionsAsked, captured, pointed } = pastOf();
    const past = await opening;
    await past.writesOf(1);
    versionsAsked.length = 0;
    captured();
    expect(past.moments).toEqual([1, 2, 3, 4]);
    await past.catchUp();
    expect(past.moments).toEqual([1, 2, 3, 4, 5]);
    await past.writesOf(1);
    expect(versionsAsked).toContain(1);
    pointed(2);
    await past.catchUp();
    expect(past.moments).toEqual([1, 3, 4, 5]);
  });
});

describe('a past of which pages were left out', () => {
  test('has each page from the capture on that brought it', async () => {
    const { past: opening, asked } = pastOf();
    const past = await opening;
    asked.length = 0;
    for (const capture of CAPTURES) {
      const memory = await past.memoryAt(capture);
      const table = tableAt(capture);
      for (let frame = 0; frame < 7; frame += 1)
        expect([capture, frame, memory.has(frame)]).toEqual([
          capture,
          frame,
          frame < table.length && table[frame] !== UNKNOWN,
        ]);
    }
    expect((await (await past.memoryAt(4)).read([1, 3]))[PAGE_BYTES]).toBe(303 - 256);
    expect(await past.writesOf(1)).toEqual([1, 3]);
    expect(asked).toEqual([]);
    expect(await past.memoryAt(4)).toBe(await past.memoryAt(4));
  });
});
