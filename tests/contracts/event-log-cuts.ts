// What every event log does when it is told to let go of the beginnings of streams.

import { expect, test } from '@jest/globals';
import { NO_STREAM } from '../../domain/ports/event-log.ts';
import { eventsOf, lineOf, makeEvents, streamOf } from '../support/logs/log-events.ts';
import { failureOf, valueOf } from '../support/outcomes.ts';
import { append, fill, type Current } from './event-log-world.ts';

/** Revisions of `fill(log, 40)` from which on streams are kept; the third is kept whole. */
const CUTS = new Map([
  ['vm-0', 11],
  ['vm-1', 4],
]);

export function contractOfCuts(current: Current): void {
  test('what stays when beginnings of streams are let go keeps its place', async () => {
    const { log, another } = current();
    const before = await fill(log, 40);
    const reading = await another();
    await eventsOf(reading);
    await valueOf(log.cut(CUTS));
    const kept = before.filter(({ stream, revision }) => revision >= (CUTS.get(stream) ?? 0));
    for (const each of [log, await another()]) {
      const lines = new Set((await eventsOf(each)).map(lineOf));
      for (const event of kept) expect(lines).toContain(lineOf(event));
      for (const line of lines) expect(before.map(lineOf)).toContain(line);
      for (const stream of ['vm-0', 'vm-1', 'vm-2']) {
        const own = kept.filter((event) => event.stream === stream);
        const { revision: from, position } = own[0]!;
        const found = await streamOf(each, stream, { from, count: own.length, position });
        expect(found.map(lineOf)).toEqual(own.map(lineOf));
        const last = own.at(-1)!;
        expect(await valueOf(each.streamRevision(stream))).toBe(last.revision);
        expect(lineOf((await valueOf(each.last(stream)))!)).toBe(lineOf(last));
      }
    }
  });

  test('a stream goes on after its beginning was let go, whoever had the log open', async () => {
    const { log, another } = current();
    await fill(log, 40);
    const writing = await another();
    const revision = await valueOf(writing.streamRevision('vm-0'));
    await valueOf(log.cut(CUTS));
    await append(writing, 'vm-0', revision, 2);
    await append(log, 'vm-0', revision + 2);
    const conflict = { stream: 'vm-0', expectedRevision: revision, events: makeEvents(2) };
    expect((await failureOf(writing.append(conflict))).code).toBe('REVISION_CONFLICT');
    expect(await valueOf((await another()).streamRevision('vm-0'))).toBe(revision + 3);
  });

  test('beginnings are let go again and again, also of what was before', async () => {
    const { log, another } = current();
    const before = await fill(log, 40);
    await valueOf(log.cut(CUTS));
    await valueOf(log.cut(CUTS));
    const more = new Map([...CUTS, ['vm-1', 9] as const, ['vm-2', 7] as const]);
    await valueOf(log.cut(more));
    const lines = new Set((await eventsOf(await another())).map(lineOf));
    const kept = before.filter(({ stream, revision }) => revision >= more.get(stream)!);
    expect(kept.map(lineOf).filter((line) => !lines.has(line))).toEqual([]);
  });

  test('what was let go of a stream cannot be read of it', async () => {
    const { log } = current();
    await fill(log, 40);
    await valueOf(log.cut(CUTS));
    const reading = streamOf(log, 'vm-0', { from: 0, count: 3, position: 0n });
    await expect(reading).rejects.toMatchObject({ code: 'LOG_DAMAGED' });
  });

  test('a stream without events has no last one', async () => {
    const { log } = current();
    expect(await valueOf(log.last('vm-0'))).toBeNull();
    await append(log, 'vm-0', NO_STREAM, 3);
    expect((await valueOf(log.last('vm-0')))?.revision).toBe(2);
  });
}
