// Packs that go between their put and the commit that refers to them: whoever took them for what nobody
// needs. A recorder looks once more, right before it commits, and writes anew what is missing.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verify, type Ledger } from '../../../index.ts';
import { makeImage } from '../../support/images.ts';
import { recordBetween } from '../../support/ledgers/recorded-between.ts';
import {
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MIX = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };

let folder: TemporaryFolder;
let images: readonly Uint8Array[];
let files: readonly string[];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  images = [1, 2].map((seed) => makeImage({ seed, pages: 64, mix: MIX }));
  files = writeImages({ folder: folder.path, name: 'image', images });
});
afterAll(() => folder.remove());

const opened = <A>(name: string, work: (ledger: Ledger) => Promise<A>): Promise<A> =>
  withLedger({ url: join(folder.path, name), mode: 'create' }, work);

const packsOf = (name: string): string[] =>
  readdirSync(join(folder.path, name, 'packs'), { recursive: true })
    .map(String)
    .filter((path) => path.length > 64);

/** Deletes the packs that are there now and were not before. */
function deleteNew(name: string, before: readonly string[]): void {
  for (const pack of packsOf(name))
    if (!before.includes(pack)) rmSync(join(folder.path, name, 'packs', pack));
}

test('a pack that is gone before the commit is written anew', () =>
  opened('once', async (ledger) => {
    await recordFiles(ledger, { vm: 'web', files: [files[0]!] });
    const before = packsOf('once');
    let times = 0;
    const between = (): Promise<void> => {
      times += 1;
      if (times === 1) deleteNew('once', before);
      return Promise.resolve();
    };
    await recordBetween(ledger, { vm: 'web', path: files[1]!, between });
    expect(times).toBe(2);
    for (const [i, image] of images.entries()) {
      const at = `@${i + 1}`;
      expect(await restored(ledger, { vm: 'web', at, folder: folder.path })).toEqual(
        Buffer.from(image),
      );
    }
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
  }));

test('where they go each time, nothing is committed, and the next recording is whole', () =>
  opened('always', async (ledger) => {
    await recordFiles(ledger, { vm: 'web', files: [files[0]!] });
    const before = packsOf('always');
    const between = (): Promise<void> => Promise.resolve(deleteNew('always', before));
    const recording = recordBetween(ledger, { vm: 'web', path: files[1]!, between });
    await expect(recording).rejects.toMatchObject({ code: 'PACK_MISSING' });
    expect(ledger.vm('web').captures).toHaveLength(1);
    expect(packsOf('always')).toEqual(before);
    await recordFiles(ledger, { vm: 'web', files: [files[1]!] });
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
  }));
