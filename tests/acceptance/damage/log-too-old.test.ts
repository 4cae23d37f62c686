// A log that is put back from before the last compaction: packs that it names were deleted since.

import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  compact,
  dropCheckpoint,
  dropVm,
  forgetPoints,
  retireVm,
  takeCheckpoint,
  verify,
  type Ledger,
} from '../../../index.ts';
import { addPattern } from '../../../adapters/wiring/ledger/patterns.ts';
import { makeImage } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import { recordFiles, withLedger, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MIX = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };

let folder: TemporaryFolder;
let url: string;
let files: readonly string[];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  const images = [1, 2, 3, 4].map((seed) => makeImage({ seed, pages: 64, mix: MIX }));
  files = writeImages({ folder: folder.path, name: 'image', images });
});
afterAll(() => folder.remove());

const opened = async <A>(
  work: (ledger: Ledger) => Promise<A>,
): Promise<{ readonly value: A; readonly notices: readonly string[] }> => {
  const notices: string[] = [];
  const onNotice = (sentence: string): void => void notices.push(sentence);
  const value = await withLedger({ url, mode: 'create', onNotice }, work);
  return { value, notices };
};

const record = (numbers: readonly number[]) =>
  opened((ledger) =>
    recordFiles(ledger, { vm: 'web', files: numbers.map((number) => files[number]!) }),
  );

const squeeze = (ledger: Ledger) => compact(ledger, { graceMs: 0, isDryRun: false });
const packs = (): string[] =>
  readdirSync(join(url, 'packs'), { recursive: true }).map(String).toSorted();

/** Puts a part of the ledger in the place of what is there. */
function putBack(from: string, part: string): void {
  rmSync(join(url, part), { recursive: true, force: true });
  cpSync(join(folder.path, from, part), join(url, part), { recursive: true });
}

const TOO_OLD = /older than the last compaction/u;

test('is told when it is opened and verified; nothing is recorded onto it or deleted by it', async () => {
  await record([0, 1]);
  await opened((ledger) => takeCheckpoint(ledger, { vm: 'web', name: 'first', capture: 1 }));
  cpSync(url, join(folder.path, 'before'), { recursive: true });
  const { value: marks } = await opened(async (ledger) => {
    await dropCheckpoint(ledger, { vm: 'web', name: 'first' });
    await forgetPoints(ledger, { vm: 'web', before: '@2' });
    expect((await squeeze(ledger)).deleted.packs).toBeGreaterThan(0);
    return valueOf(ledger.store.marks());
  });
  expect(marks).toHaveLength(1);
  await record([2]);
  cpSync(url, join(folder.path, 'after'), { recursive: true });

  putBack('before', 'log');
  const there = packs();
  const { notices, value: findings } = await opened(async (ledger) => {
    const more = recordFiles(ledger, { vm: 'web', files: [files[3]!] });
    await expect(more).rejects.toMatchObject({ code: 'LOG_TOO_OLD', facts: marks[0] });
    const attempts = [
      () => squeeze(ledger),
      () => takeCheckpoint(ledger, { vm: 'web', name: 'here', capture: 2 }),
      () => dropCheckpoint(ledger, { vm: 'web', name: 'first' }),
      () => forgetPoints(ledger, { vm: 'web', before: '@2' }),
      () => retireVm(ledger, 'web'),
      () => dropVm(ledger, 'web'),
      () => addPattern(ledger, '(?:pageledger)+'),
    ];
    for (const attempt of attempts)
      await expect(attempt()).rejects.toMatchObject({ code: 'LOG_TOO_OLD' });
    // What brings nothing about is done.
    await forgetPoints(ledger, { vm: 'web', before: '@1' });
    return (await verify(ledger, () => undefined)).findings;
  });
  expect(notices.join('\n')).toMatch(TOO_OLD);
  expect(findings.map(({ reason }) => reason).join('\n')).toMatch(TOO_OLD);
  expect(packs()).toEqual(there);

  // The log that has it, and then the old one with its own packs beside those that are there.
  putBack('after', 'log');
  expect((await record([3])).notices.join('\n')).not.toMatch(TOO_OLD);
  putBack('before', 'log');
  cpSync(join(folder.path, 'before', 'packs'), join(url, 'packs'), { recursive: true });
  rmSync(join(url, 'packs', 'compacted'), { recursive: true });
  expect((await record([3])).notices.join('\n')).not.toMatch(TOO_OLD);
  const { value: healed } = await opened((ledger) => verify(ledger, () => undefined));
  expect(healed.findings).toEqual([]);
});
