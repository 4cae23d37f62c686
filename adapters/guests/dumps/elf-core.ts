// ELF cores of guests: QEMU's (dump-guest-memory, `virsh dump --memory-only`), Cloud Hypervisor's,
// VirtualBox's, and those of a kernel's crash (/proc/vmcore). The table of segments says where in the
// file memory lies and at which addresses in the guest (elf-head.ts has its form). Of 32 and of 64 bits.
// A core of a process is of its own addresses, and refused. Xen's has sections instead (xen-core.ts).
//
// A segment that has fewer bytes in the file than in memory is of makedumpfile (-E, with -d): what is
// behind them was left out, and nothing says whether that was zeros. QEMU's (dump-guest-memory -p) has
// segments of devices without a byte, and without a place in the file: these are no memory.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { dumpUnfit, u64, type DumpFile } from './dump-file.ts';
import type { Dump } from './dump-source.ts';
import { leftOut, type LeftOut } from './left-out.ts';
import { endOfRun, type MemoryRun } from './memory-run.ts';
import { SEGMENTS_MAX, type Segment } from './segments.ts';
import { readXenCore } from './xen-core.ts';

const HEADER_BYTES = 64;
const CLASS_AT = 4;
const ORDER_AT = 5;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const TYPE_CORE = 4;
const KIND_MEMORY = 1;
const KIND_NOTES = 4;
/** Entries that are more have their number in the first section. */
const ENTRIES_ELSEWHERE = 0xffff;
/** Of all notes together. */
const NOTES_BYTES_MAX = 16 * 1024 * 1024;

interface Entry extends Segment {
  readonly kind: number;
  readonly lengthInMemory: number;
  /** How far its virtual addresses are from these. */
  readonly shift: number;
}

/** Where what stands in a table, by the class of the file: of 64 bits, and of 32. */
const PLACES = {
  64: {
    table: 32,
    sections: 40,
    entryBytes: 56,
    offset: 8,
    virtual: 16,
    address: 24,
    length: 32,
    memory: 40,
    sectionBytes: 64,
    sectionInfo: 44,
    entrySize: 54,
  },
  32: {
    table: 28,
    sections: 32,
    entryBytes: 32,
    offset: 4,
    virtual: 8,
    address: 12,
    length: 16,
    memory: 20,
    sectionBytes: 40,
    sectionInfo: 28,
    entrySize: 42,
  },
} as const;

class ElfFile {
  readonly #file: DumpFile;
  readonly #head: DataView;
  readonly #bits: 64 | 32;

  constructor(file: DumpFile) {
    this.#file = file;
    const head = file.view(0, HEADER_BYTES, 'the header');
    this.#head = head;
    this.#bits = head.getUint8(CLASS_AT) === CLASS_64 ? 64 : 32;
    if (head.getUint8(ORDER_AT) !== LITTLE_ENDIAN)
      throw dumpUnfit(file.label, 'is a core of a big-endian machine', 'such are not recorded');
    const type = head.getUint16(16, true);
    if (type !== TYPE_CORE)
      throw dumpUnfit(file.label, `is an ELF file of type ${type}`, 'expected a core (4)');
  }

  #word(view: DataView, at: number): number {
    return this.#bits === 64 ? u64(view, at) : view.getUint32(at, true);
  }

  #count(): number {
    const { sections, sectionBytes, sectionInfo, entrySize } = PLACES[this.#bits];
    const count = this.#head.getUint16(entrySize + 2, true);
    if (count !== ENTRIES_ELSEWHERE) return count;
    const at = this.#word(this.#head, sections);
    return this.#file.view(at, sectionBytes, 'the first section').getUint32(sectionInfo, true);
  }

  get hasTable(): boolean {
    return this.#count() > 0;
  }

  entries(): readonly Entry[] {
    const { table, entryBytes, entrySize, ...at } = PLACES[this.#bits];
    const size = this.#head.getUint16(entrySize, true);
    const count = this.#count();
    const { label } = this.#file;
    const damaged = 'it is damaged; copy or dump it again';
    if (size !== entryBytes || count > SEGMENTS_MAX)
      throw dumpUnfit(label, `has ${count} segments of ${size} bytes in its table`, damaged);
    const tableAt = this.#word(this.#head, table);
    const view = this.#file.view(tableAt, count * entryBytes, 'the table of segments');
    return Array.from({ length: count }, (_, i) => {
      const word = (field: number): number => this.#word(view, i * entryBytes + field);
      const address = word(at.address);
      return {
        kind: view.getUint32(i * entryBytes, true),
        offset: word(at.offset),
        address,
        length: word(at.length),
        lengthInMemory: word(at.memory),
        shift: word(at.virtual) - address,
      };
    });
  }
}

/** Whose note it is and of what kind. */
interface Note {
  readonly name: string;
  readonly type: number;
}

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** The notes that there are; what is no note ends them, and so does their size. */
function* notesOf(file: DumpFile, entries: readonly Entry[]): Generator<Note> {
  let left = NOTES_BYTES_MAX;
  for (const { kind, offset, length } of entries) {
    if (kind !== KIND_NOTES || left === 0) continue;
    const view = file.view(offset, Math.min(length, left), 'notes');
    left -= view.byteLength;
    for (let at = 0; at + 12 <= view.byteLength;) {
      const nameBytes = view.getUint32(at, true);
      const end = at + 12 + padded(nameBytes) + padded(view.getUint32(at + 4, true));
      if (nameBytes === 0 || end > view.byteLength) break;
      const name = new Uint8Array(view.buffer, at + 12, nameBytes - 1);
      yield {
        name: String.fromCharCode(...name.subarray(0, 32)),
        type: view.getUint32(at + 8, true),
      };
      at = end;
    }
  }
}

/** Kinds of notes that processes have: who it was, what its kernel told it, the files it had mapped. */
const OF_PROCESSES = new Set([3, 6, 0x4649_4c45]);
const isOfProcess = ({ name, type }: Note): boolean => name === 'CORE' && OF_PROCESSES.has(type);

/** What the file has of a segment; of one that is cut, whole pages. */
function toldOf({ address, offset, length, lengthInMemory }: Entry): Segment {
  const end = address + length;
  const isCut = length < lengthInMemory;
  return {
    address,
    offset,
    length: isCut ? Math.max(0, end - (end % PAGE_BYTES) - address) : length,
  };
}

/**
 * What the file has, ascending, each address once: the kernel's image is in RAM, and there again at its
 * own virtual addresses, also in part. Segments that overlap and are of the same virtual addresses stay.
 */
function distinct(entries: readonly Entry[]): readonly Segment[] {
  const kept: Segment[] = [];
  const sorted = entries.toSorted(
    (a, b) => a.address - b.address || b.lengthInMemory - a.lengthInMemory,
  );
  let [end, shift] = [0, 0];
  for (const entry of sorted) {
    const segment = toldOf(entry);
    const over = entry.shift === shift ? 0 : Math.max(0, end - segment.address);
    if (segment.length === 0 || endOfRun(segment) <= end) continue;
    const { address, offset, length } = segment;
    kept.push({ address: address + over, offset: offset + over, length: length - over });
    [end, shift] = [endOfRun(segment), entry.shift];
  }
  return kept;
}

/** What segments that are cut tell of beyond what the file has; null: none is. */
function leftOutOf(
  file: DumpFile,
  entries: readonly Entry[],
  told: readonly Segment[],
): LeftOut | null {
  const cut = entries.filter(({ length, lengthInMemory }) => length < lengthInMemory);
  if (cut.length === 0) return null;
  const all = cut.map((entry): MemoryRun => {
    const from = endOfRun(toldOf(entry));
    const end = entry.address + entry.lengthInMemory;
    return { address: from, length: Math.ceil(end / PAGE_BYTES) * PAGE_BYTES - from };
  });
  return {
    runs: leftOut(
      file,
      all.toSorted((a, b) => a.address - b.address),
      told,
    ),
    why: 'it was made with `makedumpfile -E` and a level that leaves them out, and does not tell whether they were zeros; -d 0 leaves nothing out',
  };
}

/** Whether it is memory: devices have no place in the file. */
const isMemory = ({ kind, length, offset, lengthInMemory }: Entry): boolean =>
  kind === KIND_MEMORY && (length > 0 || (lengthInMemory > 0 && offset === 0));

/** Segments of a core. */
export function readElfCore(file: DumpFile): Dump {
  const { label } = file;
  const core = new ElfFile(file);
  if (!core.hasTable) {
    const ofXen = readXenCore(file);
    if (ofXen !== null) return ofXen;
    throw dumpUnfit(label, 'has no table of segments', 'it is damaged; copy or dump it again');
  }
  const entries = core.entries();
  const notes = [...notesOf(file, entries)];
  if (notes.some(isOfProcess))
    throw dumpUnfit(
      label,
      'is a core of a process, whose addresses are its own',
      'record a dump of the guest (dump-guest-memory, `virsh dump --memory-only`)',
    );
  const memory = entries.filter(isMemory);
  const segments = distinct(memory);
  const without = leftOutOf(file, memory, segments);
  const hasDevices = notes.some(({ name }) => name === 'QEMU');
  return {
    segments,
    mode: 'core',
    between: 'nothing',
    hasDevices,
    ...(without === null ? {} : { leftOut: without }),
  };
}
