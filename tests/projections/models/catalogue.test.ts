import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import { UTC } from '../../../domain/values/instant.ts';
import { parsePoint } from '../../../domain/values/point.ts';
import type { Position } from '../../../domain/ports/event-log.ts';
import { catalogueOf, catalogueText } from '../../../projections/models/catalogue-state.ts';
import { CAPTURE_WEIGHT, type VmEntry } from '../../../projections/models/vm-entry.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { surveyOf } from '../../../projections/compaction/survey.ts';
import type { AssemblerState, Change } from '../../../projections/commits.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import { replayCommits } from '../../../projections/observable.ts';
import { damagedCaptures } from '../../../projections/questions/affected-points.ts';
import { HandMadeLedger, planCapture } from '../../support/hand-made-captures.ts';

const AT = Date.parse('2026-11-20T10:00:00Z');
const MINUTE = 60_000;
const PAGES = [1, 2, 3, 4];

/** Three captures of VM a, two minutes apart, b in between, and checkpoints. */
async function makeLedger(): Promise<{ ledger: HandMadeLedger; positions: Position[] }> {
  const ledger = new HandMadeLedger();
  const positions = [
    await ledger.record({ vm: 'a', pages: PAGES, timeMs: AT }),
    await ledger.record({ vm: 'a', pages: [1, 2, 3, 5], timeMs: AT + 2 * MINUTE }),
    await ledger.record({ vm: 'b', pages: PAGES, timeMs: AT }),
    await ledger.record({ vm: 'a', pages: [1, 2, 3, 6], timeMs: AT + 4 * MINUTE }),
  ];
  await ledger.checkpoint('a', 'booted', 2);
  await ledger.state.catchUp({ heavy: false });
  return { ledger, positions };
}

const entryOf = (ledger: HandMadeLedger, vm = 'a'): VmEntry => ledger.state.catalogue.vms.get(vm)!;

/** The number of the capture a point names, or the refusal's tag. */
function resolved(entry: VmEntry, text: string): number | string {
  const context = { nowMs: AT + 10 * MINUTE, zone: UTC };
  const found = either.chain(entry.resolve.bind(entry))(parsePoint(text, context));
  return either.isRight(found) ? found.right.capture : found.left._tag;
}

describe('a point names a capture', () => {
  test.each([
    ['latest', 3],
    ['@1', 1],
    ['@3', 3],
    ['@4', 'NoCapture'],
    ['time:2026-11-20T10:00:00Z', 1],
    ['time:2026-11-20T10:01:59.999Z', 1],
    ['time:2026-11-20T10:02:00Z', 2],
    ['time:2027-01-01', 3],
    ['time:2026-11-20T09:59:59Z', 'NoCapture'],
    ['ago:8m', 2],
    ['ago:0s', 3],
    ['ago:1d', 'NoCapture'],
    ['cp:booted', 2],
    ['cp:halted', 'CheckpointUnknown'],
  ])('%s: %s', async (text, expected) => {
    const { ledger } = await makeLedger();
    expect(resolved(entryOf(ledger), text)).toBe(expected);
  });

  test('committed at or before a position, also one that another VM committed at', async () => {
    const { ledger, positions } = await makeLedger();
    const [first, second, other, third] = positions;
    const of = (position: Position): number | string =>
      resolved(entryOf(ledger), `pos:${position}`);
    expect(of(first! - 1n)).toBe('NoCapture');
    expect(
      [first!, second! - 1n, second!, other!, third! - 1n, third!, 10n ** 30n].map(of),
    ).toEqual([1, 1, 2, 2, 2, 3, 3]);
  });

  test('of a VM without captures: none', async () => {
    const ledger = new HandMadeLedger();
    await ledger.checkpoint('x', 'early', 1);
    await ledger.state.catchUp({ heavy: false });
    for (const text of ['latest', '@1', 'pos:9', 'time:2027-01-01', 'cp:early'])
      expect(resolved(entryOf(ledger, 'x'), text)).toBe('NoCapture');
  });
});

describe('the catalogue', () => {
  test('keeps times as they are, and finds by them the greatest at or before, of equals the last', async () => {
    const { ledger } = await makeLedger();
    for (const minutes of [600, 3, 3, 5])
      await ledger.record({ vm: 'a', pages: PAGES, timeMs: AT + minutes * MINUTE });
    await ledger.state.catchUp({ heavy: false });
    const entry = entryOf(ledger);
    expect(entry.captures.map(({ timeMs }) => (timeMs - AT) / MINUTE)).toEqual([
      0, 2, 4, 600, 3, 3, 5,
    ]);
    expect(resolved(entry, 'time:2026-11-20T10:02:59Z')).toBe(2);
    expect(resolved(entry, 'time:2026-11-20T10:03:00Z')).toBe(6);
    expect(resolved(entry, 'time:2026-11-20T10:04:00Z')).toBe(3);
    expect(resolved(entry, 'time:2026-11-20T12:00:00Z')).toBe(7);
    expect(resolved(entry, 'time:2026-11-21')).toBe(4);
    expect(resolved(entry, 'latest')).toBe(7);
  });

  test('knows the ledger, its groups and its checkpoints', async () => {
    const { ledger } = await makeLedger();
    await ledger.appendLedger(
      { type: 'LedgerCreated', data: { ledger: 'id', format: 1, pageStore: null } },
      { type: 'GroupCreated', data: { group: 'g', keyCheck: 'first' } },
      { type: 'GroupCreated', data: { group: 'g', keyCheck: 'second' } },
    );
    await ledger.state.catchUp({ heavy: false });
    const { catalogue } = ledger.state;
    expect(catalogue.facts.ledger).toEqual({ id: 'id', pageStore: null, format: 1 });
    expect([...catalogue.facts.groups]).toEqual([['g', 'first']]);
    expect(entryOf(ledger).checkpoints).toMatchObject([{ name: 'booted', capture: 2 }]);
  });

  test('reads back from its text, also after a VM was retired', async () => {
    const { ledger } = await makeLedger();
    await ledger.retire('b');
    await ledger.state.catchUp({ heavy: false });
    const text = catalogueText(ledger.state.catalogue);
    const read = catalogueOf(text);
    expect(catalogueText(read)).toBe(text);
    expect(read.vms.get('a')).toEqual(entryOf(ledger));
    expect(read.vms.get('b')).toEqual(entryOf(ledger, 'b'));
    expect(entryOf(ledger, 'b').state.isRetired).toBe(true);
  });

  test('knows the memory map of each capture, also after it is read back', async () => {
    const { ledger } = await makeLedger();
    const { catalogue } = ledger.state;
    const first = entryOf(ledger).mapAt(1)!;
    const memoryMap = { ...first, ranges: [] };
    const event = { type: 'MemoryMapChanged', data: { vm: 'a', memoryMap } } as const;
    catalogue.apply(
      { _tag: 'control', event, position: 10_000n, timeMs: AT, id: 'e', stream: 'vm-a' },
      { overridden: 0, broken: 0 },
    );
    for (const read of [catalogue, catalogueOf(catalogueText(catalogue))]) {
      const entry = read.vms.get('a')!;
      expect(entry.mapAt(1)).toEqual(first);
      expect(entry.mapAt(3)).toEqual(first);
      expect(entry.mapAt(4)).toEqual(memoryMap);
      expect(entry.state.registered?.memoryMap).toEqual(memoryMap);
      expect(read.vms.get('b')!.mapAt(1)).toEqual(first);
    }
  });

  test('knows of a capture with pages that no map has that its map is lost', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [1, 2] });
    const grown = { vm: 'a', pages: [1, 2, 3, 3], blocks: [2, 2] };
    const plan = await planCapture(ledger.state, grown);
    // The event that says what was plugged in is taken away.
    const commit = (first: number) =>
      plan.commit(first).filter(({ type }) => type !== 'MemoryMapChanged');
    await ledger.append(vmStream('a'), plan.batches);
    await ledger.commit({ ...plan, commit });
    const { state } = ledger;
    await state.catchUp({ heavy: true });
    const entry = entryOf(ledger);
    expect([entry.isMapLost, entry.mapAt(1) === null, entry.mapAt(2)]).toEqual([true, false, null]);
    const at = { entry, row: entry.capture(2)! };
    expect(() => memoryMapOf(at)).toThrow('describes its memory');
    // The rest of the ledger is there, and nothing of it is given back.
    expect([...(await state.tables.at(entry, state.contents, at.row))]).toHaveLength(2);
    const replay = (from: AssemblerState, take: (change: Change) => Promise<void>) =>
      replayCommits(ledger.log, from, take);
    const damaged = await damagedCaptures({ state, replay });
    expect([...damaged]).toEqual([['a', new Set([2])]]);
    await expect(surveyOf(state)).rejects.toThrow('the memory map of VM a');
  });

  test('gives a page-table image to the capture that brings the weight to the page count', async () => {
    const ledger = new HandMadeLedger();
    const pages = Array.from({ length: 200 }, (_, i) => i + 1);
    const captures = 8;
    let weight = 0;
    const expected: number[] = [];
    for (let capture = 1; capture <= captures; capture += 1) {
      const written = capture === 1 ? 200 : 3;
      if (capture > 1) pages.splice(0, 3, 1000 * capture, 1000 * capture + 1, 1000 * capture + 2);
      await ledger.record({ vm: 'a', pages: [...pages] });
      weight += written + CAPTURE_WEIGHT;
      if (weight < 200) continue;
      expected.push(capture);
      weight = 0;
    }
    await ledger.state.catchUp({ heavy: false });
    expect(entryOf(ledger).images).toEqual(expected);
    expect(expected.length).toBeGreaterThan(1);
    expect(await ledger.files.list('tables/')).toEqual(expected.map((n) => `tables/a/${n}`));
  });
});
