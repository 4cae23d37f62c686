// VMware's memory: NAME.vmem, and beside it NAME.vmss (suspended) or NAME.vmsn (a snapshot), which says
// where the memory lies in the guest. Either may be named. Numbers are little-endian.
//
//   0   4  magic: d0, d1, d2 or d3, then be d2 be (d1: ba d1 ba); its low bits are a version, 0: short sizes
//   8   4  number of groups
//  12   -  groups of 80 bytes: 64 name, u64 offset, u64 bytes
//
// The group "memory" is tags, up to one of no name: u8 flags (bits 6-7: number of indices; 0-5: bytes of
// the value, 62 and 63: it is long), u8 length of the name, name, u32 indices, value. A long value is
// its size, twice, in u64 (u32 in version 0), 2 bytes, and the bytes. regionsCount, regionPageNum[i]
// (page of the file), regionPPN[i] (page of the guest), regionSize[i] (pages) say where memory lies.

import { existsSync } from 'node:fs';
import type { GuestSource } from '../../../domain/ports/guests.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { openImageFile } from '../images/image-file.ts';
import type { FormatFile } from '../images/image-format.ts';
import { DumpFile, dumpUnfit, u64 } from './dump-file.ts';
import { dumpSource, type Dump } from './dump-source.ts';
import type { Segment } from './segments.ts';

export const VMWARE_MAGICS = [
  '\xd0\xbe\xd2\xbe',
  '\xd1\xba\xd1\xba',
  '\xd2\xbe\xd2\xbe',
  '\xd3\xbe\xd3\xbe',
] as const;

const GROUPS_MAX = 1024;
const GROUP_BYTES = 80;
const GROUPS_AT = 12;
const NAME_BYTES = 64;
/** Flags, name, indices, and the sizes of a long value. */
const TAG_BYTES_MAX = 2 + 255 + 12 + 18;
const TAGS_MAX = 4096;
const REGIONS_MAX = 64;
const LONG = 62;
const DAMAGED = 'it is damaged; copy it again';

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1').split('\0')[0]!;

/** Where the group of memory begins, and the version of the file. */
function memoryGroup(file: DumpFile): { readonly at: number; readonly isShort: boolean } {
  const head = file.view(0, GROUPS_AT, 'the header');
  const isShort = (head.getUint8(0) & 15) === 0;
  const groups = head.getUint32(8, true);
  if (groups > GROUPS_MAX) throw dumpUnfit(file.label, `claims ${groups} groups`, DAMAGED);
  const view = file.view(GROUPS_AT, groups * GROUP_BYTES, 'the table of groups');
  for (let at = 0; at < view.byteLength; at += GROUP_BYTES)
    if (textOf(new Uint8Array(view.buffer, at, NAME_BYTES)) === 'memory')
      return { at: u64(view, at + NAME_BYTES), isShort };
  throw dumpUnfit(
    file.label,
    'has no group of memory',
    'record the .vmem file alone with --format raw',
  );
}

/** A tag's name with its indices, its value where that is a number, and the bytes it takes. */
interface Tag {
  readonly name: string;
  readonly value: number;
  readonly bytes: number;
}

/** The tag at a place; null: the last one was before. */
function tagAt(file: DumpFile, at: number, isShort: boolean): Tag | null {
  const view = file.view(at, Math.min(TAG_BYTES_MAX, file.sizeBytes - at), 'a tag');
  const check = (end: number): void => file.check(at, end, 'a tag');
  check(2);
  const [flags, nameBytes] = [view.getUint8(0), view.getUint8(1)];
  if (flags === 0 && nameBytes === 0) return null;
  let end = 2 + nameBytes;
  check(end + 4 * (flags >> 6));
  const names = [textOf(new Uint8Array(view.buffer, 2, nameBytes))];
  for (let i = flags >> 6; i > 0; i -= 1, end += 4) names.push(String(view.getUint32(end, true)));
  const size = flags & 63;
  if (size >= LONG) {
    const head = (isShort ? 8 : 16) + 2;
    check(end + head);
    const length = isShort ? view.getUint32(end, true) : u64(view, end);
    const bytes = end + head + length;
    check(bytes);
    return { name: names.join(' '), value: 0, bytes };
  }
  check(end + size);
  const value = size === 4 ? view.getUint32(end, true) : size === 8 ? u64(view, end) : 0;
  return { name: names.join(' '), value, bytes: end + size };
}

/** What the numbers of the group of memory are. */
function tagsOf(file: DumpFile): ReadonlyMap<string, number> {
  const { at: begin, isShort } = memoryGroup(file);
  const tags = new Map<string, number>();
  let at = begin;
  for (let count = 0; ; count += 1) {
    file.check(at, 2, 'a tag');
    const tag = tagAt(file, at, isShort);
    if (tag === null) return tags;
    if (count === TAGS_MAX) throw dumpUnfit(file.label, `has more than ${count} tags`, DAMAGED);
    tags.set(tag.name, tag.value);
    at += tag.bytes;
  }
}

/** Where the state says that memory lies; of small guests it does not, as it lies in one piece. */
function dumpOf(state: DumpFile, memoryBytes: number): Dump {
  const tags = tagsOf(state);
  const regions = tags.get('regionsCount') ?? 0;
  if (regions > REGIONS_MAX) throw dumpUnfit(state.label, `claims ${regions} regions`, DAMAGED);
  const bytesOf = (name: string, i: number): number => (tags.get(`${name} ${i}`) ?? 0) * PAGE_BYTES;
  const segments = Array.from({ length: regions }, (_, i): Segment => ({
    address: bytesOf('regionPPN', i),
    length: bytesOf('regionSize', i),
    offset: bytesOf('regionPageNum', i),
  }));
  const whole = [{ address: 0, length: memoryBytes, offset: 0 }];
  return { segments: regions === 0 ? whole : segments, mode: 'image', between: 'nothing' };
}

/** The state beside a file of memory; null: there is none. */
export function vmwareStateOf(path: string): string | null {
  if (!path.endsWith('.vmem')) return null;
  const stem = path.slice(0, -'.vmem'.length);
  return ['.vmss', '.vmsn'].map((end) => stem + end).find((state) => existsSync(state)) ?? null;
}

/** The file of memory beside a state. */
function memoryOf(of: FormatFile): string {
  const memory = of.path.replace(/\.vms[sn]$/u, '.vmem');
  if (memory !== of.path && existsSync(memory)) return memory;
  throw dumpUnfit(
    of.file.label,
    'is a VMware state without the .vmem file beside it that has the memory',
    'copy NAME.vmem into the same folder',
  );
}

/** Opens a state, or a file of memory that has one beside it. */
export async function openVmware(of: FormatFile): Promise<GuestSource> {
  const state = vmwareStateOf(of.path);
  const isMemory = state !== null;
  const other = await openImageFile({ path: isMemory ? state : memoryOf(of) });
  const [memory, told] = isMemory ? [of.file, other] : [other, of.file];
  try {
    const source = dumpSource(
      { ...of, file: memory },
      dumpOf(new DumpFile(told), memory.sizeBytes),
    );
    told.close();
    return source;
  } catch (thrown) {
    other.close();
    throw thrown;
  }
}
