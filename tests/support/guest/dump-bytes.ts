// Dumps of memory as other tools write them, byte by byte, by their documents.

const le = (bytes: number, value: number): Buffer => {
  const out = Buffer.alloc(bytes);
  if (bytes === 8) out.writeBigUInt64LE(BigInt(value));
  else out.writeUIntLE(value, 0, bytes);
  return out;
};
export const u16le = (value: number): Buffer => le(2, value);
export const u32le = (value: number): Buffer => le(4, value);
export const u64le = (value: number): Buffer => le(8, value);

/** A run of memory by its address. */
export interface MemoryRun {
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Bytes that follow it and are left out, where a format can say so. Absent: none. */
  readonly leftOut?: number;
}

/** The header of a range, of LiME and of avml. */
export const rangeHeader = (magic: string, version: number, run: MemoryRun): Buffer =>
  Buffer.concat([
    Buffer.from(magic),
    u32le(version),
    u64le(run.address),
    u64le(run.address + run.bytes.length - 1),
    u64le(0),
  ]);

/** A dump of LiME's, and of avml's without compression. */
export const limeDump = (runs: readonly MemoryRun[]): Buffer =>
  Buffer.concat(runs.flatMap((run) => [rangeHeader('EMiL', 1, run), run.bytes]));

export const elfNote = (name: string, type: number, bytes: Uint8Array): Buffer => {
  const named = Buffer.from(`${name}\0`);
  const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
  return Buffer.concat([
    u32le(named.length),
    u32le(bytes.length),
    u32le(type),
    named,
    padding(named.length),
    bytes,
    padding(bytes.length),
  ]);
};

interface CoreRequest {
  readonly runs: readonly MemoryRun[];
  readonly notes?: readonly Uint8Array[];
  readonly bits?: 32 | 64;
  /** How far virtual addresses are from physical ones, by the number of a run; absent: all the same. */
  readonly shiftOf?: (run: number) => number;
  /** Whether the number of segments stands in a section, as that of very many. */
  readonly isCountElsewhere?: boolean;
}

/** An ELF core, little-endian, its segments in the order of the runs. */
export function elfCore({
  runs,
  notes = [],
  bits = 64,
  isCountElsewhere,
  shiftOf = () => 2 ** 20,
}: CoreRequest): Buffer {
  const isWide = bits === 64;
  const word = isWide ? u64le : u32le;
  const [headBytes, entryBytes, sectionBytes] = isWide ? [64, 56, 64] : [52, 32, 40];
  const count = runs.length + 1;
  const sectionAt = headBytes;
  const tableAt = sectionAt + sectionBytes;
  const noteBytes = Buffer.concat(notes);
  let at = tableAt + count * entryBytes + noteBytes.length;
  const entry = (kind: number, offset: number, run: MemoryRun, shift = 0): Buffer => {
    const { length } = run.bytes;
    // What has no byte has no place, as makedumpfile has it.
    const places = [word(length === 0 ? 0 : offset), word(run.address + shift), word(run.address)];
    const lengths = [word(length), word(length + (run.leftOut ?? 0))];
    return isWide
      ? Buffer.concat([u32le(kind), u32le(7), ...places, ...lengths, word(0)])
      : Buffer.concat([u32le(kind), ...places, ...lengths, u32le(7), word(0)]);
  };
  const table = [entry(4, at - noteBytes.length, { address: 0, bytes: noteBytes })];
  for (const [i, run] of runs.entries()) {
    table.push(entry(1, at, run, shiftOf(i)));
    at += run.bytes.length;
  }
  const head = Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, isWide ? 2 : 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    u16le(4),
    u16le(isWide ? 62 : 3),
    u32le(1),
    word(0),
    word(tableAt),
    word(sectionAt),
    u32le(0),
    ...[headBytes, entryBytes, isCountElsewhere === true ? 0xffff : count].map(u16le),
    ...[sectionBytes, 1, 0].map(u16le),
  ]);
  const section = Buffer.alloc(sectionBytes);
  section.writeUInt32LE(isCountElsewhere === true ? count : 0, isWide ? 44 : 28);
  return Buffer.concat([head, section, ...table, noteBytes, ...runs.map(({ bytes }) => bytes)]);
}

/** A core of Xen's, of a guest with hardware's help or without; its sections in an order of their own. */
export function xenCore(runs: readonly MemoryRun[], kind: 'pfn' | 'p2m' = 'pfn'): Buffer {
  const names = Buffer.from(`\0.shstrtab\0.note.Xen\0.xen_pages\0.xen_${kind}\0`);
  const nameAt = (name: string): number => names.indexOf(`${name}\0`);
  const pages = runs.flatMap(({ address, bytes }) =>
    Array.from({ length: bytes.length / 4096 }, (_, i) => address / 4096 + i),
  );
  // One page that is none, behind the others.
  const none = Buffer.alloc(kind === 'pfn' ? 8 : 16, 0xff);
  const numbers = pages.map((page) =>
    kind === 'pfn' ? u64le(page) : Buffer.concat([u64le(page), u64le(page + 77)]),
  );
  const parts: readonly (readonly [string, Uint8Array])[] = [
    ['.shstrtab', names],
    ['.xen_pages', Buffer.concat([...runs.map(({ bytes }) => bytes), Buffer.alloc(4096, 5)])],
    ['.note.Xen', Buffer.alloc(32)],
    [`.xen_${kind}`, Buffer.concat([...numbers, none])],
  ];
  let at = 64 + (parts.length + 1) * 64;
  const table = [Buffer.alloc(64)];
  for (const [name, { length }] of parts) {
    const entry = Buffer.concat([u32le(nameAt(name)), u32le(1), u64le(0), u64le(0), u64le(at)]);
    table.push(Buffer.concat([entry, u64le(length), Buffer.alloc(24)]));
    at += length;
  }
  const head = Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    u16le(4),
    u16le(62),
    u32le(1),
    ...[0, 0, 64].map(u64le),
    u32le(0),
    ...[64, 0, 0, 64, parts.length + 1, 1].map(u16le),
  ]);
  return Buffer.concat([head, ...table, ...parts.map(([, bytes]) => bytes)]);
}

/** A full crash dump of Windows', or one of another kind. */
export function windowsDump(runs: readonly MemoryRun[], kind = 1): Buffer {
  const header = Buffer.alloc(0x2000, 'PAGE');
  header.write('PAGEDU64');
  header.writeUInt32LE(runs.length, 0x88);
  for (const [i, { address, bytes }] of runs.entries()) {
    header.writeBigUInt64LE(BigInt(address / 4096), 0x98 + 16 * i);
    header.writeBigUInt64LE(BigInt(bytes.length / 4096), 0xa0 + 16 * i);
  }
  header.writeUInt32LE(kind, 0xf98);
  return Buffer.concat([header, ...runs.map(({ bytes }) => bytes)]);
}

interface BitmapDumpRequest {
  readonly runs: readonly MemoryRun[];
  /** What the header tells of memory; null: nothing. Absent: the runs with what is left out behind each. */
  readonly told?: readonly MemoryRun[] | null;
  readonly kind?: number;
  readonly magic?: string;
}

/** Where what stands of a bitmap dump. */
export const BITMAP_FIELDS = {
  firstPage: 0x2020,
  there: 0x2028,
  pages: 0x2030,
  bits: 0x2038,
} as const;

/** A crash dump of Windows' that leaves pages out: what a bitmap has, and nothing else. */
export function windowsBitmapDump({
  runs,
  told = runs,
  kind = 5,
  magic = 'SDMPDUMP',
}: BitmapDumpRequest): Buffer {
  const sorted = runs.toSorted((a, b) => a.address - b.address);
  const pagesOf = (bytes: number): number => bytes / 4096;
  const end = Math.max(...runs.map(({ address, bytes }) => pagesOf(address + bytes.length)));
  const bits = Buffer.alloc(Math.ceil(end / 8));
  for (const { address, bytes } of runs)
    for (let i = 0; i < pagesOf(bytes.length); i += 1) {
      const page = pagesOf(address) + i;
      bits[page >> 3]! |= 1 << (page & 7);
    }
  const header = Buffer.from(windowsDump([], kind));
  if (told === null) header.fill('PAGE', 0x88, 0x338);
  else {
    header.writeUInt32LE(told.length, 0x88);
    for (const [i, { address, bytes, leftOut = 0 }] of told.entries()) {
      header.writeBigUInt64LE(BigInt(pagesOf(address)), 0x98 + 16 * i);
      header.writeBigUInt64LE(BigInt(pagesOf(bytes.length + leftOut)), 0xa0 + 16 * i);
    }
  }
  const head = Buffer.alloc(0x38, 'PAGE');
  head.write(magic);
  const firstPage = Math.ceil((BITMAP_FIELDS.bits + bits.length) / 4096) * 4096;
  const memory = Buffer.concat(sorted.map(({ bytes }) => bytes));
  head.writeBigUInt64LE(BigInt(firstPage), 0x20);
  head.writeBigUInt64LE(BigInt(pagesOf(memory.length)), 0x28);
  head.writeBigUInt64LE(BigInt(end), 0x30);
  const before = Buffer.concat([header, head, bits]);
  return Buffer.concat([before, Buffer.alloc(firstPage - before.length), memory]);
}

const vmwareTag = (name: string, indices: readonly number[], value: number): Buffer =>
  Buffer.concat([
    Buffer.from([(indices.length << 6) | 4, name.length]),
    Buffer.from(name),
    ...indices.map(u32le),
    u32le(value),
  ]);

/** A long value of these bytes. */
const vmwareBytes = (name: string, bytes: Uint8Array, isShort: boolean): Buffer => {
  const size = isShort ? u32le(bytes.length) : u64le(bytes.length);
  const head = Buffer.from([isShort ? 62 : 63, name.length]);
  return Buffer.concat([head, Buffer.from(name), size, size, Buffer.alloc(2), bytes]);
};

/** VMware's pair: the memory, and the state that says where its regions lie. */
export function vmwarePair(
  runs: readonly MemoryRun[],
  { isShort = false, regions = runs.length }: { isShort?: boolean; regions?: number } = {},
): { readonly memory: Buffer; readonly state: Buffer } {
  let page = 0;
  const tags = [
    vmwareBytes('Other', Buffer.from('bytes'), isShort),
    vmwareTag('regionsCount', [], regions),
  ];
  for (const [i, { address, bytes }] of runs.entries()) {
    tags.push(vmwareTag('regionPageNum', [i], page), vmwareTag('regionPPN', [i], address / 4096));
    tags.push(vmwareTag('regionSize', [i], bytes.length / 4096));
    page += bytes.length / 4096;
  }
  const body = Buffer.concat([...tags, Buffer.alloc(2)]);
  const group = (name: string, offset: number, length: number): Buffer =>
    Buffer.concat([Buffer.from(name.padEnd(64, '\0')), u64le(offset), u64le(length)]);
  const at = 12 + 2 * 80;
  const state = Buffer.concat([
    Buffer.from([isShort ? 0xd0 : 0xd2, 0xbe, 0xd2, 0xbe]),
    u32le(8),
    u32le(2),
    group('cpu', at, 0),
    group('memory', at, body.length),
    body,
  ]);
  return { memory: Buffer.concat(runs.map(({ bytes }) => bytes)), state };
}
