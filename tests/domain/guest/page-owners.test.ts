// Owners of pages, and messages, of a kernel that was put together.

import { describe, expect, test } from '@jest/globals';
import { Btf } from '../../../domain/guest/btf.ts';
import { readKallsyms } from '../../../domain/guest/kallsyms.ts';
import { readKernelLog } from '../../../domain/guest/kernel-log.ts';
import { kernelAt } from '../../../domain/guest/kernel.ts';
import { OWNERS, pageLayoutOf, pageOwners } from '../../../domain/guest/page-owners.ts';
import { UserPages } from '../../../domain/guest/user-pages.ts';
import type { VirtualMemory } from '../../../domain/guest/virtual-memory.ts';
import { madeBtf, struct, type MadeType } from '../../support/guest/made-btf.ts';
import {
  imageAddress,
  MADE_FRAMES,
  MADE_NOTE,
  MADE_TYPES,
  madeKernel,
  pagesOfBytes,
  type MadeMemory,
} from '../../support/guest/made-kernel.ts';

const kernelOf = ({ bytes }: MadeMemory) => kernelAt(pagesOfBytes(bytes), MADE_NOTE);

async function ownersOf(
  made: MadeMemory,
  types: readonly MadeType[] = MADE_TYPES,
  of: { readonly wanted?: readonly number[] } = {},
) {
  const { memory, info } = await kernelOf(made);
  const layout = pageLayoutOf(new Btf(madeBtf(types)));
  const owners = await pageOwners(memory, await readKallsyms(memory, info), { layout, ...of });
  return Array.from(owners, (owner) => OWNERS[owner]);
}

describe('owners of pages', () => {
  test('of a block of free pages are free, as far as the block reaches', async () => {
    const owners = await ownersOf(madeKernel());
    expect(owners.slice(20)).toEqual(['kernel', 'kernel', 'free', 'free']);
  });

  test('of a part of a larger page are those of its head', async () => {
    const owners = await ownersOf(madeKernel());
    expect(owners.slice(6, 10)).toEqual(['slab', 'slab', 'slab', 'kernel']);
  });

  test('are known by the type that kernels from 6.12 on have in its upper byte', async () => {
    const made = madeKernel();
    const named = { PGTY_buddy: 0xf0, PGTY_offline: 0xf1, PGTY_table: 0xf2, PGTY_slab: 0xf5 };
    const types = [...MADE_TYPES, { kind: 6, size: 4, enumerators: named }];
    for (const [frame, type] of [0xf2, 0xf5, 0xf1, 0xf0].entries())
      made.u32(20, (9 + frame) * 64 + 48, type * 2 ** 24);
    made.u64(20, 12 * 64 + 40, 0n);
    const owners = await ownersOf(made, types);
    expect(owners.slice(9, 13)).toEqual(['pageTables', 'slab', 'reserved', 'free']);
  });

  test('are known by the type that kernels up to 5.10 have, among them one of charged pages', async () => {
    const made = madeKernel();
    for (const [frame, bit] of [0x400, 0x200].entries())
      made.u32(20, (9 + frame) * 64 + 48, 0xffff_ffff - bit);
    const page = { flags: 0, compound_head: 8, mapping: 24, private: 40, _mapcount: 48 };
    const fields = Object.entries({ ...page, mem_cgroup: 56 }).map(
      ([name, offset]) => [name, [1, offset]] as const,
    );
    const early = struct('page', 64, Object.fromEntries(fields));
    const types = MADE_TYPES.map((type) => (type.name === 'page' ? early : type));
    expect((await ownersOf(made, types)).slice(9, 11)).toEqual(['pageTables', 'kernel']);
    expect((await ownersOf(made)).slice(9, 11)).toEqual(['kernel', 'pageTables']);
  });

  test('of parts whose head lies behind them, or nowhere, are unknown', async () => {
    const made = madeKernel();
    made.u64(20, 7 * 64 + 8, imageAddress(20, 9 * 64) + 1n);
    made.u64(20, 8 * 64 + 8, 1n);
    expect((await ownersOf(made)).slice(7, 9)).toEqual(['unknown', 'unknown']);
  });

  test('of a free block of an impossible size are those of one page', async () => {
    const made = madeKernel();
    made.u32(20, 22 * 64 + 40, 63);
    expect((await ownersOf(made)).slice(22)).toEqual(['free', 'kernel']);
  });

  test('are the same where only some are wanted', async () => {
    const all = await ownersOf(madeKernel());
    const made = madeKernel();
    for (const wanted of [[23], [7, 8], [2, 17, 99_999]]) {
      const owners = await ownersOf(made, MADE_TYPES, { wanted });
      for (const frame of wanted) expect(owners[frame]).toBe(all[frame]);
    }
    expect(new Set(await ownersOf(made, MADE_TYPES, { wanted: [] }))).toEqual(new Set(['unknown']));
  });

  test('of a part whose head lies far before it are known where only the part is wanted', async () => {
    const frames = 5000;
    const base = 0xffff_ea00_0000_0000n;
    const descriptions = new DataView(new ArrayBuffer(frames * 64));
    for (let frame = 0; frame < frames; frame += 1)
      descriptions.setUint32(frame * 64 + 48, 0xffff_ffff, true);
    descriptions.setBigUint64(100 * 64 + 24, 0xffff_8880_0000_1001n, true);
    descriptions.setBigUint64(4700 * 64 + 8, base + 100n * 64n + 1n, true);
    const memory = {
      physical: { pages: { frames } },
      u64: () => Promise.resolve(base),
      tryRead: (address: bigint, length: number) =>
        Promise.resolve(new Uint8Array(descriptions.buffer, Number(address - base), length)),
    } as unknown as VirtualMemory;
    const { info, memory: own } = await kernelOf(madeKernel());
    const symbols = await readKallsyms(own, info);
    const layout = pageLayoutOf(new Btf(madeBtf(MADE_TYPES)));
    const owners = await pageOwners(memory, symbols, { layout, wanted: [4700] });
    expect(OWNERS[owners[4700]!]).toBe('anonymous');
  });

  test('are unknown where no description is', async () => {
    const made = madeKernel();
    made.u64(12, 0xff0, 0x7000n);
    expect(new Set(await ownersOf(made))).toEqual(new Set(['unknown']));
  });

  test('are not to be had of a kernel whose pages are described otherwise', async () => {
    const types = [...MADE_TYPES.slice(0, 9), struct('page', 16, { flags: [1, 0] })];
    await expect(ownersOf(madeKernel(), types)).rejects.toEqual(
      expect.objectContaining({ code: 'GUEST_UNDESCRIBED' }),
    );
  });
});

describe('pages that processes have mapped', () => {
  async function mappedIn(made: MadeMemory): Promise<number[]> {
    const { memory } = await kernelOf(made);
    const told: number[] = [];
    const walk = new UserPages(memory.physical);
    await walk.each({ frame: 13, levels: 4 }, (frame, frames) => {
      for (let i = 0; i < frames; i += 1) told.push(frame + i);
    });
    return told;
  }

  test('are those of the lower half of its tables, also those that nothing may touch', async () => {
    const made = madeKernel();
    // The bits of its frame are turned round.
    made.u64(16, 8 * 7, (~BigInt(9 * 4096) & 0x000f_ffff_ffff_f000n) | 0x100n);
    made.entry(13, 300, { frame: 1 });
    expect(await mappedIn(made)).toEqual([17, 18, 9]);
  });

  test('in a large page are as many as there is memory, told of once', async () => {
    const made = madeKernel();
    for (const [i, flags] of [0xe7, 0xa7, 0x87].entries())
      made.entry(15, 3 + i, { frame: 0, flags });
    expect(await mappedIn(made)).toHaveLength(MADE_FRAMES + 2);
  });

  test('in tables that lead to themselves end', async () => {
    const made = madeKernel();
    for (const frame of [13, 14, 15, 16])
      for (let index = 0; index < 512; index += 1)
        made.entry(frame, index, { frame: 13 + (index % 4) });
    expect(new Set(await mappedIn(made))).toEqual(new Set([13, 14, 15, 16]));
  });
});

describe('messages of a kernel', () => {
  const spoiled: readonly (readonly [string, (made: MadeMemory) => void])[] = [
    ['has 2^99 messages', (made) => made.u32(21, 64, 99)],
    ['has a text of 2^63 bytes', (made) => made.u32(21, 128, 63)],
    ['begins behind its end', (made) => made.u64(21, 96, 9n)],
    ['lies where nothing is mapped', (made) => made.u64(21, 0, 0x1234n)],
    [
      'is larger than any kernel has one',
      (made) => {
        made.u32(21, 64, 20);
        made.restate('SIZE(printk_info)=24', 'SIZE(printk_info)=4000');
      },
    ],
    [
      'has one text for many messages',
      (made) => {
        for (const slot of [1, 3]) {
          made.u64(21, 256 + 24 * slot + 8, 2n);
          made.u64(21, 256 + 24 * slot + 16, 62n);
          made.u64(21, 512 + 24 * slot + 16, 60n);
        }
      },
    ],
  ];
  for (const [title, spoil] of spoiled)
    test(`are refused where their ring ${title}`, async () => {
      const made = madeKernel();
      spoil(made);
      await expect(readKernelLog(await kernelOf(made))).rejects.toEqual(
        expect.objectContaining({ code: 'GUEST_INVALID' }),
      );
    });
});
