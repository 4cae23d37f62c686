// Images that are not what they seem: files of differences, whose holes are not zeros, and files that
// are written to while they are read.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { ftruncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openImage } from '../../support/guest/open-image.ts';
import { openRecorder } from '../../../adapters/wiring/record/record.ts';
import type { GuestCapture } from '../../../domain/ports/guests.ts';
import {
  openLedger,
  PAGE_BYTES,
  recordImages,
  restoreToFile,
  type Ledger,
} from '../../../index.ts';
import { makeImage } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 200;
const OLD_S = 1_700_000_000;

let folder: TemporaryFolder;
let ledger: Ledger;
const whole = makeImage({
  seed: 1,
  pages: PAGES,
  mix: { zero: 0, text: 50, random: 50, repeated: 0, duplicate: 0 },
});
const path = (name: string): string => join(folder.path, name);

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  ledger = await openLedger({ url: path('ledger'), mode: 'create', threads: 0 });
  writeFileSync(path('whole.raw'), whole);
  utimesSync(path('whole.raw'), OLD_S, OLD_S);
});
afterAll(async () => {
  await ledger.close();
  await folder.remove();
});

let vms = 0;
let vm = '';
beforeEach(async () => {
  vm = `guest-${(vms += 1)}`;
  await record('whole.raw');
});

async function record(
  name: string,
  how: { readonly isFull?: boolean; readonly isDifference?: boolean } = {},
): Promise<void> {
  const { isFull = false, isDifference = false } = how;
  const files = [path(name)];
  await recordImages(
    ledger,
    { vm, group: null, isFull },
    { files, timeMs: null, isDifference },
    () => undefined,
  );
}

async function restored(): Promise<Buffer> {
  const entry = ledger.vm(vm);
  const to = { path: path('restored.raw'), format: 'raw', isForced: true } as const;
  await restoreToFile(ledger, { entry, row: ledger.resolve(entry, 'latest') }, to);
  return readFileSync(path('restored.raw'));
}

/** A file of the memory's size with holes but for these pages. */
function sparse(name: string, pages: Readonly<Record<number, Uint8Array>>): void {
  const file = openSync(path(name), 'w');
  ftruncateSync(file, PAGES * PAGE_BYTES);
  for (const [page, bytes] of Object.entries(pages))
    writeSync(file, bytes, 0, PAGE_BYTES, Number(page) * PAGE_BYTES);
  closeSync(file);
}

const filled = (byte: number): Buffer => Buffer.alloc(PAGE_BYTES, byte);

/** The memory with other pages. */
function withPages(pages: Readonly<Record<number, Uint8Array>>): Buffer {
  const bytes = Buffer.from(whole);
  for (const [page, content] of Object.entries(pages))
    bytes.set(content, Number(page) * PAGE_BYTES);
  return bytes;
}

describe('a sparse file', () => {
  const changed = { 3: filled(7), 4: filled(0), 150: filled(9) };

  test('that would turn most of the memory to zero is refused, and nothing of it is recorded', async () => {
    sparse('difference.raw', changed);
    await expect(record('difference.raw')).rejects.toMatchObject({
      refusal: { _tag: 'ZerosDoubtful', was: PAGES },
    });
    expect(ledger.vm(vm).captures).toHaveLength(1);
    await record('difference.raw', { isFull: true });
    const zeros = Buffer.alloc(PAGES * PAGE_BYTES);
    for (const [page, bytes] of Object.entries(changed))
      zeros.set(bytes, Number(page) * PAGE_BYTES);
    expect((await restored()).equals(zeros)).toBe(true);
  });

  test('is a difference where that is said: its holes did not change, and zeros in it are zeros', async () => {
    sparse('difference.raw', changed);
    await record('difference.raw', { isDifference: true });
    expect((await restored()).equals(withPages(changed))).toBe(true);
    expect(ledger.vm(vm).captures.at(-1)).toMatchObject({ written: 3, unchanged: PAGES - 3 });
    // What comes after is compared with the memory, and not with the file.
    const then = withPages({ ...changed, 8: filled(0) });
    writeFileSync(path('then.raw'), then);
    await record('then.raw');
    expect(ledger.vm(vm).captures.at(-1)).toMatchObject({ written: 1 });
    expect((await restored()).equals(then)).toBe(true);
  });

  test('cannot be a difference to nothing', async () => {
    sparse('difference.raw', changed);
    vm = 'nothing-before';
    const recording = record('difference.raw', { isDifference: true });
    await expect(recording).rejects.toMatchObject({ refusal: { _tag: 'NothingBefore' } });
  });

  test('of our own is a whole one', async () => {
    const half = withPages(
      Object.fromEntries(Array.from({ length: 90 }, (_, page) => [page, filled(0)])),
    );
    writeFileSync(path('half.raw'), half);
    await record('half.raw');
    await restored();
    const { blocks, size } = statSync(path('restored.raw'));
    expect(blocks * 512).toBeLessThan(size);
    await record('restored.raw');
    expect(ledger.vm(vm).captures.at(-1)).toMatchObject({ written: 0 });
  });
});

describe('a file that is written to while it is read', () => {
  /** Records a file; what is done in between comes after its pages were read. */
  async function recordWith(name: string, between: () => Promise<void> | void): Promise<void> {
    const recorder = await openRecorder(ledger, { vm, group: null });
    const source = await valueOf(openImage({ path: path(name), timeMs: 1, clock: ledger.clock }));
    const captured = await valueOf(source.capture());
    const mayHaveChanged = async (): Promise<boolean> => {
      await between();
      return captured.mayHaveChanged!();
    };
    const watched: GuestCapture = { ...captured, mayHaveChanged };
    try {
      await recorder.record(watched);
    } finally {
      source.close();
      await recorder.close();
    }
  }

  function write(page: number): void {
    const file = openSync(path('live.raw'), 'r+');
    writeSync(file, filled(page), 0, PAGE_BYTES, page * PAGE_BYTES);
    closeSync(file);
  }

  beforeEach(() => {
    writeFileSync(path('live.raw'), withPages({ 1: filled(1) }));
    utimesSync(path('live.raw'), OLD_S, OLD_S);
  });

  test('is refused with the number of pages that changed', async () => {
    const recording = recordWith('live.raw', () => {
      write(5);
      write(77);
    });
    await expect(recording).rejects.toMatchObject({ code: 'SOURCE_CHANGED', facts: { found: 2 } });
    expect(ledger.vm(vm).captures).toHaveLength(1);
  });

  test('is refused also where its times say nothing', async () => {
    const recording = recordWith('live.raw', () => {
      write(0);
      utimesSync(path('live.raw'), OLD_S, OLD_S);
    });
    await expect(recording).rejects.toMatchObject({ code: 'SOURCE_CHANGED', facts: { found: 1 } });
  });

  test('is recorded where what was written is what was there', async () => {
    await recordWith('live.raw', () => utimesSync(path('live.raw'), OLD_S + 1, OLD_S + 1));
    expect(ledger.vm(vm).captures).toHaveLength(2);
  });

  test('through a mapping, which moves no time, is refused', async () => {
    const mapper = spawn('python3', [
      '-c',
      `import mmap, sys
file = open(sys.argv[1], "r+b")
memory = mmap.mmap(file.fileno(), 0)
memory[${6 * PAGE_BYTES}] = 1
print("mapped", flush=True)
sys.stdin.readline()
memory[${6 * PAGE_BYTES}] = 2
print("written", flush=True)
sys.stdin.readline()`,
      path('live.raw'),
    ]);
    try {
      await once(mapper.stdout, 'data');
      const recording = recordWith('live.raw', async () => {
        mapper.stdin.write('\n');
        await once(mapper.stdout, 'data');
      });
      await expect(recording).rejects.toMatchObject({
        code: 'SOURCE_CHANGED',
        facts: { found: 1 },
      });
    } finally {
      mapper.kill();
    }
  });
});
