// Months of history: three VMs on a timer, and every night what a retention policy lets go, history
// included. The ledger stops growing, every kept point is what was recorded, and nothing is called damage.
// Days here, so many as PAGELEDGER_YEAR says in npm run test:long (365), which keeps the figures.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  compact,
  forgetHistory,
  forgetPoints,
  openLedger,
  openRecorder,
  verify,
  type KeepRules,
  type Ledger,
  type OpenLedgerOptions,
  type VmRecorder,
} from '../../../index.ts';
import { sharedMemory, type GuestCapture } from '../../../domain/ports/guests.ts';
import { flatMap } from '../../../domain/values/memory-map.ts';
import { memoryOf, tableAt } from '../../support/ledgers/compaction-world.ts';
import { seededRandom } from '../../support/images.ts';
import { startSharedWorld, type SharedWorld } from '../../support/ledgers/shared-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const YEAR_DAYS = Number(process.env['PAGELEDGER_YEAR'] ?? 0);
const IS_YEAR = YEAR_DAYS > 0;
const PATIENCE_MS = IS_YEAR ? 4 * 3_600_000 : 300_000;
const START_MS = Date.parse('2026-01-01T00:00:00Z');
const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;
const VMS = ['web', 'db', 'runner'];

interface Plan {
  readonly days: number;
  /** Captures of each VM a day. */
  readonly perDay: number;
  readonly pages: number;
  /** Pages that a capture changes. */
  readonly changed: number;
  readonly keep: KeepRules;
}

/** What a ledger takes after a night. */
interface Size {
  readonly day: number;
  readonly logBytes: number;
  readonly storedBytes: number;
  readonly kept: number;
}

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

/** A capture of these contents, from memory: from files most of the time goes to looking at those. */
function captureOf(table: readonly number[], timeMs: number): GuestCapture {
  const bytes = memoryOf(table);
  const shared = new SharedArrayBuffer(bytes.length);
  new Uint8Array(shared).set(bytes);
  const file = sharedMemory(shared);
  const image = { file, offsetBytes: 0, pageCount: table.length, zeros: null, label: 'a guest' };
  const memoryMap = flatMap(table.length);
  const how = { mode: 'image', source: 'simulated', pauseMs: null } as const;
  return { image, memoryMap, device: null, argv: null, timeMs, ...how };
}

class Months {
  readonly sizes: Size[] = [];
  readonly #plan: Plan;
  readonly #options: OpenLedgerOptions;
  readonly #tidy: () => void;
  readonly #random = seededRandom(7);
  /** By VM: the contents of each capture. */
  readonly #tables = new Map<string, (readonly number[])[]>(VMS.map((vm) => [vm, []]));
  #nowMs = START_MS;
  /** Contents that are new to all VMs. */
  #next = 1000;

  /** `tidy`: what the store's operator does every night. */
  constructor(
    plan: Plan,
    options: Omit<OpenLedgerOptions, 'mode'>,
    tidy: () => void = () => undefined,
  ) {
    this.#plan = plan;
    this.#tidy = tidy;
    this.#options = { ...options, mode: 'write', threads: 0, clock: () => this.#nowMs };
  }

  #open(): Promise<Ledger> {
    const mode = this.#nowMs === START_MS ? 'create' : 'write';
    return openLedger({ ...this.#options, mode });
  }

  /** A VM's memory an hour on: some pages are new, some as another VM's, some as they were before. */
  #after(vm: string): readonly number[] {
    const random = this.#random;
    const { pages, changed } = this.#plan;
    const of = this.#tables.get(vm)!;
    const table = [...(of.at(-1) ?? Array.from({ length: pages }, (_, gfn) => 16 + gfn))];
    for (let i = 0; i < changed; i += 1) {
      const gfn = random(pages);
      const other = this.#tables.get(VMS[random(VMS.length)]!)!.at(-1);
      const kind = random(6);
      if (kind === 0) table[gfn] = random(3);
      else if (kind === 1) table[gfn] = other?.[gfn] ?? 0;
      else if (kind === 2) table[gfn] = of[random(of.length + 1)]?.[gfn] ?? 0;
      else table[gfn] = this.#next++;
    }
    of.push(table);
    return table;
  }

  async #day(ledger: Ledger): Promise<void> {
    const { perDay } = this.#plan;
    const recorders: VmRecorder[] = [];
    for (const vm of VMS) recorders.push(await openRecorder(ledger, { vm, group: null }));
    for (let i = 0; i < perDay; i += 1) {
      for (const [number, vm] of VMS.entries())
        await recorders[number]!.record(captureOf(this.#after(vm), this.#nowMs));
      this.#nowMs += (DAY_HOURS / perDay) * HOUR_MS;
    }
    for (const recorder of recorders) await recorder.close();
  }

  async live(): Promise<Ledger> {
    const { days, keep } = this.#plan;
    for (let day = 1; day <= days; day += 1) {
      const ledger = await this.#open();
      await this.#day(ledger);
      const { kept } = await forgetPoints(ledger, { keep });
      await forgetHistory(ledger, { isDryRun: false });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      this.sizes.push({ day, ...(await ledger.storedBytes()), kept });
      await ledger.close();
      this.#tidy();
    }
    return this.#open();
  }

  /** Points that are not what was recorded, of those that are kept. */
  async wrong(ledger: Ledger): Promise<string[]> {
    const wrong: string[] = [];
    for (const entry of ledger.vms())
      for (const { capture } of entry.captures) {
        if (entry.isForgotten(capture)) continue;
        const found = await tableAt(ledger, { vm: entry.vm, capture });
        const expected = memoryOf(this.#tables.get(entry.vm)![capture - 1]!);
        const isEqual = typeof found !== 'string' && Buffer.from(expected).equals(found);
        if (!isEqual) wrong.push(`${entry.vm}@${capture}`);
      }
    return wrong;
  }
}

/** What is wrong of what is kept: as it was folded all along, and as it is folded anew. */
async function faultsIn(months: Months, ledger: Ledger): Promise<unknown[]> {
  const folded = await months.wrong(ledger);
  await ledger.state.rebuild();
  const anew = await months.wrong(ledger);
  const { findings } = await verify(ledger, () => undefined);
  await ledger.close();
  return [...folded, ...anew, ...findings];
}

const most = (sizes: readonly Size[], of: 'logBytes' | 'storedBytes'): number =>
  Math.max(...sizes.map((size) => size[of]));

/** How much larger log or packs are at the end than when the policy had first come around. */
function growth(sizes: readonly Size[], fromDay: number): number {
  const middle = Math.floor((fromDay + sizes.length) / 2);
  const [before, after] = [sizes.slice(fromDay, middle), sizes.slice(middle)];
  const ratios = (['logBytes', 'storedBytes'] as const).map(
    (of) => most(after, of) / most(before, of),
  );
  return Math.max(...ratios);
}

const SHORT: Plan = {
  days: 12,
  perDay: 2,
  pages: 16,
  changed: 3,
  keep: { hourly: 2, daily: 2 },
};
const YEAR: Plan = {
  days: YEAR_DAYS,
  perDay: Number(process.env['PAGELEDGER_PER_DAY'] ?? 24),
  pages: 256,
  changed: 8,
  keep: { hourly: 24, daily: 14, weekly: 8 },
};

describe('months of history', () => {
  test(
    'in a folder: nothing grows, and what is kept is as it was recorded',
    async () => {
      const plan = IS_YEAR ? YEAR : SHORT;
      const months = new Months(plan, { url: join(folder.path, 'months') });
      expect(await faultsIn(months, await months.live())).toEqual([]);
      const { sizes } = months;
      if (IS_YEAR) keepFigures(plan, sizes);
      expect(growth(sizes, IS_YEAR ? 120 : 6)).toBeLessThan(1.35);
    },
    PATIENCE_MS,
  );

  describe('on servers', () => {
    let world: SharedWorld;
    beforeAll(async () => {
      world = await startSharedWorld();
    }, PATIENCE_MS);
    afterAll(() => world.remove());

    test(
      'what is kept is as it was recorded',
      async () => {
        const { options } = world.host('one');
        const tidy = (): void => world.double?.records.scavenge();
        const months = new Months({ ...SHORT, days: 4, perDay: 2 }, options, tidy);
        expect(await faultsIn(months, await months.live())).toEqual([]);
      },
      PATIENCE_MS,
    );
  });
});

/** Sizes month by month, beside the results of the benches. */
function keepFigures(plan: Plan, sizes: readonly Size[]): void {
  const results = join(process.cwd(), 'tests', 'bench', 'results');
  mkdirSync(results, { recursive: true });
  const { days, perDay, pages, changed, keep } = plan;
  const monthly = sizes.filter(({ day }) => day % 30 === 0 || day === sizes.length);
  const row = (of: Size): string =>
    `| ${of.day} | ${of.kept} | ${of.logBytes} | ${of.storedBytes} |`;
  const text = [
    '# Months of history',
    `Written by tests/acceptance/history/history-year.test.ts with PAGELEDGER_YEAR; not edited by hand. ${VMS.length} VMs of ${pages} pages, ${perDay} captures a day each for ${days} days, ${changed} pages changed; every night \`forget ${JSON.stringify(keep)} --history\` and \`compact\`. Every kept point was equal at the end, also folded anew, and \`verify\` clean.`,
    [
      '| day | kept points | log, bytes | packs, bytes |',
      '| --- | --- | --- | --- |',
      ...monthly.map(row),
    ].join('\n'),
  ].join('\n\n');
  writeFileSync(join(results, 'history-year.md'), `${text}\n`);
}
