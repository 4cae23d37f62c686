// Reads an ELF core of x86-64 as a debugger does, by its table of segments alone.

export interface CoreSegment {
  readonly virtual: bigint;
  readonly physical: number;
  readonly bytes: Buffer;
}

export interface CoreNote {
  readonly name: string;
  readonly type: number;
  readonly bytes: Buffer;
}

export interface ElfCore {
  readonly segments: readonly CoreSegment[];
  readonly notes: readonly CoreNote[];
}

const [MEMORY, NOTES] = [1, 4];
const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;

function notesIn(bytes: Buffer): CoreNote[] {
  const notes: CoreNote[] = [];
  let at = 0;
  while (at < bytes.length) {
    const [name, length, type] = [0, 4, 8].map((field) => bytes.readUInt32LE(at + field));
    const bytesAt = at + 12 + padded(name!);
    notes.push({
      name: bytes.toString('latin1', at + 12, at + 12 + name! - 1),
      type: type!,
      bytes: bytes.subarray(bytesAt, bytesAt + length!),
    });
    at = bytesAt + padded(length!);
  }
  return notes;
}

/** A core; throws where it is none of x86-64, or shorter than its head says. */
export function readCore(file: Buffer): ElfCore {
  const isCore =
    file.toString('latin1', 0, 7) === '\x7fELF\x02\x01\x01' &&
    file.readUInt16LE(16) === 4 &&
    file.readUInt16LE(18) === 62 &&
    file.readUInt16LE(54) === 56;
  if (!isCore) throw new TypeError('no ELF core of x86-64');
  const u64 = (at: number): number => Number(file.readBigUInt64LE(at));
  const segments: CoreSegment[] = [];
  const notes: CoreNote[] = [];
  for (let i = 0; i < file.readUInt16LE(56); i += 1) {
    const at = u64(32) + i * 56;
    const [offset, length] = [u64(at + 8), u64(at + 32)];
    if (offset + length > file.length) throw new TypeError('the core is cut short');
    const bytes = file.subarray(offset, offset + length);
    if (file.readUInt32LE(at) === NOTES) notes.push(...notesIn(bytes));
    if (file.readUInt32LE(at) === MEMORY)
      segments.push({ virtual: file.readBigUInt64LE(at + 16), physical: u64(at + 24), bytes });
  }
  return { segments, notes };
}
