// The memory of a guest in which a Linux kernel describes itself: as little as makes one, put together
// here. Its frames, and what lies in them:
//
//   1 to 5   page tables: root, 512 GiB, 1 GiB, 2 MiB, and a level more of kernels with five
//   6        VMCOREINFO
//   7 to 9   kallsyms: numbers and tokens, names, offsets
//   10, 11   BTF
//   12       processes
//   13 to 16 page tables of process 7, whose pages are 17 and 18
//   19       a table of the mapping of all memory
//   20       descriptions of all pages
//   21       messages
//   22, 23   free pages

import type { GuestPages } from '../../../domain/ports/guest-pages.ts';
import { INT, madeBtf, struct, type MadeType } from './made-btf.ts';

const PAGE = 4096;
export const MADE_FRAMES = 24;
/** Where frame 0 of the image lies for the kernel. */
const IMAGE = 0xffff_ffff_8140_0000n;
const DIRECT = 0xffff_8880_0000_0000n;
const NOTE = 6;
const PROCESSES = 12;

/** Where a frame's bytes lie for the kernel. */
export const imageAddress = (frame: number, offset = 0): bigint =>
  IMAGE + BigInt(frame * PAGE + offset);
export const directAddress = (frame: number, offset = 0): bigint =>
  DIRECT + BigInt(frame * PAGE + offset);

/** Bytes of a guest's memory that can be written to by place. */
export class MadeMemory {
  readonly bytes = new Uint8Array(MADE_FRAMES * PAGE);
  readonly view = new DataView(this.bytes.buffer);

  u64(frame: number, offset: number, value: bigint): void {
    this.view.setBigUint64(frame * PAGE + offset, BigInt.asUintN(64, value), true);
  }

  u32(frame: number, offset: number, value: number): void {
    this.view.setUint32(frame * PAGE + offset, value, true);
  }

  put(frame: number, offset: number, bytes: ArrayLike<number>): void {
    this.bytes.set(bytes, frame * PAGE + offset);
  }

  text(frame: number, offset: number, text: string): void {
    this.put(frame, offset, new TextEncoder().encode(`${text}\0`));
  }

  /** Says something else in VMCOREINFO. */
  restate(said: string, instead: string): void {
    const page = this.bytes.subarray(NOTE * PAGE, (NOTE + 1) * PAGE);
    const text = new TextDecoder().decode(page.subarray(0, page.indexOf(0)));
    page.fill(0);
    this.put(NOTE, 0, new TextEncoder().encode(text.replace(said, instead)));
  }

  /** An entry of a page table. */
  entry(
    frame: number,
    index: number,
    to: { readonly frame: number; readonly flags?: number },
  ): void {
    this.u64(frame, 8 * index, BigInt(to.frame * PAGE + (to.flags ?? 0x67)));
  }
}

/** A guest's pages out of bytes. */
export const pagesOfBytes = (bytes: Uint8Array): GuestPages => {
  const frames = Math.floor(bytes.length / PAGE);
  return {
    frames,
    has: (frame) => frame >= 0 && frame < frames,
    read(wanted) {
      const pages = new Uint8Array(wanted.length * PAGE);
      for (const [i, frame] of wanted.entries())
        pages.set(bytes.subarray(frame * PAGE, (frame + 1) * PAGE), i * PAGE);
      return Promise.resolve(pages);
    },
  };
};

export const MADE_SYMBOLS = [
  ['T', '_stext', imageAddress(0)],
  ['D', 'init_task', imageAddress(PROCESSES)],
  ['R', '__start_BTF', imageAddress(10)],
  ['R', '__stop_BTF', imageAddress(12)],
  ['t', 'helper', imageAddress(0, 0x40)],
  ['t', 'helper', imageAddress(0, 0x80)],
  ['d', 'vmemmap_base', imageAddress(PROCESSES, 0xff0)],
] as const;

/** Fields of the made kernel's task_struct, by name. */
export const TASK = {
  tasks: 16,
  pid: 32,
  comm: 40,
  mm: 56,
  __state: 64,
  exit_state: 68,
  flags: 72,
};
const TASK_BYTES = 128;

const field = (offset: number) => [1, offset] as const;

/** Its types; the second enumeration's names are those of counters. */
export const MADE_TYPES: readonly MadeType[] = [
  INT,
  struct('list_head', 16, { next: field(0), prev: field(8) }),
  // A part without a name, as kernels have for what is laid out at random.
  struct(undefined, 40, { pid: field(0), comm: field(8), mm: field(24), __state: field(32) }),
  struct('task_struct', TASK_BYTES, {
    tasks: [2, TASK.tasks],
    '?': [3, TASK.pid],
    exit_state: field(TASK.exit_state),
    flags: field(TASK.flags),
  }),
  { kind: 3, size: 0, words: [1, 1, 4] },
  struct('mm_rss_stat', 32, { count: [5, 0] }),
  struct('mm_struct', 64, { pgd: field(0), rss_stat: [6, 8] }),
  {
    kind: 6,
    size: 4,
    enumerators: { MM_FILEPAGES: 0, MM_ANONPAGES: 1, MM_SWAPENTS: 2, MM_SHMEMPAGES: 3 },
  },
  { kind: 8, name: 'task_t', size: 4 },
  struct('page', 64, {
    flags: field(0),
    compound_head: field(8),
    mapping: field(24),
    private: field(40),
    _mapcount: field(48),
  }),
  { kind: 6, size: 4, enumerators: { PG_lru: 4, PG_slab: 9, PG_reserved: 12 } },
];

function putKallsyms(memory: MadeMemory, isAbsolute: boolean): string {
  memory.u32(7, 0, MADE_SYMBOLS.length);
  const base = imageAddress(0);
  memory.u64(7, 8, base);
  // Every character is a token of its own, but for one that stands for five.
  const tokens = Array.from({ length: 256 }, (_, i) =>
    i === 1 ? 'init_' : String.fromCharCode(i),
  );
  let at = 0;
  for (const [i, token] of tokens.entries()) {
    memory.view.setUint16(7 * PAGE + 16 + 2 * i, at, true);
    const bytes = i === 0 ? [0] : [...Array.from(token, (c) => c.charCodeAt(0)), 0];
    memory.put(7, 1024 + at, bytes);
    at += bytes.length;
  }
  at = 0;
  for (const [i, [kind, name, address]] of MADE_SYMBOLS.entries()) {
    const codes = Array.from(`${kind}${name}`.replace('init_', '\u0001'), (c) => c.charCodeAt(0));
    memory.put(8, at, [codes.length, ...codes]);
    at += 1 + codes.length;
    const offset = isAbsolute ? base - 1n - address : address - base;
    memory.u32(9, 4 * i, Number(BigInt.asUintN(32, offset)));
  }
  const places = { num_syms: [7, 0], relative_base: [7, 8], token_index: [7, 16] } as const;
  const more = { token_table: [7, 1024], names: [8, 0], offsets: [9, 0] } as const;
  return Object.entries({ ...places, ...more })
    .map(([table, [frame, offset]]) => line(table, frame, offset))
    .join('');
}

const line = (table: string, frame: number, offset: number): string =>
  `SYMBOL(kallsyms_${table})=${imageAddress(frame, offset).toString(16)}\n`;

export interface MadeTask {
  readonly pid: number;
  readonly comm: string;
  readonly state: number;
  readonly flags?: number;
  /** Where its mm_struct lies in the frame of processes; null: none. */
  readonly mm: number | null;
}

const TASKS: readonly MadeTask[] = [
  { pid: 0, comm: 'swapper', state: 0, flags: 0x20_0000, mm: null },
  { pid: 2, comm: 'kthreadd', state: 0x402, flags: 0x20_0000, mm: null },
  { pid: 7, comm: 'worker', state: 1, mm: 2048 },
];

/** Where a task lies in the frame of processes. */
export const taskAt = (number: number): number => number * TASK_BYTES;

function putTasks(memory: MadeMemory): void {
  for (const [i, { pid, comm, state, flags = 0, mm }] of TASKS.entries()) {
    const at = taskAt(i);
    const next = taskAt((i + 1) % TASKS.length);
    memory.u64(PROCESSES, at + TASK.tasks, imageAddress(PROCESSES, next + TASK.tasks));
    memory.u32(PROCESSES, at + TASK.pid, pid);
    memory.text(PROCESSES, at + TASK.comm, comm);
    memory.u64(PROCESSES, at + TASK.mm, mm === null ? 0n : imageAddress(PROCESSES, mm));
    memory.u32(PROCESSES, at + TASK.__state, state);
    memory.u32(PROCESSES, at + TASK.flags, flags);
  }
  memory.u64(PROCESSES, 2048, directAddress(13));
  for (const [i, count] of [3, 2, 100, -1].entries())
    memory.u64(PROCESSES, 2056 + 8 * i, BigInt(count));
}

/** Descriptions of pages, as the list at the top has their owners. */
function putPages(memory: MadeMemory): void {
  const page = (frame: number, of: Readonly<Record<number, bigint>>): void => {
    for (const [offset, value] of Object.entries(of))
      memory.u64(20, frame * 64 + Number(offset), value);
  };
  memory.u64(PROCESSES, 0xff0, imageAddress(20));
  for (let frame = 0; frame < MADE_FRAMES; frame += 1) page(frame, { 48: 0xffff_ffffn });
  page(0, { 0: 1n << 12n });
  for (const frame of [1, 2, 3, 4, 5, 13, 14, 15, 16]) page(frame, { 48: 0xffff_fdffn });
  page(6, { 0: 1n << 9n });
  for (const frame of [7, 8]) page(frame, { 8: imageAddress(20, 6 * 64) + 1n });
  for (const frame of [17, 18]) page(frame, { 24: 0xffff_8880_0000_1001n });
  page(19, { 0: 1n << 4n, 24: 0xffff_8880_0000_1000n });
  // Two free pages as one block.
  page(22, { 40: 1n, 48: 0xffff_ff7fn });
}

/** Places of the ring of messages and of its fields, in frame 21. */
const RING = {
  'OFFSET(printk_ringbuffer.desc_ring)': 0,
  'OFFSET(printk_ringbuffer.text_data_ring)': 64,
  'OFFSET(prb_desc_ring.count_bits)': 0,
  'OFFSET(prb_desc_ring.descs)': 8,
  'OFFSET(prb_desc_ring.infos)': 16,
  'OFFSET(prb_desc_ring.head_id)': 24,
  'OFFSET(prb_desc_ring.tail_id)': 32,
  'SIZE(prb_desc)': 24,
  'OFFSET(prb_desc.state_var)': 0,
  'OFFSET(prb_desc.text_blk_lpos)': 8,
  'OFFSET(prb_data_blk_lpos.begin)': 0,
  'OFFSET(prb_data_blk_lpos.next)': 8,
  'SIZE(printk_info)': 24,
  'OFFSET(printk_info.seq)': 0,
  'OFFSET(printk_info.ts_nsec)': 8,
  'OFFSET(printk_info.text_len)': 16,
  'OFFSET(prb_data_ring.size_bits)': 0,
  'OFFSET(prb_data_ring.data)': 8,
  'OFFSET(atomic_long_t.counter)': 0,
};

/** Four messages' room: one that is whole, one that is being written, one around the ring's end. */
function putMessages(memory: MadeMemory): string {
  const word = (offset: number, value: bigint): void => memory.u64(21, offset, value);
  word(0, imageAddress(21, 64));
  const ring = [2n, imageAddress(21, 256), imageAddress(21, 512), 7n, 5n];
  for (const [i, value] of ring.entries()) word(64 + 8 * i, value);
  for (const [i, value] of [6n, imageAddress(21, 1024)].entries()) word(128 + 8 * i, value);
  const put = (
    id: number,
    of: { state: bigint; begin: bigint; next: bigint; bytes: bigint },
  ): void => {
    const slot = (id % 4) * 24;
    for (const [i, value] of [(of.state << 62n) + BigInt(id), of.begin, of.next].entries())
      word(256 + slot + 8 * i, value);
    for (const [i, value] of [BigInt(id), BigInt(id) * 500_000_000n, of.bytes].entries())
      word(512 + slot + 8 * i, value);
  };
  put(5, { state: 2n, begin: 32n, next: 48n, bytes: 5n });
  put(6, { state: 0n, begin: 48n, next: 56n, bytes: 5n });
  put(7, { state: 1n, begin: 56n, next: 80n, bytes: 8n });
  memory.put(21, 1024 + 40, new TextEncoder().encode('first'));
  memory.put(21, 1024 + 8, new TextEncoder().encode('wrapped!'));
  const offsets = Object.entries(RING).map(([key, value]) => `${key}=${value}\n`);
  return `SYMBOL(prb)=${imageAddress(21).toString(16)}\n${offsets.join('')}`;
}

/** Memory of a kernel with four or five levels of page tables. */
export function madeKernel(
  of: { readonly levels?: 4 | 5; readonly isAbsolute?: boolean; readonly types?: Uint8Array } = {},
): MadeMemory {
  const { levels = 4, isAbsolute = true, types = madeBtf(MADE_TYPES) } = of;
  const memory = new MadeMemory();
  const top = levels === 5 ? 5 : 1;
  if (levels === 5) memory.entry(5, 511, { frame: 1 });
  memory.entry(1, 511, { frame: 2 });
  memory.entry(2, 510, { frame: 3 });
  // The image lies 20 MiB behind where images are mapped.
  memory.entry(3, 10, { frame: 4 });
  for (let frame = 0; frame < MADE_FRAMES; frame += 1) memory.entry(4, frame, { frame });
  // All memory once more, in a large page.
  if (levels === 5) memory.entry(5, Number((DIRECT >> 48n) & 511n), { frame: 1 });
  memory.entry(1, Number((DIRECT >> 39n) & 511n), { frame: 19 });
  memory.entry(19, 0, { frame: 0, flags: 0xe7 });
  const places = putKallsyms(memory, isAbsolute);
  memory.put(10, 0, types);
  putTasks(memory);
  putPages(memory);
  const messages = putMessages(memory);
  memory.entry(13, 0, { frame: 14 });
  memory.entry(14, 0, { frame: 15 });
  memory.entry(15, 2, { frame: 16 });
  memory.entry(16, 0, { frame: 17 });
  memory.entry(16, 5, { frame: 18 });
  memory.text(18, 0x10, 'kept by process 7');
  memory.text(
    NOTE,
    0,
    `OSRELEASE=6.1.0-made\nBUILD-ID=00112233445566778899aabbccddeeff00112233\nPAGESIZE=4096\n` +
      `KERNELOFFSET=400000\nNUMBER(phys_base)=${-0x140_0000}\n` +
      `NUMBER(pgtable_l5_enabled)=${levels === 5 ? 1 : 0}\n` +
      `SYMBOL(swapper_pg_dir)=${imageAddress(top).toString(16)}\n` +
      `SYMBOL(_stext)=${imageAddress(0).toString(16)}\n${places}${messages}`,
  );
  return memory;
}

/** The frame of its VMCOREINFO. */
export const MADE_NOTE = NOTE;
