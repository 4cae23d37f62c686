// Recognises what a file that is to be recorded holds, by its first bytes. Only magic numbers of four
// bytes or more count: what bears none is a raw image of memory.

import { latin1 } from '../qemu/byte-window.ts';

/** Formats that are read. */
const READABLE_FORMATS = ['raw', 'qemu', 'libvirt'] as const;
export type ReadableFormat = (typeof READABLE_FORMATS)[number];

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

const MAGICS: readonly (readonly [string, ForeignFormat | ReadableFormat])[] = [
  ['QEVM', 'qemu'],
  ['LibvirtQemudSave', 'libvirt'],
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

/** The format of a file that begins with these bytes. */
export function detectFormat(first: Uint8Array): ReadableFormat | ForeignFormat {
  const text = latin1(first.subarray(0, DETECT_BYTES));
  const found = MAGICS.find(([magic]) => text.startsWith(magic))?.[1] ?? 'raw';
  // A mapped-ram file is a stream whose configuration names the capability.
  return found === 'qemu' && text.includes('\x0amapped-ram') ? 'mapped-ram' : found;
}

export const isReadable = (format: string): format is ReadableFormat =>
  READABLE_FORMATS.some((readable) => readable === format);
