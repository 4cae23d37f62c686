// How often a recorder asks the log's server for one capture. The packs are in a folder.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openLedger, recordImages, type Ledger } from '../../../index.ts';
import {
  startEventStoreDouble,
  type EventStoreDouble,
} from '../../support/eventstoredb-double/eventstoredb-double.ts';
import { imageSeries } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const METHODS = ['append', 'batchAppend', 'read', 'subscribe'] as const;
const CAPTURES = 6;
const LONG_MS = 120_000;

let double: EventStoreDouble;
let folder: TemporaryFolder;
let images: readonly Uint8Array[];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  images = [...imageSeries({ seed: 4, pages: 300, captures: CAPTURES, changedPages: 45 })].map(
    (image) => image.slice(),
  );
});
afterAll(() => folder.remove());
beforeEach(async () => {
  double = await startEventStoreDouble();
});
afterEach(() => double.stop());

const openOn = (host: string, clock: () => number): Promise<Ledger> =>
  openLedger({
    clock,
    url: `${double.url}&ledger=calls`,
    mode: 'create',
    pageStore: join(folder.path, `packs-${host}`),
    stateFolder: join(folder.path, host),
  });

const callsNow = (): Record<string, number> =>
  Object.fromEntries(METHODS.map((method) => [method, double.calls(method)]));

/** One recorder records every image as a capture of the VM; the calls of each capture. */
async function callsOfCaptures(
  ledger: Ledger,
  vm: string,
): Promise<readonly Record<string, number>[]> {
  const path = join(folder.path, `${vm}.raw`);
  const calls: Record<string, number>[] = [];
  let before = callsNow();
  writeFileSync(path, images[0]!);
  const files = images.map(() => path);
  await recordImages(ledger, { vm, group: null }, { files, timeMs: null }, ({ capture }) => {
    const after = callsNow();
    calls.push(
      Object.fromEntries(METHODS.map((method) => [method, after[method]! - before[method]!])),
    );
    writeFileSync(path, images[capture % images.length]!);
    before = callsNow();
  });
  return calls;
}

test(
  "right after a capture where nobody else writes, the next asks for the log's end, appends once, and reads what it appended",
  async () => {
    const ledger = await openOn('one', () => 0);
    const calls = await callsOfCaptures(ledger, 'guest');
    await ledger.close();
    for (const each of calls.slice(1))
      expect(each).toEqual({ append: 1, batchAppend: 0, read: 1, subscribe: 1 });
  },
  LONG_MS,
);

test(
  'a while after one, it also asks for the ends of the log and of its stream, at once',
  async () => {
    let nowMs = 0;
    const ledger = await openOn('two', () => (nowMs += 2000));
    const calls = await callsOfCaptures(ledger, 'guest');
    await ledger.close();
    for (const each of calls.slice(1))
      expect(each).toEqual({ append: 1, batchAppend: 0, read: 3, subscribe: 1 });
  },
  LONG_MS,
);
