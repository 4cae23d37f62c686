import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Exports, wordsOf, type ServedMemory } from '../../../../adapters/faces/nbd/exports.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { openLedger, takeCheckpoint, type Ledger } from '../../../../index.ts';
import { changeImage, makeImage, pageAt } from '../../../support/images.ts';
import { leasesOf } from '../../../../adapters/wiring/points/leases.ts';
import { eventsOf } from '../../../support/ledgers/recorded-images.ts';
import { recordBytes, streamOf } from '../../../support/ledgers/small-ledger.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const PAGES = 40;
const NEVER = new AbortController().signal;

const bytesOf = async (served: ServedMemory, firstPage: number, pages: number): Promise<Buffer> =>
  Buffer.from((await served.read(firstPage, pages, NEVER)).bytes);

describe('names of exports', () => {
  test.each([
    ['web/@3', null, ['web', '@3', null]],
    ['web@3', null, ['web', '@3', null]],
    ['web', null, ['web', 'latest', null]],
    ['web/cp:before/packed', null, ['web', 'cp:before', 'packed']],
    ['web/latest//rom@etc/acpi', null, ['web', 'latest', '/rom@etc/acpi']],
    ['@3/pc.ram', 'web', ['web', '@3', 'pc.ram']],
    ['web/@3', 'web', ['web', '@3', null]],
    ['', 'web', ['web', 'latest', null]],
    ['webs/@3', 'web', ['web', 'webs', '@3']],
  ])('%s, where %s is served, are words', (name, only, [vm, point, part]) => {
    expect(wordsOf(name, only)).toEqual({ vm, point, part });
  });
});

describe('exports of a ledger', () => {
  let folder: TemporaryFolder;
  let recorder: Ledger;
  let ledger: Ledger;
  const images: Uint8Array[] = [];
  const told: string[] = [];
  const exportsOf = (vm: string | null, listed: 'named' | 'all' = 'named') =>
    new Exports({
      ledger,
      vm,
      listed,
      use: { kind: 'server', restored: { how: 'nbd' } },
      waiting: { onAway: ({ code }) => told.push(code), onBack: () => told.push('back') },
    });
  const record = async (vm: string, image: Uint8Array): Promise<void> => {
    await recordBytes(recorder, { vm, bytes: image, scratch: join(folder.path, 'scratch') });
  };

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const url = join(folder.path, 'ledger');
    recorder = await openLedger({ url, mode: 'create', threads: 0 });
    images.push(makeImage({ seed: 1, pages: PAGES }));
    for (let i = 1; i < 4; i += 1)
      images.push(changeImage(images[i - 1]!, { seed: i, changedPages: 3 }));
    for (const image of images) await record('web', streamOf(image));
    await record('db', images[0]!);
    await takeCheckpoint(recorder, { vm: 'web', name: 'good', capture: 2 });
    ledger = await openLedger({ url, mode: 'read', threads: 0 });
  });
  afterAll(async () => {
    await ledger.close();
    await recorder.close();
    await folder.remove();
  });

  const names = async (exports: Exports): Promise<string[]> =>
    (await exports.names()).map(({ name }) => name);

  test('are listed by latest and checkpoints, and all that are kept where that is asked for', async () => {
    expect(await names(exportsOf(null))).toEqual(['web/latest', 'web/cp:good', 'db/latest']);
    expect(await names(exportsOf('web', 'all'))).toEqual([
      'web/latest',
      'web/cp:good',
      ...[1, 2, 3, 4].map((capture) => `web/@${capture}`),
    ]);
  });

  test.each(['web/@2', 'web/cp:good', 'web@2/packed', 'web/@2/pc.ram'])(
    '%s is the memory of that capture, page for page',
    async (name) => {
      const opened = await exportsOf(null).open(name);
      const { served } = opened;
      expect(served.sizeBytes).toBe(PAGES * PAGE_BYTES);
      expect(await bytesOf(served, 0, PAGES)).toEqual(Buffer.from(images[1]!));
      expect(await bytesOf(served, 7, 2)).toEqual(
        Buffer.from(images[1]!.subarray(7 * PAGE_BYTES, 9 * PAGE_BYTES)),
      );
      const isZero = (gfn: number): boolean => pageAt(images[1]!, gfn).every((byte) => byte === 0);
      for (let gfn = 0; gfn < PAGES; gfn += 1) expect(served.isZero(gfn)).toBe(isZero(gfn));
      expect(opened.isForWriting).toBe(name.endsWith('pc.ram'));
      opened.close();
    },
  );

  test('say which pages differ from another point', async () => {
    const opened = await exportsOf('web').open('@3');
    const differs = await opened.history!.changedFrom('@1');
    const differing = Array.from({ length: PAGES }, (_, gfn) =>
      Buffer.compare(pageAt(images[0]!, gfn), pageAt(images[2]!, gfn)) === 0 ? 0 : 1,
    );
    expect([...differs]).toEqual(differing);
    expect(differing).toContain(1);
    await expect(opened.history!.changedFrom('@99')).rejects.toThrow(/no capture/u);
    opened.close();
  });

  test.each([
    ['nobody/@1', 'VmUnknown'],
    ['web/@99', 'NoCapture'],
    ['web/nonsense', 'BadPoint'],
    ['web/@1/vga.ram', 'BlockUnknown'],
    ['', 'VmUnknown'],
  ])('%j is refused', async (name, _tag) => {
    await expect(exportsOf(null).open(name)).rejects.toMatchObject({ refusal: { _tag } });
  });

  test('are one for all that have them open, and opened anew after the last one closed', async () => {
    const exports = exportsOf(null);
    const [one, other] = [await exports.open('web/@1'), await exports.open('web/@1')];
    expect(one.served).toBe(other.served);
    one.close();
    one.close();
    const third = await exports.open('web/@1');
    expect(third.served).toBe(other.served);
    other.close();
    third.close();
    expect((await exports.open('web/@1')).served).not.toBe(third.served);
  });

  test('hold a point while anybody reads it, once for all, and say that it was given out', async () => {
    const exports = new Exports({
      ledger: recorder,
      vm: 'web',
      listed: 'named',
      use: { kind: 'server', restored: { how: 'nbd' } },
      waiting: { onAway: () => undefined, onBack: () => undefined },
    });
    const leases = (): unknown =>
      leasesOf(recorder.vms()).map(({ vm, capture, kind }) => [vm, capture, kind]);
    const [one, other] = [await exports.open('@1'), await exports.open('@1')];
    expect(leases()).toEqual([]);
    await Promise.all([one.hold(), other.hold()]);
    expect(leases()).toEqual([['web', 1, 'server']]);
    one.close();
    await exports.settled();
    expect(leases()).toEqual([['web', 1, 'server']]);
    other.close();
    await exports.settled();
    expect(leases()).toEqual([]);
    const given = await eventsOf(recorder, { type: 'CheckpointRestored' });
    expect(given).toHaveLength(1);
  });

  test('stay what they were when they were opened; names that move are none to open twice', async () => {
    const exports = exportsOf('db');
    const before = await exports.open('latest');
    expect(before.isFixed).toBe(false);
    await record('db', images[3]!);
    const after = await exports.open('latest');
    expect(await bytesOf(before.served, 0, PAGES)).toEqual(Buffer.from(images[0]!));
    expect(await bytesOf(after.served, 0, PAGES)).toEqual(Buffer.from(images[3]!));
    expect((await exports.open('@1')).isFixed).toBe(true);
  });

  test('wait for packs that are away, say so once, and go on when they are there again', async () => {
    const opened = await exportsOf('web').open('@4');
    const packs = join(folder.path, 'ledger', 'packs');
    const fresh = await openLedger({ url: join(folder.path, 'ledger'), mode: 'read', threads: 0 });
    const away = new Exports({
      ledger: fresh,
      vm: 'web',
      listed: 'named',
      use: { kind: 'server', restored: { how: 'nbd' } },
      waiting: {
        onAway: ({ code }) => {
          told.push(code);
          setImmediate(() => renameSync(`${packs}-away`, packs));
        },
        onBack: () => told.push('back'),
      },
    });
    const waiting = await away.open('@4');
    renameSync(packs, `${packs}-away`);
    expect(await bytesOf(waiting.served, 0, PAGES)).toEqual(Buffer.from(images[3]!));
    expect(told).toEqual(['PACK_MISSING', 'back']);
    await fresh.close();
    opened.close();
  });
});
