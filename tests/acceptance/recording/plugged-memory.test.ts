// A VM that comes to have more memory (a block added at the end extends the map):
// every question and every restore answers for the pages that it had at the point asked about.

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import {
  addressHistoryOf,
  classesAt,
  compact,
  copyLedger,
  diffOf,
  fingerprint,
  forgetPoints,
  openRecorder,
  PAGE_BYTES,
  readPages,
  recordImages,
  restoreToFile,
  sharingOf,
  verify,
  type CaptureRow,
  type Ledger,
  type PageDifference,
} from '../../../index.ts';
import { valuesOver } from '../../../adapters/wiring/time-travel/values.ts';
import * as stream from '../../support/guest/stream-bytes.ts';
import { memorySource } from '../../support/guest/memory-guest.ts';
import { seededRandom } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import { withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const [RAM, ROM, DIMM] = [64, 8, 24];
const HIGH = 2 ** 32;
const ram = { name: 'pc.ram', pages: RAM };
const rom = { name: 'pc.bios', pages: ROM };
const dimm = { name: 'plugged.ram', pages: DIMM };
const low = { address: 0, block: 'pc.ram', offset: 0, length: RAM * PAGE_BYTES };
const high = { address: HIGH, block: dimm.name, offset: 0, length: DIMM * PAGE_BYTES };
const before: MemoryMap = { blocks: [ram, rom], ranges: [low] };
const after: MemoryMap = { blocks: [ram, rom, dimm], ranges: [low, high] };
/** What is written to in each capture beside new pages. */
const CHANGED = [3, 40, 70];

/** The whole memory at each capture: 1 and 2 without the DIMM, 3 and 4 with it. */
function memories(): Uint8Array[] {
  const random = seededRandom(11);
  const page = (): Uint8Array => Uint8Array.from({ length: PAGE_BYTES }, () => random(256));
  const first = Buffer.concat(
    Array.from({ length: RAM + ROM }, (_, i) =>
      i % 5 === 0 ? new Uint8Array(PAGE_BYTES) : page(),
    ),
  );
  const next = (bytes: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    for (const gfn of CHANGED) copy.set(page(), gfn * PAGE_BYTES);
    return copy;
  };
  const second = next(first);
  // Of the DIMM a third is zeros, and one page is as one of main RAM.
  const plugged = Buffer.concat([
    next(second),
    ...Array.from({ length: DIMM }, (_, i) => (i % 3 === 0 ? new Uint8Array(PAGE_BYTES) : page())),
  ]);
  plugged.set(plugged.subarray(PAGE_BYTES, 2 * PAGE_BYTES), (RAM + ROM + 1) * PAGE_BYTES);
  return [first, second, plugged, next(plugged)];
}

/** A QEMU stream of blocks, each page filled with a byte of its own. */
function streamOf(
  blocks: readonly { readonly name: string; readonly pages: number }[],
  byteOf: (name: string, page: number) => number,
): Buffer {
  const records = blocks.flatMap(({ name, pages }) =>
    Array.from({ length: pages }, (_, page) =>
      stream.page(page, stream.pageOf(byteOf(name, page)), name),
    ),
  );
  return stream.bytesOf(stream.head(), stream.start(blocks), stream.end(...records), stream.tail());
}

const MEMORIES = memories();
const PAGES = MEMORIES.map((bytes) => bytes.length / PAGE_BYTES);

describe('a VM that comes to have more memory', () => {
  let folder: TemporaryFolder;
  let url: string;
  const rows: CaptureRow[] = [];

  /** Records memories as a guest that says where they lie; each time as a recorder of its own. */
  async function record(ledger: Ledger, bytes: Uint8Array, argv: readonly string[]): Promise<void> {
    const recorder = await openRecorder(ledger, { vm: 'web', group: null });
    const source = memorySource({
      pages: bytes,
      memoryMap: bytes.length > MEMORIES[0]!.length ? after : before,
      areRangesTold: true,
      device: null,
      argv,
      timeMs: 1e12 + rows.length * 1000,
      pauseMs: 1,
      mode: 'migrate',
      source: 'guest.qmp',
    });
    try {
      rows.push(await recorder.record(await valueOf(source.capture())));
    } finally {
      await recorder.close();
    }
  }

  const point = (ledger: Ledger, capture: number) => {
    const entry = ledger.vm('web');
    return { entry, row: entry.capture(capture)! };
  };

  async function diff(ledger: Ledger, from: number, to: number): Promise<PageDifference[]> {
    const [a, b] = [point(ledger, from), point(ledger, to)];
    const found: PageDifference[] = [];
    for await (const some of diffOf(ledger, { a, b, withBytes: true })) found.push(...some);
    return found;
  }

  const reading = <A>(work: (ledger: Ledger) => Promise<A>): Promise<A> =>
    withLedger({ url, mode: 'read' }, work);

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    url = join(folder.path, 'ledger');
    for (const [i, bytes] of MEMORIES.entries())
      await withLedger({ url, mode: i === 0 ? 'create' : 'write' }, (ledger) =>
        record(ledger, bytes, i < 2 ? ['qemu', '-m', '1'] : ['qemu', '-m', '1', '-device', 'dimm']),
      );
  });
  afterAll(() => folder.remove());

  test('writes the pages that are new, and what changed, and nothing else', () => {
    expect(rows.map(({ written, unchanged }) => [written, written + unchanged])).toEqual([
      [PAGES[0], PAGES[0]],
      [CHANGED.length, PAGES[0]],
      [CHANGED.length + DIMM, PAGES[2]],
      [CHANGED.length, PAGES[2]],
    ]);
  });

  test('is restored at each point as it was, in its size of then', () =>
    reading(async (ledger) => {
      for (const [i, bytes] of MEMORIES.entries()) {
        const path = join(folder.path, `${i}.raw`);
        const at = point(ledger, i + 1);
        await restoreToFile(ledger, at, { format: 'raw', layout: 'packed', path, isForced: false });
        const wanted = Buffer.concat([
          bytes.subarray(0, RAM * PAGE_BYTES),
          bytes.subarray((RAM + ROM) * PAGE_BYTES),
        ]);
        expect(readFileSync(path).equals(wanted)).toBe(true);
        expect((await classesAt(ledger, at)).holdings).toHaveLength(PAGES[i]!);
      }
    }));

  test('counts at each point the pages that it had', () =>
    reading(async (ledger) => {
      for (const [i, { position }] of rows.entries())
        expect(await sharingOf(ledger, { position, vm: null })).toMatchObject({
          pages: PAGES[i],
          mergedIntra: i < 2 ? 0 : 1,
        });
    }));

  test('differs from before in the pages that were not there, on either side', () =>
    reading(async (ledger) => {
      const added = Array.from({ length: DIMM }, (_, i) => RAM + ROM + i);
      const forth = await diff(ledger, 2, 3);
      expect(forth.map(({ gfn }) => gfn)).toEqual([...CHANGED, ...added]);
      const back = await diff(ledger, 4, 1);
      expect(back.map(({ gfn }) => gfn)).toEqual([...CHANGED, ...added]);
      // A page of zeros differs in no byte from what was not there, and is a difference all the same.
      const bytesOf = (of: PageDifference): number =>
        of.ranges!.reduce((sum, range) => sum + range.before.length, 0);
      expect(forth.slice(CHANGED.length).filter((of) => bytesOf(of) === 0)).toHaveLength(DIMM / 3);
      expect((await diff(ledger, 3, 4)).map(({ gfn }) => gfn)).toEqual(CHANGED);
    }));

  test('has addresses that lead to its new pages from the capture on that has them', () =>
    reading(async (ledger) => {
      const entry = ledger.vm('web');
      const told = async (address: number) =>
        (await addressHistoryOf(ledger, entry, address)).map(({ gfn, capture }) => [gfn, capture]);
      expect(await told(HIGH + 5 * PAGE_BYTES + 9)).toEqual([[RAM + ROM + 5, 3]]);
      expect(await told(3 * PAGE_BYTES)).toEqual([1, 2, 3, 4].map((capture) => [3, capture]));
      await expect(told(HIGH + DIMM * PAGE_BYTES)).rejects.toThrow('no memory lies');
      expect([1, 2, 3].map((capture) => entry.argvAt(capture)?.length)).toEqual([3, 3, 5]);
    }));

  test('had every value that was written, also by the capture that brings the new pages', () =>
    reading(async (ledger) => {
      const entry = ledger.vm('web');
      const to = entry.capture(4)!;
      const valuesOf = async (physical: number) => {
        const values: [number, unknown][] = [];
        const request = { entry, kernel: null, place: { physical }, from: null, to };
        const type = { type: 'hex', length: 4 } as const;
        for await (const { capture, value } of valuesOver(ledger, { ...request, type }))
          values.push([capture, value]);
        return values;
      };
      const bytesAt = (capture: number, offset: number): string =>
        Buffer.from(MEMORIES[capture - 1]!.subarray(offset, offset + 4)).toString('hex');
      const changed = 3 * PAGE_BYTES;
      expect(await valuesOf(changed)).toEqual(
        [1, 2, 3, 4].map((capture) => [capture, bytesAt(capture, changed)]),
      );
      const added = (RAM + ROM + 1) * PAGE_BYTES;
      expect(await valuesOf(HIGH + PAGE_BYTES)).toEqual([
        [1, null],
        [3, bytesAt(3, added)],
      ]);
    }));

  test('is recorded from streams that list the new block between the others', () =>
    withLedger({ url: 'memory:', mode: 'create' }, async (copy) => {
      const files = [
        streamOf([ram, rom], (name, page) => (name === 'pc.ram' ? 1 : 2) + (page % 3)),
        streamOf([ram, dimm, rom], (name, page) => (name === dimm.name ? 9 : 1) + (page % 5)),
      ].map((bytes, i) => {
        const path = join(folder.path, `${i}.stream`);
        writeFileSync(path, bytes);
        return path;
      });
      const options = { vm: 'web', group: null };
      await recordImages(
        copy,
        options,
        { files, timeMs: 1e12, folder: folder.path },
        () => undefined,
      );
      const { blocks, ranges } = copy.vm('web').mapAt(2)!;
      expect(blocks).toEqual([ram, rom, dimm]);
      expect(ranges).toEqual(copy.vm('web').mapAt(1)!.ranges);
      const [one] = await readPages(copy, point(copy, 2), [RAM + ROM + 3]);
      const [other] = await readPages(copy, point(copy, 2), [RAM + 3]);
      expect([one, other]).toEqual([9 + 3, 1 + 3]);
    }));

  test('is the same when everything derived is made anew, and in a copy', async () => {
    const was = await reading(fingerprint);
    await withLedger({ url: 'memory:', mode: 'create' }, async (copy) => {
      await reading((ledger) => copyLedger({ from: ledger, to: copy }));
      expect(await fingerprint(copy)).toBe(was);
      await copy.state.rebuild();
      expect(await fingerprint(copy)).toBe(was);
      expect((await verify(copy, () => undefined)).findings).toEqual([]);
    });
  });

  test('forgets, compacts, and takes no capture without the block again', async () => {
    const copied = join(folder.path, 'compacted');
    cpSync(url, copied, { recursive: true });
    await withLedger({ url: copied, mode: 'write' }, async (ledger) => {
      await forgetPoints(ledger, { vm: 'web', before: '@2' });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
      const differing = await diff(ledger, 1, 3);
      expect(differing).toHaveLength(CHANGED.length + DIMM);
      expect(differing[0]!.ranges).toBeNull();
      await expect(record(ledger, MEMORIES[0]!, [])).rejects.toThrow('blocks behind those');
    });
  });
});
