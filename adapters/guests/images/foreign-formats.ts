// Files that are no memory, or memory in a form that is not read: what each is known by, and what to
// do instead. A magic number of four bytes or more counts; what has a shorter one is known by more of
// its structure (file-structures.ts), as guest memory may hold any bytes.

/** A format: what a sentence calls it, and what to do. */
interface ForeignFormat {
  readonly is: string;
  readonly instead: string;
}

const ANOTHER_WAY = 'record the guest itself, or write its memory as raw bytes';
const LAYERWRITER = "volatility3's layerwriter makes raw memory of it";
const RECORD_MEMORY = 'record a file of memory';

/** Formats that are recognised, and what to do with them instead. */
export const FOREIGN_FORMATS = {
  'elf-other': { is: 'an ELF file that is no core of memory', instead: RECORD_MEMORY },
  'libvirt-unfinished': {
    is: 'a libvirt save that was not finished',
    instead: 'save the guest again',
  },
  'libvirt-xen': { is: "a save file of libvirt's for Xen", instead: ANOTHER_WAY },
  diskdump: { is: 'a dump of diskdump', instead: 'dump the guest with pmemsave instead' },
  'kernel-dump': { is: "a kernel's crash dump", instead: `${LAYERWRITER}, if it knows this kind` },
  'windows-dump': { is: 'a Windows dump of 32 bits or of a process', instead: LAYERWRITER },
  hiberfil: { is: "Windows' hibernation file", instead: LAYERWRITER },
  'hyper-v': { is: 'a Hyper-V state file', instead: ANOTHER_WAY },
  virtualbox: {
    is: 'a saved state of VirtualBox',
    instead: `\`VBoxManage debugvm NAME dumpvmcore\` dumps the memory, and ${LAYERWRITER}`,
  },
  xen: { is: 'a saved domain of Xen', instead: ANOTHER_WAY },
  criu: {
    is: 'an image of CRIU',
    instead: 'it is of processes, not of a guest: record the guest that they run in',
  },
  gvisor: { is: 'a checkpoint of gVisor', instead: 'it is of processes, not of a guest' },
  firecracker: { is: 'Firecracker state', instead: 'record the memory file beside it' },
  evidence: {
    is: 'a forensic container (EWF, AFF)',
    instead: 'export it as raw: `ewfexport -f raw`, or mount it with ewfmount',
  },
  backup: { is: 'a backup', instead: 'restore it, then record the memory that is in it' },
  ledger: { is: 'a file of a ledger', instead: '`pageledger copy` takes ledgers' },
  disk: { is: 'a disk image, not memory', instead: RECORD_MEMORY },
  'file-system': { is: 'a file system or a disk, not memory', instead: RECORD_MEMORY },
  compressed: { is: 'a compressed file', instead: 'decompress it first' },
  archive: { is: 'an archive', instead: 'take the memory out of it first' },
  executable: { is: 'a program or a kernel, not memory', instead: RECORD_MEMORY },
  document: { is: 'a document, a picture or a database, not memory', instead: RECORD_MEMORY },
  text: { is: 'text, not memory', instead: RECORD_MEMORY },
} as const satisfies Readonly<Record<string, ForeignFormat>>;
export type ForeignFormatName = keyof typeof FOREIGN_FORMATS;

/** A format, and what stands in its files: at an offset, or at the file's start. */
type Signs = readonly [ForeignFormatName, ...(string | readonly [number, string])[]];

/** Text of bytes, one character each. */
export const FOREIGN_SIGNS: readonly Signs[] = [
  ['libvirt-unfinished', 'LibvirtQemudPart'],
  ['libvirt-xen', 'libvirt-xml\n \0 \r'],
  ['diskdump', 'DISKDUMP'],
  ['kernel-dump', '\xed\x23\x8f\x61\x73\x01\x19\xa8', '\xa8\x19\x01\x73\x61\x8f\x23\xed'],
  ['kernel-dump', 'sadump\0\0', 'minidump FreeBSD/', '\xed\xc8\xfe\xde', '\xed\xfe\xce\xfa'],
  ['kernel-dump', '\xcf\xfa\xed\xfe', '\xce\xfa\xed\xfe'],
  ['windows-dump', 'PAGEDUMP', 'MDMP\x93\xa7'],
  ['hiberfil', 'hibr', 'HIBR', 'wake', 'WAKE', 'RSTR', 'rstr'],
  // With its header wiped, as Windows leaves it after waking, its first compressed pages tell it.
  ['hiberfil', [0x1000, '\x81\x81xpress'], [0x5000, '\x81\x81xpress'], [0x6000, '\x81\x81xpress']],
  ['hiberfil', [0x7000, '\x81\x81xpress'], [0x8000, '\x81\x81xpress']],
  ['hyper-v', '\x14\x20\x28\x01', [0x1000, '\x14\x20\x28\x01']],
  ['virtualbox', '\x7fVirtualBox SavedState'],
  ['xen', 'Xen saved domain', 'XenSavedDomain', 'LinuxGuestRecord'],
  ['xen', '\xff\xff\xff\xff\xff\xff\xff\xffXENF'],
  ['criu', '\x19CVT', '\x40\x59\x10\x55', '\x25\x40\x08\x56'],
  ['gvisor', 'gVisorSF'],
  // After two bytes of a version.
  ['firecracker', [2, '\x64\x86\x84\x19\x10\x07'], [2, '\xaa\xaa\x84\x19\x10\x07']],
  [
    'evidence',
    'EVF\t\r\n\xff\0',
    'EVF2\r\n\x81\0',
    'LVF\t\r\n\xff\0',
    'LEF2\r\n\x81\0',
    'AFF10\r\n',
  ],
  ['evidence', 'AFFKEY'],
  [
    'backup',
    'VMA\0\0\0\0\x01',
    'BORG_SEG',
    '\x42\xab\x38\x07',
    '\x31\xb9\x58\x42',
    '\x2f\x7f\x41\xed',
  ],
  [
    'ledger',
    'pageledger ',
    '\x9d\x1f\xe6\xb4\x50\xc3\x7a\x08',
    'PLPK',
    'PLCW',
    'PLSH',
    'PLWT',
    'PLST',
    'PLRN',
  ],
  ['disk', 'KDMV', 'COWD', '# Disk DescriptorFile', 'vhdxfile', 'conectix', 'cxsparse', 'QED\0'],
  ['disk', 'WithoutFreeSpace', 'WithouFreSpacExt', 'Bochs Virtual HD Image', 'SFM\0'],
  ['disk', [64, '\x7f\x10\xda\xbe'], '<<< Oracle VM VirtualBox Disk Image', 'DMRK', 'SPARSE\0\0'],
  ['disk', 'MSWIM\0\0\0', 'LUKS\xba\xbe', 'SKUL\xba\xbe', [3, '-FVE-FS-']],
  [
    'file-system',
    'hsqs',
    'sqsh',
    'XFSB',
    '\x45\x3d\xcd\x28',
    '\x28\xcd\x3d\x45',
    '-rom1fs-',
    'UBI#',
  ],
  ['file-system', '\x31\x18\x10\x06', [3, 'NTFS    '], [3, 'EXFAT   '], [54, 'FAT12   ']],
  ['file-system', [54, 'FAT16   '], [82, 'FAT32   '], [32, 'NXSB'], [512, 'EFI PART']],
  ['file-system', [4096, 'EFI PART'], [512, 'LABELONE'], [1024, '\xe2\xe1\xf5\xe0']],
  ['file-system', [1024, '\x10\x20\xf5\xf2'], [1024, 'H+\0\x04'], [1024, 'HX\0\x05']],
  ['file-system', [4096, '\xfc\x4e\x2b\xa9'], [4086, 'SWAPSPACE2'], [4086, 'SWAP-SPACE']],
  ['file-system', [4086, 'S1SUSPEND'], [32769, 'CD001\x01'], [32769, 'BEA01\x01']],
  ['file-system', [32768, 'JFS1'], [65536 + 52, 'ReIsEr'], [65536 + 64, '_BHRfS_M']],
  [
    'compressed',
    '\x28\xb5\x2f\xfd',
    '\xfd7zXZ\0',
    '\x04\x22\x4d\x18',
    '\x02\x21\x4c\x18',
    'LZIP\x01',
  ],
  [
    'compressed',
    '\x89LZO\0\r\n\x1a\n',
    '\xff\x06\0\0sNaPpY',
    'LRZI',
    '\x37\xa4\x30\xec',
    'bvx2',
    'bvxn',
  ],
  ['compressed', 'SZDD\x88\xf0\x27\x33', 'KWAJ\x88\xf0\x27\xd1', '7kSt', 'Salted__'],
  [
    'archive',
    'PK\x03\x04',
    'PK\x05\x06',
    'PK\x07\x08',
    '7z\xbc\xaf\x27\x1c',
    'Rar!\x1a\x07',
    'xar!\0',
  ],
  [
    'archive',
    [257, 'ustar'],
    '070701',
    '070702',
    '070707',
    '!<arch>\n',
    'MSCF\0\0\0\0',
    [7, '**ACE**'],
  ],
  ['archive', '\xed\xab\xee\xdb', [2, '-lh5-'], 'ISc(', 'dar\n'],
  [
    'executable',
    '\xca\xfe\xba\xbe',
    '\0asm\x01\0\0\0',
    '\x27\x05\x19\x56',
    '\xd0\x0d\xfe\xed',
    'ANDROID!',
  ],
  ['executable', [0x202, 'HdrS'], 'BC\xc0\xde', [0x38, 'ARMd'], [0x38, 'ARM\x64']],
  [
    'document',
    '%PDF-',
    'SQLite format 3\0',
    '\x89PNG\r\n\x1a\n',
    '\xff\xd8\xff\xe0',
    '\xff\xd8\xff\xe1',
  ],
  [
    'document',
    'GIF87a',
    'GIF89a',
    'RIFF',
    'OggS',
    'fLaC',
    'ID3\x03',
    'ID3\x04',
    [4, 'ftyp'],
    '\x1aE\xdf\xa3',
  ],
  [
    'document',
    '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1',
    '{\\rtf',
    '%!PS',
    'PACK\0\0\0\x02',
    'PAR1',
    'wOF2',
  ],
  [
    'document',
    '\xd4\xc3\xb2\xa1',
    '\xa1\xb2\xc3\xd4',
    '\x4d\x3c\xb2\xa1',
    '\x0a\x0d\x0d\x0a',
    'PERFILE2',
  ],
  [
    'document',
    'JAVA PROFILE',
    '\x89HDF\r\n\x1a\n',
    'ARROW1\0\0',
    '\x93NUMPY',
    'LPKSHHRH',
    'ElfFile\0',
  ],
  ['document', 'II*\0', 'MM\0*', 'II+\0'],
  [
    'text',
    '<!DOCTYPE',
    '<!doctype',
    '<html',
    '<HTML',
    '<?xml ',
    '#!/bin/',
    '#!/usr/',
    '-----BEGIN ',
  ],
];

export const isForeign = (format: string): format is ForeignFormatName =>
  Object.hasOwn(FOREIGN_FORMATS, format);
