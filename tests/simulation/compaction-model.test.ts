// Random histories of several VMs, in two groups and alone, recorded through two openings of one
// ledger, with checkpoints, leases, forgetting, retirement and compaction, whole and interrupted, against the
// plainest model: every kept point is byte-equal, every count is right, every invariant of the fold
// holds after every step, and a fold of the log from nothing gives the same state.

import { deepStrictEqual, ok } from 'node:assert/strict';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  compact,
  dropCheckpoint,
  dropVm,
  endLease,
  forgetPoints,
  holdPoint,
  fingerprint,
  momentOf,
  Refused,
  retireVm,
  sharingOf,
  takeCheckpoint,
  verify,
  type Ledger,
} from '../../index.ts';
import { unknownWritten } from '../../projections/models/capture-rows.ts';
import type { Finding } from '../../domain/values/finding.ts';
import {
  freshDisk,
  openWorld,
  placesIn,
  recordTable,
  UNTOLD_NUMBER,
  WorldModel,
  type VmKind,
} from '../support/ledgers/compaction-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';

const RUNS = Number(process.env['PAGELEDGER_RUNS'] ?? 4);
const PAGES = 6;
const VMS: readonly (readonly [string, VmKind])[] = [
  ['a', { group: null }],
  ['b', { group: null }],
  ['other', { group: 'other' }],
  ['alone', { group: null, share: 'pattern' }],
];

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

type Step =
  | {
      readonly _tag: 'write';
      readonly vm: number;
      readonly changes: readonly (readonly [number, number])[];
    }
  | {
      readonly _tag: 'checkpoint' | 'hold' | 'forget' | 'forgetAt';
      readonly vm: number;
      readonly at: number;
    }
  | { readonly _tag: 'drop' | 'release' | 'retire' | 'dropVm'; readonly vm: number }
  | { readonly _tag: 'compact'; readonly packsMax: number | null }
  | { readonly _tag: 'reopen'; readonly isAnew: boolean };

const vmNumber = fc.nat({ max: VMS.length - 1 });
/** Zeros, patterns, a few families of similar pages, so that contents meet again; and unknown pages. */
const content = fc.oneof(
  { weight: 3, arbitrary: fc.nat({ max: 3 }) },
  { weight: 1, arbitrary: fc.constant(UNTOLD_NUMBER) },
  { weight: 4, arbitrary: fc.integer({ min: 16, max: 16 + 4 * 16 - 1 }) },
);
const change = fc.tuple(fc.nat({ max: PAGES - 1 }), content);
const write = fc.record({
  _tag: fc.constant('write' as const),
  vm: vmNumber,
  changes: fc.array(change, { maxLength: 4 }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: write },
  {
    weight: 6,
    arbitrary: fc.record({
      _tag: fc.constantFrom(
        'checkpoint' as const,
        'hold' as const,
        'hold' as const,
        'forget' as const,
        'forgetAt' as const,
        'forgetAt' as const,
      ),
      vm: vmNumber,
      at: fc.nat({ max: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      _tag: fc.constantFrom('drop' as const, 'release' as const),
      vm: vmNumber,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      _tag: fc.constantFrom('retire' as const, 'dropVm' as const),
      vm: vmNumber,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constant('compact' as const),
      packsMax: fc.option(fc.nat({ max: 2 })),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ _tag: fc.constant('reopen' as const), isAnew: fc.boolean() }),
  },
);
/** Which of the two openings does a step. */
const steps = fc.array(fc.tuple(step, fc.nat({ max: 1 })), { minLength: 10, maxLength: 30 });

/** One history, and what it must be. */
class History {
  readonly #files = freshDisk();
  readonly model = new WorldModel();
  readonly ledgers: Ledger[] = [];

  async begin(): Promise<void> {
    for (let i = 0; i < 2; i += 1) this.ledgers.push(await openWorld(this.#files));
  }

  async close(): Promise<void> {
    for (const ledger of this.ledgers) await ledger.close();
  }

  async #write(ledger: Ledger, of: Extract<Step, { _tag: 'write' }>): Promise<void> {
    const [name, kind] = VMS[of.vm]!;
    const vm = this.model.vm(name, kind);
    if (vm.isRetired) return;
    const before = vm.captures.at(-1);
    const table = [...(before ?? Array.from({ length: PAGES }, (_, gfn) => 16 + 16 * (gfn % 4)))];
    for (const [gfn, number] of of.changes) table[gfn] = number;
    const held = this.model.heldIn(kind.group);
    const row = await recordTable(ledger, { vm: name, ...kind, table, folder: folder.path });
    const written = table.filter((number, gfn) => number !== before?.[gfn]);
    const untold = written.filter((number) => number === UNTOLD_NUMBER).length;
    const pattern = written.filter((number) => number < 16).length - untold;
    const counts = [row.written, row.pattern, row.stored + row.merged, row.unchanged];
    const { length } = written;
    deepStrictEqual(counts, [length, pattern, length - pattern - untold, PAGES - length]);
    deepStrictEqual(unknownWritten(row), untold);
    // What is held is never stored again.
    const fresh = new Set(written.filter((number) => number >= 16 && !held.has(number)));
    ok(kind.share !== undefined || row.stored <= fresh.size, 'what is held was stored again');
    vm.captures.push(table);
  }

  async #points(ledger: Ledger, of: Step): Promise<void> {
    if (!('vm' in of) || of._tag === 'write') return;
    const [name, kind] = VMS[of.vm]!;
    const vm = this.model.vm(name, kind);
    if (vm.captures.length === 0) return;
    const capture = 1 + ('at' in of ? of.at % vm.captures.length : 0);
    try {
      if (of._tag === 'checkpoint') {
        const label = `c${capture}`;
        ledger.resolve(ledger.vm(name), `@${capture}`);
        await takeCheckpoint(ledger, { vm: name, name: label, capture });
        vm.checkpoints.set(label, capture);
      } else if (of._tag === 'drop') {
        const [label] = vm.checkpoints.keys();
        await dropCheckpoint(ledger, { vm: name, name: label ?? 'none' });
        vm.checkpoints.delete(label!);
      } else if (of._tag === 'hold') {
        const entry = ledger.vm(name);
        const row = ledger.resolve(entry, `@${capture}`);
        const { id } = await holdPoint(ledger, { entry, row }, { kind: 'clone' });
        vm.leases.set(id!, capture);
      } else if (of._tag === 'release') {
        const [id] = vm.leases.keys();
        await endLease(ledger, id ?? 'none');
        vm.leases.delete(id!);
      } else if (of._tag === 'forget') {
        await forgetPoints(ledger, { vm: name, before: `@${capture}` });
        this.model.forgetBefore(name, capture);
      } else if (of._tag === 'forgetAt') {
        await forgetPoints(ledger, { vm: name, at: [`@${capture}`] });
        this.model.forget(name, [capture]);
      } else if (of._tag === 'dropVm') {
        await dropVm(ledger, name);
        this.model.drop(name);
        vm.isRetired = true;
      } else {
        await retireVm(ledger, name);
        vm.isRetired = true;
      }
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown;
    }
  }

  async #compact(ledger: Ledger, packsMax: number | null): Promise<void> {
    const abort = new AbortController();
    let packs = 0;
    const put = ledger.store.put.bind(ledger.store);
    ledger.store.put = (pack) => {
      packs += 1;
      if (packsMax !== null && packs > packsMax) abort.abort();
      return put(pack);
    };
    try {
      await compact(ledger, { graceMs: 0, isDryRun: false, signal: abort.signal });
    } finally {
      ledger.store.put = put;
    }
  }

  async step(of: Step, number: number): Promise<void> {
    const ledger = this.ledgers[number]!;
    if (of._tag === 'write') await this.#write(ledger, of);
    else if (of._tag === 'compact') await this.#compact(ledger, of.packsMax);
    else if (of._tag === 'reopen') {
      await ledger.close();
      this.ledgers[number] = await openWorld(this.#files);
      if (of.isAnew) await this.ledgers[number].state.rebuild();
    } else await this.#points(ledger, of);
  }

  async check(): Promise<void> {
    for (const ledger of this.ledgers) {
      await ledger.state.catchUp({ heavy: true });
      deepStrictEqual(await this.model.faults(ledger), []);
    }
    const [one, two] = this.ledgers as [Ledger, Ledger];
    deepStrictEqual(placesIn(one), placesIn(two));
  }

  /** Pages of VMs that are there now, as `sharing` counts them. */
  async checkCounts(): Promise<void> {
    const [ledger] = this.ledgers as [Ledger, Ledger];
    const report = await sharingOf(ledger, { ...momentOf(ledger, 'latest'), vm: null });
    const { vms, pages, zero, pattern, unique, mergedIntra, mergedInter, unknown } = report;
    deepStrictEqual(
      { vms, pages, zero, pattern, unique, mergedIntra, mergedInter, unknown },
      this.model.sharing(),
    );
  }

  /** The log folded from nothing says the same; gives what `verify` finds. */
  async checkAnew(): Promise<readonly Finding[]> {
    const [one, two] = this.ledgers as [Ledger, Ledger];
    const before = placesIn(one);
    await two.state.rebuild();
    deepStrictEqual(placesIn(two), before);
    deepStrictEqual(await this.model.faults(two), []);
    deepStrictEqual(await fingerprint(two), await fingerprint(one));
    return (await verify(one, () => undefined)).findings;
  }
}

describe('forgetting and compaction', () => {
  test('change nothing of what is kept, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (some) => {
        const history = new History();
        await history.begin();
        try {
          for (const [of, number] of some) {
            await history.step(of, number);
            await history.check();
          }
          await history.checkCounts();
          expect(await history.checkAnew()).toEqual([]);
        } finally {
          await history.close();
        }
      }),
      { numRuns: RUNS },
    );
  }, 300_000);
});
