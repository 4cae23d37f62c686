// Dumps of Xen's (`xl dump-core`): ELF cores of 64 bits without a table of segments. Sections by name, in
// any order, have the memory:
//
//   .xen_pages   pages, one after the other
//   .xen_pfn     of guests with hardware's help: u64 a page, its number in the guest
//   .xen_p2m     of others: u64 the number, u64 where the machine had it
//
// A page whose number has all bits set is none.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { latin1 } from '../qemu/byte-window.ts';
import { dumpUnfit, u64, type DumpFile } from './dump-file.ts';
import type { Dump } from './dump-source.ts';
import { SEGMENTS_MAX, type Segment } from './segments.ts';

const HEAD_BYTES = 64;
const ENTRY_BYTES = 64;
const SECTIONS_MAX = 1024;
const NAMES_BYTES_MAX = 64 * 1024;
/** Numbers of pages that are read at once. */
const NUMBERS_READ = 65_536;
const NO_PAGE = 2n ** 64n - 1n;
const DAMAGED = 'it is damaged; copy or dump it again';

interface Section {
  readonly name: number;
  readonly offset: number;
  readonly length: number;
}

/** The sections by their names. */
function sectionsOf(file: DumpFile): ReadonlyMap<string, Section> {
  const head = file.view(0, HEAD_BYTES, 'the header');
  const [size, count] = [head.getUint16(58, true), head.getUint16(60, true)];
  const names = head.getUint16(62, true);
  if (size !== ENTRY_BYTES || count > SECTIONS_MAX || names >= count) return new Map();
  const view = file.view(u64(head, 40), count * ENTRY_BYTES, 'the table of sections');
  const sections = Array.from({ length: count }, (_, i): Section => {
    const at = i * ENTRY_BYTES;
    return {
      name: view.getUint32(at, true),
      offset: u64(view, at + 24),
      length: u64(view, at + 32),
    };
  });
  const { offset, length } = sections[names]!;
  const texts = latin1(file.bytes(offset, Math.min(length, NAMES_BYTES_MAX), 'names of sections'));
  const nameAt = (from: number): string => texts.slice(from).split('\0', 1)[0]!;
  return new Map(sections.map((section) => [nameAt(section.name), section]));
}

/** Whether what lies somewhere goes on with a segment, in the file and in the guest. */
const isNext = (last: Segment, { address, offset }: Pick<Segment, 'address' | 'offset'>): boolean =>
  last.address + last.length === address && last.offset + last.length === offset;

/** Runs of pages that follow each other in the file and in the guest. */
function segmentsOf(
  file: DumpFile,
  { pages, numbers, wordBytes }: { pages: Section; numbers: Section; wordBytes: number },
): readonly Segment[] {
  const count = numbers.length / wordBytes;
  if (!Number.isInteger(count) || pages.length !== count * PAGE_BYTES)
    throw dumpUnfit(
      file.label,
      `has ${pages.length} bytes of memory, and numbers of ${count} pages`,
      DAMAGED,
    );
  const segments: Segment[] = [];
  for (let first = 0; first < count; first += NUMBERS_READ) {
    const read = Math.min(NUMBERS_READ, count - first);
    const at = numbers.offset + first * wordBytes;
    const view = file.view(at, read * wordBytes, 'the numbers of pages');
    for (let i = 0; i < read; i += 1) {
      if (view.getBigUint64(i * wordBytes, true) === NO_PAGE) continue;
      const address = u64(view, i * wordBytes) * PAGE_BYTES;
      const offset = pages.offset + (first + i) * PAGE_BYTES;
      const last = segments.at(-1);
      if (last !== undefined && isNext(last, { address, offset })) {
        const length = last.length + PAGE_BYTES;
        segments[segments.length - 1] = { ...last, length };
      } else segments.push({ address, offset, length: PAGE_BYTES });
      if (segments.length > SEGMENTS_MAX) return segments;
    }
  }
  return segments;
}

/** The memory of a dump of Xen's; null: it is none. */
export function readXenCore(file: DumpFile): Dump | null {
  const sections = sectionsOf(file);
  const pages = sections.get('.xen_pages');
  const [pfn, p2m] = [sections.get('.xen_pfn'), sections.get('.xen_p2m')];
  const numbers = pfn ?? p2m;
  if (pages === undefined || numbers === undefined) return null;
  const wordBytes = pfn === undefined ? 16 : 8;
  const segments = segmentsOf(file, { pages, numbers, wordBytes });
  return { segments, mode: 'core', between: 'nothing' };
}
