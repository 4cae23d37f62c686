import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openPagePacks } from '../../../../adapters/stores/page-store-folder/page-packs.ts';
import type { PagePacks } from '../../../../adapters/stores/page-store-folder/page-packs.ts';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { makePack, pageStoreContract } from '../../../contracts/page-store.ts';
import { countSteps, filesThatFail } from '../../../support/spoiled/broken-files.ts';
import { failureOf, gather, valueOf } from '../../../support/outcomes.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../../support/disks/temporary-folder.ts';

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

pageStoreContract('in local files', async () => {
  const folder = await makeTemporaryFolder();
  const opened: PagePacks[] = [];
  const open = (): PagePacks => {
    const store = openPagePacks({ files: nodeFiles, folder: folder.path });
    opened.push(store);
    return store;
  };
  return {
    store: open(),
    another: () => Promise.resolve(open()),
    async close() {
      await Promise.all(opened.map((store) => store.close()));
      await folder.remove();
    },
  };
});

describe('packs in local files', () => {
  let folder: TemporaryFolder;
  let store: PagePacks;
  beforeEach(async () => {
    folder = await makeTemporaryFolder();
    store = openPagePacks({ files: nodeFiles, folder: folder.path });
  });
  afterEach(async () => {
    await store.close();
    await folder.remove();
  });
  const pathOf = (name: string): string => join(folder.path, name.slice(0, 2), name);
  const pack = makePack({ seed: 1, sizeBytes: 5000 });
  const whole = { name: pack.name, offsetBytes: 0, lengthBytes: 5000 };

  /** Files of the packs that this process holds open. */
  const openHere = (): string[] =>
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        const target = readlinkSync(`/proc/self/fd/${fd}`);
        return target.startsWith(folder.path) ? [target] : [];
      } catch {
        return [];
      }
    });

  test('lie under the first two digits of their names, and nothing else is left', async () => {
    await valueOf(store.put(pack));
    expect(readdirSync(folder.path)).toEqual([pack.name.slice(0, 2)]);
    expect(readFileSync(pathOf(pack.name)).equals(pack.bytes)).toBe(true);
  });

  test('that were cut short are called damaged, with both lengths and the file', async () => {
    await valueOf(store.put(pack));
    truncateSync(pathOf(pack.name), 1234);
    const failure = await failureOf(store.get(whole));
    expect(failure.code).toBe('PACK_DAMAGED');
    expect(failure.facts).toEqual({
      name: pack.name,
      foundBytes: 1234,
      expectedBytes: 5000,
      where: pathOf(pack.name),
    });
  });

  test('that are cut short while they are open are called damaged too', async () => {
    await valueOf(store.put(pack));
    await valueOf(store.get(whole));
    truncateSync(pathOf(pack.name), 1234);
    expect((await failureOf(store.get(whole))).facts).toMatchObject({ foundBytes: 1234 });
  });

  test('that were damaged are healed by a put of the same pack', async () => {
    await valueOf(store.put(pack));
    await valueOf(store.get(whole));
    truncateSync(pathOf(pack.name), 10);
    await valueOf(store.put(pack));
    const read = await valueOf(store.get(whole));
    expect(digestOf(read)).toBe(pack.name);
  });

  test('are not confused with other files that lie among them', async () => {
    await valueOf(store.put(pack));
    const other = pack.name.startsWith('ff') ? '00' : 'ff';
    mkdirSync(join(folder.path, other));
    mkdirSync(join(folder.path, other, `${other}${'0'.repeat(62)}`));
    writeFileSync(join(folder.path, other, pack.name), 'in the wrong folder');
    writeFileSync(join(folder.path, other, 'notes'), '');
    writeFileSync(join(folder.path, 'README'), '');
    mkdirSync(join(folder.path, 'lost+found'));
    expect((await gather(store.list())).map((entry) => entry.name)).toEqual([pack.name]);
  });

  test('of a store without its folder are none, and the first put makes it', async () => {
    const elsewhere = openPagePacks({ files: nodeFiles, folder: join(folder.path, 'packs') });
    expect(await gather(elsewhere.list())).toEqual([]);
    await valueOf(elsewhere.put(pack));
    expect((await gather(elsewhere.list())).map((entry) => entry.name)).toEqual([pack.name]);
    await elsewhere.close();
  });

  test('do not hold more than a few files open, and none after close', async () => {
    const packs = Array.from({ length: 100 }, (_, i) => makePack({ seed: i, sizeBytes: 100 }));
    for (const { name, bytes } of packs) await valueOf(store.put({ name, bytes }));
    const ranges = packs.map(({ name }) => ({ name, offsetBytes: 0, lengthBytes: 100 }));
    await Promise.all([...ranges, ...ranges].map((range) => valueOf(store.get(range))));
    expect(openHere().length).toBeGreaterThan(0);
    expect(openHere().length).toBeLessThanOrEqual(64);
    await store.close();
    expect(openHere()).toEqual([]);
  });

  test('that were deleted are not held open', async () => {
    await valueOf(store.put(pack));
    await valueOf(store.get(whole));
    expect(openHere()).toHaveLength(1);
    await valueOf(store.delete(pack.name));
    expect(openHere()).toEqual([]);
  });

  test('left half written over an hour ago are removed, younger ones are not', async () => {
    await valueOf(store.put(pack));
    const nowMs = Date.now();
    const [old, young] = [join(folder.path, 'tmp-old'), join(folder.path, 'tmp-young')];
    writeFileSync(old, 'half');
    writeFileSync(young, 'half');
    utimesSync(old, new Date(nowMs - 3_700_000), new Date(nowMs - 3_700_000));
    expect(await valueOf(store.removeLeftovers(nowMs))).toBe(1);
    expect(readdirSync(folder.path).toSorted()).toEqual(
      [pack.name.slice(0, 2), 'tmp-young'].toSorted(),
    );
  });

  test.each([
    ['ENOSPC', 'DISK_FULL'],
    ['EDQUOT', 'DISK_FULL'],
    ['EROFS', 'READ_ONLY'],
    ['EACCES', 'READ_ONLY'],
    ['EPERM', 'READ_ONLY'],
    ['EIO', 'IO_FAILED'],
  ])(
    'whose put fails with %s at any step are whole or absent; the failure is %s',
    async (system, code) => {
      const steps = await countSteps((files) =>
        valueOf(openPagePacks({ files, folder: join(folder.path, 'counted') }).put(pack)),
      );
      expect(steps).toBeGreaterThan(5);
      for (let step = 0; step < steps; step += 1) {
        const here = join(folder.path, `${system}-${step}`);
        const files = filesThatFail({ step, systemCode: system });
        const broken = openPagePacks({ files, folder: here });
        const outcome = await broken.put(pack)();
        expect(outcome).toMatchObject({ _tag: 'Left', left: { code } });
        const left = await broken.get(whole)();
        expect(left._tag === 'Right' ? digestOf(left.right) : left.left.code).toBe(
          // Only the very last step, the sync of the folder, comes after the name is there.
          step === steps - 1 ? pack.name : 'PACK_MISSING',
        );
        await broken.close();
        // The next one, on a disk that works again, is not in its way.
        const mended = openPagePacks({ files: nodeFiles, folder: here });
        await valueOf(mended.put(pack));
        expect(readdirSync(here)).toEqual([pack.name.slice(0, 2)]);
        await mended.close();
      }
    },
  );

  test('in a folder without permission are refused as read-only', async () => {
    chmodSync(folder.path, 0o500);
    const outcome = await store.put(pack)();
    chmodSync(folder.path, 0o700);
    // Root may write anywhere.
    const expected = process.getuid?.() === 0 ? { _tag: 'Right' } : { left: { code: 'READ_ONLY' } };
    expect(outcome).toMatchObject(expected);
    expect(existsSync(pathOf(pack.name))).toBe(outcome._tag === 'Right');
  });
});
