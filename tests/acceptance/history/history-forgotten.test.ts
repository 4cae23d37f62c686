// History that was forgotten: the log gives room back, every point that is kept stays
// what it was, and from where history begins on all questions are answered as before, by who folded the
// log all along and by who begins with the baseline.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  compact,
  copyLedger,
  diffOf,
  fingerprint,
  forgetHistory,
  forgetPoints,
  historyOf,
  listEvents,
  openLedger,
  sharingOf,
  takeCheckpoint,
  verify,
  whoHolds,
  type Ledger,
  type LogFilter,
} from '../../../index.ts';
import { checkHead, headOfLedger } from '../../../adapters/wiring/verify/evidence.ts';
import {
  PAGES,
  pointsOf,
  recordSteps,
  stepsUpTo,
  type Steps,
  type Tables,
} from '../../support/ledgers/several-vms.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { IS_LONG } from '../../support/long-run.ts';

/** A disk makes the same slower, and differs in the log alone. */
const RUNS = IS_LONG ? { memory: 2, folder: 1 } : { memory: 1, folder: 0 };
const FACTOR = Number(process.env['PAGELEDGER_RUNS'] ?? 1);
const LONG_MS = 300_000;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const steps = stepsUpTo({ captures: 16, pages: 8 });
/** Of each capture in the order of recording: whether it goes, and whether a checkpoint names it. */
const fates = fc.array(fc.tuple(fc.integer({ max: 9, min: 0 }), fc.nat({ max: 9 })), {
  minLength: 16,
  maxLength: 16,
});

type Fates = [number, number][];

/** A history that compaction stores with fewer patches than recording did. */
// prettier-ignore
const PATCHES_MADE_WHOLE: [Steps, Fates, Steps] = [
  [
    [1, [[22, 57], [19, 84], [17, 65], [3, 74], [3, 24], [18, 1]]],
    [1, [[15, 3], [17, 104], [11, 1], [21, 98]]],
    [0, []],
    [0, [[1, 88], [18, 29], [17, 1], [6, 3]]],
    [2, []],
    [2, [[16, 22], [19, 33], [21, 78], [15, 77]]],
    [1, [[15, 3], [2, 0], [22, 2], [19, 0], [1, 109], [3, 1], [8, 94], [17, 19]]],
    [2, [[4, 66], [17, 29], [11, 98], [21, 102], [21, 49], [15, 1], [23, 95], [8, 62]]],
  ],
  [
    [1, 2], [7, 5], [5, 6], [4, 1], [0, 1], [1, 1], [3, 5], [9, 7],
    [9, 1], [1, 8], [8, 6], [1, 0], [0, 0], [5, 3], [8, 7], [0, 1],
  ],
  [
    [0, [[9, 45], [7, 56], [17, 3], [0, 88], [5, 1]]],
    [1, [[18, 0], [7, 38], [6, 105], [1, 65]]],
    [0, [[8, 89], [9, 0], [23, 22], [7, 2]]],
    [1, [[7, 51], [15, 81], [0, 0], [7, 3], [10, 22], [10, 3], [10, 30], [2, 3]]],
    [1, []],
    [2, [[0, 80], [9, 2], [11, 76], [14, 0], [2, 24]]],
    [2, [[20, 82]]],
    [0, [[22, 52], [22, 22]]],
    [1, [[4, 108], [15, 3], [10, 0], [16, 3], [5, 48], [5, 37]]],
  ],
];

const record = (ledger: Ledger, tables: Tables, some: Steps): Promise<void> =>
  recordSteps(ledger, some, { tables, folder: folder.path });

const ALL: LogFilter = { vm: null, type: null, isExpanded: true, from: null, to: null };

/** What is told of the history that there is, that does not depend on where content lies. */
async function answersOf(ledger: Ledger): Promise<unknown> {
  const answers: unknown[] = [];
  const identifiers = new Set<string>();
  const { history } = ledger.state.catalogue;
  for (const entry of ledger.vms()) {
    const rows = entry.captures.filter(({ position }) => position > (history?.position ?? -1n));
    answers.push([entry.vm, entry.gone?.capture ?? 0, entry.state, entry.points.givenUp, rows]);
    for (let gfn = 0; gfn < PAGES; gfn += 5)
      for (const { capture, outcome, identifier, sharers } of await historyOf(ledger, entry, gfn)) {
        answers.push([entry.vm, gfn, capture, outcome, identifier, sharers]);
        if (identifier !== null) identifiers.add(identifier);
      }
    for (const [i, row] of entry.captures.entries()) {
      const before = entry.captures[i - 1];
      if (before === undefined) continue;
      const gfns: number[] = [];
      const of = { a: { entry, row: before }, b: { entry, row }, withBytes: false };
      for await (const some of diffOf(ledger, of)) for (const { gfn } of some) gfns.push(gfn);
      answers.push([entry.vm, row.capture, gfns]);
    }
  }
  for (const identifier of [...identifiers].toSorted())
    answers.push(await whoHolds(ledger, { identifier, at: null }));
  const {
    storedBytes: _stored,
    logBytes: _log,
    ...sharing
  } = await sharingOf(ledger, {
    position: ledger.state.next,
    vm: null,
  });
  answers.push(sharing);
  await listEvents(ledger, ALL, (row) => {
    answers.push({ ...row });
    return Promise.resolve();
  });
  return answers;
}

/**
 * The states of the projections that come with the ledger, from nothing. How many contents are stored as
 * patches is for compaction to decide: it is left out, and is what the question counts.
 */
async function statesOf(ledger: Ledger): Promise<unknown> {
  const last: Record<string, Record<string, unknown>> = {};
  for (const projection of ['vms', 'writes', 'sharing'])
    for await (const message of ledger.states({ projection })) {
      if (message._tag === 'state') last[projection] = structuredClone({ of: message.view() });
      if (message._tag === 'caughtUp') break;
    }
  const { patched, ...counts } = last['sharing']!['of'] as Record<string, number>;
  const asked = await sharingOf(ledger, { position: ledger.state.next, vm: null });
  expect(patched).toBe(asked.patched);
  return { ...last, sharing: counts };
}

describe('history that is forgotten', () => {
  test.each(['memory', 'folder'] as const)(
    'leaves points and answers as they were, also where all is folded anew (%s)',
    async (kind) => {
      await fc.assert(
        fc.asyncProperty(steps, fates, steps, async (first, fate, second) => {
          const url = kind === 'memory' ? 'memory:' : join(folder.path, `${Math.random()}`);
          const ledger = await openLedger({ url, mode: 'create', threads: 0 });
          const tables: Tables = new Map();
          await record(ledger, tables, first);
          const heads = [await headOfLedger(ledger)];
          await forgetSome(ledger, tables, fate);
          const expected = await pointsOf(ledger, tables);
          expect([...expected.values()]).not.toContain('other');
          await forgetHistory(ledger, { isDryRun: false });
          heads.push(await headOfLedger(ledger));
          expect(await pointsOf(ledger, tables)).toEqual(expected);
          const answers = await answersOf(ledger);
          await ledger.state.rebuild();
          expect(await answersOf(ledger)).toEqual(answers);
          await record(ledger, tables, second);
          await compact(ledger, { graceMs: 0, isDryRun: false });
          await forgetSome(ledger, tables, fate.toReversed());
          const later = await pointsOf(ledger, tables);
          expect([...later.values()]).not.toContain('other');
          await forgetHistory(ledger, { isDryRun: false });
          expect(await pointsOf(ledger, tables)).toEqual(later);
          const states = await statesOf(ledger);
          await compact(ledger, { graceMs: 0, isDryRun: false });
          expect(await pointsOf(ledger, tables)).toEqual(later);
          const compacted = await answersOf(ledger);
          await ledger.state.rebuild();
          expect(await pointsOf(ledger, tables)).toEqual(later);
          expect(await answersOf(ledger)).toEqual(compacted);
          expect(await statesOf(ledger)).toEqual(states);
          expect((await verify(ledger, () => undefined)).findings).toEqual([]);
          for (const head of heads) {
            const finding = await checkHead(ledger, head);
            expect(finding?.isNote ?? true).toBe(true);
          }
          expect(await checkHead(ledger, await headOfLedger(ledger))).toBeNull();
          await checkCopies(ledger, tables, url);
          await ledger.close();
        }),
        { numRuns: RUNS[kind] * FACTOR + 1, endOnFailure: true, examples: [PATCHES_MADE_WHOLE] },
      );
    },
    LONG_MS,
  );
});

/** A copy that was made before more was recorded and forgotten, and a new one. */
async function checkCopies(ledger: Ledger, tables: Tables, url: string): Promise<void> {
  const urls = url === 'memory:' ? [url, url] : [`${url}-copy`, `${url}-new`];
  const open = (at: string): Promise<Ledger> => openLedger({ url: at, mode: 'create', threads: 0 });
  const early = await open(urls[0]!);
  await copyLedger({ from: ledger, to: early });
  expect(await pointsOf(early, tables)).toEqual(await pointsOf(ledger, tables));
  await record(ledger, tables, [
    [0, [[3, 99]]],
    [1, [[4, 98]]],
    [0, [[5, 97]]],
  ]);
  await copyLedger({ from: ledger, to: early });
  await forgetPoints(ledger, { vm: 'a', before: `@${tables.get('a')!.length}` });
  await forgetHistory(ledger, { isDryRun: false });
  const late = await open(urls[1]!);
  const expected = await pointsOf(ledger, tables);
  for (const copy of [early, late]) {
    await copyLedger({ from: ledger, to: copy });
    expect(await pointsOf(copy, tables)).toEqual(expected);
    expect(await fingerprint(copy)).toBe(await fingerprint(ledger));
    await copy.state.rebuild();
    expect(await pointsOf(copy, tables)).toEqual(expected);
    expect((await verify(copy, () => undefined)).findings).toEqual([]);
    expect(await checkHead(copy, await headOfLedger(copy))).toBeNull();
    await copy.close();
  }
}

async function forgetSome(ledger: Ledger, tables: Tables, fate: Fates): Promise<void> {
  let number = 0;
  for (const [vm, of] of tables) {
    const at: string[] = [];
    for (let capture = 1; capture < of.length; capture += 1) {
      const [goes, name] = fate[number % fate.length]!;
      number += 1;
      const entry = ledger.vm(vm);
      if (entry.isForgotten(capture)) continue;
      if (name === 0 && !entry.points.names.has(`c${capture}`))
        await takeCheckpoint(ledger, { vm, name: `c${capture}`, capture });
      if (goes > 2) at.push(`@${capture}`);
    }
    if (at.length > 0) await forgetPoints(ledger, { vm, at });
  }
}
