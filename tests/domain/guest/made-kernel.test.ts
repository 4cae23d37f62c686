// A kernel that was put together, read from its memory alone.

import { describe, expect, test } from '@jest/globals';
import { KernelSymbols, readKallsyms } from '../../../domain/guest/kallsyms.ts';
import { kernelAt, readBtf } from '../../../domain/guest/kernel.ts';
import { TaskReader, taskLayoutOf } from '../../../domain/guest/tasks.ts';
import { madeBtf } from '../../support/guest/made-btf.ts';
import {
  directAddress,
  imageAddress,
  MADE_FRAMES,
  MADE_NOTE,
  MADE_SYMBOLS,
  MADE_TYPES,
  madeKernel,
  pagesOfBytes,
  TASK,
  taskAt,
  type MadeMemory,
} from '../../support/guest/made-kernel.ts';

const kernelOf = ({ bytes }: MadeMemory) => kernelAt(pagesOfBytes(bytes), MADE_NOTE);
const INVALID = expect.objectContaining({ code: 'GUEST_INVALID' });

async function tasksOf(memory: MadeMemory) {
  const kernel = await kernelOf(memory);
  const symbols = await readKallsyms(kernel.memory, kernel.info);
  const layout = taskLayoutOf(await readBtf(kernel, symbols));
  return new TaskReader(kernel.memory, layout).all(symbols);
}

describe('the memory of a kernel', () => {
  for (const levels of [4, 5] as const)
    test(`is found through page tables of ${levels} levels, small pages and large ones`, async () => {
      const { memory } = await kernelOf(madeKernel({ levels }));
      expect(memory.root.levels).toBe(levels);
      expect(await memory.frameOf(imageAddress(17))).toBe(17);
      expect(await memory.frameOf(directAddress(17))).toBe(17);
      expect(await memory.frames(directAddress(MADE_FRAMES - 1), 3)).toEqual([
        MADE_FRAMES - 1,
        null,
        null,
      ]);
      expect(await memory.frameOf(0x1000n)).toBeNull();
    });

  test('is read over the ends of pages, and not where nothing is mapped', async () => {
    const made = madeKernel();
    made.text(9, 4090, 'across');
    const { memory } = await kernelOf(made);
    expect(new TextDecoder().decode(await memory.read(imageAddress(9, 4090), 6, 'a text'))).toBe(
      'across',
    );
    await expect(memory.read(imageAddress(MADE_FRAMES - 1, 4090), 16, 'a text')).rejects.toThrow(
      /a text is said to lie at 0xffffffff81417ffa, where nothing is mapped/u,
    );
  });

  test('of a process is its own', async () => {
    const made = madeKernel();
    const kernel = await kernelOf(made);
    const layout = taskLayoutOf(
      await readBtf(kernel, await readKallsyms(kernel.memory, kernel.info)),
    );
    const tasks = new TaskReader(kernel.memory, layout);
    const process = (await tasksOf(made)).find(({ pid }) => pid === 7)!;
    const root = await tasks.rootOf(process);
    const memory = kernel.memory.at(root!);
    expect(await memory.frames(0x40_0000n, 6)).toEqual([17, null, null, null, null, 18]);
    expect(await memory.text(0x40_5010n, 64, 'a text')).toBe('kept by process 7');
  });

  test('is not believed where its page tables lead elsewhere', async () => {
    const made = madeKernel();
    made.entry(4, 0, { frame: 3 });
    await expect(kernelOf(made)).rejects.toEqual(INVALID);
  });

  test('ends where tables are their own tables', async () => {
    const made = madeKernel();
    for (let index = 0; index < 512; index += 1) made.entry(1, index, { frame: 1 });
    await expect(kernelOf(made)).rejects.toEqual(INVALID);
  });
});

describe('kallsyms', () => {
  for (const isAbsolute of [true, false])
    test(`has every symbol at its address, absolute ones ${isAbsolute ? 'known' : 'unknown'}`, async () => {
      const { memory, info } = await kernelOf(madeKernel({ isAbsolute }));
      const symbols = await readKallsyms(memory, info);
      const found = Array.from({ length: symbols.count }, (_, i) => symbols.at(i));
      expect(found).toEqual(MADE_SYMBOLS.map(([kind, name, address]) => ({ kind, name, address })));
      expect([...symbols.named('helper')].map(({ address }) => address)).toEqual([
        imageAddress(0, 0x40),
        imageAddress(0, 0x80),
      ]);
      expect(symbols.addressOf('absent')).toBeNull();
      expect(symbols.nearest(imageAddress(0, 0x79))?.name).toBe('helper');
      expect(symbols.nearest(5n)).toBeNull();
      expect(symbols.nearest(imageAddress(12, 0xff0))?.name).toBe('vmemmap_base');
      expect(symbols.nearest(imageAddress(12, 0xff1))).toBeNull();
      expect(symbols.nearest(2n ** 64n - 1n)).toBeNull();
    });

  test('has no symbol at an address between what each CPU has and the image', () => {
    const symbols = new KernelSymbols({
      addresses: BigUint64Array.of(0n, 0x1000n, imageAddress(0), imageAddress(1)),
      text: new TextEncoder().encode('AfirstAlastT_stextT_end'),
      ends: Uint32Array.of(6, 11, 18, 23),
    });
    const found = [0xfffn, 0x1000n, 0x1001n, imageAddress(0) - 1n, imageAddress(0, 1)];
    expect(found.map((address) => symbols.nearest(address)?.name ?? null)).toEqual([
      'first',
      'last',
      null,
      null,
      '_stext',
    ]);
  });

  const spoiled: readonly (readonly [string, (made: MadeMemory) => void])[] = [
    ['claims four thousand million symbols', (made) => made.u32(7, 0, 0xffff_ffff)],
    ['claims more symbols than there are names', (made) => made.u32(7, 0, 100_000)],
    ['has a name of no tokens', (made) => made.put(8, 0, [0])],
    ['has a name of more tokens than a name has', (made) => made.put(8, 0, [0xff, 0xff])],
    ['has a token that does not end', (made) => made.put(7, 1024, new Uint8Array(3072).fill(65))],
    ['has another `_stext` than VMCOREINFO', (made) => made.u32(9, 0, 77)],
  ];
  for (const [title, spoil] of spoiled)
    test(`is refused where it ${title}`, async () => {
      const made = madeKernel();
      spoil(made);
      const { memory, info } = await kernelOf(made);
      await expect(readKallsyms(memory, info)).rejects.toEqual(INVALID);
    });
});

describe('processes', () => {
  test('are those of the list, with state and resident pages as the kernel shows them', async () => {
    expect(await tasksOf(madeKernel())).toMatchObject([
      { pid: 2, command: 'kthreadd', state: 'I', isKernelThread: true, pages: 0, mm: 0n },
      // Pages of files, without a file and of shared memory; a counter below zero is none.
      { pid: 7, command: 'worker', state: 'S', isKernelThread: false, pages: 5 },
    ]);
  });

  const states = [
    [0, 0, 'R'],
    [2, 0, 'D'],
    [4, 0, 'T'],
    [8, 0, 't'],
    [0, 0x20, 'Z'],
    [0x8000, 0, 'D'],
  ] as const;
  for (const [state, exitState, letter] of states)
    test(`in state ${state}, ended with ${exitState}, is shown as ${letter}`, async () => {
      const made = madeKernel();
      made.u32(12, taskAt(2) + TASK.__state, state);
      made.u32(12, taskAt(2) + TASK.exit_state, exitState);
      expect((await tasksOf(made)).map((task) => task.state)).toEqual(['I', letter]);
    });

  test('in a list that runs in a circle are refused', async () => {
    const made = madeKernel();
    made.u64(12, taskAt(2) + TASK.tasks, imageAddress(12, taskAt(1) + TASK.tasks));
    await expect(tasksOf(made)).rejects.toThrow(/runs in a circle/u);
  });

  test('in a list that leads where nothing is mapped are refused', async () => {
    const made = madeKernel();
    made.u64(12, taskAt(1) + TASK.tasks, 0x7777n);
    await expect(tasksOf(made)).rejects.toEqual(INVALID);
  });

  test('of a kernel without types are refused in a sentence', async () => {
    const made = madeKernel({ types: madeBtf(MADE_TYPES.slice(0, 2)) });
    await expect(tasksOf(made)).rejects.toThrow(/have no task_struct\.tasks/u);
  });
});
