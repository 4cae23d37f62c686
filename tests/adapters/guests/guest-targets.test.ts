// The contract of targets on files, pipes, streams, guests in memory and a QEMU that resumes.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { openReplacement } from '../../../adapters/files/replacement.ts';
import { MemoryTarget } from '../../support/guest/memory-guest.ts';
import { programPath, QEMU_PROGRAM } from '../../../adapters/guests/demo-guest/tools.ts';
import { connectGuest } from '../../../adapters/guests/qemu/live-guest.ts';
import { resumeGuest } from '../../../adapters/guests/qemu/resume-guest.ts';
import { Spool } from '../../../adapters/guests/qemu/spool.ts';
import { readCore } from '../../support/guest/elf-core.ts';
import { readStream } from '../../support/guest/read-stream.ts';
import { TARGET_FORMATS } from '../../../adapters/guests/targets.ts';
import type { GuestTarget } from '../../../domain/ports/guests.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { guestTargetContract, type WholeGuest } from '../../contracts/guest-target.ts';
import { bytesOfImage } from '../../support/guest/images.ts';
import { GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { StillGuest } from '../../support/guest/still-guest.ts';
import { dumpedMemory } from '../../support/guest/watched-guest.ts';
import { valueOf } from '../../support/outcomes.ts';
import * as stream from '../../support/guest/stream-bytes.ts';
import { makeTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MAIN_PAGES = 300;
const blocks = [
  { name: 'pc.ram', pages: MAIN_PAGES },
  { name: 'vga.vram', pages: 20 },
];
/** Where main RAM lies. */
const ranges = [
  { address: 0, block: 'pc.ram', offset: 0, length: 200 * PAGE_BYTES },
  { address: 2 ** 32, block: 'pc.ram', offset: 200 * PAGE_BYTES, length: 100 * PAGE_BYTES },
];

/** Every third page of the guest holds something, but for a long stretch of zeros. */
function pagesOfGuest(): Uint8Array {
  const pages = new Uint8Array(320 * PAGE_BYTES);
  for (let page = 0; page < 320; page += 3)
    if (page < 100 || page > 200) pages.set(stream.pageOf(1 + (page % 200)), page * PAGE_BYTES);
  return pages;
}

const guest: WholeGuest = {
  memoryMap: { blocks, ranges },
  device: { head: stream.head(), ...stream.devices() },
  pages: pagesOfGuest(),
};

/** The pages in a stream; null where it is none that is whole. */
async function pagesInStream(bytes: Uint8Array): Promise<Uint8Array | null> {
  const spool = new Spool();
  try {
    const source = stream.sourceOfBytes(bytes);
    const read = await readStream({ source, spool, label: 'the stream' })();
    return read._tag === 'Left' ? null : bytesOfImage(read.right.image);
  } finally {
    spool.close();
  }
}

/** A pipe's bytes as pages; null where they are not as many as there should be. */
const pagesInPipe = async (bytes: Uint8Array): Promise<Uint8Array | null> =>
  bytes.length === MAIN_PAGES * PAGE_BYTES ? bytes : null;

/** The memory in a core; null where it is shorter than its head says. */
async function pagesInCore(bytes: Buffer): Promise<Uint8Array | null> {
  try {
    return Buffer.concat(readCore(bytes).segments.map((segment) => segment.bytes));
  } catch {
    return null;
  }
}

const READERS = { raw: pagesInPipe, elf: pagesInCore, qemu: pagesInStream } as const;

/** The target; what it hears at the end is noted. */
const heard = (target: GuestTarget, outcome: { isDone: boolean }): GuestTarget => ({
  ...target,
  done: async () => {
    await target.done();
    outcome.isDone = true;
  },
});

let files = 0;

describe.each(['raw', 'elf', 'qemu'] as const)('a file of format %s as a target', (format) => {
  guestTargetContract(async () => {
    const folder = await makeTemporaryFolder();
    return {
      guest,
      restored: async (restore) => {
        const path = join(folder.path, `restored-${files++}`);
        const file = await openReplacement({ files: nodeFiles, path, isForced: true });
        const target = TARGET_FORMATS[format].file(file.file);
        // As restoring does: what was cut short is thrown away.
        const outcome = { isDone: false };
        await restore(heard(target, outcome));
        await (outcome.isDone ? file.place() : file.discard());
        return existsSync(path) ? READERS[format](readFileSync(path)) : null;
      },
      close: () => folder.remove(),
    };
  });
});

describe.each(['raw', 'elf', 'qemu'] as const)('a pipe of format %s as a target', (format) => {
  guestTargetContract(async () => ({
    guest,
    restored: async (restore) => {
      const chunks: Buffer[] = [];
      const sink = async (bytes: Uint8Array): Promise<void> => {
        chunks.push(Buffer.from(bytes));
      };
      await restore(TARGET_FORMATS[format].pipe(sink));
      return READERS[format](Buffer.concat(chunks));
    },
    close: () => Promise.resolve(),
  }));
});

describe('memory as a target', () => {
  guestTargetContract(async () => ({
    guest,
    restored: async (restore) => {
      const target = new MemoryTarget();
      await restore(target);
      return target.guest?.pages ?? null;
    },
    close: () => Promise.resolve(),
  }));
});

const QEMU = programPath(QEMU_PROGRAM);
const MEMORY_BYTES = 16 * 2 ** 20;
const MACHINE = ['-machine', 'pc', '-m', '16', '-accel', 'tcg'];
const BARE = ['-nodefaults', '-no-user-config', '-display', 'none'];
/** Guest-physical pages in which the guest sees firmware and video memory instead of its RAM. */
const SHADOWED = [0xa0, 0x100] as const;

/** A guest as a real one is, with something in its memory. */
async function realGuest(folder: string): Promise<WholeGuest> {
  const words = [...MACHINE, ...BARE, '-qmp', 'unix:QMP,server=on,wait=off'];
  const still = await StillGuest.start({ qemu: QEMU ?? '', folder, words });
  const live = await valueOf(connectGuest({ qmp: still.qmpPath }));
  const spool = new Spool();
  try {
    const { image, memoryMap, device } = await valueOf(live.capture(spool));
    const pages = bytesOfImage(image);
    for (let page = SHADOWED[1]; page < MEMORY_BYTES / PAGE_BYTES; page += 7)
      pages.set(stream.pageOf(1 + (page % 200)), page * PAGE_BYTES);
    return { memoryMap, device, pages };
  } finally {
    spool.close();
    live.close();
    await still.kill();
  }
}

/** The memory of a QEMU that stands, where the guest sees its RAM; else as it should be. */
async function memoryOf(qmpPath: string, scratch: string, pages: Uint8Array): Promise<Buffer> {
  const memory = await dumpedMemory({ qmpPath, memoryBytes: MEMORY_BYTES, scratch });
  const [from, to] = [SHADOWED[0] * PAGE_BYTES, SHADOWED[1] * PAGE_BYTES];
  memory.set(pages.subarray(from, to), from);
  return memory;
}

(QEMU === null ? describe.skip : describe)('a QEMU that resumes as a target', () => {
  guestTargetContract(async () => {
    const folder = await makeTemporaryFolder();
    const real = await realGuest(folder.path);
    const qmpPath = join(folder.path, 'resumed.qmp');
    const control = ['-S', '-qmp', `unix:${qmpPath},server=on,wait=off`];
    const command = [QEMU ?? '', ...MACHINE, ...BARE, ...control];
    return {
      guest: real,
      restored: async (restore) => {
        const resumed = await resumeGuest({ command, restore })();
        if (resumed._tag === 'Left') return null;
        const { process: child } = resumed.right;
        const gone = new Promise((resolve) => {
          child.once('exit', resolve);
        });
        try {
          return await memoryOf(qmpPath, join(folder.path, 'dump'), real.pages);
        } finally {
          child.kill('SIGKILL');
          await gone;
        }
      },
      close: () => folder.remove(),
    };
  }, GUEST_TIMEOUT_MS);
});
