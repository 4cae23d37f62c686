// Every command that changes a ledger, stopped at each of its calls that change a file: by the end of
// its process before, after and in the middle of it, by a crash of the disk, by what the system answers.
// What was there before is there still, or what is to be there afterwards; `verify` is clean; and the
// command, given again, does its work.
//
// PAGELEDGER_ACTION_STEP: only every so many calls, others for each way of being stopped; 1: every one
// (`npm run test:long`); absent: one of each way. PAGELEDGER_SEED: which of the unsynced bytes and names a
// crash keeps.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { verify, type Ledger } from '../../index.ts';
import { clearCode } from '../support/spoiled/damaged-ledger.ts';
import { ledgerActions, openAt, type LedgerAction } from '../support/ledgers/ledger-actions.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';
import { FailingFiles, type Failure } from './failing-files.ts';
import type { LossyFiles } from './lossy-files.ts';
import { thrownText } from '../support/outcomes.ts';

const STEP = Number(process.env['PAGELEDGER_ACTION_STEP'] ?? 0);
/** Calls that are looked at where no step is said. */
const CALLS_USUAL = 1;
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_271);
const NAMES = [
  'init',
  'record',
  'checkpoint',
  'checkpoint --drop',
  'forget',
  'compact',
  'copy',
  'verify --repair',
  'retire',
  'drop',
  'group import',
  'patterns add',
  'restore',
];

let folder: TemporaryFolder;
let actions: ReadonlyMap<string, LedgerAction>;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const made = await ledgerActions(folder.path);
  actions = new Map(made.map((action) => [action.name, action]));
});
afterAll(() => folder.remove());

/** The least that is wrong, whichever of the models it is to be. */
async function stateFaults(ledger: Ledger, models: LedgerAction['before'][]): Promise<string[]> {
  let least: string[] = [];
  for (const [i, model] of models.entries()) {
    const faults = await model.faults(ledger);
    if (faults.length === 0) return [];
    if (i === 0 || faults.length < least.length) least = faults;
  }
  return least;
}

/** What is wrong with the ledger on a disk, which is to be as one of the models says. */
async function ledgerFaults(
  files: LossyFiles,
  { models, mayBeDamaged }: { models: LedgerAction['before'][]; mayBeDamaged: boolean },
): Promise<string[]> {
  const ledger = await openAt(files, 'create');
  try {
    await ledger.state.catchUp({ heavy: true });
    if (mayBeDamaged) return [];
    const { findings } = await verify(ledger, () => undefined);
    return [
      ...(await stateFaults(ledger, models)),
      ...findings.map(({ kind, where, reason }) => `verify: ${kind} ${where} ${reason}`),
    ];
  } finally {
    await ledger.close();
  }
}

/** What is wrong after the action was stopped, and after it was repeated. */
async function faultsAfter(
  action: LedgerAction,
  { files, isDone }: { readonly files: LossyFiles; readonly isDone: boolean },
): Promise<string[]> {
  const { before, after, again, isDamaged } = action;
  const models = isDone ? [after] : [before, after];
  const mayBeDamaged = isDamaged === true && !isDone;
  const faults = await ledgerFaults(files, { models, mayBeDamaged });
  if (isDone) faults.push(...(await action.faults(files)));
  try {
    await action.run(files);
  } catch (thrown) {
    if (clearCode(thrown) === null) faults.push(`repeated: ${thrownText(thrown)}`);
  }
  const repeated = await ledgerFaults(files, { models: [after, again], mayBeDamaged: false });
  const more = await action.faults(files);
  return [...faults, ...[...repeated, ...more].map((fault) => `repeated: ${fault}`)];
}

const named = (name: string): LedgerAction => actions.get(name)!;

/** Some of the numbers below `total`, others for each `way`; all where every one is asked for. */
function* someOf(total: number, way: number): Generator<number> {
  const step = STEP > 0 ? STEP : Math.max(1, Math.ceil(total / CALLS_USUAL));
  for (let count = (way * 7) % step; count < total; count += step) yield count;
}

/** Every other of the ways, others for each action; all where every call is asked for. */
const someWays = <A>(ways: readonly A[], name: string): [number, A][] =>
  [...ways.entries()].filter(([i]) => STEP > 0 || (i + NAMES.indexOf(name)) % 2 === 0);

/** Ways of being stopped at a call: what is on the disk then. */
const STOPS: readonly (readonly [string, (disk: LossyFiles, count: number) => LossyFiles])[] = [
  ['killed between two calls', (disk, count) => disk.afterCrash(count, 'all')],
  ['killed in the middle of a call', (disk, count) => disk.afterKill(count)],
  ['by a crash that loses what was not synced', (disk, count) => disk.afterCrash(count, 'none')],
  [
    'by a crash that loses some of it',
    (disk, count) => disk.afterCrash(count, { seed: SEED * 1000 + count }),
  ],
];

test('the actions are all that commands do that write', () => {
  expect([...actions.keys()]).toEqual(NAMES);
});

describe.each(NAMES)('%s', (name) => {
  test('stopped at any call leaves a whole ledger, and is done when it is repeated', async () => {
    const action = named(name);
    const disk = action.disk.copy();
    await action.run(disk);
    const total = disk.operations.length;
    expect(total).toBeGreaterThan(name === 'retire' ? 1 : 2);
    const faults: string[] = [];
    for (const [i, [how, stop]] of someWays(STOPS, name))
      for (const count of [...someOf(total, i), total]) {
        const isDone = count === total && !how.includes('crash');
        const found = await faultsAfter(action, { files: stop(disk, count), isDone }).catch(
          (thrown: unknown) => [thrownText(thrown)],
        );
        faults.push(...found.map((fault) => `${how}, ${count} of ${total}: ${fault}`));
      }
    expect(faults).toEqual([]);
  }, 3_600_000);

  test('refused at any call says so clearly, and is done when it is repeated', async () => {
    const action = named(name);
    const counting = new FailingFiles(action.disk.copy());
    await action.run(counting.port);
    const total = counting.calls;
    const faults: string[] = [];
    for (const [i, kind] of someWays(FAILURES, name))
      for (const call of someOf(total, i)) {
        const what = `${JSON.stringify(kind)}, ${call} of ${total}`;
        const found = await refusedAt(action, { ...kind, call }).catch((thrown: unknown) => [
          thrownText(thrown),
        ]);
        faults.push(...found.map((fault) => `${what}: ${fault}`));
      }
    expect(faults).toEqual([]);
  }, 3_600_000);
});

const FAILURES: readonly Omit<Failure, 'call'>[] = [
  { errno: 'EIO', isHalfDone: false, isForGood: false },
  { errno: 'EIO', isHalfDone: true, isForGood: false },
  { errno: 'ENOSPC', isHalfDone: true, isForGood: false },
  { errno: 'ENOSPC', isHalfDone: true, isForGood: true },
  { errno: 'EROFS', isHalfDone: false, isForGood: true },
];

/** What is wrong where a call was refused. */
async function refusedAt(action: LedgerAction, failure: Failure): Promise<string[]> {
  const files = action.disk.copy();
  let isDone = true;
  const faults: string[] = [];
  try {
    await action.run(new FailingFiles(files, failure).port);
  } catch (thrown) {
    isDone = false;
    if (clearCode(thrown) === null) faults.push(thrownText(thrown));
  }
  return [...faults, ...(await faultsAfter(action, { files, isDone }))];
}
