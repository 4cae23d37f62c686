// Forgetting: any captures but a VM's newest may go, and every other point of every
// VM stays what it was, before and after compaction, in a copy, and with everything derived made anew.
// What a forgotten capture still answers comes from the events.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  compact,
  copyLedger,
  diffOf,
  dropVm,
  forgetPoints,
  historyOf,
  openLedger,
  takeCheckpoint,
  verify,
  type Ledger,
} from '../../../index.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { recordTable } from '../../support/ledgers/compaction-world.ts';
import { eventsOf } from '../../support/ledgers/recorded-images.ts';
import {
  PAGES,
  pointsOf,
  recordSteps,
  stepsUpTo,
  type Tables,
} from '../../support/ledgers/several-vms.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const RUNS = Number(process.env['PAGELEDGER_RUNS'] ?? 2);
const LONG_MS = 300_000;

let folder: TemporaryFolder;
let made = 0;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const history = stepsUpTo({ captures: 20, pages: 12 });
/** For each capture in the order of recording: whether it goes, and whether a checkpoint names it. */
const fates = fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 5 })), {
  minLength: 20,
  maxLength: 20,
});

/** What history and diff say that does not depend on where content lies. */
async function answersOf(ledger: Ledger, tables: Tables): Promise<unknown> {
  const answers: unknown[] = [];
  for (const [vm, of] of tables) {
    const entry = ledger.vm(vm);
    for (let gfn = 0; gfn < PAGES; gfn += 5)
      for (const { capture, outcome, identifier, sharers } of await historyOf(ledger, entry, gfn))
        answers.push([vm, gfn, capture, outcome, identifier, sharers]);
    for (let i = 1; i < of.length; i += 1) {
      const [a, b] = [i, i + 1].map((capture) => ({ entry, row: entry.capture(capture)! }));
      const gfns: number[] = [];
      for await (const some of diffOf(ledger, { a: a!, b: b!, withBytes: false }))
        for (const { gfn } of some) gfns.push(gfn);
      answers.push([vm, i, gfns]);
    }
  }
  return answers;
}

/** Events that say what became of points and content. */
const AFTERWARDS = ['PointsForgotten', 'ContentReleased', 'PackRewritten'];

/** What the log says of captures, down to page events with their outcomes; places are a log's own. */
async function loggedOf(
  ledger: Ledger,
): Promise<{ readonly said: unknown; readonly forgotten: readonly string[] }> {
  const rows = await eventsOf(ledger, { isExpanded: true });
  const kept = rows.filter(({ vm, type }) => vm !== null && !AFTERWARDS.includes(type));
  const said = kept.map(({ item, type, vm, timeMs, capture, facts }) => {
    const { forgotten: _, ...others } = facts;
    return [item, type, vm, timeMs, capture, others];
  });
  const forgotten = kept.flatMap(({ type, vm, capture, facts }) =>
    type === 'CaptureCommitted' && facts['forgotten'] === true ? [`${vm}@${capture}`] : [],
  );
  return { said, forgotten: forgotten.toSorted() };
}

describe('forgetting any captures', () => {
  test(
    'leaves every other point equal, and frees at least what was foretold',
    async () => {
      await fc.assert(
        fc.asyncProperty(history, fates, async (steps, fate) => {
          made += 1;
          const url = join(folder.path, `ledger-${made}`);
          let ledger = await openLedger({ url, mode: 'create', threads: 0 });
          const tables: Tables = new Map();
          await recordSteps(ledger, steps, { tables, folder: folder.path });
          const expected = new Map<string, string>();
          const at = new Map<string, string[]>();
          let number = 0;
          for (const [vm, of] of tables)
            for (let capture = 1; capture <= of.length; capture += 1) {
              const [goes, name] = fate[number]!;
              number += 1;
              if (name === 0) await takeCheckpoint(ledger, { vm, name: `c${capture}`, capture });
              if (goes && capture < of.length) at.set(vm, [...(at.get(vm) ?? []), `@${capture}`]);
              const isGone = goes && capture < of.length && name !== 0;
              expected.set(`${vm}@${capture}`, isGone ? 'PointForgotten' : 'equal');
            }
          const answers = await answersOf(ledger, tables);
          const { said } = await loggedOf(ledger);
          const gone = [...expected].filter(([, point]) => point === 'PointForgotten');
          const forgotten = gone.map(([name]) => name).toSorted();
          const expectSaid = async (): Promise<void> => {
            expect(await answersOf(ledger, tables)).toEqual(answers);
            expect(await loggedOf(ledger)).toEqual({ said, forgotten });
          };
          let foretold = 0;
          for (const [vm, points] of at) {
            const dry = await forgetPoints(ledger, { vm, at: points, isDryRun: true });
            expect(await forgetPoints(ledger, { vm, at: points })).toEqual(dry);
            foretold += dry.bytes!;
            const again = await forgetPoints(ledger, { vm, at: points });
            expect([again.forgotten, again.bytes]).toEqual([0, 0]);
          }
          expect(await pointsOf(ledger, tables)).toEqual(expected);
          const { storedBytes: before } = await ledger.storedBytes();
          await compact(ledger, { graceMs: 0, isDryRun: false });
          const { storedBytes: after } = await ledger.storedBytes();
          expect(before - after).toBeGreaterThanOrEqual(foretold);
          expect(await pointsOf(ledger, tables)).toEqual(expected);
          await expectSaid();
          expect((await verify(ledger, () => undefined)).findings).toEqual([]);
          const copy = await openLedger({ url: `${url}-copy`, mode: 'create', threads: 0 });
          await copyLedger({ from: ledger, to: copy });
          await ledger.close();
          ledger = copy;
          expect(await pointsOf(ledger, tables)).toEqual(expected);
          await expectSaid();
          // All that is derived is made anew from the log, of the ledger and of its copy.
          for (const again of [url, `${url}-copy`]) {
            await ledger.close();
            rmSync(join(again, 'projections'), { recursive: true });
            ledger = await openLedger({ url: again, mode: 'read', threads: 0 });
            expect(await pointsOf(ledger, tables)).toEqual(expected);
            await expectSaid();
          }
          await ledger.close();
        }),
        { numRuns: RUNS },
      );
    },
    LONG_MS,
  );
});

describe('forgetting, as it is said', () => {
  let url: string;
  let commands: LedgerCommands;
  /** Times of a's captures: hourly through two days, with one clock that was ten years ahead. */
  const START = Date.parse('2026-03-01T00:30:00Z');
  const timeOf = (i: number): number => START + i * 3_600_000 + (i === 20 ? 3.2e11 : 0);

  beforeAll(async () => {
    url = join(folder.path, 'said');
    commands = new LedgerCommands(url);
    const ledger = await openLedger({ url, mode: 'create', threads: 0 });
    for (let i = 0; i < 48; i += 1) {
      const table = Array.from({ length: PAGES }, (_, gfn) => (gfn === i % PAGES ? 16 + i : 32));
      await recordTable(ledger, {
        vm: 'web-1',
        group: null,
        table,
        folder: folder.path,
        timeMs: timeOf(i),
      });
    }
    for (const vm of ['web-2', 'db'])
      for (let i = 0; i < 3; i += 1) {
        const table = Array.from({ length: PAGES }, () => 16 + i);
        await recordTable(ledger, {
          vm,
          group: null,
          table,
          folder: folder.path,
          timeMs: timeOf(i),
        });
      }
    await takeCheckpoint(ledger, { vm: 'web-1', name: 'booted', capture: 2 });
    await ledger.close();
  }, LONG_MS);

  const json = async (...words: string[]) => await commands.json(...words);

  test(
    'rules go over all VMs, or those that are named, and a dry run changes nothing',
    async () => {
      const words = ['forget', '--vm', 'web-*', '--keep-daily', '2', '--keep-last', '2'];
      const dry = await json(...words, '--dry-run');
      const stays = dry.filter(({ keep }) => keep === true);
      expect(
        stays.map(
          ({ vm, capture, reason }) => `${String(vm)}@${Number(capture)}: ${String(reason)}`,
        ),
      ).toEqual([
        'web-1@2: checkpoint booted',
        'web-1@21: ahead of the clock',
        'web-1@24: daily',
        'web-1@47: last',
        'web-1@48: newest, last, daily',
        'web-2@2: last',
        'web-2@3: newest, last, daily',
      ]);
      const summary = dry.at(-1)!;
      expect(summary).toMatchObject({ summary: 'forget', captures: 44, kept: 7, dryRun: true });
      const goes = dry.filter(({ keep }) => keep === false);
      const sum = goes.reduce((bytes, row) => bytes + Number(row['bytes']), 0);
      expect([Number(summary['bytes']), sum > 0]).toEqual([sum, true]);
      const done = await json(...words);
      expect(done.slice(0, -1)).toEqual(dry.slice(0, -1));
      expect((await json(...words)).at(-1)).toMatchObject({ captures: 0, kept: 7, bytes: 0 });
      const rows = await json('captures', '--vm', 'db');
      expect(rows.map(({ forgotten }) => forgotten)).toEqual([false, false, false]);
    },
    LONG_MS,
  );

  test(
    'a forgotten capture in the middle tells its events, and its memory is refused with the nearest',
    async () => {
      const refused = await commands.run(['restore', '--vm', 'web-1', '--at', '@30', '--to', '-']);
      expect([refused.exitCode, refused.stderr]).toEqual([
        5,
        expect.stringContaining('the nearest that are kept are @24 and @47'),
      ]);
      const differing = await json('diff', '--vm', 'web-1', '@30', '@31', '--bytes');
      expect(differing.map(({ gfn, ranges }) => [gfn, ranges])).toEqual([
        [5, null],
        [6, null],
      ]);
      const versions = await json('history', '--vm', 'web-1', '--page', '6');
      expect(versions.map(({ capture, forgotten }) => [capture, forgotten])).toEqual([
        [1, true],
        [7, true],
        [8, true],
        [31, true],
        [32, true],
      ]);
      const captures = await json('captures', '--vm', 'web-1');
      expect(captures).toHaveLength(48);
      expect(captures[30]).toMatchObject({ capture: 31, forgotten: true, written: 2 });
      const at = async (point: string) =>
        Buffer.from(await commands.bytes('restore', '--vm', 'web-1', '--at', point, '--to', '-'));
      // The kept capture with the greatest time at or before.
      expect(await at('time:2026-03-02T20:00Z')).toEqual(await at('@24'));
      expect(await at(`time:2026-03-02T22:45Z`)).toEqual(await at('@47'));
    },
    LONG_MS,
  );

  test.each([
    [['--keep-last', '1', '--before', '@2', '--vm', 'db'], 2, 'two things say what goes'],
    [['--vm', 'db'], 2, 'nothing says what goes'],
    [['--before', '@2'], 2, 'name one'],
    [['--at', 'cp:booted', '--vm', 'web-*'], 2, 'name one'],
    [['--keep-within', 'soon'], 2, 'is no duration'],
    [['--keep-last', '0'], 2, 'a whole number from 1'],
    [['--keep-last', '1', '--vm', 'nobody'], 5, 'no VM nobody'],
    [['--at', '@3', '--vm', 'db'], 1, 'which is always kept'],
    [['--at', 'latest', '--vm', 'db', '--dry-run'], 1, 'which is always kept'],
    [['--at', '@9', '--vm', 'db'], 5, 'no capture at @9'],
  ])('%j is refused', async (words, exitCode, text) => {
    const outcome = await commands.run(['forget', ...words]);
    expect([outcome.exitCode, outcome.stderr]).toEqual([exitCode, expect.stringContaining(text)]);
  });

  test(
    'a time forgets what is older, in each VM; drop ends one with its last capture',
    async () => {
      const rows = await json('forget', '--vm', 'db', '--before', 'time:2026-03-01T01:45Z');
      expect(rows.map(({ capture, keep }) => [capture, keep]).slice(0, -1)).toEqual([
        [1, false],
        [2, true],
        [3, true],
      ]);
      expect(await json('drop', '--vm', 'db')).toEqual([
        expect.objectContaining({ summary: 'drop', vm: 'db', captures: 2, retired: true }),
      ]);
      expect((await json('drop', '--vm', 'db'))[0]).toMatchObject({ captures: 0 });
      const gone = await commands.run(['restore', '--vm', 'db', '--to', '-']);
      expect([gone.exitCode, gone.stderr]).toEqual([
        5,
        expect.stringContaining('no capture of the VM is kept'),
      ]);
      await json('compact');
      expect((await json('verify')).at(-1)).toMatchObject({ summary: 'verify', damaged: 0 });
      const ledger = await openLedger({ url, mode: 'write', threads: 0 });
      expect(await dropVm(ledger, 'web-2')).toEqual([2, 3]);
      await ledger.close();
    },
    LONG_MS,
  );
});
