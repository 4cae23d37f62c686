// What captures and VMs cost, against the plainest way to count it: the set of what each kept capture
// needs. All costs sum up to what is stored.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import {
  attachmentOfBytes,
  compact,
  forgetPoints,
  ledgerCosts,
  openLedger,
  recordImages,
  sharingOf,
  type Ledger,
} from '../../index.ts';
import { PACK_HEADER_BYTES } from '../../domain/values/pack.ts';
import { isContent, type Holding } from '../../domain/values/holding.ts';
import { areCostsSoonTold, costsOf } from '../../projections/compaction/costs.ts';
import { besideOf, decodeBatches } from '../../projections/commits.ts';
import { allHoldingsOf } from '../../projections/table.ts';
import { StoredSizes } from '../../projections/questions/stored-sizes.ts';
import { memoryOf, type VmKind } from '../support/ledgers/compaction-world.ts';

const folder = mkdtempSync(join(tmpdir(), 'pageledger-costs-'));
afterAll(() => rmSync(folder, { recursive: true }));

const RUNS = Number(process.env['PAGELEDGER_RUNS'] ?? 3);
const PAGES = 16;
const VMS: readonly (readonly [string, VmKind])[] = [
  ['a', { group: null }],
  ['b', { group: null }],
  ['alone', { group: null, share: 'pattern' }],
];

/** Families of similar pages, so that there are patches, merges and patterns. */
const content = fc.oneof(fc.nat({ max: 3 }), fc.integer({ min: 16, max: 16 + 5 * 16 - 1 }));
const step = fc.record({
  vm: fc.nat({ max: VMS.length - 1 }),
  changed: fc.array(fc.tuple(fc.nat({ max: PAGES - 1 }), content), { maxLength: 8 }),
  attached: fc.option(fc.nat({ max: 2 })),
  goes: fc.boolean(),
});
const history = fc.array(step, { minLength: 6, maxLength: 16 });

async function record(
  ledger: Ledger,
  steps: readonly { vm: number; changed: [number, number][]; attached: number | null }[],
): Promise<void> {
  const tables = new Map<string, number[]>();
  const path = join(folder, 'image');
  for (const { vm: number, changed, attached } of steps) {
    const [vm, kind] = VMS[number]!;
    const table = tables.get(vm) ?? Array.from({ length: PAGES }, (_, gfn) => 16 + 16 * (gfn % 5));
    for (const [gfn, to] of changed) table[gfn] = to;
    tables.set(vm, table);
    writeFileSync(path, memoryOf(table));
    const bytes = new Uint8Array(9000).fill(65 + (attached ?? 0), 1);
    bytes[4500] = attached ?? 0;
    const attachments = attached === null ? [] : [attachmentOfBytes('state', bytes)];
    const request = {
      files: [path],
      timeMs: null,
      format: 'raw',
      beside: { attachments },
    } as const;
    await recordImages(ledger, { vm, ...kind }, request, () => undefined);
  }
}

/** What each kept capture needs: what it holds, and what that is a patch of. */
async function neededBy(ledger: Ledger): Promise<Map<string, Set<Holding>>> {
  const { contents, tables } = ledger.state;
  const needed = new Map<string, Set<Holding>>();
  for (const entry of ledger.vms())
    for (const row of entry.captures) {
      if (entry.isForgotten(row.capture)) continue;
      const decoded = decodeBatches(await tables.events(entry.vm, row));
      const set = new Set<Holding>([
        ...(await tables.at(entry, contents, row)),
        ...allHoldingsOf(contents, besideOf(decoded)),
      ]);
      // A set goes on with what is added to it on the way.
      for (const holding of set) {
        const place = isContent(holding) ? contents.placeOf(holding) : -1;
        const reference = place < 0 ? null : contents.referenceAt(place);
        if (reference !== null) set.add(reference);
      }
      needed.set(`${entry.vm}@${row.capture}`, set);
    }
  return needed;
}

/** Own and shared bytes of each set. */
function counted(
  sets: ReadonlyMap<string, ReadonlySet<Holding>>,
  sizes: StoredSizes,
): Map<string, readonly [number, number]> {
  const by = new Map<Holding, number>();
  for (const set of sets.values())
    for (const holding of set) by.set(holding, (by.get(holding) ?? 0) + 1);
  return new Map(
    [...sets].map(([name, set]) => {
      let own = 0;
      let shared = 0;
      for (const holding of set) {
        const bytes = sizes.bytesOf(holding);
        if (by.get(holding) === 1) own += bytes;
        else shared += bytes / by.get(holding)!;
      }
      return [name, [Math.round(own), Math.round(shared)]];
    }),
  );
}

/** Costs as counted here are what the ledger says; gives their sums, by captures and by VMs. */
async function expectCounted(ledger: Ledger): Promise<readonly [number, number]> {
  const sizes = new StoredSizes(ledger.state.contents);
  const needed = await neededBy(ledger);
  const costs = await ledgerCosts(ledger, { isAsked: true });
  const told = await costsOf(ledger.state);
  // Where there is no room for what was found, or not for that of all, it is found again.
  for (const spansMax of [0, 7]) expect(await costsOf(ledger.state, spansMax)).toEqual(told);
  const close = (
    cost: { ownBytes: number | null; sharedBytes: number | null },
    of: readonly number[],
  ) => {
    expect(Math.abs(cost.ownBytes! - of[0]!)).toBeLessThanOrEqual(1);
    expect(Math.abs(cost.sharedBytes! - of[1]!)).toBeLessThanOrEqual(1);
    return cost.ownBytes! + cost.sharedBytes!;
  };
  let byCapture = 0;
  const ofVms = new Map<string, Set<Holding>>();
  for (const [name, of] of counted(needed, sizes)) {
    const [vm, capture] = name.split('@') as [string, string];
    byCapture += close(costs.capture(vm, Number(capture)), of);
    ofVms.set(vm, new Set([...(ofVms.get(vm) ?? []), ...needed.get(name)!]));
  }
  let byVm = 0;
  for (const [vm, of] of counted(ofVms, sizes)) byVm += close(costs.vm(vm), of);
  return [byCapture, byVm];
}

test('costs are those of what each needs, and sum up to what is stored', async () => {
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const ledger = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
      try {
        await record(ledger, steps);
        const rounding = 2 * steps.length;
        // Nothing is forgotten, so everything stored is needed.
        const stored = async (): Promise<number> => {
          let bytes = 0;
          for await (const { sizeBytes } of ledger.store.list())
            bytes += sizeBytes - PACK_HEADER_BYTES;
          return bytes;
        };
        for (const sum of await expectCounted(ledger))
          expect(Math.abs(sum - (await stored()))).toBeLessThanOrEqual(rounding);
        const rows = ledger.vms().flatMap(({ captures }) => captures);
        const added = rows.reduce((sum, { addedBytes }) => sum + addedBytes, 0);
        expect(added).toBe((await ledger.storedBytes()).storedBytes);
        const at = new Map<string, string[]>();
        const numbers = new Map<string, number>();
        for (const { vm: number, goes } of steps) {
          const [vm] = VMS[number]!;
          const capture = (numbers.get(vm) ?? 0) + 1;
          numbers.set(vm, capture);
          if (goes && capture < ledger.vm(vm).captures.length)
            at.set(vm, [...(at.get(vm) ?? []), `@${capture}`]);
        }
        for (const [vm, points] of at) {
          const costs = await ledgerCosts(ledger, { isAsked: true });
          const one = await forgetPoints(ledger, { vm, at: points.slice(0, 1), isDryRun: true });
          const own = costs.capture(vm, Number(points[0]!.slice(1))).ownBytes;
          // Compaction frees what it must copy least for; the price is what is needed by nobody else.
          expect(own).toBeGreaterThanOrEqual(one.bytes! - 1);
          await forgetPoints(ledger, { vm, at: points });
        }
        for (const sum of await expectCounted(ledger))
          expect(sum).toBeLessThanOrEqual((await stored()) + rounding);
        await compact(ledger, { graceMs: 0, isDryRun: false });
        for (const sum of await expectCounted(ledger))
          expect(sum).toBeLessThanOrEqual((await stored()) + rounding);
      } finally {
        await ledger.close();
      }
    }),
    { numRuns: RUNS },
  );
}, 300_000);

test('with one capture each, the costs of VMs sum up to what `sharing` says of contents', async () => {
  const ledger = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
  // Contents that are no patterns, some of them the same in both.
  const changed = [[3, 40]] as [number, number][];
  await record(ledger, [
    { vm: 0, changed: [], attached: null },
    { vm: 1, changed, attached: null },
  ]);
  const costs = await ledgerCosts(ledger, { isAsked: true });
  const { uniqueBytes } = await sharingOf(ledger, { position: ledger.state.next, vm: null });
  const all = [costs.vm('a'), costs.vm('b')];
  const sum = all.reduce((bytes, cost) => bytes + cost.ownBytes! + cost.sharedBytes!, 0);
  expect(Math.abs(sum - uniqueBytes)).toBeLessThanOrEqual(4);
  expect(all.every(({ sharedBytes }) => sharedBytes! > 0)).toBe(true);
  expect(costs.vm('a').ownBytes).toBeLessThan(ledger.vm('b').captures[0]!.addedBytes);
  await ledger.close();
});

test('whether they are soon told is told without looking at more captures than that takes', async () => {
  const ledger = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
  const path = join(folder, 'image');
  writeFileSync(path, memoryOf(Array.from({ length: PAGES }, (_, gfn) => 16 + gfn)));
  const files = Array.from({ length: 3 }, () => path);
  const request = { files, timeMs: null, format: 'raw' } as const;
  await recordImages(ledger, { vm: 'a', group: null }, request, () => undefined);
  const { catalogue } = ledger.state;
  // Each capture as much as 256 page events, the first one the VM's pages as well.
  const rows = 3 * 256 + PAGES / 8;
  expect(areCostsSoonTold(catalogue, rows)).toBe(true);
  expect(areCostsSoonTold(catalogue, rows - 1)).toBe(false);
  const captureAt = jest.spyOn(catalogue.vms.get('a')!.rows, 'captureAt');
  expect(areCostsSoonTold(catalogue, 255)).toBe(false);
  expect(captureAt).toHaveBeenCalledTimes(1);
  await ledger.close();
});
