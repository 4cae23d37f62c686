// The processes of a kernel: the list of tasks from init_task on, which are those that /proc lists. What
// is told of each is what /proc/PID/stat tells: the names of kernel threads and workers as the kernel puts
// them together, the state as one letter, resident pages from the counters that the kernel itself shows.

import { requiredField, type Btf } from './btf.ts';
import { invalid, undescribed } from './guest-failures.ts';
import { requiredVariable, type KernelSymbols } from './kallsyms.ts';
import { textIn, toPageEnd, type VirtualMemory } from './virtual-memory.ts';

/** More than a kernel has at the usual limits of a machine with 64 GiB. */
const TASKS_MAX = 2 ** 17;
const COMM_BYTES = 16;
/** A name as /proc shows it at most. */
const NAME_CHARACTERS_MAX = 63;
const DESCRIPTION_BYTES = 32;
/** Bits of a task's flags. */
const KERNEL_THREAD = 0x20_0000;
const WORKER = 0x20;
/** A state is a bit each, from the lowest on, after none: `R`. */
const STATES = 'RSDTtXZPI';
const REPORTED = 0x7f;
const IDLE = 0x402;
const IDLE_STATE = 8;
const FROZEN = 0x8000;
const UNINTERRUPTIBLE = 2;
/** Counters of resident pages: of files, without a file, and shared memory. */
const RESIDENT = ['MM_FILEPAGES', 'MM_ANONPAGES', 'MM_SHMEMPAGES'] as const;

/** A process. */
export interface Task {
  /** Where its task_struct lies. */
  readonly address: bigint;
  readonly pid: number;
  readonly command: string;
  /** As /proc has it: `R` running, `S` sleeping, `D` waiting for a disk, `I` an idle kernel thread... */
  readonly state: string;
  readonly isKernelThread: boolean;
  /** Where its mm_struct lies; 0: it has no memory of its own. */
  readonly mm: bigint;
  /** Resident pages, as the kernel counts them. */
  readonly pages: number;
}

/** Where the fields lie that are read of a process; null: this kernel has none such. */
export interface TaskLayout {
  readonly tasks: number;
  readonly pid: number;
  readonly comm: number;
  readonly mm: number;
  readonly state: number;
  readonly exitState: number;
  readonly flags: number;
  readonly pgd: number;
  /** From an mm_struct to the counters of resident pages. */
  readonly resident: readonly number[];
  readonly thread: {
    /** From a task_struct to where its struct kthread is named. */
    readonly kthread: number;
    readonly fullName: number | null;
    readonly data: number;
    readonly workerPool: number;
    readonly workerDescription: number;
    readonly workerCurrent: number;
  } | null;
}

/** From a kernel's types. GUEST_UNDESCRIBED where they have not what is needed. */
export function taskLayoutOf(btf: Btf): TaskLayout {
  const task = (...path: string[]): number => requiredField(btf, 'task_struct', ...path);
  return {
    tasks: task('tasks'),
    pid: task('pid'),
    comm: task('comm'),
    mm: task('mm'),
    state: btf.offsetOf('task_struct', '__state') ?? task('state'),
    exitState: task('exit_state'),
    flags: task('flags'),
    pgd: requiredField(btf, 'mm_struct', 'pgd'),
    resident: residentCounters(btf),
    thread: threadLayoutOf(btf),
  };
}

/** Counters in an mm_struct: plain ones up to Linux 6.1, with parts for each processor from 6.2 on. */
function residentCounters(btf: Btf): readonly number[] {
  const plain = btf.offsetOf('mm_struct', 'rss_stat', 'count');
  const first = plain ?? requiredField(btf, 'mm_struct', 'rss_stat');
  const bytes =
    plain === null
      ? btf.elementBytes('mm_struct', 'rss_stat')
      : btf.elementBytes('mm_struct', 'rss_stat', 'count');
  const within = plain === null ? (btf.offsetOf('percpu_counter', 'count') ?? 0) : 0;
  return RESIDENT.map((name) => {
    const index = btf.enumerator(name);
    if (index === null || bytes === null || index > 16)
      throw undescribed(`the kernel's types (BTF) do not say where resident pages are counted`);
    return first + index * bytes + within;
  });
}

function threadLayoutOf(btf: Btf): TaskLayout['thread'] {
  const kthread = btf.offsetOf('task_struct', 'worker_private');
  const data = btf.offsetOf('kthread', 'data');
  const workerPool = btf.offsetOf('worker', 'pool');
  const workerDescription = btf.offsetOf('worker', 'desc');
  const workerCurrent = btf.offsetOf('worker', 'current_work');
  if (kthread === null || data === null || workerPool === null) return null;
  if (workerDescription === null || workerCurrent === null) return null;
  const fullName = btf.offsetOf('kthread', 'full_name');
  return { kthread, fullName, data, workerPool, workerDescription, workerCurrent };
}

/** A structure's bytes, and numbers in it. */
class Structure {
  readonly #memory: VirtualMemory;
  readonly #address: bigint;

  constructor(memory: VirtualMemory, address: bigint) {
    this.#memory = memory;
    this.#address = address;
  }

  u32(offset: number): Promise<number> {
    return this.#memory.u32(this.#address + BigInt(offset), 'a task');
  }

  u64(offset: number): Promise<bigint> {
    return this.#memory.u64(this.#address + BigInt(offset), 'a task');
  }

  async text(offset: number, bytesMax: number): Promise<string> {
    return textIn(await this.#memory.read(this.#address + BigInt(offset), bytesMax, 'a name'));
  }
}

/** The letter of a state, as /proc has it. */
function stateLetter(state: number, exitState: number): string {
  let reported = (state | exitState) & REPORTED;
  if ((state & IDLE) === IDLE) return STATES[IDLE_STATE]!;
  if ((state & FROZEN) !== 0) reported = UNINTERRUPTIBLE;
  return STATES[32 - Math.clz32(reported)]!;
}

/** Reads the processes of a kernel. */
export class TaskReader {
  readonly #memory: VirtualMemory;
  readonly #layout: TaskLayout;

  constructor(memory: VirtualMemory, layout: TaskLayout) {
    this.#memory = memory;
    this.#layout = layout;
  }

  /** All processes, by pid. GUEST_INVALID where their list does not come back to where it began. */
  async all(symbols: KernelSymbols): Promise<readonly Task[]> {
    const init = requiredVariable(symbols, 'init_task');
    const next = async (task: bigint): Promise<bigint> => {
      const link = await this.#memory.u64(task + BigInt(this.#layout.tasks), 'the list of tasks');
      return BigInt.asUintN(64, link - BigInt(this.#layout.tasks));
    };
    const tasks: Task[] = [];
    const seen = new Set<bigint>([init]);
    for (let task = await next(init); task !== init; task = await next(task)) {
      if (seen.has(task)) throw invalid('the list of tasks runs in a circle');
      if (seen.size > TASKS_MAX) throw invalid(`the list of tasks has over ${TASKS_MAX} of them`);
      seen.add(task);
      tasks.push(await this.#task(task));
    }
    return tasks.toSorted((a, b) => a.pid - b.pid);
  }

  async #task(address: bigint): Promise<Task> {
    const layout = this.#layout;
    const task = new Structure(this.#memory, address);
    const mm = await task.u64(layout.mm);
    const flags = await task.u32(layout.flags);
    const isKernelThread = (flags & KERNEL_THREAD) !== 0;
    const comm = await task.text(layout.comm, COMM_BYTES);
    return {
      address,
      pid: (await task.u32(layout.pid)) | 0,
      command: isKernelThread ? await this.#threadName(task, flags, comm) : comm,
      state: stateLetter(await task.u32(layout.state), await task.u32(layout.exitState)),
      isKernelThread,
      mm,
      pages: mm === 0n ? 0 : await this.#resident(mm),
    };
  }

  async #resident(address: bigint): Promise<number> {
    const mm = new Structure(this.#memory, address);
    let pages = 0;
    for (const offset of this.#layout.resident) {
      const counted = BigInt.asIntN(64, await mm.u64(offset));
      if (counted > 0n && counted < 2n ** 52n) pages += Number(counted);
    }
    return pages;
  }

  /** A kernel thread's whole name, and of a worker what it does, or did last. */
  async #threadName(task: Structure, flags: number, comm: string): Promise<string> {
    const { thread } = this.#layout;
    const address = thread === null ? 0n : await task.u64(thread.kthread);
    if (thread === null || address === 0n) return comm;
    const kthread = new Structure(this.#memory, address);
    const at = thread.fullName === null ? 0n : await kthread.u64(thread.fullName);
    const name = (at === 0n ? comm : await this.#name(at, comm)).slice(0, NAME_CHARACTERS_MAX);
    if ((flags & WORKER) === 0) return name;
    // Kernels that number their workers as a whole show the whole name, others what fits a task.
    const shown = name.startsWith('kworker/') ? name : comm;
    const worker = new Structure(this.#memory, await kthread.u64(thread.data));
    if ((await worker.u64(thread.workerPool)) === 0n) return shown;
    const does = await worker.text(thread.workerDescription, DESCRIPTION_BYTES);
    const sign = (await worker.u64(thread.workerCurrent)) === 0n ? '-' : '+';
    return `${shown}${does === '' ? '' : sign}${does}`.slice(0, NAME_CHARACTERS_MAX);
  }

  /** A name of its own memory, which may end near what is not mapped. */
  async #name(address: bigint, comm: string): Promise<string> {
    const length = Math.min(NAME_CHARACTERS_MAX + 1, toPageEnd(address));
    const bytes = await this.#memory.tryRead(address, length);
    return bytes === null ? comm : textIn(bytes);
  }

  /** The frame of a process's page tables; null: it has no memory of its own, or none that is mapped. */
  async rootOf({ mm }: Task): Promise<number | null> {
    if (mm === 0n) return null;
    const pgd = await this.#memory.u64(mm + BigInt(this.#layout.pgd), "a process's page tables");
    return this.#memory.frameOf(pgd);
  }

  /** A process's memory, by its number; null: there is no such process, or it has none of its own. */
  async memoryOf(symbols: KernelSymbols, pid: number): Promise<VirtualMemory | null> {
    const task = (await this.all(symbols)).find((each) => each.pid === pid);
    const root = task === undefined ? null : await this.rootOf(task);
    return root === null ? null : this.#memory.at(root);
  }
}
