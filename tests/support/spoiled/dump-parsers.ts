// Files of memory in every format that is read, small and sound, to be spoiled (parsers.ts). What is
// made of one is read to its last page. Where a format has checksums of its content, a page that is none
// of the sound file's is a fault. Of raw memory nothing can be wrong but its length.

import { gzipSync } from 'node:zlib';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

import { avmlDump } from '../guest/avml-bytes.ts';
import {
  elfCore,
  elfNote,
  limeDump,
  vmwarePair,
  windowsBitmapDump,
  windowsDump,
  xenCore,
} from '../guest/dump-bytes.ts';
import { cutRunAt, DumpOpener, runAt } from '../guest/opened-dump.ts';
import { flattened, kdump } from '../guest/kdump-bytes.ts';
import { LIBVIRT_FORMS, libvirtHead } from '../guest/libvirt-bytes.ts';
import { mappedFile } from '../guest/mapped-bytes.ts';
import { qcow2Image } from '../guest/qcow2-bytes.ts';
import * as stream from '../guest/stream-bytes.ts';
import type { Parser } from './parsers.ts';

const RUNS = [runAt(0, 2), runAt(3, 1), runAt(300, 1)];
const LOOSE = [{ address: 0x1800, bytes: RUNS[0]!.bytes.subarray(0, 0x1400) }, ...RUNS.slice(1)];
const CUT = [
  runAt(0, 2),
  cutRunAt(300, { pages: 2, leftOut: 3 }),
  cutRunAt(320, { pages: 0, leftOut: 1 }),
];
const NOTES = [elfNote('CORE', 1, new Uint8Array(336)), elfNote('QEMU', 0, new Uint8Array(440))];

const STREAM = stream.bytesOf(
  stream.head(),
  stream.start([{ name: 'pc.ram', pages: 3 }]),
  stream.end(stream.page(0, stream.pageOf(1), 'pc.ram'), stream.page(2, stream.pageOf(3))),
  stream.tail(),
);

/** What Proxmox's backups and bitmaps of disks say, between the memory and its end. */
const DISKS = stream.bytesOf(
  stream.head(),
  stream.start([{ name: 'pc.ram', pages: 2 }]),
  stream.begun(7, 'pbs-state', stream.u64(4), Buffer.from('none')),
  stream.end(stream.page(0, stream.pageOf(1), 'pc.ram'), stream.zero(1)),
  stream.tail(),
);

/** Zeros are left out, and a block that is not RAM comes first, as QEMU may have it. */
const MAPPED = {
  blocks: [
    { name: 'pc.bios', pages: [stream.pageOf(5)] },
    { name: 'pc.ram', pages: [stream.pageOf(1), null, stream.pageOf(3)] },
  ],
  alignBytes: PAGE_BYTES,
};
const SPARSE = mappedFile({ ...MAPPED, before: libvirtHead({ form: LIBVIRT_FORMS.sparse }) });
const GZIPPED = Buffer.concat([libvirtHead({ form: LIBVIRT_FORMS.gzip }), gzipSync(STREAM)]);

/** Dumps by their formats. */
const DUMPS: readonly (readonly [string, ...Uint8Array[]])[] = [
  ['raw images', RUNS[0]!.bytes],
  ['ELF cores', elfCore({ runs: RUNS, notes: NOTES }), elfCore({ runs: RUNS, bits: 32 })],
  ['filtered cores', elfCore({ runs: CUT, notes: NOTES }), elfCore({ runs: CUT, bits: 32 })],
  ["Xen's cores", xenCore(RUNS), xenCore(RUNS, 'p2m')],
  ['snapshots in qcow2', qcow2Image([{ name: 'one', state: STREAM }])],
  ['mapped-ram files', mappedFile(MAPPED)],
  ['saves of libvirt', Buffer.concat([libvirtHead(), STREAM])],
  ['saves of libvirt, sparse', SPARSE],
  ['saves of libvirt, with what is of disks', Buffer.concat([libvirtHead(), DISKS])],
  ['dumps of Windows', windowsDump(RUNS)],
  [
    "dumps of Windows' kernel",
    windowsBitmapDump({ runs: CUT }),
    windowsBitmapDump({ runs: CUT, told: null }),
  ],
  [
    'kdumps',
    kdump({ runs: RUNS, level: 1, kind: 'snappy' }),
    kdump({ runs: RUNS, kind: 'lzo' }),
    kdump({ runs: RUNS, kind: 'zstd' }),
    kdump({ runs: RUNS, level: 31, isFiltered: (page) => page === 1 }),
  ],
  ['dumps of LiME', limeDump(RUNS), limeDump(LOOSE)],
];

/** Those that have checksums of all content. */
const CHECKED_DUMPS: typeof DUMPS = [
  ['dumps of avml', avmlDump(RUNS)],
  ['saves of libvirt, gzip', GZIPPED],
  ['kdumps, zlib', kdump({ runs: RUNS })],
  ['flattened kdumps', flattened(kdump({ runs: RUNS }))],
];

/** Pages by their bytes. */
const textOf = (page: Uint8Array): string => Buffer.from(page).toString('latin1');

/** Reads spoiled bytes; a page that the sound ones have not, and that is not zero, is a wrong one. */
function checkedParse(opener: DumpOpener, sound: Uint8Array): Parser['parse'] {
  let known: ReadonlySet<string> | null = null;
  return async (bytes) => {
    if (known === null) {
      const pages = new Set([textOf(new Uint8Array(PAGE_BYTES))]);
      await opener.read(sound, 'sound', (page) => void pages.add(textOf(page)));
      known = pages;
    }
    const sure = known;
    await opener.read(bytes, 'spoiled', (page) => {
      if (!sure.has(textOf(page))) throw new TypeError('a page is wrong, and no checksum told');
    });
  };
}

/** Each spoiled file is written and opened, which takes longer than a parser of bytes does. */
const OF_FILES = { slowness: 3, hasMemory: true } as const;

export const dumpParsers = (folder: string): readonly Parser[] => {
  const opener = new DumpOpener({ path: folder });
  const { memory, state } = vmwarePair(RUNS);
  opener.file(memory, 'spoiled-state.vmem');
  const parsers = DUMPS.map(([name, ...examples]): Parser => ({
    name,
    examples,
    ...OF_FILES,
    parse: (bytes) => opener.read(bytes, 'spoiled'),
  }));
  const checked = CHECKED_DUMPS.map(([name, ...examples]): Parser => ({
    name,
    examples,
    ...OF_FILES,
    parse: checkedParse(opener, examples[0]!),
  }));
  const ofVmware: Parser = {
    name: 'states of VMware',
    examples: [state],
    ...OF_FILES,
    parse: (bytes) => opener.read(bytes, 'spoiled-state.vmss'),
  };
  return [...parsers, ...checked, ofVmware];
};
