// Pages that are stored together change together, or else a later point decodes what it does not need.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { openLedger } from '../../../index.ts';
import { fillPage, pageAt, seededRandom } from '../../support/images.ts';
import { recordBytes } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

test('a recorded block holds neighbours, four at most', async () => {
  const ledger = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
  const scratch = join(folder.path, 'image');
  const bytes = new Uint8Array(40 * PAGE_BYTES);
  const random = seededRandom(3);
  const write = (gfns: readonly number[]): void => {
    for (const gfn of gfns) fillPage(pageAt(bytes, gfn), 'text', random);
  };
  write([0, 1, 2, 3, 4, 7, 9, 10, 30]);
  await recordBytes(ledger, { vm: 'guest', bytes, scratch });
  write([1, 2, 20, 39]);
  await recordBytes(ledger, { vm: 'guest', bytes, scratch });
  const [first, second] = [...ledger.state.contents.all].map(({ blocks }) => [...blocks.pages]);
  expect(first).toEqual([4, 1, 1, 2, 1]);
  expect(second).toEqual([2, 1, 1]);
  await ledger.close();
});
