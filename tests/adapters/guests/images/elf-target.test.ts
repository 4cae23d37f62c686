// What a core tells of its guest's kernel, beside memory and registers.

import { describe, expect, test } from '@jest/globals';
import { elfPipeTarget } from '../../../../adapters/guests/images/elf-target.ts';
import type { GuestKernel } from '../../../../domain/ports/guests.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { cpusDevice } from '../../../support/guest/cpu-bytes.ts';
import { readCore } from '../../../support/guest/elf-core.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';

const PAGES = 40;
const HIGH = 2 ** 32;
const bytesOf = (pages: number): number => pages * PAGE_BYTES;
/** Page n is filled with n + 1. */
const MEMORY = Buffer.concat(Array.from({ length: PAGES }, (_, i) => stream.pageOf(i + 1)));
const memoryMap = {
  blocks: [{ name: 'ram', pages: PAGES }],
  ranges: [
    { address: 0, block: 'ram', offset: 0, length: bytesOf(30) },
    { address: HIGH, block: 'ram', offset: bytesOf(30), length: bytesOf(10) },
  ],
};
const DIRECT = 0xffff_8880_0000_0000n;
const KERNEL: GuestKernel = {
  release: '6.1.0-made',
  vmcoreinfo: new TextEncoder().encode('OSRELEASE=6.1.0-made\n'),
  image: { virtual: 0xffff_ffff_8100_0000n, physical: bytesOf(8), length: bytesOf(100) },
  directMap: DIRECT,
  running: [7, 0, null],
};

async function coreOf(kernel: GuestKernel | null) {
  const chunks: Buffer[] = [];
  const target = elfPipeTarget(async (bytes) => {
    chunks.push(Buffer.from(bytes));
  });
  const device = cpusDevice(3);
  await target.begin({ memoryMap, device, ...(kernel === null ? {} : { kernel }) });
  await target.write({ firstPage: 0, pages: MEMORY });
  await target.done();
  return readCore(Buffer.concat(chunks));
}

const pagesFrom = (page: number, pages: number): Buffer =>
  MEMORY.subarray(bytesOf(page), bytesOf(page + pages));

describe('a core of a kernel that is known', () => {
  test('has its image, as far as it lies in one piece, and all RAM as the kernel sees them', async () => {
    const { segments } = await coreOf(KERNEL);
    expect(segments).toEqual([
      { virtual: 0xffff_ffff_8100_0000n, physical: bytesOf(8), bytes: pagesFrom(8, 22) },
      { virtual: DIRECT, physical: 0, bytes: pagesFrom(0, 30) },
      { virtual: DIRECT + BigInt(HIGH), physical: HIGH, bytes: pagesFrom(30, 10) },
    ]);
  });

  test('has RAM at its own addresses where the kernel does not tell of any, or no kernel does', async () => {
    const { segments } = await coreOf({ ...KERNEL, directMap: null });
    expect(segments.map(({ virtual }) => virtual)).toEqual([
      0xffff_ffff_8100_0000n,
      0n,
      BigInt(HIGH),
    ]);
    expect((await coreOf(null)).segments.map(({ virtual }) => virtual)).toEqual([0n, BigInt(HIGH)]);
  });

  test('has no image of a kernel that lies where no RAM is', async () => {
    const image = { ...KERNEL.image, physical: bytesOf(30) };
    expect((await coreOf({ ...KERNEL, image })).segments).toHaveLength(2);
  });

  test('has what it keeps for its reader, and threads called as what runs on them', async () => {
    const { notes } = await coreOf(KERNEL);
    expect(notes.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'CORE 1',
      'CORE 1',
      'CORE 1',
      'QEMU 0',
      'QEMU 0',
      'QEMU 0',
      'VMCOREINFO 0',
    ]);
    expect(notes.at(-1)!.bytes.toString()).toBe('OSRELEASE=6.1.0-made\n');
    const threads = notes.slice(0, 3).map(({ bytes }) => bytes.readUInt32LE(32));
    expect(threads).toEqual([7, 2 ** 22 + 1, 2 ** 22 + 2]);
  });
});
