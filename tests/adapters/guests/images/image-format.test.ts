import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  FOREIGN_FORMATS,
  FOREIGN_SIGNS,
} from '../../../../adapters/guests/images/foreign-formats.ts';
import { detectFormat } from '../../../../adapters/guests/images/image-format.ts';
import { IMAGE_FORMATS } from '../../../../adapters/guests/sources.ts';
import { MadePart } from '../../../support/made-part.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';
import { triesOf } from '../../../support/long-run.ts';

const SEED = 20261128;

const formatOf = (first: Uint8Array, last?: Uint8Array): string =>
  detectFormat(last === undefined ? { first } : { first, last }, IMAGE_FORMATS);

/** A file of two pages that begins with these bytes. */
const file = (...parts: readonly (string | Uint8Array)[]): Buffer => {
  const bytes = Buffer.alloc(8192);
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)),
  ).copy(bytes);
  return bytes;
};

/** Bytes at an offset of a file of 68 KiB. */
const bytesAt = (...parts: readonly (readonly [number, string])[]): Buffer => {
  const bytes = Buffer.alloc(68 * 1024);
  for (const [at, text] of parts) bytes.write(text, at, 'latin1');
  return bytes;
};

function tarHeader(): Buffer {
  const header = Buffer.alloc(512);
  header.write('memory.raw');
  header.write('        ', 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(sum.toString(8).padStart(6, '0') + '\0 ', 148);
  return header;
}

const LINES = '{"state": "running", "ranges": [1, 2, 3]}\n'.repeat(300);

/** Files by their first bytes, and what they are taken for. */
const TRIED: readonly (readonly [string, Uint8Array, string])[] = [
  ['a stream of QEMU', stream.head(), 'qemu'],
  ['a libvirt save file', file('LibvirtQemudSave'), 'libvirt'],
  ['an unfinished libvirt save file', file('LibvirtQemudPart'), 'libvirt-unfinished'],
  ['an ELF core', file('\x7fELF\x02\x01\x01', Buffer.alloc(9), '\x04\0\x3e\0'), 'elf'],
  ['a big-endian core', file('\x7fELF\x02\x02\x01', Buffer.alloc(9), '\0\x04'), 'elf'],
  ['a program', file('\x7fELF\x02\x01\x01', Buffer.alloc(9), '\x03\0\x3e\0'), 'elf-other'],
  ['a kdump', file('KDUMP   rest'), 'kdump'],
  ['a flattened kdump', file('makedumpfile\0\0\0\0'), 'kdump'],
  ['a diskdump', file('DISKDUMP\x03\0\0\0'), 'diskdump'],
  ['an LKCD dump', file('\xed\x23\x8f\x61\x73\x01\x19\xa8'), 'kernel-dump'],
  ['a LiME dump', file('EMiL'), 'lime'],
  ['a dump of avml', file('AVML\x02\0\0\0'), 'avml'],
  ['a full dump of Windows', file('PAGEDU64'), 'windows'],
  ['a Windows dump of 32 bits', file('PAGEDUMP'), 'windows-dump'],
  ['a hibernation file', file('hibr'), 'hiberfil'],
  ['a hibernation file after waking', bytesAt([0x5000, '\x81\x81xpress']), 'hiberfil'],
  ['a state of VMware', file('\xd2\xbe\xd2\xbe'), 'vmware'],
  ['a state of VirtualBox', file('\x7fVirtualBox SavedState V2.0\n'), 'virtualbox'],
  ['a state of Hyper-V', file('\x14\x20\x28\x01'), 'hyper-v'],
  ['a domain of Xen', file('Xen saved domain, xl format\n \0 \r'), 'xen'],
  ['a domain of xc', file('\xff\xff\xff\xff\xff\xff\xff\xffXENF'), 'xen'],
  ['a libvirt save for Xen', file('libvirt-xml\n \0 \r'), 'libvirt-xen'],
  ['an image of CRIU', file('\x19CVT\x06\x33\x09\x57'), 'criu'],
  ['Firecracker state', file('\0\0\x64\x86\x84\x19\x10\x07'), 'firecracker'],
  ['Firecracker state with a version', file('\x04\0\xaa\xaa\x84\x19\x10\x07'), 'firecracker'],
  ['an EWF container', file('EVF\t\r\n\xff\0'), 'evidence'],
  ['a checkpoint', file('gVisorSF'), 'gvisor'],
  ['a segment of borg', file('BORG_SEG'), 'backup'],
  ['a qcow2 image', file('QFI\xfb\0\0\0\x03'), 'qcow2'],
  ['a VHDX image', file('vhdxfile'), 'disk'],
  ['a VDI image', bytesAt([64, '\x7f\x10\xda\xbe']), 'disk'],
  ['squashfs', file('hsqs'), 'file-system'],
  ['ext4', bytesAt([1024 + 56, '\x53\xef\x01\0\x01\0']), 'file-system'],
  ['btrfs', bytesAt([65600, '_BHRfS_M']), 'file-system'],
  ['a CD', bytesAt([32769, 'CD001\x01']), 'file-system'],
  ['swap', bytesAt([4086, 'SWAPSPACE2']), 'file-system'],
  [
    'a partitioned disk',
    bytesAt([446, '\x80\0\0\0\x83\0\0\0\0\x08\0\0\0\x10\0\0'], [510, '\x55\xaa']),
    'file-system',
  ],
  ['zstd', file('\x28\xb5\x2f\xfd'), 'compressed'],
  ['zstd behind a skippable frame', file('P*M\x18\x04\0\0\0'), 'compressed'],
  ['gzip with a comment', file('\x1f\x8b\x08\x10'), 'compressed'],
  ['bzip2', file('BZh91AY&SY'), 'compressed'],
  ['an empty bzip2', file('BZh9\x17\x72\x45\x38\x50\x90'), 'compressed'],
  ['xz', file('\xfd7zXZ\0'), 'compressed'],
  ['lzma', file('\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff'), 'compressed'],
  ['lz4', file('\x04\x22\x4d\x18'), 'compressed'],
  ['lz4 of old', file('\x02\x21\x4c\x18'), 'compressed'],
  ['lzop', file('\x89LZO\0\r\n\x1a\n'), 'compressed'],
  ['snappy', file('\xff\x06\0\0sNaPpY'), 'compressed'],
  ['zip', file('PK\x03\x04'), 'archive'],
  ['7z', file('7z\xbc\xaf\x27\x1c'), 'archive'],
  ['tar', bytesAt([257, 'ustar']), 'archive'],
  ['tar of old', file(tarHeader()), 'archive'],
  ['cpio', file('070701'), 'archive'],
  ['a program of Windows', bytesAt([0, 'MZ'], [60, '\x80'], [128, 'PE\0\0']), 'executable'],
  ['a kernel', bytesAt([0x202, 'HdrS']), 'executable'],
  ['a database', file('SQLite format 3\0'), 'document'],
  ['lines of JSON', file(LINES), 'text'],
  ['JSON that ends early', file('{\n "memory-ranges": []}\n'), 'text'],
  ['HTML', file('<!DOCTYPE html>', Buffer.alloc(4, 0xff)), 'text'],
  ['a pack of a ledger', file('PLPK'), 'ledger'],
  ['real-mode vectors', file('\x53\xff\0\xf0\x53\xff\0\xf0'), 'raw'],
  ['zeros', Buffer.alloc(4096), 'raw'],
  ['one word repeated', file('pageledger\n'.repeat(700)), 'raw'],
  ['less than a magic number', Buffer.from('Q'), 'raw'],
  ['text and bytes', file('a sentence of the firmware, and then\n', Buffer.alloc(4, 1)), 'raw'],
  ['two bytes of gzip', file('\x1f\x8b\xff\xff'), 'raw'],
  ['the magic of ext4 alone', bytesAt([1024 + 56, '\x53\xef']), 'raw'],
  ['the mark of a boot sector alone', bytesAt([510, '\x55\xaa']), 'raw'],
];

/** What was tried of each format that is refused, and what a user is told to do. */
function refusedFormats(): string {
  const rows = Object.entries(FOREIGN_FORMATS).map(([format, { is, instead }]) => {
    const of = TRIED.filter(([, bytes]) => formatOf(bytes) === format).map(([what]) => what);
    return `- **${is}** (${of.join(', ')}): ${instead}.`;
  });
  return rows.join('\n');
}

describe('the first bytes of a file', () => {
  test.each([...TRIED])('that are %s tell it', (_, bytes, format) => {
    expect(formatOf(bytes)).toBe(format);
  });

  test('are those of memory where they are random', () => {
    const random = fc.uint8Array({ minLength: 4096, maxLength: 8192 });
    fc.assert(
      fc.property(random, (bytes) => {
        expect(formatOf(bytes)).toBe('raw');
      }),
      { seed: SEED, numRuns: triesOf(200), examples: [[new Uint8Array(4096).fill(0xff)]] },
    );
  });
});

test('each format that is refused was tried, as docs/qemu.md says', () => {
  const document = new MadePart(
    'docs/qemu.md',
    'tests/adapters/guests/images/image-format.test.ts',
  );
  const made = refusedFormats();
  expect(made).not.toContain('()');
  expect(document.heldAgainst(made)).toBe(made);
});

test('a disk image of a fixed size is known by its end', () => {
  const last = Buffer.alloc(512);
  last.write('conectix');
  expect(formatOf(Buffer.alloc(8192), last)).toBe('disk');
});

test('a sign has four bytes or more', () => {
  const signs = FOREIGN_SIGNS.flatMap(([, ...each]) => each);
  const texts = signs.map((sign) => (typeof sign === 'string' ? sign : sign[1]));
  expect(texts.filter((text) => text.length < 4)).toEqual([]);
});
