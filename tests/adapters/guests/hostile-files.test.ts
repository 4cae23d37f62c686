// Files that lie about what they hold, of every format: counts that are huge, memory in two places or
// outside of the file, structures that lead back to themselves, and little that becomes very much.

import { describe, expect, test } from '@jest/globals';
import { deflateSync, gzipSync } from 'node:zlib';
import type { ImageFormatName } from '../../../adapters/guests/sources.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { avmlDump, snapped } from '../../support/guest/avml-bytes.ts';
import {
  BITMAP_FIELDS,
  elfCore,
  limeDump,
  rangeHeader,
  u64le,
  vmwarePair,
  windowsBitmapDump,
  windowsDump,
  xenCore,
  type MemoryRun,
} from '../../support/guest/dump-bytes.ts';
import { packFrame } from '../../../adapters/kernels/codec/zstd-frame.ts';
import {
  flattened,
  kdump,
  KDUMP_BITMAPS_AT,
  KDUMP_FIELDS,
} from '../../support/guest/kdump-bytes.ts';
import { LIBVIRT_FORMS, libvirtHead } from '../../support/guest/libvirt-bytes.ts';
import { mappedFile } from '../../support/guest/mapped-bytes.ts';
import { lzoOf } from '../../support/guest/lzo-bytes.ts';
import { cutRunAt, DumpOpener, runAt } from '../../support/guest/opened-dump.ts';
import { QCOW2_FIELDS, qcow2Image } from '../../support/guest/qcow2-bytes.ts';
import * as stream from '../../support/guest/stream-bytes.ts';
import { suiteFolder } from '../../support/disks/suite-folder.ts';

const opener = new DumpOpener(suiteFolder());

/** A file, and what is said of it; a pair of VMware's has its memory beside it. */
interface Lie {
  readonly bytes: Uint8Array;
  readonly memory?: Uint8Array;
  readonly says: RegExp;
}
/** What a format's files can lie about; null: they have nothing of the kind. */
type Lies = Readonly<Record<'count' | 'overlap' | 'outside' | 'circle' | 'bomb', Lie | null>>;

const RUNS = [runAt(0, 4), runAt(300, 2)];
const OVERLAP = [runAt(0, 4), runAt(3, 2)];
const TWICE = /two segments of memory/u;
const BLOCKS = [{ name: 'pc.ram', pages: [stream.pageOf(1), null, stream.pageOf(2)] }];

function changed(bytes: Uint8Array, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}

const mapped = (
  header: { readonly bitmapAt?: number; readonly pagesAt?: number },
  before: Uint8Array = Buffer.alloc(0),
): Buffer => mappedFile({ blocks: BLOCKS, alignBytes: PAGE_BYTES, header, before });
const SPARSE = libvirtHead({ form: LIBVIRT_FORMS.sparse });

/** A stream that brings one page without end. */
const REPEATED = stream.bytesOf(
  stream.head(),
  stream.start([{ name: 'pc.ram', pages: 3 }]),
  stream.end(...Array.from({ length: 5000 }, () => stream.page(0, stream.pageOf(7), 'pc.ram'))),
  stream.tail(),
);

const QCOW2 = qcow2Image([
  { name: 'one', state: stream.bytesOf(stream.head(), Buffer.alloc(9000, 1)) },
]);
/** Where the first snapshot's table of clusters lies, and the one that it leads to. */
const QCOW2_L1 = Number(
  QCOW2.readBigUInt64BE(Number(QCOW2.readBigUInt64BE(QCOW2_FIELDS.tableOffset))),
);
const qcow2 = (change: (copy: Buffer) => void): Buffer => changed(QCOW2, change);

/** Runs whose pages come to more than is recorded, each of which takes little of the file. */
const AVML_FAR: readonly MemoryRun[] = [runAt(0, 1), runAt(2 ** 27, 1)];
/** A range of avml's whose chunk claims to hold more than chunks do. */
const AVML_BOMB = ((): Buffer => {
  const data = snapped(Buffer.alloc(PAGE_BYTES, 1));
  // As its first number: four GiB.
  const claims = Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), data.subarray(2)]);
  const chunk = Buffer.concat([Buffer.alloc(4), Buffer.alloc(4), claims]);
  chunk.writeUIntLE(claims.length + 4, 1, 3);
  return Buffer.concat([rangeHeader('AVML', 2, runAt(0, 1)), chunk, u64le(chunk.length)]);
})();

const KDUMP = kdump({ runs: RUNS });
/** Where the first page's descriptor lies: behind two bitmaps of a block each. */
const KDUMP_PAGES_AT = KDUMP_BITMAPS_AT + 2 * PAGE_BYTES;
/** A dump whose first page is these bytes, compressed in this way, by the number of its flag. */
const kdumpOf = (page: Uint8Array, flag: number): Buffer =>
  changed(Buffer.concat([KDUMP, page]), (copy) => {
    copy.writeBigUInt64LE(BigInt(KDUMP.length), KDUMP_PAGES_AT);
    copy.writeUInt32LE(page.length, KDUMP_PAGES_AT + 8);
    copy.writeUInt32LE(flag, KDUMP_PAGES_AT + 12);
  });
/** Of one page there, and of 32,767 more that are left out. */
const KDUMP_SCARCE = changed(kdump({ runs: [runAt(0, 1)], level: 31 }), (copy) => {
  copy.fill(0xff, KDUMP_BITMAPS_AT, KDUMP_BITMAPS_AT + PAGE_BYTES);
  copy.writeBigUInt64LE(32_768n, KDUMP_FIELDS.pages64);
});
const KDUMP_FLAT = flattened(KDUMP);

/** Where a core's table of segments lies, the second of which is its first memory. */
const SEGMENT_AT = 64 + 64 + 56;
const filtered = (change: (copy: Buffer) => void): Buffer =>
  changed(elfCore({ runs: [cutRunAt(300, { pages: 1, leftOut: 9 })] }), change);
const bitmapDump = (at: number, value: bigint): Buffer =>
  changed(windowsBitmapDump({ runs: RUNS }), (copy) => copy.writeBigUInt64LE(value, at));
/** Where the offsets of the sections of a core of Xen's lie: of its pages, and of their numbers. */
const [XEN_PAGES, XEN_NUMBERS] = [2, 4].map((section) => 64 + section * 64 + 24) as [
  number,
  number,
];
const xen = (at: number, value: bigint): Buffer =>
  changed(xenCore(RUNS), (copy) => copy.writeBigUInt64LE(value, at));
/** A stream with what Proxmox's backups, or bitmaps of disks, say between. */
const ofDisks = (name: string, ...body: readonly Uint8Array[]): Buffer =>
  stream.bytesOf(
    stream.head(),
    stream.start([{ name: 'pc.ram', pages: 3 }]),
    stream.begun(7, name, ...body),
    stream.end(stream.page(0, stream.pageOf(7), 'pc.ram')),
    stream.tail(),
  );

const LIES: Readonly<Record<Exclude<ImageFormatName, 'raw'>, Lies>> = {
  qemu: {
    count: {
      bytes: stream.bytesOf(stream.head(), stream.start([{ name: 'pc.ram', pages: 2 ** 40 }])),
      says: /bytes of RAM, more than a ledger's/u,
    },
    overlap: { bytes: mapped({ pagesAt: 0 }), says: /and pages at 0/u },
    outside: { bytes: mapped({ pagesAt: 2 ** 40 }), says: /^SOURCE_SIZE/u },
    circle: { bytes: mapped({ bitmapAt: 0 }), says: /a bitmap at 0/u },
    bomb: null,
  },
  libvirt: {
    count: {
      bytes: changed(libvirtHead(), (copy) => copy.writeUInt32LE(2 ** 32 - 1, 20)),
      says: /4294967295 bytes of definition/u,
    },
    overlap: null,
    outside: {
      bytes: changed(libvirtHead(), (copy) => copy.writeUInt32LE(5000, 20)),
      says: /^STREAM_TRUNCATED/u,
    },
    circle: null,
    bomb: {
      bytes: stream.bytesOf(libvirtHead({ form: LIBVIRT_FORMS.gzip }), gzipSync(REPEATED)),
      says: /for 3 pages of memory/u,
    },
  },
  elf: {
    count: {
      bytes: changed(elfCore({ runs: RUNS, isCountElsewhere: true }), (copy) =>
        copy.writeUInt32LE(2 ** 32 - 1, 64 + 44),
      ),
      says: /4294967295 segments/u,
    },
    overlap: { bytes: elfCore({ runs: OVERLAP }), says: TWICE },
    outside: { bytes: elfCore({ runs: RUNS }).subarray(0, -1), says: /^SOURCE_SIZE/u },
    circle: null,
    bomb: null,
  },
  lime: {
    count: {
      bytes: limeDump(
        Array.from({ length: 1100 }, (_, i) => ({ address: i * 8192, bytes: new Uint8Array(1) })),
      ),
      says: /more than 1024 segments that are no whole pages/u,
    },
    overlap: { bytes: limeDump(OVERLAP), says: TWICE },
    outside: { bytes: limeDump(RUNS).subarray(0, -1), says: /^SOURCE_SIZE/u },
    circle: null,
    bomb: null,
  },
  avml: {
    count: { bytes: avmlDump(AVML_FAR), says: /pages of memory; at most 67108864/u },
    overlap: { bytes: avmlDump(OVERLAP), says: TWICE },
    outside: { bytes: avmlDump(RUNS).subarray(0, -9), says: /^SOURCE_SIZE/u },
    circle: null,
    bomb: { bytes: AVML_BOMB, says: /a chunk of 4294967295 bytes/u },
  },
  windows: {
    count: {
      bytes: changed(windowsDump(RUNS), (copy) => copy.writeUInt32LE(2 ** 31, 0x88)),
      says: /claims 2147483648 runs/u,
    },
    overlap: { bytes: windowsDump(OVERLAP), says: TWICE },
    outside: { bytes: windowsDump(RUNS).subarray(0, -1), says: /^SOURCE_SIZE/u },
    circle: null,
    bomb: null,
  },
  kdump: {
    count: {
      bytes: changed(KDUMP, (copy) => copy.writeInt32LE(2 ** 31 - 1, 436)),
      says: /^SOURCE_/u,
    },
    overlap: {
      // A record begins inside of another one.
      bytes: changed(flattened(KDUMP), (copy) =>
        copy.writeBigInt64BE(copy.readBigInt64BE(PAGE_BYTES) - 1n, PAGE_BYTES),
      ),
      says: /has bytes twice/u,
    },
    outside: {
      bytes: changed(KDUMP, (copy) => copy.writeBigUInt64LE(2n ** 40n, KDUMP_PAGES_AT)),
      says: /^SOURCE_SIZE/u,
    },
    circle: null,
    bomb: { bytes: kdumpOf(deflateSync(Buffer.alloc(2 ** 24)), 1), says: /bytes for a page/u },
  },
  vmware: {
    count: {
      bytes: vmwarePair(RUNS, { regions: 2 ** 31 }).state,
      memory: vmwarePair(RUNS).memory,
      says: /claims 2147483648 regions/u,
    },
    overlap: {
      bytes: vmwarePair(OVERLAP).state,
      memory: vmwarePair(OVERLAP).memory,
      says: TWICE,
    },
    outside: {
      bytes: vmwarePair(RUNS).state,
      memory: vmwarePair(RUNS).memory.subarray(PAGE_BYTES),
      says: /^SOURCE_SIZE/u,
    },
    circle: null,
    bomb: null,
  },
  qcow2: {
    count: {
      bytes: qcow2((copy) => copy.writeUInt32BE(2 ** 31, QCOW2_FIELDS.snapshots)),
      says: /claims 2147483648/u,
    },
    overlap: {
      // All clusters of the state are the first one.
      bytes: qcow2((copy) => {
        const l2 = Number(copy.readBigUInt64BE(QCOW2_L1 + 16) & 0xff_ffff_fe00n);
        for (let i = 1; i < 3; i += 1) copy.copy(copy, l2 + 8 * i, l2, l2 + 8);
      }),
      says: /^S/u,
    },
    outside: {
      bytes: qcow2((copy) => copy.writeUInt32BE(2 ** 31, QCOW2_FIELDS.tableOffset + 4)),
      says: /^SOURCE_SIZE/u,
    },
    circle: {
      bytes: qcow2((copy) => copy.writeBigUInt64BE(BigInt(QCOW2_L1) | (1n << 63n), QCOW2_L1 + 16)),
      says: /^S/u,
    },
    bomb: {
      bytes: qcow2((copy) => {
        const l2 = Number(copy.readBigUInt64BE(QCOW2_L1 + 16) & 0xff_ffff_fe00n);
        copy.writeBigUInt64BE(1n << 62n, l2);
      }),
      says: /compressed memory/u,
    },
  },
};

/** Kinds of these formats that lie in their files in another way; most have few things to lie about. */
const KINDS: Readonly<Record<string, Partial<Lies>>> = {
  'filtered core': {
    count: {
      bytes: filtered((copy) => copy.writeBigUInt64LE(2n ** 60n, SEGMENT_AT + 40)),
      says: /where none can be/u,
    },
    overlap: {
      bytes: elfCore({ runs: [cutRunAt(300, { pages: 4, leftOut: 9 }), runAt(303, 2)] }),
      says: TWICE,
    },
    outside: {
      bytes: filtered((copy) => copy.writeBigUInt64LE(2n ** 40n, SEGMENT_AT + 8)),
      says: /^SOURCE_SIZE/u,
    },
    bomb: {
      bytes: filtered((copy) => copy.writeBigUInt64LE(2n ** 37n, SEGMENT_AT + 40)),
      says: /has 1 of the 33554432 pages/u,
    },
  },
  "core of Xen's": {
    count: { bytes: xen(XEN_NUMBERS + 8, 2n ** 63n), says: /and numbers of/u },
    overlap: { bytes: xenCore(OVERLAP), says: TWICE },
    outside: { bytes: xen(XEN_PAGES, 2n ** 40n), says: /^SOURCE_SIZE/u },
    circle: { bytes: xen(XEN_NUMBERS, 0n), says: /^SOURCE_/u },
  },
  "dump of Windows' kernel": {
    count: { bytes: bitmapDump(BITMAP_FIELDS.pages, 2n ** 60n), says: /a bitmap of 11529215/u },
    overlap: {
      bytes: bitmapDump(BITMAP_FIELDS.firstPage, 0x2038n),
      says: /first of them at 8248/u,
    },
    outside: { bytes: bitmapDump(BITMAP_FIELDS.there, 2n ** 40n), says: /^SOURCE_SIZE/u },
    bomb: {
      bytes: windowsBitmapDump({
        runs: [runAt(0, 1)],
        told: [cutRunAt(0, { pages: 1, leftOut: 2 ** 25 })],
      }),
      says: /has 1 of the 33554433 pages/u,
    },
  },
  'kdump, lzo': { bomb: { bytes: kdumpOf(lzoOf(Buffer.alloc(2 ** 18)), 2), says: /damaged/u } },
  'kdump, zstd': {
    bomb: { bytes: kdumpOf(packFrame(Buffer.alloc(2 ** 20), 1), 32), says: /damaged/u },
  },
  'kdump, snappy': {
    count: {
      bytes: kdumpOf(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]), 4),
      says: /damaged/u,
    },
    bomb: { bytes: kdumpOf(snapped(Buffer.alloc(2 ** 16)), 4), says: /damaged/u },
  },
  'kdump, filtered': {
    bomb: { bytes: KDUMP_SCARCE, says: /has 1 of the 32768 pages/u },
  },
  'kdump, flattened': {
    count: {
      bytes: changed(KDUMP_FLAT, (copy) => copy.writeBigInt64BE(2n ** 62n, PAGE_BYTES)),
      says: /where no dump reaches/u,
    },
    outside: {
      bytes: changed(KDUMP_FLAT, (copy) => copy.writeBigInt64BE(2n ** 40n, PAGE_BYTES + 8)),
      says: /^SOURCE_SIZE/u,
    },
  },
  'save, sparse': {
    overlap: { bytes: mapped({ pagesAt: 0 }, SPARSE), says: /and pages at 0/u },
    outside: { bytes: mapped({ pagesAt: 2 ** 40 }, SPARSE), says: /^SOURCE_SIZE/u },
    circle: { bytes: mapped({ bitmapAt: 0 }, SPARSE), says: /a bitmap at 0/u },
  },
  'stream with what is of disks': {
    count: {
      bytes: ofDisks('pbs-state', stream.u64(2 ** 40)),
      says: /1099511627776 bytes of the state/u,
    },
    outside: {
      bytes: ofDisks('dirty-bitmap', stream.u8(0x40), Buffer.alloc(12), stream.u64(2 ** 30)),
      says: /1073741824 bytes of bitmaps/u,
    },
  },
};

const CASES = Object.entries({ ...LIES, ...KINDS }).flatMap(([format, lies]) =>
  Object.entries(lies).flatMap(([kind, lie]) => (lie === null ? [] : [{ format, kind, lie }])),
);

describe('is refused before memory is taken for it:', () => {
  test.each(CASES)('$format, $kind', async ({ format, kind, lie }) => {
    const { bytes, memory, says } = lie;
    const name = `${format}-${kind}`;
    if (memory !== undefined) opener.file(memory, `${name}.vmem`);
    const path = opener.file(bytes, memory === undefined ? name : `${name}.vmss`);
    const said = format === 'qcow2' ? opener.momentsRefused(bytes) : opener.refused(path);
    await expect(said).resolves.toMatch(says);
  });
});
