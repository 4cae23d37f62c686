// Which frames a CPU uses first when its guest goes on, in memory that was put together.

import { describe, expect, test } from '@jest/globals';
import { framesInUse, pagingOf } from '../../../domain/guest/cpu-memory.ts';
import type { GuestPages } from '../../../domain/ports/guest-pages.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { X86Cpu } from '../../../domain/values/x86-cpu.ts';
import { cpusOf } from '../../../adapters/guests/qemu/cpu-state.ts';
import { cpusDevice } from '../../support/guest/cpu-bytes.ts';
import { pagesOfBytes } from '../../support/guest/made-kernel.ts';

const FRAMES = 64;
/** Tables at frames 1 to 4; page n of a mapped stretch is frame 16 + n, as far as 32 of them. */
const MAPPED_FROM = 16;
const MAPPED = 32;
const BASE = 0xffff_ffff_8000_0000n;
const at = (page: number, offset = 0): bigint => BASE + BigInt(page * PAGE_BYTES + offset);

function madeMemory() {
  const bytes = new Uint8Array(FRAMES * PAGE_BYTES);
  const view = new DataView(bytes.buffer);
  const u64 = (frame: number, offset: number, value: bigint): void =>
    view.setBigUint64(frame * PAGE_BYTES + offset, value, true);
  const entry = (table: number, index: number, frame: number): void =>
    u64(table, index * 8, BigInt(frame * PAGE_BYTES) | 3n);
  entry(1, 511, 2);
  entry(2, 510, 3);
  entry(3, 0, 4);
  for (let page = 0; page < MAPPED; page += 1) entry(4, page, MAPPED_FROM + page);
  return { bytes, u64 };
}

/** A gate of an interrupt to an address. */
function gate(made: ReturnType<typeof madeMemory>, vector: number, address: bigint): void {
  const low = (address & 0xffffn) | ((address & 0xffff_0000n) << 32n) | (0x10n << 16n);
  made.u64(MAPPED_FROM + 7, vector * 16, low);
  made.u64(MAPPED_FROM + 7, vector * 16 + 8, address >> 32n);
}

const [PLAIN] = cpusOf(cpusDevice(1), 'it');
const segment = (base: bigint) => ({ selector: 0, base, limit: 0, flags: 0 });

const CPU: X86Cpu = {
  ...PLAIN!,
  cr0: 0x8000_0001n,
  cr3: 0x1000n,
  cr4: 0n,
  efer: 0x500n,
  rip: at(5, 0x10),
  kernelGsBase: 0n,
  general: new Map(
    [...PLAIN!.general.keys()].map((name) => [name, name === 'rsp' ? at(6, 0xf80) : 0n]),
  ),
  segments: new Map([
    ...[...PLAIN!.segments].map(([name]) => [name, segment(0n)] as const),
    ['idt', segment(at(7))],
    ['gs', segment(at(8))],
    ['gdt', segment(at(9))],
  ]),
};

const framesOf = (pages: readonly number[]): Set<number> =>
  new Set([1, 2, 3, 4, ...pages.map((page) => MAPPED_FROM + page)]);

describe('the frames that a CPU uses first', () => {
  test('are its tables, code and stack, and where stack, registers and interrupts lead', async () => {
    const made = madeMemory();
    made.u64(MAPPED_FROM + 6, 0xf78, at(20));
    made.u64(MAPPED_FROM + 6, 0xf80, at(10, 5));
    made.u64(MAPPED_FROM + 6, 0xf88, 0x1234n);
    gate(made, 3, at(11, 0x40));
    gate(made, 236, at(11, 0x80));
    const general = new Map(CPU.general).set('rax', at(12, 1)).set('rdi', at(MAPPED + 1));
    const frames = await framesInUse(pagesOfBytes(made.bytes), [{ ...CPU, general }], FRAMES);
    expect(new Set(frames)).toEqual(framesOf([5, 6, 7, 8, 9, 10, 11, 12]));
    expect(frames).toHaveLength(12);
    // Of an address the tables come before the page, of a CPU its code before all else.
    expect(frames.slice(0, 5)).toEqual([1, 2, 3, 4, MAPPED_FROM + 5]);
  });

  test('are those of every CPU, once', async () => {
    const made = madeMemory();
    const cpus = [CPU, { ...CPU, number: 1, rip: at(13) }];
    const frames = await framesInUse(pagesOfBytes(made.bytes), cpus, FRAMES);
    expect(new Set(frames)).toEqual(framesOf([5, 6, 7, 8, 9, 13]));
    expect(frames).toHaveLength(new Set(frames).size);
  });

  test('are none where it does not translate as a 64-bit kernel does, or its tables lie nowhere', async () => {
    const pages = pagesOfBytes(madeMemory().bytes);
    expect(pagingOf({ ...CPU, cr0: 1n })).toBe('none');
    expect(await framesInUse(pages, [{ ...CPU, cr0: 1n }], FRAMES)).toEqual([]);
    expect(pagingOf({ ...CPU, efer: 0n })).toBeNull();
    expect(await framesInUse(pages, [{ ...CPU, efer: 0n }], FRAMES)).toEqual([]);
    expect(await framesInUse(pages, [{ ...CPU, cr3: 0xffff_f000n }], FRAMES)).toEqual([]);
    expect(pagingOf({ ...CPU, cr4: 0x1000n })).toEqual({ frame: 1, levels: 5 });
  });

  test('are as many as there are, whatever its registers and tables say', async () => {
    const bytes = new Uint8Array(FRAMES * PAGE_BYTES).fill(0xff);
    const frames = await framesInUse(pagesOfBytes(bytes), [CPU, { ...CPU, cr4: 0x1000n }], FRAMES);
    expect(frames.every((frame) => frame < FRAMES)).toBe(true);
  });

  test('are no more than are wanted, the first of them, and no more CPUs are looked at', async () => {
    const made = madeMemory();
    for (let word = 0; word < 16; word += 1)
      made.u64(MAPPED_FROM + 6, 0xf80 + word * 8, at(word + 12));
    const all = await framesInUse(pagesOfBytes(made.bytes), [CPU], FRAMES);
    expect(await framesInUse(pagesOfBytes(made.bytes), [CPU], 7)).toEqual(all.slice(0, 7));

    // CPUs that are all at one place find no frame that the first has not.
    const few = 100;
    expect(all.length).toBeLessThan(few);
    const asked = async (count: number): Promise<number> => {
      const pages = pagesOfBytes(made.bytes);
      let times = 0;
      const counted: GuestPages = {
        ...pages,
        has: (frame) => {
          times += 1;
          return pages.has(frame);
        },
      };
      await framesInUse(counted, Array<X86Cpu>(count).fill(CPU), few);
      return times;
    };
    expect(await asked(1_000)).toBe(await asked(few));
  });
});
