// What once went wrong, or nearly: a recorder whose disk fails late, keys that serve two ledgers,
// derived files that are damaged, a history that lost something.

import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openImage } from '../../support/guest/open-image.ts';
import { newEvent } from '../../../domain/events/envelope.ts';
import { encodePageColumns } from '../../../domain/events/pages-written.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { historyOf, openRecorder, restoreToFile, type Ledger } from '../../../index.ts';
import { makeImage } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import { recordFiles, withLedger, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

/** A batch without a row, of a capture that never comes. */
const BATCH = encodePageColumns(
  {
    capture: 9,
    batch: 0,
    firstRow: 0,
    parts: [],
    packs: [],
    kinds: new Uint8Array(0),
    gfns: new Uint32Array(0),
    packIndexes: new Uint16Array(0),
    slots: new Uint16Array(0),
  },
  2,
);
const RANDOM = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

function flipBit(path: string, offset: number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Buffer.of(byte[0]! ^ 1), 0, 1, offset);
  closeSync(fd);
}

async function latest(ledger: Ledger, vm: string): Promise<Buffer> {
  const entry = ledger.vm(vm);
  const path = join(folder.path, `restored-${vm}.raw`);
  const row = ledger.resolve(entry, 'latest');
  await restoreToFile(ledger, { entry, row }, { path, format: 'raw', isForced: true });
  return readFileSync(path);
}

test.each([0, 2])(
  'a pack that cannot be put late in a capture fails it, with %i threads',
  async (threads) => {
    const pages = 2 * 4096 + 100;
    const image = makeImage({ seed: 11, pages, mix: RANDOM });
    const files = writeImages({ folder: folder.path, name: 'late', images: [image] });
    const url = join(folder.path, `late-${threads}`);
    await withLedger({ url, mode: 'create', threads }, async (ledger) => {
      const put = ledger.store.put.bind(ledger.store);
      let puts = 0;
      ledger.store.put = (pack) => {
        puts += 1;
        const full = new LedgerError('DISK_FULL', 'planted', {});
        return puts < 3 ? put(pack) : () => Promise.resolve({ _tag: 'Left', left: full });
      };
      await expect(recordFiles(ledger, { vm: 'a', files })).rejects.toMatchObject({
        code: 'DISK_FULL',
      });
      ledger.store.put = put;
      const [row] = await recordFiles(ledger, { vm: 'a', files });
      expect(row).toMatchObject({ capture: 1, stored: pages });
    });
  },
  300_000,
);

test('a recorder that cannot be made ready does not keep its VM', () =>
  withLedger(
    { url: join(folder.path, 'not-ready'), mode: 'create', threads: 0 },
    async (ledger) => {
      const engine = ledger.engine.bind(ledger);
      const options = { vm: 'a', group: null };
      ledger.engine = () => Promise.reject(new LedgerError('DISK_FULL', 'planted', {}));
      await expect(openRecorder(ledger, options)).rejects.toMatchObject({ code: 'DISK_FULL' });
      ledger.engine = engine;
      const recorder = await openRecorder(ledger, options);
      await recorder.close();
    },
  ));

test('fingerprints of another ledger under the same keys are not taken for this one', async () => {
  const keys = join(folder.path, 'shared-keys');
  mkdirSync(keys);
  const images = [1, 2].map((seed) => makeImage({ seed, pages: 64, mix: RANDOM }));
  const [first, second] = writeImages({ folder: folder.path, name: 'keyed', images });
  const open = (name: string) => ({ url: join(folder.path, name), mode: 'create' as const, keys });
  await withLedger(open('keyed-a'), (ledger) =>
    recordFiles(ledger, { vm: 'web', files: [first!] }),
  );
  await withLedger(open('keyed-b'), (ledger) =>
    recordFiles(ledger, { vm: 'web', files: [second!] }),
  );
  await withLedger(open('keyed-a'), async (ledger) => {
    const [row] = await recordFiles(ledger, { vm: 'web', files: [second!] });
    expect(row).toMatchObject({ capture: 2, written: 64 });
    expect(await latest(ledger, 'web')).toEqual(Buffer.from(images[1]!));
  });
});

test('a damaged identifier file costs a replay, not the recording', async () => {
  const url = join(folder.path, 'identifiers');
  const image = makeImage({ seed: 3, pages: 64, mix: RANDOM });
  const files = writeImages({ folder: folder.path, name: 'identified', images: [image] });
  await withLedger({ url, mode: 'create' }, (ledger) => recordFiles(ledger, { vm: 'a', files }));
  flipBit(join(url, 'projections', 'identifiers'), 36 * 5);
  await withLedger({ url, mode: 'create' }, async (ledger) => {
    const [row] = await recordFiles(ledger, { vm: 'b', files });
    expect(row).toMatchObject({ stored: 0, merged: 64 });
  });
  rmSync(join(url, 'projections', 'identifiers'));
  await withLedger({ url, mode: 'read' }, async (ledger) => {
    const [version] = await historyOf(ledger, ledger.vm('a'), 5);
    expect(version).toMatchObject({ outcome: 'stored' });
    expect(version!.identifier).toMatch(/^[0-9a-f]{64}$/u);
  });
});

test('what damage took is written anew by the next capture', async () => {
  const url = join(folder.path, 'lost');
  const image = makeImage({ seed: 4, pages: 64, mix: RANDOM });
  const files = writeImages({ folder: folder.path, name: 'lost', images: [image, image] });
  await withLedger({ url, mode: 'create' }, (ledger) => recordFiles(ledger, { vm: 'a', files }));
  const log = join(url, 'log', '00000000000000000000.log');
  const at = readFileSync(log).indexOf('PagesWritten');
  flipBit(log, at + 40);
  rmSync(join(url, 'projections'), { recursive: true });
  await withLedger({ url, mode: 'create' }, async (ledger) => {
    const [row] = await recordFiles(ledger, { vm: 'a', files: files.slice(0, 1) });
    expect(row).toMatchObject({ capture: 3, written: 64 });
    expect(await latest(ledger, 'a')).toEqual(Buffer.from(image));
  });
});

test('a VM retired while it is being recorded takes no further capture', async () => {
  const url = join(folder.path, 'retired');
  const image = makeImage({ seed: 5, pages: 64, mix: RANDOM });
  const files = writeImages({ folder: folder.path, name: 'retired', images: [image] });
  await withLedger({ url, mode: 'create' }, async (ledger) => {
    await recordFiles(ledger, { vm: 'a', files });
    const recorder = await openRecorder(ledger, { vm: 'a', group: null });
    await withLedger({ url, mode: 'write' }, async (other) => {
      const { retireVm } = await import('../../../index.ts');
      await retireVm(other, 'a');
    });
    await recorder.close();
    await expect(recordFiles(ledger, { vm: 'a', files })).rejects.toThrow('retired');
  });
});

test('what another process appends right after a capture does not keep the next one away', async () => {
  const url = join(folder.path, 'appended');
  const images = [21, 22, 23].map((seed) => makeImage({ seed, pages: 64, mix: RANDOM }));
  const files = writeImages({ folder: folder.path, name: 'appended', images });
  await withLedger({ url, mode: 'create' }, (ledger) =>
    withLedger({ url, mode: 'write' }, async (other) => {
      const stream = vmStream('a');
      // A batch of a recorder that ended before its commit: it counts for nothing.
      const append = async (): Promise<void> => {
        const expectedRevision = await valueOf(other.log.streamRevision(stream));
        const batch = newEvent(
          { clock: Date.now, by: ledger.by, randomBytes },
          { type: 'PagesWritten', data: BATCH },
        );
        await valueOf(other.log.append({ stream, expectedRevision, events: [batch] }));
      };
      const recorder = await openRecorder(ledger, { vm: 'a', group: null });
      for (const [i, path] of files.entries()) {
        const source = await valueOf(openImage({ path, timeMs: null, clock: Date.now }));
        const row = await recorder.record(await valueOf(source.capture()));
        source.close();
        expect(row).toMatchObject({ capture: i + 1, stored: 64 });
        await append();
      }
      await recorder.close();
      expect(await latest(ledger, 'a')).toEqual(Buffer.from(images.at(-1)!));
    }),
  );
});
