import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FIRST_CONTENT } from '../../../domain/values/holding.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { LayeredCaptureView } from '../../../projections/models/capture-view.ts';
import { catalogueText } from '../../../projections/models/catalogue-state.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import { HandMadeLedger, identifierOf, planCapture } from '../../support/hand-made-captures.ts';
import { MapStateFiles } from '../../support/disks/map-state-files.ts';
import { NONE_LARGE } from '../../support/ledgers/naive-ledger.ts';
import { plainPacks } from '../../support/packs/plain-packs.ts';
import { triesOf } from '../../support/long-run.ts';

const rowOf = (state: LedgerState, vm: string, capture: number) => {
  const { stored, merged, pattern, broken } = state.catalogue.vms.get(vm)!.capture(capture)!;
  return { stored, merged, pattern, broken };
};

const holdersOf = (state: LedgerState): number[] =>
  Array.from({ length: state.contents.count }, (_, content) => state.sharing.holders(content));

/** All that a state says, in plain values. */
async function everything(state: LedgerState): Promise<unknown> {
  const tables = [];
  const { contents, catalogue, next } = state;
  for (const entry of catalogue.vms.values())
    for (const row of entry.captures)
      tables.push([...(await state.tables.at(entry, contents, row))]);
  const packs = plainPacks(contents.packs);
  const [aliases, toggles] = [[...contents.aliases], [...state.toggles]];
  const holders = holdersOf(state);
  return { catalogue: catalogueText(catalogue), packs, aliases, toggles, holders, tables, next };
}

/** Plans both before either commits; the first is committed first. */
async function recordAtOnce(
  ledger: HandMadeLedger,
  first: { vm: string; pages: readonly number[] },
  second: { vm: string; pages: readonly number[] },
): Promise<void> {
  const plans = [await planCapture(ledger.state, first), await planCapture(ledger.state, second)];
  for (const plan of plans) await ledger.append(vmStream(plan.vm), plan.batches);
  for (const plan of plans) await ledger.commit(plan);
  await ledger.state.catchUp({ heavy: true });
}

describe('two recorders at once', () => {
  test('that store the same content: the first in log order is the content, the second a merge', async () => {
    const ledger = new HandMadeLedger();
    await recordAtOnce(ledger, { vm: 'a', pages: [7, 8, 0] }, { vm: 'b', pages: [8, 7, 9] });
    const { state } = ledger;
    expect(rowOf(state, 'a', 1)).toEqual({ stored: 2, merged: 0, pattern: 1, broken: 0 });
    expect(rowOf(state, 'b', 1)).toEqual({ stored: 1, merged: 2, pattern: 0, broken: 0 });
    // b's pack holds 8, 7 and 9 as contents 2, 3 and 4.
    expect([...state.contents.aliases]).toEqual([
      [2, 1],
      [3, 0],
    ]);
    expect(holdersOf(state)).toEqual([2, 2, 0, 0, 1]);
    expect(state.sharing.index.count).toBe(3);
  });

  test('in different groups share nothing', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [7, 8], group: 'red' });
    await ledger.record({ vm: 'b', pages: [7, 8], group: 'blue' });
    await ledger.state.catchUp({ heavy: true });
    expect(rowOf(ledger.state, 'b', 1)).toEqual({ stored: 2, merged: 0, pattern: 0, broken: 0 });
    expect(holdersOf(ledger.state)).toEqual([1, 1, 1, 1]);
  });

  test('break a sharing that the recorder could not see', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [7, 1] });
    // b links to 7 first, so that a, which saw itself alone, leaves a shared content.
    await recordAtOnce(ledger, { vm: 'b', pages: [7, 0] }, { vm: 'a', pages: [8, 1] });
    expect(rowOf(ledger.state, 'a', 2)).toEqual({ stored: 1, merged: 0, pattern: 0, broken: 1 });
    expect([...ledger.state.toggles.values()]).toEqual([[1]]);
  });

  test('break no sharing that ended meanwhile', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [7, 1] });
    await ledger.record({ vm: 'b', pages: [7, 2] });
    await recordAtOnce(ledger, { vm: 'a', pages: [3, 1] }, { vm: 'b', pages: [4, 2] });
    expect(rowOf(ledger.state, 'a', 2)).toEqual({ stored: 1, merged: 0, pattern: 0, broken: 1 });
    expect(rowOf(ledger.state, 'b', 2)).toEqual({ stored: 1, merged: 0, pattern: 0, broken: 0 });
    expect([...ledger.state.toggles.values()]).toEqual([[1]]);
  });
});

describe('retiring a VM', () => {
  test('gives up what its pages hold, and leaves its history readable', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [7, 7, 8] });
    await ledger.record({ vm: 'b', pages: [7, 9, 0] });
    await ledger.retire('a');
    const { state } = ledger;
    await state.catchUp({ heavy: true });
    expect(holdersOf(state)).toEqual([1, 0, 1]);
    const entry = state.catalogue.vms.get('a')!;
    const table = await state.tables.at(entry, state.contents, entry.capture(1)!);
    expect([...table]).toEqual([0, 0, 1].map((content) => FIRST_CONTENT + content));
    // The content is stored still, so a write of it is a link.
    await ledger.record({ vm: 'b', pages: [7, 8, 0] });
    await state.catchUp({ heavy: true });
    expect(rowOf(state, 'b', 2)).toEqual({ stored: 0, merged: 1, pattern: 0, broken: 0 });
  });
});

/** A history with everything in it: sharing, recorders at once, checkpoints, a retired VM. */
async function makeHistory(): Promise<HandMadeLedger> {
  const ledger = new HandMadeLedger();
  const pages = Array.from({ length: 100 }, (_, i) => (i % 9 === 0 ? 0 : i % 30));
  for (let capture = 0; capture < 6; capture += 1) {
    pages[capture] = 40 + capture;
    const others = pages.toReversed();
    await recordAtOnce(ledger, { vm: 'a', pages: [...pages] }, { vm: 'b', pages: others });
    if (capture === 2) await ledger.state.save();
  }
  await ledger.record({ vm: 'c', pages: pages.slice(0, 10) });
  await ledger.checkpoint('a', 'here', 4);
  await ledger.retire('c');
  const open = await planCapture(ledger.state, { vm: 'd', pages: [1, 2, 3] });
  await ledger.append(vmStream('d'), open.batches);
  await ledger.state.catchUp({ heavy: true });
  await ledger.state.save();
  await ledger.commit(open);
  return ledger;
}

async function opened(ledger: HandMadeLedger, files = ledger.files): Promise<LedgerState> {
  const state = ledger.open(files);
  await state.load();
  await state.catchUp({ heavy: true });
  return state;
}

describe('projection state files', () => {
  test('bring a state back as a replay of everything does', async () => {
    const ledger = await makeHistory();
    const replayed = await everything(await opened(ledger, new MapStateFiles()));
    expect(await everything(await opened(ledger))).toEqual(replayed);
    expect(ledger.files.loaded).toEqual(expect.arrayContaining(['catalogue', 'sharing']));
  });

  test('may vanish one by one, or all', async () => {
    const ledger = await makeHistory();
    const replayed = await everything(await opened(ledger, new MapStateFiles()));
    const names = [...ledger.files.kept.keys()];
    expect(names.filter((name) => name.startsWith('tables/')).length).toBeGreaterThan(1);
    for (const name of names) {
      const files = copyOf(ledger.files);
      await files.drop(name);
      expect(await everything(await opened(ledger, files))).toEqual(replayed);
    }
  });

  test('of which the identifiers are lost are made anew', async () => {
    const ledger = await makeHistory();
    const replayed = await everything(await opened(ledger, new MapStateFiles()));
    const files = copyOf(ledger.files);
    files.identifiers.kept.clear();
    await ledger.record({ vm: 'a', pages: Array.from({ length: 100 }, (_, i) => i % 30) });
    const after = await everything(await opened(ledger, files));
    expect(after).toEqual(await everything(await opened(ledger, new MapStateFiles())));
    expect(after).not.toEqual(replayed);
  });

  test('of another format, cut short or of foreign bytes are passed over', async () => {
    const ledger = await makeHistory();
    const replayed = await everything(await opened(ledger, new MapStateFiles()));
    for (const name of ['catalogue', 'sharing']) {
      const whole = ledger.files.kept.get(name)!;
      const spoilt = [
        new Uint8Array(0),
        new Uint8Array(64).fill(0xff),
        new TextEncoder().encode('{"no":"state"}'),
        whole.subarray(0, whole.length >> 1),
        Uint8Array.from(whole, (byte, i) => (i === 0 ? byte + 1 : byte)),
      ];
      for (const bytes of spoilt) {
        const files = copyOf(ledger.files);
        files.kept.set(name, bytes);
        expect(await everything(await opened(ledger, files))).toEqual(replayed);
      }
    }
  });

  test('cut anywhere give a state or none, never a failure', async () => {
    const ledger = await makeHistory();
    const next = await opened(ledger).then((state) => state.next);
    const lengths = fc.record({
      catalogue: fc.nat({ max: ledger.files.kept.get('catalogue')!.length - 1 }),
      sharing: fc.nat({ max: ledger.files.kept.get('sharing')!.length - 1 }),
    });
    await fc.assert(
      fc.asyncProperty(lengths, async ({ catalogue, sharing }) => {
        const files = copyOf(ledger.files);
        files.kept.set('catalogue', files.kept.get('catalogue')!.slice(0, catalogue));
        files.kept.set('sharing', files.kept.get('sharing')!.slice(0, sharing));
        expect((await opened(ledger, files)).next).toBe(next);
      }),
      { numRuns: triesOf(20) },
    );
  });

  test('that hold what no program writes are made anew, never an assertion', async () => {
    const ledger = await makeHistory();
    const anew = await opened(ledger, new MapStateFiles());
    const replayed = await everything(anew);
    for (const [name, whole] of ledger.files.kept) {
      const files = copyOf(ledger.files);
      for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 16)) {
        files.kept.set(
          name,
          whole.map((byte, i) => (i === at ? byte ^ 0xff : byte)),
        );
        const state = await opened(ledger, files);
        expect(state.next).toBe(anew.next);
      }
      // A table of numbers that were never given.
      if (!name.startsWith('tables/')) continue;
      files.kept.set(
        name,
        whole.map((byte, i) => (i < whole.length - 120 ? 0xfe : byte)),
      );
      expect(await everything(await opened(ledger, files))).toEqual(replayed);
    }
  });

  test('of page tables that changed places are passed over', async () => {
    const ledger = await makeHistory();
    const replayed = await everything(await opened(ledger, new MapStateFiles()));
    const files = copyOf(ledger.files);
    const images = [...files.kept].filter(([name]) => name.startsWith('tables/'));
    for (const [i, [name]] of images.entries())
      files.kept.set(name, images[(i + 1) % images.length]![1]);
    expect(images.length).toBeGreaterThan(1);
    expect(await everything(await opened(ledger, files))).toEqual(replayed);
  });

  test('are not believed where the log lost what they were made of', async () => {
    const ledger = await makeHistory();
    ledger.files.kept.delete('sharing');
    const [, second] = ledger.store.streams
      .get(vmStream('a'))!
      .filter(({ type }) => type === 'PagesWritten')
      .slice(1);
    // The stored event itself, as the disk would spoil it.
    Object.assign(second!, { data: Uint8Array.of(1) });
    const resumed = await opened(ledger);
    const replayed = await opened(ledger, new MapStateFiles());
    expect(catalogueText(resumed.catalogue)).toBe(catalogueText(replayed.catalogue));
    expect(holdersOf(resumed)).toEqual(holdersOf(replayed));
    expect(resumed.catalogue.vms.get('a')!.captures.some(({ damage }) => damage !== null)).toBe(
      true,
    );
  });
});

function copyOf(files: MapStateFiles): MapStateFiles {
  const copy = new MapStateFiles();
  for (const [name, bytes] of files.kept) copy.kept.set(name, bytes.slice());
  for (const [content, bytes] of files.identifiers.kept)
    copy.identifiers.kept.set(content, bytes.slice());
  return copy;
}

describe('the view of a capture', () => {
  test('lies over the committed state and leaves it as it is', async () => {
    const ledger = new HandMadeLedger();
    await ledger.record({ vm: 'a', pages: [7, 8] });
    const { state } = ledger;
    await state.catchUp({ heavy: true });
    const { contents, sharing, losses } = state;
    const models = { contents, sharing, losses, isLinked: true };
    const nothing = { known: new Uint32Array(0), pages: 3, regions: NONE_LARGE };
    const view = new LayeredCaptureView({ ...models, ...nothing });
    const known = identifierOf(8);
    const fresh = identifierOf(9);
    const eight = FIRST_CONTENT + 1;
    expect(view.find(known, 0, 0)).toBe(eight);
    expect(view.find(fresh, 0, 0)).toBe(-1);
    const nine = view.store(fresh, 0, 0);
    expect(nine).toBe(FIRST_CONTENT + contents.count);
    expect(view.find(fresh, 0, 0)).toBe(nine);
    view.hold(0, eight);
    view.hold(1, eight);
    view.hold(2, nine);
    expect([view.holders(eight), view.holders(nine)]).toEqual([3, 1]);
    view.hold(1, nine);
    expect([view.holders(eight), view.holders(nine)]).toEqual([2, 2]);
    expect(view.held(1)).toBe(nine);
    expect(view.reference(eight)).toEqual({
      _tag: 'committed',
      pack: contents.packs[0]!.name,
      slot: 1,
    });
    expect(view.reference(nine)).toEqual({ _tag: 'pending', kind: 'content', number: 0 });
    expect(sharing.holders(1)).toBe(1);
    expect(sharing.index.find(fresh, 0)).toBe(-1);
  });
});

test('folds, savings and foldings anew that are asked for at once come one after the other', async () => {
  const ledger = new HandMadeLedger();
  for (let round = 0; round < 3; round += 1)
    await recordAtOnce(
      ledger,
      { vm: 'a', pages: [round, 7, 8, 2] },
      { vm: 'b', pages: [8, round + 3, 7, 2] },
    );
  const files = new MapStateFiles();
  const state = ledger.open(files);
  const { next } = ledger.state;
  await Promise.all([
    state.catchUp({ heavy: true }),
    state.catchUp({ heavy: false }),
    state.foldPast(next - 1n),
    state.save(),
    state.rebuild(),
    state.catchUp({ heavy: true }),
    state.save(),
  ]);
  const expected = await everything(ledger.state);
  expect(await everything(state)).toEqual(expected);
  const reopened = ledger.open(files);
  await reopened.load();
  await reopened.catchUp({ heavy: true });
  expect(await everything(reopened)).toEqual(expected);
});

test('a position that the log gave and no longer reaches is damage, not waited for', async () => {
  const ledger = new HandMadeLedger();
  await ledger.record({ vm: 'a', pages: [1] });
  const state = ledger.open(new MapStateFiles());
  await state.foldPast(0n);
  await expect(state.foldPast(state.next)).rejects.toMatchObject({ code: 'LOG_DAMAGED' });
});

describe('a state that is loaded beside a log', () => {
  /** Two pasts of one ledger: the same first capture, then another second one. */
  async function twoPasts(): Promise<readonly [HandMadeLedger, HandMadeLedger]> {
    const [one, other] = [new HandMadeLedger(), new HandMadeLedger()];
    for (const ledger of [one, other]) await ledger.record({ vm: 'a', pages: [7, 8, 0] });
    await one.record({ vm: 'a', pages: [7, 9, 0] });
    await other.record({ vm: 'a', pages: [1, 8, 0] });
    for (const ledger of [one, other]) await ledger.state.catchUp({ heavy: true });
    return [one, other];
  }

  test('whose past is another one since is thrown away and folded anew', async () => {
    const [one, other] = await twoPasts();
    const files = new MapStateFiles();
    const before = one.open(files);
    await before.catchUp({ heavy: true });
    await before.save();
    expect([...files.kept.keys()]).toContain('catalogue');
    // The log was put back from a copy, and another second capture was recorded.
    const after = other.open(files);
    await after.load();
    await after.catchUp({ heavy: true });
    expect(after.pasts).toBe(1);
    expect(await everything(after)).toEqual(await everything(other.state));
  });

  test('is made anew also after the other past has grown beyond it', async () => {
    const [one, other] = await twoPasts();
    const files = new MapStateFiles();
    const before = one.open(files);
    await before.catchUp({ heavy: true });
    await before.save();
    for (let value = 2; value < 6; value += 1)
      await other.record({ vm: 'a', pages: [value, 8, 0] });
    await other.state.catchUp({ heavy: true });
    const after = other.open(files);
    await after.load();
    await after.catchUp({ heavy: false });
    expect(after.pasts).toBe(1);
    await after.catchUp({ heavy: true });
    expect(await everything(after)).toEqual(await everything(other.state));
  });

  test.each(['catalogue', 'sharing'] as const)(
    'with a %s of another past beside the other half is made anew',
    async (name) => {
      const [one, other] = await twoPasts();
      const kept = await Promise.all(
        [one, other].map(async (ledger) => {
          const files = new MapStateFiles();
          const state = ledger.open(files);
          await state.catchUp({ heavy: true });
          await state.save();
          return files;
        }),
      );
      const mixed = kept[1]!;
      if (kept[0]!.kept.has(name)) mixed.kept.set(name, kept[0]!.kept.get(name)!);
      const after = other.open(mixed);
      await after.load();
      await after.catchUp({ heavy: true });
      expect(await everything(after)).toEqual(await everything(other.state));
    },
  );

  test('throws away what others keep of the past that is gone', async () => {
    const [one, other] = await twoPasts();
    const files = new MapStateFiles();
    const before = one.open(files);
    await before.catchUp({ heavy: true });
    await before.save();
    for (const name of ['tables/a/1', 'projected/mine/1', 'page-index/list', 'log-bytes'])
      await files.save(name, new Uint8Array(1));
    let count = 0;
    const after = other.open(files, async () => {
      count += 1;
    });
    await after.load();
    await after.catchUp({ heavy: false });
    await after.rebuild();
    expect(count).toBe(1);
    expect([...files.kept.keys()].filter((name) => !name.startsWith('tables/'))).toEqual([]);
  });

  test('whose past is the same goes on from there', async () => {
    const [one] = await twoPasts();
    const files = new MapStateFiles();
    const before = one.open(files);
    await before.catchUp({ heavy: true });
    await before.save();
    const after = one.open(files);
    await after.load();
    const { next } = after;
    await after.catchUp({ heavy: false });
    expect(after.pasts).toBe(0);
    expect(next).toBe(one.state.next);
  });
});
