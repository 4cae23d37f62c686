// Several VMs recorded from series of images, and everything that a ledger may be asked of them, held
// against the images alone: memory at every point, outcomes as the fold must decide them in log order,
// counts, events, verification.

import { expect } from '@jest/globals';
import { verify, type Ledger } from '../../../index.ts';
import { imageSeries } from '../images.ts';
import {
  contentsOf,
  countedBy,
  countPages,
  eventsOf,
  isPatternContent,
  restored,
} from './recorded-images.ts';

/** The images of each VM, oldest first. */
export type VmImages = ReadonlyMap<string, readonly Uint8Array[]>;

/** Images of a VM: half of the contents are the same for every VM, and change at the same time. */
export function seriesOf(vm: number, captures: number): Uint8Array[] {
  const pages = 1200;
  const own = [...imageSeries({ seed: 10 + vm, pages, captures, changedPages: 150 })];
  const common = [...imageSeries({ seed: 9, pages, captures, changedPages: 300 })];
  return own.map((image, i) => Buffer.concat([common[i]!, image]));
}

interface Recorded {
  readonly vm: string;
  readonly capture: number;
  readonly position: bigint;
}

/** All captures of a ledger in log order. */
export const inLogOrder = (ledger: Ledger): Recorded[] =>
  [...ledger.state.catalogue.vms.values()]
    .flatMap(({ vm, captures }) =>
      captures.map(({ capture, position }) => ({ vm, capture, position })),
    )
    .toSorted((a, b) => (a.position < b.position ? -1 : 1));

/** What the fold must say of every capture, from the images alone. */
function foldImages(order: readonly Recorded[], images: VmImages) {
  const pages = new Map<string, (string | null)[]>();
  const holders = new Map<string, number>();
  const known = new Set<string>();
  return order.map(({ vm, capture }) => {
    const next = contentsOf(images.get(vm)![capture - 1]!);
    const before = pages.get(vm);
    const table = before ?? next.map((): string | null | undefined => undefined);
    const row = { vm, capture, written: 0, stored: 0, merged: 0, pattern: 0, broken: 0 };
    for (const [gfn, content] of next.entries()) {
      const old = table[gfn];
      if (old === content) continue;
      row.written += 1;
      if (isPatternContent(content)) row.pattern += 1;
      else if (content !== null && known.has(content)) row.merged += 1;
      else row.stored += 1;
      if (typeof old === 'string' && !isPatternContent(old)) {
        if (holders.get(old)! > 1) row.broken += 1;
        holders.set(old, holders.get(old)! - 1);
      }
      if (content === null || isPatternContent(content)) continue;
      known.add(content);
      holders.set(content, (holders.get(content) ?? 0) + 1);
    }
    pages.set(vm, next);
    return row;
  });
}

/** Everything that can be asked of a ledger, held against the images. */
export async function expectRight(
  ledger: Ledger,
  {
    images,
    others = new Map(),
    folder,
  }: {
    readonly images: VmImages;
    /** VMs that were retired since: their events count, their memory does not any more. */
    readonly others?: VmImages;
    readonly folder: string;
  },
): Promise<void> {
  for (const [vm, series] of images)
    for (const [i, image] of series.entries()) {
      const bytes = await restored(ledger, { vm, at: `@${i + 1}`, folder });
      expect([vm, i, bytes.equals(image)]).toEqual([vm, i, true]);
    }
  const order = inLogOrder(ledger);
  const rows = order.map(({ vm, capture }) => {
    const { written, stored, merged, pattern, broken } = ledger.vm(vm).capture(capture)!;
    return { vm, capture, written, stored, merged, pattern, broken };
  });
  const expected = foldImages(order, new Map([...others, ...images]));
  expect(rows).toEqual(expected);
  const last = new Map([...images].map(([vm, series]) => [vm, series.at(-1)!]));
  for (const vm of [null, ...last.keys()])
    expect(await countedBy(ledger, vm)).toEqual(countPages(last, vm));
  const events = await eventsOf(ledger, { isExpanded: true });
  const count = (type: string): number => events.filter((row) => row.type === type).length;
  const total = (of: 'stored' | 'merged' | 'broken'): number =>
    expected.reduce((sum, row) => sum + row[of], 0);
  expect(count('PageStored')).toBe(total('stored'));
  expect(count('PageMerged')).toBe(total('merged'));
  expect(count('SharingBroken')).toBe(total('broken'));
  expect((await verify(ledger, () => undefined)).findings).toEqual([]);
}
