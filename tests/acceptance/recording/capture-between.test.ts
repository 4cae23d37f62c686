// Two hosts that record one VM: a capture of the other one that comes between what a recorder asks at its
// beginning is met before its commit.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { valueOf } from '../../../domain/ports/run.ts';
import { decodePageColumns } from '../../../domain/events/pages-written.ts';
import { openLedger, recordImages, type Ledger } from '../../../index.ts';
import {
  startEventStoreDouble,
  type EventStoreDouble,
} from '../../support/eventstoredb-double/eventstoredb-double.ts';
import { imageSeries } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 120_000;

let double: EventStoreDouble;
let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  double = await startEventStoreDouble();
});
afterAll(async () => {
  await double.stop();
  await folder.remove();
});

const openOn = (host: string): Promise<Ledger> =>
  openLedger({
    url: `${double.url}&ledger=between`,
    mode: 'create',
    pageStore: join(folder.path, 'packs'),
    keys: join(folder.path, 'keys'),
    stateFolder: join(folder.path, host),
  });

/** The capture that each PagesWritten of the log says it is of, in log order. */
async function capturesOfBatches(ledger: Ledger): Promise<readonly number[]> {
  const captures: number[] = [];
  for await (const { items } of ledger.log.read({ from: 0n }))
    for (const item of items)
      if (item._tag === 'event' && item.event.type === 'PagesWritten')
        captures.push(valueOf(decodePageColumns(item.event)).capture);
  return captures;
}

test(
  'a capture that comes after the log was read, and before its stream was asked for, makes the recorder decide again',
  async () => {
    const images = [...imageSeries({ seed: 6, pages: 64, captures: 3, changedPages: 9 })].map(
      (image, i) => {
        const path = join(folder.path, `image-${i}`);
        writeFileSync(path, image);
        return path;
      },
    );
    const [one, other] = [await openOn('one'), await openOn('other')];
    const record = async (ledger: Ledger, file: string): Promise<number> => {
      let capture = 0;
      await recordImages(
        ledger,
        { vm: 'vm', group: null },
        { files: [file], timeMs: null },
        (row) => {
          capture = row.capture;
        },
      );
      return capture;
    };
    expect(await record(one, images[0]!)).toBe(1);

    const before = { ...one.log };
    let answered = (): void => undefined;
    const isHeadKnown = new Promise<void>((resolve) => {
      answered = resolve;
    });
    let asked = 0;
    let between = 0;
    Object.assign(one.log, {
      head: (after: Parameters<typeof before.head>[0]) => async () => {
        const answer = await before.head(after)();
        answered();
        return answer;
      },
      streamRevision: (stream: string) => async () => {
        if (stream === 'vm-vm' && (asked += 1) === 1) {
          await isHeadKnown;
          between = await record(other, images[1]!);
        }
        return before.streamRevision(stream)();
      },
    });
    expect(await record(one, images[2]!)).toBe(3);
    expect([between, asked]).toEqual([2, 2]);
    expect(await capturesOfBatches(one)).toEqual([1, 2, 3]);
    await one.close();
    await other.close();
  },
  LONG_MS,
);
