// Memory that is recorded at a rate: each page of it is waited for once before it is looked at, whoever asks
// for how much; and what the command line takes for a rate.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { recordImages } from '../../../index.ts';
import { byteRate } from '../../../adapters/faces/cli/argument-values.ts';
import { recordedAt } from '../../../adapters/wiring/record/pace.ts';
import { makeImage } from '../../support/images.ts';
import { restored, withLedger, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 2 * 1024 + 100;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

test('pages wait for their turn, a chunk at a time, in every capture', async () => {
  const images = [7, 8].map((seed) => makeImage({ seed, pages: PAGES }));
  const files = writeImages({ folder: folder.path, name: 'paced', images });
  const asked: number[] = [];
  const pace = (pages: number): Promise<void> => {
    asked.push(pages);
    return Promise.resolve();
  };
  await withLedger({ url: join(folder.path, 'ledger'), mode: 'create' }, async (ledger) => {
    const of = { vm: 'web', group: null, pace };
    await recordImages(ledger, of, { files, timeMs: null }, () => undefined);
    expect(asked).toEqual([1024, 1024, 100, 1024, 1024, 100]);
    const memory = await restored(ledger, { vm: 'web', at: '@2', folder: folder.path });
    expect(memory.equals(images[1]!)).toBe(true);
  });
});

test('nothing waits any more once it is to stop', async () => {
  const stop = new AbortController();
  const { pace } = recordedAt(1, stop.signal);
  await pace(1);
  const waiting = [pace(1), pace(1)];
  stop.abort();
  await Promise.all(waiting);
  await pace(1_000);
  expect(stop.signal.aborted).toBe(true);
});

test.each<[string, number]>([
  ['4096', 4096],
  ['50M', 50 * 2 ** 20],
  ['1.5GiB/s', 1.5 * 2 ** 30],
  ['2K', 2048],
])('a rate of %p is %p bytes a second', (text, rate) => expect(byteRate(text)).toBe(rate));

test.each(['0', '0.5', '-1M', '1T', 'fast', ''])('%p is no rate', (text) =>
  expect(() => byteRate(text)).toThrow('bytes a second were expected'),
);
