// What a format of memory in a file is, and which one a file has, by its first bytes. Only magic
// numbers of four bytes or more count: what bears none is a raw image of memory.

import type { GuestSource } from '../../../domain/ports/guests.ts';
import { latin1 } from '../qemu/byte-window.ts';
import type { ImageFile } from './image-file.ts';

/** A file of some format, and what its capture is to say. */
export interface FormatFile {
  /** Closed with the source that is opened of it. */
  readonly file: ImageFile;
  /** Its first bytes. */
  readonly first: Uint8Array;
  readonly path: string;
  readonly timeMs: number;
  /** For temporary files; absent: the system's. */
  readonly folder?: string;
}

export interface ImageFormat {
  /** What files of it begin with. */
  readonly magics: readonly string[];
  open(file: FormatFile): Promise<GuestSource>;
}

/** Formats that are recognised, and what to do with them instead. */
export const FOREIGN_FORMATS = {
  elf: 'an ELF file: expected memory; write it with QEMU as raw (pmemsave) or as a stream',
  'mapped-ram': 'a mapped-ram file of QEMU: capture with the capability mapped-ram off',
  'libvirt-unfinished': 'a libvirt save that was not finished: save the guest again',
  kdump: 'a compressed kernel dump: dump the guest with pmemsave instead',
  lime: 'a LiME dump: dump it again with format=raw, or padded',
  'windows-dump': 'a Windows crash dump: dump the guest with pmemsave instead',
  vmware: "a VMware state file: record the .vmem file beside it, which is the guest's memory",
  firecracker: 'Firecracker state: record the memory file beside it',
  disk: 'a disk image, not memory: record a file of memory',
  compressed: 'a compressed file: decompress it first',
} as const;
export type ForeignFormat = keyof typeof FOREIGN_FORMATS;

/** Bytes of a file's start that are enough to recognise it. */
export const DETECT_BYTES = 4096;

const FOREIGN_MAGICS: readonly (readonly [string, ForeignFormat])[] = [
  ['LibvirtQemudPart', 'libvirt-unfinished'],
  ['\x7fELF', 'elf'],
  ['KDUMP   ', 'kdump'],
  ['makedumpfile\0\0\0\0', 'kdump'],
  ['EMiL', 'lime'],
  ['PAGEDUMP', 'windows-dump'],
  ['PAGEDU64', 'windows-dump'],
  ['\xd0\xbe\xd2\xbe', 'vmware'],
  ['\xd1\xba\xd1\xba', 'vmware'],
  ['\xd2\xbe\xd2\xbe', 'vmware'],
  ['\xd3\xbe\xd3\xbe', 'vmware'],
  ['\0\0\x64\x81\x19\x64\x10\x07', 'firecracker'],
  ['QFI\xfb', 'disk'],
  ['KDMV', 'disk'],
  ['\x28\xb5\x2f\xfd', 'compressed'],
  ['\xfd7zXZ\0', 'compressed'],
  ['\x1f\x8b\x08\0', 'compressed'],
  ['\x1f\x8b\x08\x08', 'compressed'],
];

/** The format of a file that begins with these bytes: one that is read, or a foreign one. */
export function detectFormat(
  first: Uint8Array,
  formats: Readonly<Record<string, Pick<ImageFormat, 'magics'>>>,
): string {
  const text = latin1(first.subarray(0, DETECT_BYTES));
  const found = Object.entries(formats).find(([, { magics }]) =>
    magics.some((magic) => text.startsWith(magic)),
  )?.[0];
  // A mapped-ram file is a stream whose configuration names the capability.
  if (found === 'qemu' && text.includes('\x0amapped-ram')) return 'mapped-ram';
  return found ?? FOREIGN_MAGICS.find(([magic]) => text.startsWith(magic))?.[1] ?? 'raw';
}

export const isForeign = (format: string): format is ForeignFormat =>
  Object.hasOwn(FOREIGN_FORMATS, format);
