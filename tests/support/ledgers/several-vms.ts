// Random histories of a few VMs, in one group and beside it, and what every point of them gives back.

import fc from 'fast-check';
import type { Ledger } from '../../../index.ts';
import {
  memoryOf,
  recordTable,
  tableAt,
  UNTOLD_NUMBER,
  type ContentNumber,
  type VmKind,
} from './compaction-world.ts';

/** Pages of each VM. */
export const PAGES = 24;
const VMS: readonly (readonly [string, VmKind])[] = [
  ['a', { group: null }],
  ['b', { group: null }],
  ['alone', { group: 'other' }],
];

/** Captures in the order of recording: whose, and which pages hold what from then on. */
export type Steps = readonly (readonly [number, readonly (readonly [number, ContentNumber])[]])[];
/** What the pages of each VM held, capture by capture. */
export type Tables = Map<string, (readonly ContentNumber[])[]>;

/** Families of similar pages, so that patches, merges and patterns all come about; and unknown pages. */
const content = fc.oneof(
  fc.nat({ max: 3 }),
  fc.constant(UNTOLD_NUMBER),
  fc.integer({ min: 16, max: 16 + 6 * 16 - 1 }),
);

/** From eight captures to so many, each of at most so many pages. */
export const stepsUpTo = (of: {
  readonly captures: number;
  readonly pages: number;
}): fc.Arbitrary<Steps> => {
  const change = fc.tuple(fc.nat({ max: PAGES - 1 }), content);
  const changes = fc.array(change, { maxLength: of.pages });
  return fc.array(fc.tuple(fc.nat({ max: VMS.length - 1 }), changes), {
    minLength: 8,
    maxLength: of.captures,
  });
};

/** Records steps, after those that `tables` tells of. */
export async function recordSteps(
  ledger: Ledger,
  steps: Steps,
  { tables, folder }: { readonly tables: Tables; readonly folder: string },
): Promise<void> {
  for (const [number, changed] of steps) {
    const [vm, kind] = VMS[number]!;
    const of = tables.get(vm) ?? [];
    const table = [
      ...(of.at(-1) ?? Array.from({ length: PAGES }, (_, gfn) => 16 + 16 * (gfn % 6))),
    ];
    for (const [gfn, to] of changed) table[gfn] = to;
    await recordTable(ledger, { vm, ...kind, table, folder });
    tables.set(vm, [...of, table]);
  }
}

/** What every point gives back: `equal`, `other`, or the refusal's name. */
export async function pointsOf(
  ledger: Ledger,
  tables: Tables,
): Promise<ReadonlyMap<string, string>> {
  const points = new Map<string, string>();
  for (const [vm, of] of tables)
    for (const [i, table] of of.entries()) {
      const found = await tableAt(ledger, { vm, capture: i + 1 });
      const isEqual = typeof found !== 'string' && Buffer.from(memoryOf(table)).equals(found);
      points.set(`${vm}@${i + 1}`, typeof found === 'string' ? found : isEqual ? 'equal' : 'other');
    }
  return points;
}
