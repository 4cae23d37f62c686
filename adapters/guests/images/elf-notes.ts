// The notes of an ELF core: for each CPU Linux's status of a thread (`CORE`, type 1), which debuggers take
// its registers from, then for each one QEMU's own of a CPU (`QEMU`, type 0), which has the registers of
// the system too, and what the guest's kernel says of itself (`VMCOREINFO`, type 0, its text). Numbers are
// little-endian; each note is
//
//   0   4  bytes of the name, its NUL too
//   4   4  bytes of the content
//   8   4  type
//  12   -  name, then content, each padded to 4 bytes
//
// Linux's status has the thread's number at 32 and from 112 on r15, r14, r13, r12, rbp, rbx, r11, r10,
// r9, r8, rax, rcx, rdx, rsi, rdi, the number of a system call (none), rip, cs, rflags, rsp, ss, the
// bases of fs and gs, ds, es, fs and gs, 8 bytes each; 336 bytes. QEMU's is 440 bytes:
//
//   0   4  version: 1
//   4   4  its bytes
//   8  128 rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8 to r15
// 136  16  rip, rflags
// 152  240 cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt: selector, limit, flags, 0 (4 bytes each), base
// 392  40  cr0, 0 for cr1, cr2, cr3, cr4
// 432   8  the other base of gs

import type { GuestKernel } from '../../../domain/ports/guests.ts';
import type { GeneralRegister, SegmentRegister, X86Cpu } from '../../../domain/values/x86-cpu.ts';

const STATUS_BYTES = 336;
const STATUS_TYPE = 1;
const STATUS_THREAD_AT = 32;
const STATUS_REGISTERS_AT = 112;
const CPU_BYTES = 440;
const CPU_TYPE = 0;
const CPU_VERSION = 1;
const KERNEL_TYPE = 0;
const HEAD_BYTES = 12;

/** Linux numbers no task so, nor higher: what a CPU is called where no process is known to run on it. */
const NO_TASK = 2 ** 22;

const STATUS_FIRST: readonly GeneralRegister[] = [
  ...(['r15', 'r14', 'r13', 'r12', 'rbp', 'rbx', 'r11', 'r10'] as const),
  ...(['r9', 'r8', 'rax', 'rcx', 'rdx', 'rsi', 'rdi'] as const),
];
const CPU_GENERAL: readonly GeneralRegister[] = [
  ...(['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rsp', 'rbp'] as const),
  ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const),
];
const CPU_SEGMENTS: readonly SegmentRegister[] = [
  ...(['cs', 'ds', 'es', 'fs', 'gs', 'ss', 'ldt', 'tr', 'gdt', 'idt'] as const),
];

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;

function noteOf(name: string, type: number, content: Uint8Array): Uint8Array {
  const nameBytes = name.length + 1;
  const note = new Uint8Array(HEAD_BYTES + padded(nameBytes) + padded(content.length));
  const view = new DataView(note.buffer);
  view.setUint32(0, nameBytes, true);
  view.setUint32(4, content.length, true);
  view.setUint32(8, type, true);
  note.set(new TextEncoder().encode(name), HEAD_BYTES);
  note.set(content, HEAD_BYTES + padded(nameBytes));
  return note;
}

/** Puts values of 8 bytes one after the other; gives where they end. */
function putAll(view: DataView, from: number, values: readonly bigint[]): number {
  let at = from;
  for (const value of values) {
    view.setBigUint64(at, value, true);
    at += 8;
  }
  return at;
}

function statusOf(cpu: X86Cpu, pid: number | null): Uint8Array {
  const { number, general, rip, rflags, segments } = cpu;
  const status = new Uint8Array(STATUS_BYTES);
  const view = new DataView(status.buffer);
  const selector = (name: SegmentRegister): bigint => BigInt(segments.get(name)!.selector);
  // CPUs that idle all run the task of number 0, and threads need numbers of their own.
  view.setUint32(STATUS_THREAD_AT, pid === null || pid === 0 ? NO_TASK + number : pid, true);
  putAll(view, STATUS_REGISTERS_AT, [
    ...STATUS_FIRST.map((name) => general.get(name)!),
    0n,
    rip,
    selector('cs'),
    rflags,
    general.get('rsp')!,
    selector('ss'),
    segments.get('fs')!.base,
    segments.get('gs')!.base,
    ...(['ds', 'es', 'fs', 'gs'] as const).map(selector),
  ]);
  return noteOf('CORE', STATUS_TYPE, status);
}

function cpuOf({ general, rip, rflags, segments, ...cpu }: X86Cpu): Uint8Array {
  const bytes = new Uint8Array(CPU_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, CPU_VERSION, true);
  view.setUint32(4, CPU_BYTES, true);
  let at = putAll(view, 8, [...CPU_GENERAL.map((name) => general.get(name)!), rip, rflags]);
  for (const name of CPU_SEGMENTS) {
    const { selector, limit, flags, base } = segments.get(name)!;
    view.setUint32(at, selector, true);
    view.setUint32(at + 4, limit, true);
    view.setUint32(at + 8, flags, true);
    at = putAll(view, at + 16, [base]);
  }
  putAll(view, at, [cpu.cr0, 0n, cpu.cr2, cpu.cr3, cpu.cr4, cpu.kernelGsBase]);
  return noteOf('QEMU', CPU_TYPE, bytes);
}

/** All notes of a core, one after the other. */
export function notesOf(cpus: readonly X86Cpu[], kernel: GuestKernel | null): Uint8Array {
  const notes = [
    ...cpus.map((cpu, i) => statusOf(cpu, kernel?.running[i] ?? null)),
    ...cpus.map(cpuOf),
    ...(kernel === null ? [] : [noteOf('VMCOREINFO', KERNEL_TYPE, kernel.vmcoreinfo)]),
  ];
  const all = new Uint8Array(notes.reduce((sum, note) => sum + note.length, 0));
  let at = 0;
  for (const note of notes) {
    all.set(note, at);
    at += note.length;
  }
  return all;
}
