// The embedded event log after a crash at every one of its operations on the disk, which loses what was
// not synced: what an append acknowledged is there, what was under way is there whole or not at all,
// and nothing is called damage.

import { describe, expect, test } from '@jest/globals';
import { openEventLog } from '../../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import type { AppendRequest, EventLog, StoredEvent } from '../../../../domain/ports/event-log.ts';
import { LossyFiles, type Kept } from '../../../simulation/lossy-files.ts';
import { eventsOf, makeEvent, makeEvents } from '../../../support/logs/log-events.ts';
import { gather, valueOf } from '../../../support/outcomes.ts';

const FOLDER = '/log';
const open = (files: LossyFiles) => valueOf(openEventLog({ folder: FOLDER, files }));
const idOf = ({ id }: { readonly id: Uint8Array }): string => Buffer.from(id).toString('hex');

/** An append that was tried, and after how many operations it was acknowledged (or refused). */
interface Tried {
  readonly request: AppendRequest;
  readonly from: number;
  acknowledged: number | null;
  refused: boolean;
}

async function attempt(
  world: { readonly files: LossyFiles; readonly tried: Tried[] },
  log: EventLog,
  request: AppendRequest,
): Promise<void> {
  const { operations } = world.files;
  const tried: Tried = { request, from: operations.length, acknowledged: null, refused: false };
  world.tried.push(tried);
  const outcome = await log.append(request)();
  if (outcome._tag === 'Right') tried.acknowledged = operations.length;
  else tried.refused = true;
}

/** Two writers, side by side on streams of their own and racing for one, with appends of all sizes. */
async function work(): Promise<{ files: LossyFiles; tried: Tried[] }> {
  const world = { files: new LossyFiles([FOLDER]), tried: [] as Tried[] };
  const [one, two] = [await open(world.files), await open(world.files)];
  for (let i = 0; i < 4; i += 1) {
    const large = makeEvent(1500);
    await Promise.all([
      attempt(world, one, {
        stream: 'a',
        expectedRevision: 2 * i - 1,
        events: [large, makeEvent()],
      }),
      attempt(world, two, { stream: 'b', expectedRevision: i - 1, events: makeEvents(1) }),
    ]);
    const expectedRevision = await valueOf(one.streamRevision('c'));
    await Promise.all(
      [one, two].map((log) =>
        attempt(world, log, { stream: 'c', expectedRevision, events: makeEvents(2) }),
      ),
    );
  }
  // The second writer goes on with a stream while what the first appended to it is not synced yet.
  const before = await valueOf(two.streamRevision('a'));
  const release = world.files.holdNextSync();
  const first = attempt(world, one, {
    stream: 'a',
    expectedRevision: before,
    events: [makeEvent(1500)],
  });
  while ((await valueOf(two.streamRevision('a'))) === before) await new Promise(setImmediate);
  await attempt(world, two, { stream: 'a', expectedRevision: before + 1, events: makeEvents(1) });
  release();
  await first;
  await one.close();
  await two.close();
  return world;
}

/** What is wrong with the events that a crash left; null: nothing. */
function fault(
  events: readonly StoredEvent[],
  tried: readonly Tried[],
  crash: number,
): string | null {
  const present = new Map(events.map((event) => [idOf(event), event]));
  let count = 0;
  for (const { request, from, acknowledged, refused } of tried) {
    const found = request.events.map((event) => present.get(idOf(event)));
    const here = found.filter((event) => event !== undefined);
    count += here.length;
    if (here.length > 0 && here.length < found.length) return 'an append is there in part';
    if (acknowledged !== null && acknowledged <= crash && here.length === 0)
      return 'an append that was acknowledged is gone';
    if (from > crash && here.length > 0) return 'an append is there that was not begun';
    if (refused && here.length > 0 && crash === Number.MAX_SAFE_INTEGER) return 'a loser is there';
    for (const [i, event] of here.entries())
      if (event.revision !== request.expectedRevision + 1 + i) return 'a revision is wrong';
  }
  return count === events.length ? null : 'there are events that nobody appended';
}

const SEEDS = [1, 2, 3, 4, 5, 6];
const KEPT: readonly Kept[] = ['all', 'none', ...SEEDS.map((seed) => ({ seed }))];

describe('a crash at any operation', () => {
  test('keeps every append that was acknowledged, and no part of another', async () => {
    const { files, tried } = await work();
    const faults: string[] = [];
    for (let crash = 0; crash <= files.operations.length; crash += 1) {
      for (const kept of KEPT) {
        const disk = files.afterCrash(crash, kept);
        const log = await open(disk);
        const events = await eventsOf(log);
        const found = fault(events, tried, crash);
        if (found !== null) faults.push(`crash ${crash}, ${JSON.stringify(kept)}: ${found}`);
        for (const { where, reason } of await gather(log.check()))
          faults.push(`crash ${crash}, ${JSON.stringify(kept)}: ${where}: ${reason}`);
        await log.close();
      }
    }
    expect(files.operations.length).toBeGreaterThan(50);
    expect(tried.filter(({ refused }) => refused).length).toBeGreaterThan(3);
    expect(faults).toEqual([]);
  }, 300_000);

  test('lets the append that was under way be tried again, and every stream go on', async () => {
    const { files, tried } = await work();
    const faults: string[] = [];
    for (let crash = 0; crash <= files.operations.length; crash += 1) {
      const disk = files.afterCrash(crash, { seed: crash });
      const log = await open(disk);
      const last = tried.findLast(({ from, refused }) => from <= crash && !refused);
      if (last === undefined) continue;
      const { stream, expectedRevision, events } = last.request;
      // What it built on, which nobody acknowledged either, may be gone.
      if (expectedRevision > (await valueOf(log.streamRevision(stream)))) continue;
      const revision = expectedRevision + events.length;
      // Tried again twice, as a writer does that is not sure of the first answer either.
      for (let i = 0; i < 2; i += 1) {
        const outcome = await log.append(last.request)();
        if (outcome._tag === 'Left') faults.push(`crash ${crash}: ${outcome.left.message}`);
        else if (outcome.right.revision !== revision) faults.push(`crash ${crash}: another answer`);
      }
      await valueOf(
        log.append({
          stream,
          expectedRevision: await valueOf(log.streamRevision(stream)),
          events: makeEvents(1),
        }),
      );
      for (const { reason } of await gather(log.check())) faults.push(`crash ${crash}: ${reason}`);
      const ids = (await eventsOf(log)).map(idOf);
      if (new Set(ids).size !== ids.length) faults.push(`crash ${crash}: an event came twice`);
      await log.close();
    }
    expect(faults).toEqual([]);
  }, 300_000);
});

describe('a writer that was killed between its write and its sync', () => {
  test('finds its append there, and has it durable before it says so', async () => {
    const files = new LossyFiles([FOLDER]);
    const killed = await open(files);
    const request = { stream: 'a', expectedRevision: -1, events: makeEvents(3) };
    const release = files.holdNextSync();
    const lost = killed.append(request)();
    const next = await open(files);
    while ((await valueOf(next.streamRevision('a'))) < 0) await new Promise(setImmediate);
    const answer = await valueOf(next.append(request));
    const disk = files.afterCrash(files.operations.length, 'none');
    expect(await eventsOf(await open(disk))).toHaveLength(3);
    expect(answer.revision).toBe(2);
    release();
    expect(await lost).toMatchObject({ _tag: 'Right', right: answer });
  });
});

describe('a writer whose disk fails', () => {
  test('refuses everything with the first failure until it is opened again', async () => {
    const files = new LossyFiles([FOLDER]);
    const log = await open(files);
    await valueOf(log.append({ stream: 'a', expectedRevision: -1, events: makeEvents(1) }));
    const request = { stream: 'a', expectedRevision: 0, events: makeEvents(2) };
    files.failNext('append', 'ENOSPC', 150);
    const failed = await log.append(request)();
    expect(failed).toMatchObject({ _tag: 'Left', left: { code: 'DISK_FULL' } });
    expect(await log.append(request)()).toEqual(failed);
    expect(await eventsOf(log)).toHaveLength(1);
    await log.close();
    const again = await open(files);
    await valueOf(again.append(request));
    expect(await eventsOf(again)).toHaveLength(3);
    expect(await gather(again.check())).toEqual([]);
    files.failNext('sync', 'EIO', 0);
    const more = { stream: 'a', expectedRevision: 2, events: makeEvents(1) };
    expect(await again.append(more)()).toMatchObject({ left: { code: 'IO_FAILED' } });
    await again.close();
  });
});
