// Events out, whole: as they are kept, for readers in other languages, and up to where somebody was.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { openLedger } from '../../../index.ts';
import { jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { imageSeries } from '../../support/images.ts';
import { neutralEvents } from '../../support/logs/neutral-events.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';

jest.setTimeout(120_000);

let folder: TemporaryFolder;
let commands: LedgerCommands;
let files: string[];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  const mix = { zero: 30, text: 30, random: 0, repeated: 10, duplicate: 30 };
  const images = imageSeries({ seed: 3, pages: 60, captures: 3, changedPages: 20, mix });
  files = writeImages({ folder: folder.path, name: 'image', images });
  await commands.json('record', 'image', '--vm', 'vm', files[0]!, files[1]!);
});
afterAll(() => folder.remove());

describe('log --raw', () => {
  test('gives every event of the log, with its bytes', async () => {
    const ledger = await openLedger({ url: commands.ledger, mode: 'read', threads: 0 });
    const events = await neutralEvents(ledger.log);
    await ledger.close();
    expect(await commands.json('log', '--raw')).toEqual(events);
    const from = events[3]!.position;
    const some = await commands.json('log', '--raw', '--from', from, '--to', events[5]!.position);
    expect(some).toEqual(events.slice(3, 6));
    for (const words of [['--pages'], ['--vm', 'vm'], ['--last', '2'], ['--follow']])
      expect(await commands.errorOf('log', '--raw', ...words)).toEqual([2, 'BAD_USAGE']);
  });

  describeWithPrograms('to the consumer of the examples', ['python3'], () => {
    test('is what that shows page events of, as the log itself does', async () => {
      const { stdout: input } = await commands.run(['log', '--raw']);
      const consumer = join(sourceRoot(), 'examples/subscriber/read_events.py');
      const { stdout, status } = spawnSync('python3', [consumer], { input });
      const pages = ['PageStored', 'PageMerged', 'PatternPageShared', 'SharingBroken'];
      const shown = (await commands.json('log', '--pages')).filter(({ type }) =>
        pages.includes(String(type)),
      );
      expect(status).toBe(0);
      expect(jsonRows(stdout).map(({ position, item, type }) => [position, item, type])).toEqual(
        shown.map(({ position, item, type }) => [position, item, type]),
      );
    });
  });
});

describe('subscribe', () => {
  const subscribed = (...words: string[]) =>
    commands.json('subscribe', '--until-caught-up', '--type', 'CaptureCommitted', ...words);
  const capturesOf = async (...words: string[]): Promise<unknown[]> =>
    (await subscribed(...words)).map(({ capture }) => capture);

  test('ends when all that is there has come', async () => {
    expect(await capturesOf()).toEqual([1, 2]);
    const states = await commands.json('subscribe', '--until-caught-up', '--projection', 'vms');
    expect(states.length).toBeGreaterThan(0);
  });

  test('goes on where its cursor is, and keeps that there', async () => {
    const cursor = join(folder.path, 'cursor');
    expect(await capturesOf('--cursor', cursor)).toEqual([1, 2]);
    const kept = readFileSync(cursor, 'utf8');
    expect(await capturesOf('--cursor', cursor)).toEqual([]);
    expect(readFileSync(cursor, 'utf8')).toBe(kept);
    await commands.json('record', 'image', '--vm', 'vm', files[2]!);
    expect(await capturesOf('--cursor', cursor)).toEqual([3]);
    expect(readFileSync(cursor, 'utf8')).not.toBe(kept);
    writeFileSync(cursor, 'no place, but a text\n');
    const subscribe = ['subscribe', '--cursor', cursor];
    expect(await commands.errorOf(...subscribe)).toEqual([2, 'BAD_USAGE']);
    expect(await commands.errorOf(...subscribe, '--from', '1')).toEqual([2, 'BAD_USAGE']);
  });
});
