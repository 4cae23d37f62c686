// A ledger in memory, as a test of somebody else's code uses it: through the public API alone, the
// same answers as of a ledger in a folder, and nothing left behind.

import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  classesAt,
  compact,
  copyLedger,
  fingerprint,
  forgetPoints,
  historyOf,
  openLedger,
  openRecorder,
  PAGE_BYTES,
  readPages,
  recordImages,
  restoreToFile,
  takeCheckpoint,
  verify,
  type CaptureRow,
  type Ledger,
  type VmPoint,
} from '../../../index.ts';
import { seededRandom } from '../../support/images.ts';
import { withLedger } from '../../support/ledgers/recorded-images.ts';
import { withTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 64;
/** Pages from here on are the image's own. */
const OWN = 48;
const TWICE = [3, 17];

/** A memory of zeros, of a page that stands there twice, and of pages that each image has its own of. */
function image(seed: number): Uint8Array {
  const random = seededRandom(seed);
  const bytes = new Uint8Array(PAGES * PAGE_BYTES);
  for (let at = OWN * PAGE_BYTES; at < bytes.length; at += 1) bytes[at] = random(256);
  const twice = Uint8Array.from({ length: PAGE_BYTES }, (_, at) => (at * at) >> 3);
  for (const gfn of TWICE) bytes.set(twice, gfn * PAGE_BYTES);
  return bytes;
}

const IMAGES = [image(1), image(2), image(3)];

/** Records the images as captures of a VM. */
async function recordAll(ledger: Ledger, folder: string): Promise<readonly CaptureRow[]> {
  const files = IMAGES.map((bytes, i) => join(folder, `${i + 1}.raw`));
  for (const [i, file] of files.entries()) writeFileSync(file, IMAGES[i]!);
  const rows: CaptureRow[] = [];
  const options = { vm: 'vm', group: null };
  await recordImages(ledger, options, { files, timeMs: 1000 }, (row) => rows.push(row));
  return rows;
}

const pointOf = (ledger: Ledger, text: string): VmPoint => {
  const entry = ledger.vm('vm');
  return { entry, row: ledger.resolve(entry, text) };
};

const inMemory = <T>(work: (ledger: Ledger, folder: string) => Promise<T>): Promise<T> =>
  withTemporaryFolder((folder) =>
    withLedger({ url: 'memory:', mode: 'create' }, (ledger) => work(ledger, folder)),
  );

describe('a ledger in memory', () => {
  test('gives back every capture, as bytes and as a file', () =>
    inMemory(async (ledger, folder) => {
      const rows = await recordAll(ledger, folder);
      expect(rows.map(({ capture }) => capture)).toEqual([1, 2, 3]);
      const gfns = Array.from({ length: PAGES }, (_, gfn) => gfn);
      for (const [i, bytes] of IMAGES.entries()) {
        const point = pointOf(ledger, `@${i + 1}`);
        expect(Buffer.from(await readPages(ledger, point, gfns)).equals(bytes)).toBe(true);
        const path = join(folder, `restored-${i + 1}`);
        await restoreToFile(ledger, point, { format: 'raw', path, isForced: false });
        expect(readFileSync(path).equals(bytes)).toBe(true);
      }
    }));

  test('answers questions, forgets and compacts as any ledger does', () =>
    inMemory(async (ledger, folder) => {
      await recordAll(ledger, folder);
      const { holdings } = await classesAt(ledger, pointOf(ledger, '@1'));
      expect(holdings[TWICE[0]!]).toBe(holdings[TWICE[1]!]);
      expect(holdings[OWN]).not.toBe(holdings[OWN + 1]);
      const history = await historyOf(ledger, ledger.vm('vm'), OWN);
      expect(history.map(({ capture }) => capture)).toEqual([1, 2, 3]);
      const before = await ledger.storedBytes();
      await takeCheckpoint(ledger, { vm: 'vm', name: 'kept', capture: 2 });
      await forgetPoints(ledger, { vm: 'vm', before: '@3' });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      expect(() => pointOf(ledger, '@1')).toThrow('forgotten');
      expect(pointOf(ledger, 'cp:kept').row.capture).toBe(2);
      expect((await ledger.storedBytes()).storedBytes).toBeLessThan(before.storedBytes);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    }));

  test('tells subscribers what was, and what comes', () =>
    inMemory(async (ledger, folder) => {
      const seen: string[] = [];
      const stop = new AbortController();
      const following = (async () => {
        for await (const message of ledger.rows({ signal: stop.signal })) {
          if (message._tag === 'row') seen.push(message.row.type);
          if (seen.filter((type) => type === 'CaptureCommitted').length === 3) break;
        }
      })();
      await recordAll(ledger, folder);
      await following;
      stop.abort();
      expect(seen[0]).toBe('LedgerCreated');
    }));

  test('is the same recording as one in a folder, and can be copied into one', () =>
    inMemory(async (ledger, folder) => {
      await recordAll(ledger, folder);
      const url = join(folder, 'ledger');
      const copied = await withLedger({ url, mode: 'create' }, async (to) => {
        const copy = await copyLedger({ from: ledger, to });
        expect((await verify(to, () => undefined)).findings).toEqual([]);
        return copy;
      });
      expect(copied.fingerprint).toBe(await fingerprint(ledger));
    }));

  test('is a new one at each opening, and leaves nothing behind', () =>
    withTemporaryFolder(async (folder) => {
      const once = async (): Promise<number> =>
        withLedger({ url: 'memory:', mode: 'init' }, async (ledger) => {
          const known = ledger.vms().length;
          await recordAll(ledger, folder);
          return known;
        });
      expect([await once(), await once()]).toEqual([0, 0]);
      expect(readdirSync(folder)).toEqual(['1.raw', '2.raw', '3.raw']);
      expect(existsSync('memory:')).toBe(false);
      for (const mode of ['read', 'write'] as const)
        await expect(openLedger({ url: 'memory:', mode })).rejects.toMatchObject({
          code: 'NOT_FOUND',
        });
      const placed = { url: 'memory:', mode: 'create', keys: folder } as const;
      await expect(openLedger(placed)).rejects.toThrow('keys');
    }));

  test('refuses a second recorder of a VM, as a ledger that processes share does', () =>
    inMemory(async (ledger) => {
      const options = { vm: 'vm', group: null };
      const first = await openRecorder(ledger, options);
      await expect(openRecorder(ledger, options)).rejects.toMatchObject({ code: 'VM_BUSY' });
      await first.close();
      await (await openRecorder(ledger, options)).close();
    }));
});
