// The head of an ELF core of x86-64, which says where in the file memory lies and at which addresses in
// the guest. Numbers are little-endian.
//
//   0    64  ELF header: magic 7f 45 4c 46, 64 bits, little-endian, type 4 (core), machine 62 (x86-64),
//            the table at 64, its entries' size 56 and number
//  64   n*56 table: notes if there are any, then the segments of memory, in each
//              0   4  kind: 1 memory, 4 notes
//              4   4  7 (read, write, execute); of notes 0
//              8   8  where it begins in the file
//             16   8  virtual address
//             24   8  guest-physical address
//             32   8  bytes in the file
//             40   8  bytes in memory
//             48   8  alignment: of notes 4; of memory 0, by which crash knows a dump of a kernel
//   -     -  notes
//   -     -  zeros up to a whole page; then memory

import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** A run of memory in the file. */
export interface Segment {
  readonly virtual: bigint;
  readonly physical: number;
  /** From the first byte of memory on, which the head lies before. */
  readonly offset: number;
  readonly length: number;
}

const HEADER_BYTES = 64;
const ENTRY_BYTES = 56;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const VERSION = 1;
const TYPE_CORE = 4;
const MACHINE_X86_64 = 62;
const KIND_MEMORY = 1;
const KIND_NOTES = 4;
const ALL_RIGHTS = 7;
const NOTE_ALIGNMENT = 4;
/** One more would need a section that has their number. */
const ENTRIES_MAX = 0xfffe;

interface Entry extends Segment {
  readonly kind: number;
  readonly flags: number;
  readonly alignment: number;
}

function putEntry(view: DataView, at: number, entry: Entry): void {
  view.setUint32(at, entry.kind, true);
  view.setUint32(at + 4, entry.flags, true);
  view.setBigUint64(at + 8, BigInt(entry.offset), true);
  view.setBigUint64(at + 16, entry.virtual, true);
  view.setBigUint64(at + 24, BigInt(entry.physical), true);
  view.setBigUint64(at + 32, BigInt(entry.length), true);
  view.setBigUint64(at + 40, BigInt(entry.length), true);
  view.setBigUint64(at + 48, BigInt(entry.alignment), true);
}

function putHeader(view: DataView, entries: number): void {
  view.setUint32(0, 0x7f45_4c46);
  view.setUint8(4, CLASS_64);
  view.setUint8(5, LITTLE_ENDIAN);
  view.setUint8(6, VERSION);
  view.setUint16(16, TYPE_CORE, true);
  view.setUint16(18, MACHINE_X86_64, true);
  view.setUint32(20, VERSION, true);
  view.setBigUint64(32, BigInt(HEADER_BYTES), true);
  view.setUint16(52, HEADER_BYTES, true);
  view.setUint16(54, ENTRY_BYTES, true);
  view.setUint16(56, entries, true);
}

/** All that stands before memory; whole pages. TARGET_UNWRITABLE where memory is in too many pieces. */
export function elfHead(of: {
  readonly notes: Uint8Array;
  readonly segments: readonly Segment[];
}): Uint8Array {
  const { notes, segments } = of;
  const entries = segments.length + (notes.length > 0 ? 1 : 0);
  if (entries > ENTRIES_MAX)
    throw new LedgerError(
      'TARGET_UNWRITABLE',
      `the memory lies in ${segments.length} pieces, and a core has at most ${ENTRIES_MAX - 1}; restore it with --format raw`,
      { found: segments.length, expected: ENTRIES_MAX - 1 },
    );
  const notesAt = HEADER_BYTES + entries * ENTRY_BYTES;
  const bytes = Math.ceil((notesAt + notes.length) / PAGE_BYTES) * PAGE_BYTES;
  const head = new Uint8Array(bytes);
  const view = new DataView(head.buffer);
  putHeader(view, entries);
  let at = HEADER_BYTES;
  if (notes.length > 0) {
    const where = { virtual: 0n, physical: 0, offset: notesAt, length: notes.length };
    putEntry(view, at, { ...where, kind: KIND_NOTES, flags: 0, alignment: NOTE_ALIGNMENT });
    at += ENTRY_BYTES;
  }
  const memory = { kind: KIND_MEMORY, flags: ALL_RIGHTS, alignment: 0 };
  for (const segment of segments) {
    putEntry(view, at, { ...segment, ...memory, offset: bytes + segment.offset });
    at += ENTRY_BYTES;
  }
  assert(at === notesAt, 'the table has as many entries as it says');
  head.set(notes, notesAt);
  return head;
}
