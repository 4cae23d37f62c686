// The fold as a whole against a naive model: any interleaving of recorders, any place to stop and go
// on, with and without what is derived.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { arePagesCounted } from '../../domain/invariants.ts';
import {
  FIRST_CONTENT,
  isContent,
  UNKNOWN,
  UNTOLD,
  type Holding,
} from '../../domain/values/holding.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { vmStream } from '../../domain/events/streams.ts';
import { pageRows, type EventRow } from '../../projections/questions/event-rows.ts';
import { RANK_FIRST } from '../../projections/subscriptions/cursor.ts';
import { sharingReport } from '../../projections/questions/sharing-at.ts';
import { sharingAt } from '../support/ledgers/sharing-counts.ts';
import { catalogueText } from '../../projections/models/catalogue-state.ts';
import { CommitAssembler, type CaptureChange } from '../../projections/commits.ts';
import type { LedgerState } from '../../projections/models/ledger-state.ts';
import type { PageTable } from '../../projections/table.ts';
import { HandMadeLedger, identifierOf, planCapture } from '../support/hand-made-captures.ts';
import { seededRandom } from '../support/images.ts';
import { MapStateFiles } from '../support/disks/map-state-files.ts';
import {
  NaiveLedger,
  NONE_LARGE,
  UNTOLD_CONTENT,
  type HeldLarge,
  type NaiveCapture,
} from '../support/ledgers/naive-ledger.ts';
import { drawnContent } from '../support/ledgers/random-histories.ts';
import { itemsOf } from '../support/logs/log-events.ts';
import { triesOf } from '../support/long-run.ts';

const PAGES = 80;
/** Few contents, so that pages are often equal; 0 is zeros. */
const CONTENTS = 40;
const VMS = ['a', 'b', 'c'];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const CONTENT_OF = new Map(
  Array.from({ length: CONTENTS }, (_, content) => [hex(identifierOf(content)), content]),
);

/** One round: each of these VMs is captured, all planned before the first of them commits. */
interface Round {
  readonly seed: number;
  readonly vms: readonly string[];
  readonly changes: number;
  readonly retires: string | null;
  /** Pages that are plugged in to each of them before. */
  readonly grows: number;
  /** Pages from one on, up to another, are held large; null: none is, and what is stays. */
  readonly large: readonly [number, number] | null;
  /** The recording process ends and another one goes on from the state files. */
  readonly isLast: boolean;
}

const round: fc.Arbitrary<Round> = fc.record({
  seed: fc.nat(),
  vms: fc.shuffledSubarray(VMS, { minLength: 1 }),
  changes: fc.constantFrom(0, 1, 5, 40),
  retires: fc.option(fc.constantFrom(...VMS), { freq: 12 }),
  grows: fc.constantFrom(0, 0, 0, 13),
  large: fc.option(fc.tuple(fc.nat({ max: PAGES }), fc.nat({ max: PAGES }))),
  isLast: fc.boolean(),
});

const heldOf = ({ large }: Round): HeldLarge => {
  if (large === null) return NONE_LARGE;
  const isLarge = (gfn: number): boolean => gfn >= large[0] && gfn < large[1];
  return { isLarge, mayStayLarge: isLarge };
};

interface World {
  readonly ledger: HandMadeLedger;
  readonly naive: NaiveLedger;
}

async function play(rounds: readonly Round[]): Promise<World> {
  const ledger = new HandMadeLedger();
  const naive = new NaiveLedger();
  const memories = new Map(VMS.map((vm) => [vm, Array.from({ length: PAGES }, () => 0)]));
  const blocks = new Map(VMS.map((vm) => [vm, [PAGES]]));
  let { state } = ledger;
  for (const each of rounds) {
    const { seed, vms, changes, retires, grows, isLast } = each;
    const large = heldOf(each);
    const random = seededRandom(seed);
    const there = vms.filter((vm) => !naive.retired.has(vm));
    const plans = [];
    for (const vm of there) {
      const pages = memories.get(vm)!;
      if (grows > 0) blocks.get(vm)!.push(grows);
      for (let i = 0; i < grows; i += 1) pages.push(0);
      for (let i = 0; i < changes; i += 1)
        pages[random(pages.length)] = drawnContent(random, CONTENTS);
      const memory = { vm, pages: [...pages], blocks: [...blocks.get(vm)!] };
      plans.push(await planCapture(state, { ...memory, large, rowsMax: 1 + random(40) }));
    }
    const waiting = plans.flatMap(({ vm, batches }) => batches.map((batch) => ({ vm, batch })));
    // Batches of one VM stay in order; those of different VMs come as they come.
    const order = waiting
      .map((_, i) => i)
      .toSorted((a, b) => {
        const isOneVm = waiting[a]!.vm === waiting[b]!.vm;
        return isOneVm ? a - b : random(3) - 1;
      });
    const left = new Map(plans.map(({ vm, batches }) => [vm, [...batches]]));
    for (const i of order) {
      const { vm } = waiting[i]!;
      await ledger.append(vmStream(vm), [left.get(vm)!.shift()!]);
    }
    for (const plan of plans) {
      const position = await ledger.commit(plan);
      naive.commit(plan.vm, memories.get(plan.vm)!, position, large);
    }
    if (
      retires !== null &&
      !naive.retired.has(retires) &&
      naive.captures.some(({ vm }) => vm === retires)
    )
      naive.retire(retires, await ledger.retire(retires));
    await state.catchUp({ heavy: true });
    if (isLast) {
      await state.save();
      state = ledger.open();
      await state.load();
    }
  }
  return { ledger, naive };
}

/** What a table's pages hold, as contents of the model. */
function contentsOf(state: LedgerState, table: PageTable): number[] {
  return Array.from(table, (holding) => contentOf(state, holding));
}

function contentOf(state: LedgerState, holding: Holding): number {
  if (holding === UNKNOWN) return -3;
  if (holding === UNTOLD) return UNTOLD_CONTENT;
  if (!isContent(holding)) return 0;
  const identifier = state.sharing.column.read(holding - FIRST_CONTENT);
  return identifier === null ? -2 : CONTENT_OF.get(hex(identifier))!;
}

function expectCatalogue(state: LedgerState, naive: NaiveLedger): void {
  for (const vm of VMS) {
    const of = naive.captures.filter((capture) => capture.vm === vm);
    const rows = state.catalogue.vms.get(vm)?.captures ?? [];
    expect(rows).toHaveLength(of.length);
    for (const [i, capture] of of.entries())
      expect(rows[i]).toMatchObject({
        capture: capture.capture,
        position: capture.position,
        isWiped: false,
        damage: null,
        ...naive.counts(capture),
      });
  }
}

function expectHolders(state: LedgerState, naive: NaiveLedger): void {
  const holders = new Map<number, number>();
  for (let content = 0; content < state.contents.count; content += 1) {
    const count = state.sharing.holders(content);
    if (count > 0 && !state.contents.held.isLarge(FIRST_CONTENT + content))
      holders.set(contentOf(state, FIRST_CONTENT + content), count);
  }
  expect(new Map([...holders].toSorted(([a], [b]) => a - b))).toEqual(
    new Map([...naive.holders()].toSorted(([a], [b]) => a - b)),
  );
}

async function expectTables(state: LedgerState, naive: NaiveLedger): Promise<void> {
  for (const { vm, capture, table } of naive.captures) {
    const entry = state.catalogue.vms.get(vm)!;
    const found = await state.tables.at(entry, state.contents, entry.capture(capture)!);
    expect(contentsOf(state, found)).toEqual(table);
  }
}

async function changesOf(ledger: HandMadeLedger): Promise<CaptureChange[]> {
  const changes = await new CommitAssembler(ledger.log).take(await itemsOf(ledger.log));
  return changes.filter((change) => change._tag === 'capture');
}

/** A page event of the model as a row says it. */
const expectedRow = (of: NaiveCapture, event: NaiveCapture['events'][number]) => ({
  position: of.position,
  capture: of.capture,
  vm: of.vm,
  item: event.item,
  type: event.type,
  gfn: event.gfn,
  identifier: event.content <= 0 ? null : hex(identifierOf(event.content)),
  ...(event.scope === undefined ? {} : { scope: event.scope }),
});

const foundRow = ({ position, capture, vm, item, type, facts }: EventRow) => {
  const { gfn, identifier, scope } = facts;
  return {
    position,
    capture,
    vm,
    item,
    type,
    gfn,
    identifier,
    ...(scope === undefined ? {} : { scope }),
  };
};

async function expectPageEvents({ ledger, naive }: World, state: LedgerState): Promise<void> {
  const identifier = (holding: Holding): string | null =>
    isContent(holding) ? hex(state.sharing.column.read(holding - FIRST_CONTENT)!) : null;
  const changes = await changesOf(ledger);
  expect(changes.map(({ position }) => position)).toEqual(
    naive.captures.map(({ position }) => position),
  );
  for (const [i, change] of changes.entries()) {
    const of = naive.captures[i]!;
    const entry = state.catalogue.vms.get(of.vm)!;
    const row = entry.capture(of.capture - 1);
    const before =
      row === undefined
        ? new Uint32Array(of.table.length).fill(UNKNOWN)
        : await state.tables.at(entry, state.contents, row);
    const context = { before, identifierOf: identifier };
    const rows = change.batches.flatMap((columns) => [
      ...pageRows(state, { change, columns, after: RANK_FIRST }, context),
    ]);
    expect(rows.map(foundRow)).toEqual(of.events.map((event) => expectedRow(of, event)));
  }
}

const positionsIn = (naive: NaiveLedger): Position[] => [
  ...naive.captures.map(({ position }) => position),
  ...naive.retired.values(),
];

async function expectSharing(state: LedgerState, naive: NaiveLedger): Promise<void> {
  for (const position of positionsIn(naive))
    for (const vm of [null, ...VMS]) {
      const counts = await sharingAt(state, { position, vm });
      expect(counts).toEqual(naive.sharingAt(position, vm));
      expect(arePagesCounted(counts)).toBe(true);
    }
  for (const position of positionsIn(naive)) {
    const { heldLarge } = await sharingReport(state, { position, vm: null });
    expect(heldLarge).toBe(naive.heldLargeAt(position));
  }
}

/** The invariant of preemptive merging: of what is held small, no two contents are equal. */
function expectMerged(state: LedgerState): void {
  const { contents, sharing } = state;
  const small = Array.from({ length: contents.count }, (_, content) => content)
    .filter((content) => !contents.held.isLarge(FIRST_CONTENT + content))
    .filter((content) => !contents.aliases.has(content));
  const identifiers = small.map((content) => hex(sharing.identifierOf(content)));
  expect(new Set(identifiers).size).toBe(identifiers.length);
  expect(sharing.index.count).toBe(identifiers.length);
}

describe('the fold says what a naive model says', () => {
  test('of outcomes, holders, tables and sharing, however recorders interleave', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 6 }), async (rounds) => {
        const world = await play(rounds);
        const { ledger, naive } = world;
        const fresh = ledger.open(new MapStateFiles());
        await fresh.catchUp({ heavy: true });
        const resumed = ledger.open();
        await resumed.load();
        await resumed.catchUp({ heavy: true });
        for (const state of [fresh, resumed]) {
          expectCatalogue(state, naive);
          expectHolders(state, naive);
          expectMerged(state);
          await expectTables(state, naive);
        }
        expect(fresh.toggles).toEqual(resumed.toggles);
        expect(fresh.contents.aliases).toEqual(resumed.contents.aliases);
        expect(catalogueText(fresh.catalogue)).toBe(catalogueText(resumed.catalogue));
        await expectPageEvents(world, fresh);
        await expectSharing(fresh, naive);
      }),
      { numRuns: triesOf(25) },
    );
  }, 300_000);
});
