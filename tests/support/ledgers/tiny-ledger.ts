// A ledger of at most 16 KiB, in memory: VMs that share content, of which one is retired, one that shares
// with nobody, keys, fingerprints and state files. Only the index of identifiers is left out, which is as
// large as all the rest, and which is made anew by whoever needs it.

import { join } from 'node:path';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { MemoryFiles } from '../../../adapters/files/memory-files.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { openLedger, recordImages, retireVm, type Ledger } from '../../../index.ts';
import { writeFileSync } from 'node:fs';
import { seededRandom } from '../images.ts';
import { takeDisk, type DiskSnapshot } from '../disks/memory-disk.ts';
import { digestOf, type Expected } from './small-ledger.ts';

export const TINY_URL = '/disk/ledger';
const TINY_BYTES_MAX = 16 * 1024;

/** Bytes of a page that are not zeros: little is stored of it. */
const CONTENT_BYTES = 72;

/** Memory whose pages have these contents; 0 is zeros. */
function memoryOf(contents: readonly number[]): Uint8Array {
  const memory = new Uint8Array(contents.length * PAGE_BYTES);
  for (const [gfn, content] of contents.entries()) {
    if (content === 0) continue;
    const random = seededRandom(content);
    for (let i = 0; i < CONTENT_BYTES; i += 1) memory[gfn * PAGE_BYTES + 700 + i] = 1 + random(255);
  }
  return memory;
}

/** VMs whose points hang together: what one has stored another may refer to. */
export const TINY_FAMILIES: Readonly<Record<string, string>> = {
  a: 'together',
  b: 'together',
  c: 'apart',
};

export interface TinyLedger {
  readonly disk: DiskSnapshot;
  readonly expected: Expected;
}

/** Opens the ledger on a disk that has it. */
export const openTiny = (files: FilePort, mode: 'create' | 'write' | 'read'): Promise<Ledger> =>
  openLedger({ url: TINY_URL, mode, threads: 0, files });

/** Records one capture of these contents; the number it has. */
export async function recordTiny(
  ledger: Ledger,
  request: { readonly vm: string; readonly contents: readonly number[]; readonly folder: string },
): Promise<{ readonly capture: number; readonly digest: string }> {
  const { vm, contents, folder } = request;
  const memory = memoryOf(contents);
  const path = join(folder, 'tiny-image');
  writeFileSync(path, memory);
  let capture = 0;
  await recordImages(
    ledger,
    { vm, group: null },
    { files: [path], timeMs: 1_790_000_000_000, format: 'raw' },
    (row) => {
      ({ capture } = row);
    },
  );
  return { capture, digest: digestOf(memory) };
}

/** Makes it. */
export async function makeTinyLedger(folder: string): Promise<TinyLedger> {
  const files = new MemoryFiles();
  await files.makeFolder('/disk');
  const ledger = await openTiny(files, 'create');
  const expected: Expected = new Map();
  const record = async (vm: string, contents: readonly number[]): Promise<void> => {
    const { capture, digest } = await recordTiny(ledger, { vm, contents, folder });
    expected.set(`${vm}@${capture}`, digest);
  };
  await record('a', [1, 2, 0]);
  await record('b', [1, 0]);
  await record('c', [5, 6]);
  await retireVm(ledger, 'b');
  await ledger.close();
  await files.remove(`${TINY_URL}/projections/sharing`);
  const disk = await takeDisk(files, '/disk');
  const bytes = [...disk.values()].reduce((sum, file) => sum + (file?.length ?? 0), 0);
  if (bytes > TINY_BYTES_MAX) throw new RangeError(`the ledger has ${bytes} bytes`);
  return { disk, expected };
}
