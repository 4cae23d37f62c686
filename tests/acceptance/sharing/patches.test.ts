// Pages kept as patches: a page that changed a little is stored as what it differs in
// from a reference, which is no patch itself; whoever reads a page never sees the difference.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { isContent } from '../../../domain/values/holding.ts';
import {
  fingerprint,
  openLedger,
  PAGE_BYTES,
  sharingOf,
  verify,
  type CaptureRow,
  type Ledger,
} from '../../../index.ts';
import { pageAt, seededRandom } from '../../support/images.ts';
import { recordImage, restored } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 64;

let folder: TemporaryFolder;
let ledger: Ledger;
let url: string;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  ledger = await openLedger({ url, mode: 'create', threads: 0 });
});
afterEach(async () => {
  await ledger.close();
  await folder.remove();
});

/** Pages of bytes at random: nothing but a patch makes a changed one small. */
function noise(seed: number): Buffer {
  const random = seededRandom(seed);
  return Buffer.from(Uint8Array.from({ length: PAGES * PAGE_BYTES }, () => random(256)));
}

/** Changes so many bytes of a page. */
function touch(image: Buffer, gfn: number, bytes: number): void {
  for (let i = 0; i < bytes; i += 1) pageAt(image, gfn)[i * 2]! ^= 0x55;
}

const record = (image: Uint8Array, vm = 'vm'): Promise<CaptureRow> =>
  recordImage(ledger, { vm, image, folder: folder.path });

/** Pages of a VM that hold a patch at a capture. */
async function patchedGfns(capture: number): Promise<number[]> {
  const entry = ledger.vm('vm');
  const { contents, tables } = ledger.state;
  const table = await tables.at(entry, contents, entry.capture(capture)!);
  return [...table.entries()].flatMap(([gfn, holding]) =>
    isContent(holding) && contents.isPatch(holding) ? [gfn] : [],
  );
}

async function expectRestored(images: readonly Buffer[]): Promise<void> {
  for (const [i, image] of images.entries()) {
    const back = await restored(ledger, { vm: 'vm', at: `@${i + 1}`, folder: folder.path });
    expect([i, back.equals(image)]).toEqual([i, true]);
  }
}

describe('a page that changed', () => {
  test('is a patch where under half of its bytes differ, and whole where more do', async () => {
    const first = noise(1);
    await record(first);
    const second = Buffer.from(first);
    touch(second, 3, 10);
    touch(second, 5, 2047);
    touch(second, 7, 2048);
    const before = await ledger.storedBytes();
    expect(await record(second)).toMatchObject({ stored: 3 });
    expect(await patchedGfns(2)).toEqual([3, 5]);
    const { storedBytes } = await ledger.storedBytes();
    expect(storedBytes - before.storedBytes).toBeLessThan(2 * PAGE_BYTES + 512);
    await expectRestored([first, second]);
    expect(await sharingOf(ledger, { position: ledger.state.next, vm: 'vm' })).toMatchObject({
      unique: PAGES,
      patched: 2,
    });
  });

  test('again and again refers to the same reference: no patch of a patch', async () => {
    const images = [noise(2)];
    await record(images[0]!);
    for (let step = 1; step <= 6; step += 1) {
      const next = Buffer.from(images.at(-1)!);
      pageAt(next, 9).fill(step, step * 8, step * 8 + 8);
      images.push(next);
      await record(next);
    }
    const { contents } = ledger.state;
    const references = [...contents.all].flatMap((pack) => [...pack.references]);
    expect(references).toHaveLength(6);
    expect(new Set(references).size).toBe(1);
    expect(contents.isPatch(references[0]!)).toBe(false);
    await expectRestored(images);
  });

  test('back to what it was is a merge, and a page of another VM is never its reference', async () => {
    const image = noise(3);
    const changed = Buffer.from(image);
    touch(changed, 1, 5);
    await record(image);
    await record(changed);
    expect(await record(image)).toMatchObject({ stored: 0, merged: 1 });
    const other = Buffer.from(image);
    touch(other, 2, 5);
    expect(await record(other, 'other')).toMatchObject({ stored: 1, merged: PAGES - 1 });
    // It is the other VM's first capture: it held nothing before.
    expect(ledger.state.contents.packs.at(-1)!.references).toHaveLength(0);
  });

  test('restores the same with threads, from a copy of the log, and has the same fingerprint', async () => {
    const images = [noise(4)];
    await record(images[0]!);
    for (const [step, gfns] of [[1, 2, 3, 40], [2, 3, 41], [3]].entries()) {
      const next = Buffer.from(images.at(-1)!);
      for (const gfn of gfns) touch(next, gfn, 20 + step);
      images.push(next);
      await record(next);
    }
    const print = await fingerprint(ledger);
    await ledger.close();
    ledger = await openLedger({ url, mode: 'write', threads: 2 });
    await expectRestored(images);
    await ledger.state.rebuild();
    await expectRestored(images);
    expect(await fingerprint(ledger)).toBe(print);
    expect((await verify(ledger, () => undefined)).findings).toEqual([]);
  });
});

describe('damage to a reference', () => {
  test('does not stop recording: what would be a patch of it is stored whole', async () => {
    const first = noise(7);
    await record(first);
    const { name } = ledger.state.contents.packs[0]!;
    rmSync(join(url, 'packs', name.slice(0, 2), name));
    const second = noise(8);
    for (let gfn = 1; gfn < PAGES; gfn += 1) {
      pageAt(second, gfn).set(pageAt(first, gfn));
      touch(second, gfn, 4);
    }
    await ledger.close();
    ledger = await openLedger({ url, mode: 'create', threads: 0 });
    expect(await record(second)).toMatchObject({ stored: PAGES });
    expect(await patchedGfns(2)).toEqual([]);
    const back = await restored(ledger, { vm: 'vm', at: '@2', folder: folder.path });
    expect(back.equals(second)).toBe(true);
  });

  test('is found with every point that a patch on it is needed for', async () => {
    const first = noise(5);
    const second = Buffer.from(first);
    // Every page changes a little: the second capture needs the first one's pack through patches only.
    for (let gfn = 0; gfn < PAGES; gfn += 1) touch(second, gfn, 4);
    const third = noise(6);
    for (const image of [first, second, third]) await record(image);
    const { name, blocks } = ledger.state.contents.packs[0]!;
    const path = join(url, 'packs', name.slice(0, 2), name);
    const bytes = readFileSync(path);
    expect(blocks.codecs.length).toBeGreaterThan(1);
    bytes[120]! ^= 1;
    writeFileSync(path, bytes);
    const { findings } = await verify(ledger, () => undefined);
    expect(findings.map(({ affects }) => affects)).toEqual([['vm@1..2']]);
    await expect(
      restored(ledger, { vm: 'vm', at: '@2', folder: folder.path }),
    ).rejects.toMatchObject({ code: 'PACK_DAMAGED' });
    const back = await restored(ledger, { vm: 'vm', at: '@3', folder: folder.path });
    expect(back.equals(third)).toBe(true);
  });
});
