// Compaction while others record: two or three openings of one ledger, brought into every order that
// two processes can come in. What is kept is never lost, and what was deleted is never referred to.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  compact,
  forgetPoints,
  openRecorder,
  verify,
  type CompactRequest,
  type Ledger,
} from '../../index.ts';
import { encodeControl } from '../../domain/events/control.ts';
import { SAFE_GRACE_MS } from '../../domain/store.ts';
import { FIRST_CONTENT } from '../../domain/values/holding.ts';
import type { AppendRequest } from '../../domain/ports/event-log.ts';
import {
  freshDisk,
  openWorld,
  placesIn,
  recordTable,
  tableAt,
  WorldModel,
  type WorldDisk,
} from '../support/ledgers/compaction-world.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';

const NOW: CompactRequest = { graceMs: 0, isDryRun: false };

let folder: TemporaryFolder;
let files: WorldDisk;
let ledgers: Ledger[];
let model: WorldModel;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());
beforeEach(() => {
  files = freshDisk();
  ledgers = [];
  model = new WorldModel();
});
afterEach(async () => {
  for (const ledger of ledgers) await ledger.close();
});

async function open(clock?: () => number): Promise<Ledger> {
  const ledger = await openWorld(files, clock);
  ledgers.push(ledger);
  return ledger;
}

/** Records a capture and notes what it must give back. */
async function record(ledger: Ledger, vm: string, table: readonly number[]) {
  const row = await recordTable(ledger, { vm, group: null, table, folder: folder.path });
  model.vm(vm).captures.push(table);
  return row;
}

async function forget(ledger: Ledger, vm: string, before: number): Promise<void> {
  await forgetPoints(ledger, { vm, before: `@${before}` });
  model.forgetBefore(vm, before);
}

/** Does something just before the first append that an event of this type is in. */
function beforeAppend(ledger: Ledger, type: string, work: () => Promise<void>): void {
  const append = ledger.log.append.bind(ledger.log);
  let isDone = false;
  ledger.log.append = (request: AppendRequest) => async () => {
    if (!isDone && request.events.some((event) => event.type === type)) {
      isDone = true;
      await work();
    }
    return append(request)();
  };
}

/** Does something just before the first pack is put. */
function beforePut(ledger: Ledger, work: () => Promise<void>): void {
  const put = ledger.store.put.bind(ledger.store);
  let isDone = false;
  ledger.store.put =
    (...args: Parameters<typeof put>) =>
    async () => {
      if (!isDone) {
        isDone = true;
        await work();
      }
      return put(...args)();
    };
}

const packsOf = async (ledger: Ledger): Promise<string[]> => {
  const names: string[] = [];
  for await (const { name } of ledger.store.list()) names.push(name);
  return names.toSorted();
};

/** Everything is as it must be, in all openings, in a fold from nothing, and after compacting again. */
async function expectWhole(): Promise<void> {
  const [first] = ledgers;
  for (const ledger of ledgers) {
    await ledger.state.catchUp({ heavy: true });
    expect(await model.faults(ledger)).toEqual([]);
    expect(placesIn(ledger)).toEqual(placesIn(first!));
  }
  const before = placesIn(first!);
  await first!.state.rebuild();
  expect(placesIn(first!)).toEqual(before);
  await compact(first!, NOW);
  expect(await model.faults(first!)).toEqual([]);
  const { findings } = await verify(first!, () => undefined);
  expect(findings).toEqual([]);
}

/** A ledger whose VM `a` has held content 32, and holds it in no kept capture. */
async function withForgotten(): Promise<readonly [Ledger, Ledger]> {
  const [one, two] = [await open(), await open()];
  await record(one, 'a', [32, 48]);
  await record(one, 'a', [64, 48]);
  await forget(one, 'a', 2);
  return [one, two];
}

describe('a capture that links to content which compaction lets go', () => {
  test('before it commits is taken in anew, and stores it again', async () => {
    const [one, two] = await withForgotten();
    beforePut(one, async () => {
      await compact(two, NOW);
    });
    const row = await record(one, 'b', [32, 80]);
    expect(row.stored).toBe(2);
    await expectWhole();
  });

  test('between its last look and its commit takes it back', async () => {
    const [one, two] = await withForgotten();
    const before = await packsOf(one);
    beforeAppend(one, 'CaptureCommitted', async () => {
      const { released, deleted } = await compact(two, NOW);
      expect(released).toBe(1);
      // One who records may not have seen it: nothing is deleted.
      expect(deleted.packs).toBe(0);
      expect(deleted.waitingUntilMs).toBeGreaterThan(Date.now());
    });
    const row = await record(one, 'b', [32, 80]);
    expect(row).toMatchObject({ stored: 1, merged: 1 });
    expect(await packsOf(one)).toEqual(expect.arrayContaining(before));
    await expectWhole();
  });

  test('between what compaction looked at and what it says keeps it', async () => {
    const [one, two] = await withForgotten();
    beforeAppend(two, 'ContentReleased', async () => {
      const row = await record(one, 'b', [32, 80]);
      expect(row).toMatchObject({ stored: 1, merged: 1 });
    });
    await compact(two, NOW);
    expect(two.state.contents.isReleased(FIRST_CONTENT)).toBe(false);
    await expectWhole();
  });

  test('through a patch, while compaction says so, keeps the patch and what it is of', async () => {
    const [one, two] = [await open(), await open()];
    await record(one, 'a', [32, 48, 80]);
    // 33 is a patch of 32.
    await record(one, 'a', [33, 48, 80]);
    await record(one, 'a', [64, 48, 80]);
    await forget(one, 'a', 3);
    beforeAppend(one, 'ContentReleased', async () => {
      await record(two, 'v', [33, 0, 0]);
    });
    await compact(one, NOW);
    await expectWhole();
    expect(model.vm('v').captures).toHaveLength(1);
  });

  test('links to what was stored anew meanwhile, where there is that', async () => {
    const [one, two] = await withForgotten();
    const three = await open();
    beforeAppend(one, 'CaptureCommitted', async () => {
      await compact(two, NOW);
      expect(await record(three, 'c', [32, 96])).toMatchObject({ stored: 2 });
    });
    expect(await record(one, 'b', [32, 80])).toMatchObject({ stored: 1, merged: 1 });
    expect(one.state.contents.aliases.size).toBe(1);
    await expectWhole();
    // What it was a name of may be let go in its turn.
    await record(one, 'b', [0, 80]);
    await record(three, 'c', [0, 96]);
    await forget(one, 'b', 2);
    await forget(one, 'c', 2);
    await compact(two, NOW);
    expect(await record(one, 'd', [32, 32])).toMatchObject({ stored: 1, merged: 1 });
    await expectWhole();
  });

  test('is given up where compaction outruns it again and again', async () => {
    const [one, two] = await withForgotten();
    const put = one.store.put.bind(one.store);
    let content = 32;
    one.store.put = (pack) => async () => {
      // Whatever was linked to is let go before the next look.
      await compact(two, NOW);
      content += 1;
      const scratch = await open();
      await recordTable(scratch, {
        vm: 'a',
        group: null,
        table: [32, content],
        folder: folder.path,
      });
      await recordTable(scratch, { vm: 'a', group: null, table: [64, 48], folder: folder.path });
      const { captures } = scratch.vm('a');
      await forgetPoints(scratch, { vm: 'a', before: `@${captures.length}` });
      return put(pack)();
    };
    await expect(record(one, 'b', [32, 80])).rejects.toMatchObject({ code: 'COMPACTION_BUSY' });
    expect(one.state.catalogue.vms.get('b')?.captures ?? []).toEqual([]);
  });
});

describe('a pack', () => {
  test('that nobody may refer to again is deleted at once', async () => {
    const [one, two] = await withForgotten();
    const before = await packsOf(one);
    const { deleted } = await compact(two, NOW);
    expect(deleted.packs).toBe(before.length);
    expect(await packsOf(one)).not.toEqual(expect.arrayContaining([before[0]!]));
    // One who read it long ago learns where its content lies now.
    expect(await tableAt(one, { vm: 'a', capture: 2 })).toHaveLength(2 * 4096);
    await expectWhole();
  });

  test.each([
    ['goes with the next compaction once nobody does', 0],
    ['goes after a safe grace while somebody goes on', SAFE_GRACE_MS],
  ])('stays while anybody records, and %s', async (_, laterMs) => {
    let now = 1_000_000;
    const [one, two] = [await open(() => now), await open(() => now)];
    await record(one, 'a', [32, 48]);
    await record(one, 'a', [64, 48]);
    await forget(one, 'a', 2);
    const recorder = await openRecorder(one, { vm: 'busy', group: null });
    const first = await compact(two, NOW);
    expect(first.deleted).toMatchObject({ packs: 0, waitingUntilMs: now + SAFE_GRACE_MS });
    expect(first.deleted.waitingPacks).toBeGreaterThan(0);
    now += laterMs;
    if (laterMs === 0) await recorder.close();
    const second = await compact(two, NOW);
    expect(second.rewritten.packs).toBe(0);
    expect(second.deleted.packs).toBe(first.deleted.waitingPacks);
    await recorder.close();
    await expectWhole();
  });

  test('waits for its grace, by the clock of who compacts, without anybody sleeping', async () => {
    let now = 1_000_000;
    const one = await open(() => now);
    await record(one, 'a', [32, 48]);
    await record(one, 'a', [64, 48]);
    await forget(one, 'a', 2);
    const grace = { graceMs: 3_600_000, isDryRun: false };
    const first = await compact(one, grace);
    expect(first.deleted).toMatchObject({ packs: 0, waitingUntilMs: now + 3_600_000 });
    now += 3_599_999;
    expect((await compact(one, grace)).deleted.packs).toBe(0);
    now += 1;
    expect((await compact(one, grace)).deleted.packs).toBe(first.deleted.waitingPacks);
    await expectWhole();
  });

  /** A ledger with a pack that no event names, of a capture that ended before its commit. */
  async function withOrphan(clock: () => number): Promise<Ledger> {
    files.writtenAtMs = clock();
    const one = await open(clock);
    await record(one, 'a', [32, 48]);
    const kept = await packsOf(one);
    const two = await open();
    beforeAppend(two, 'CaptureCommitted', () => Promise.reject(new TypeError('ended here')));
    // It died, and took nothing back.
    two.store.delete = () => () => Promise.reject(new TypeError('ended here'));
    await expect(record(two, 'b', [80, 96])).rejects.toThrow('ended here');
    expect(await packsOf(one)).toHaveLength(kept.length + 1);
    return one;
  }

  test('that no event names goes after a day, by the clock of where it lies', async () => {
    let now = 1_000_000;
    const one = await withOrphan(() => now);
    // Two days ahead is the clock of who compacts, and not that of the disk.
    now += 48 * 3_600_000;
    const early = await compact(one, NOW);
    expect(early.deleted).toMatchObject({ packs: 0, doubt: null });
    expect(early.deleted.waitingPacks).toBeGreaterThan(0);
    files.nowMs = files.writtenAtMs + 24 * 3_600_000;
    expect((await compact(one, NOW)).deleted.packs).toBeGreaterThan(0);
    await expectWhole();
  });

  test('that no event names stays while something about the log is a finding', async () => {
    const one = await withOrphan(() => 1_000_000);
    files.nowMs = files.writtenAtMs + 24 * 3_600_000;
    const check = one.log.check.bind(one.log);
    one.log.check = async function* found() {
      yield { kind: 'log', where: 'here', reason: 'a witness is missing', affects: [] };
    };
    const { deleted } = await compact(one, NOW);
    expect(deleted).toMatchObject({
      packs: 0,
      doubt: 'a witness is missing',
      waitingUntilMs: null,
    });
    one.log.check = check;
    expect((await compact(one, NOW)).deleted.packs).toBeGreaterThan(0);
    await expectWhole();
  });
});

/** A ledger of which so much is let go that rewriting it is worth it. */
async function withVersions(): Promise<readonly [Ledger, Ledger]> {
  const [one, two] = [await open(), await open()];
  await record(one, 'z', [160, 176, 192]);
  await record(one, 'z', [0, 0, 0]);
  await forget(one, 'z', 2);
  await record(one, 'a', [32, 48]);
  await record(one, 'a', [33, 48]);
  expect(deepestPatch(one)).toBe(1);
  return [one, two];
}

/** How many patches one after the other the pages of kept points are read through, at most. */
function deepestPatch({ state }: Ledger): number {
  const { contents } = state;
  let deepest = 0;
  for (let content = 0; content < contents.count; content += 1) {
    let place = contents.placeOf(FIRST_CONTENT + content);
    let depth = 0;
    for (; place >= 0; depth += 1) {
      const reference = contents.referenceAt(place);
      if (reference === null) break;
      place = contents.placeOf(reference);
    }
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

describe('a patch', () => {
  test('whose reference becomes one just before its commit is read through both, until it is rewritten', async () => {
    const [one, two] = await withVersions();
    beforeAppend(one, 'CaptureCommitted', async () => {
      // Now 33 is whole, and 32 a patch of it.
      await compact(two, NOW);
    });
    // Made as a patch of 32, as 33 was.
    await record(one, 'a', [34, 48]);
    expect(deepestPatch(one)).toBe(2);
    await expectWhole();
    expect(deepestPatch(one)).toBe(1);
  });

  test('that would be one of a patch is made anew where that is seen in time', async () => {
    const [one, two] = await withVersions();
    beforePut(one, async () => {
      await compact(two, NOW);
    });
    await record(one, 'a', [34, 48]);
    expect(deepestPatch(one)).toBe(1);
    await expectWhole();
  });

  test('that a capture makes meanwhile keeps its reference whole', async () => {
    const [one, two] = await withVersions();
    beforeAppend(two, 'PackRewritten', async () => {
      await record(one, 'a', [34, 48]);
    });
    await compact(two, NOW);
    expect(deepestPatch(two)).toBe(1);
    await expectWhole();
  });
});

describe('two compactions', () => {
  test('at once are one, and the other says so', async () => {
    const [one, two] = await withForgotten();
    let other: unknown = null;
    beforeAppend(one, 'ContentReleased', async () => {
      other = await compact(two, NOW).catch((thrown: unknown) => thrown);
    });
    await compact(one, NOW);
    expect(other).toMatchObject({ code: 'COMPACTION_BUSY' });
    await expectWhole();
  });

  test('of which one comes from another host end without loss', async () => {
    const [one, two] = await withForgotten();
    // On another host nothing tells of the first one but the log.
    beforeAppend(one, 'PackRewritten', async () => {
      const data = encodeControl({
        type: 'ContentReleased',
        data: { seen: null, packs: [], areLying: null },
      });
      const revision = await two.log.streamRevision('store')();
      if (data._tag === 'Left' || revision._tag === 'Left') throw new TypeError('not possible');
      const event = {
        id: new Uint8Array(16).fill(7),
        type: 'ContentReleased',
        schema: 1,
        timeMs: 1,
        data: data.right,
      };
      await two.log.append({
        stream: 'store',
        expectedRevision: revision.right,
        events: [event],
      })();
    });
    await expect(compact(one, NOW)).rejects.toMatchObject({ code: 'COMPACTION_BUSY' });
    await expectWhole();
  });
});
