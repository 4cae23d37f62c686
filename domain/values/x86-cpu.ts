// A virtual CPU of x86-64 at an instant: the registers by which its memory is understood.

/** General registers in the order of their numbers in instructions. */
export const GENERAL_REGISTERS = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
] as const;
export type GeneralRegister = (typeof GENERAL_REGISTERS)[number];

/** Segment registers in the order of their numbers. */
export const SEGMENT_REGISTERS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;
/** Registers that tell of tables of segments, tasks and interrupts. */
export const TABLE_REGISTERS = ['ldt', 'tr', 'gdt', 'idt'] as const;
export type SegmentRegister = (typeof SEGMENT_REGISTERS)[number] | (typeof TABLE_REGISTERS)[number];

/** What a CPU knows of a segment. */
export interface X86Segment {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  /** The upper half of its descriptor. */
  readonly flags: number;
}

/** What a CPU calculates with beside its general registers. */
export interface X86Float {
  readonly control: number;
  /** With the place of the top of the stack. */
  readonly status: number;
  /** Which of the eight registers hold something, by their own numbers: a bit each. */
  readonly used: number;
  /** The eight registers as they follow each other from the top of the stack on: 80 bits each. */
  readonly stack: readonly bigint[];
  /** 128 bits each. */
  readonly vectors: readonly bigint[];
  readonly mxcsr: number;
}

export interface X86Cpu {
  /** From 0 on. */
  readonly number: number;
  /** All of them. */
  readonly general: ReadonlyMap<GeneralRegister, bigint>;
  readonly rip: bigint;
  readonly rflags: bigint;
  /** All of them. */
  readonly segments: ReadonlyMap<SegmentRegister, X86Segment>;
  readonly cr0: bigint;
  readonly cr2: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  /** The other base of gs, which the kernel exchanges with it. */
  readonly kernelGsBase: bigint;
  /** The priority that its interrupts have to exceed; null: not recorded. */
  readonly cr8: bigint | null;
  /** Null: not recorded. */
  readonly float: X86Float | null;
}
