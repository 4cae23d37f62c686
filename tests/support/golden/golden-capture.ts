// One capture with everything in it, by value: what the golden files of format 1 hold. The files are
// what an old version wrote and are only ever added to; this is what they must read as.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CODEC_SALTED } from '../../../domain/values/block-salt.ts';
import {
  CODEC_PACKED,
  CODEC_PATTERN,
  CODEC_RAW,
  CODEC_ZSTD,
  PACK_HEADER_BYTES,
} from '../../../domain/values/pack.ts';
import type { PackWritten } from '../../../domain/events/pack-written.ts';
import {
  KIND_BROKE,
  KIND_MERGED,
  KIND_STORED,
  KIND_ZERO,
  patternKind,
  type PageColumns,
} from '../../../domain/events/pages-written.ts';
import { CLASS_BYTE, CLASS_EDGED, CLASS_WORD32 } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { NO_PATCHES } from '../../../domain/events/patches.ts';
import type { PackRewritten } from '../../../domain/events/pack-rewritten.ts';

/** The checkout's root: the nearest folder above with a package.json. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

export const GOLDEN_FOLDER = join(findRoot(), 'tests/golden');

export const goldenBytes = (name: string): Uint8Array =>
  Uint8Array.from(readFileSync(join(GOLDEN_FOLDER, name)));

/** The identifier key of the sharing group that the golden pack belongs to. */
export const GOLDEN_KEY = Uint8Array.from({ length: 32 }, (_, i) => i);

const noise = (seed: number): Uint8Array => {
  let word = seed;
  return Uint8Array.from({ length: PAGE_BYTES }, () => {
    word = (Math.imul(word, 1_103_515_245) + 12_345) >>> 0;
    return word >>> 16;
  });
};
const text = (line: string): Uint8Array =>
  new TextEncoder().encode(line.repeat(PAGE_BYTES)).subarray(0, PAGE_BYTES);

/** The pages of the golden pack, in slot order: two that do not compress, then three that do. */
export const GOLDEN_PAGES: readonly Uint8Array[] = [
  noise(1),
  noise(2),
  text('a page of text, '),
  text('another one, '),
  text('and the last\n'),
];

export const GOLDEN_PACK: Omit<PackWritten, 'identifiers'> = {
  patches: NO_PATCHES,
  name: '04c84254a93caa5925d72c3bbc1ec38a487c7f7aa6c8b7ff07d8b9ae9a769351',
  capture: 1,
  group: 'golden.group-1',
  sizeBytes: 8352,
  blocks: {
    codecs: Uint8Array.of(CODEC_RAW, CODEC_ZSTD),
    pages: Uint8Array.of(2, 3),
    lengths: Uint32Array.of(8192, 64),
    checksums: Uint32Array.of(0x169cf5c1, 0x422cb32d),
  },
};

/** The pages of the golden pack whose blocks are salted: those of the other one, and a pattern. */
export const GOLDEN_SALTED_PAGES: readonly Uint8Array[] = [
  ...GOLDEN_PAGES,
  new Uint8Array(PAGE_BYTES).fill(0x5a),
];

/** As schema 3 has it: the same with salts, and a pattern. */
export const GOLDEN_SALTED_PACK: Omit<PackWritten, 'identifiers'> = {
  ...GOLDEN_PACK,
  name: 'cdb642f371289f6456a0070a81ec72a429737233651fb44e08d2225215feb73f',
  sizeBytes: 8370,
  blocks: {
    codecs: Uint8Array.of(CODEC_RAW, CODEC_ZSTD, CODEC_PATTERN).map(
      (codec) => codec | CODEC_SALTED,
    ),
    pages: Uint8Array.of(2, 3, 1),
    lengths: Uint32Array.of(8196, 68, 10),
    checksums: Uint32Array.of(0x2842eb45, 0x15e7a3a4, 0x7506be9c),
  },
};

/** As schema 4 has it: the same, packed. */
export const GOLDEN_PACKED_PACK: Omit<PackWritten, 'identifiers'> = {
  ...GOLDEN_SALTED_PACK,
  name: '3a86023eb10111c4e91fc30732cb9a6287849adbd6272a39eacfba0daf3c3b90',
  sizeBytes: 8357,
  blocks: {
    ...GOLDEN_SALTED_PACK.blocks,
    codecs: Uint8Array.of(CODEC_RAW, CODEC_PACKED, CODEC_PATTERN).map(
      (codec) => codec | CODEC_SALTED,
    ),
    lengths: Uint32Array.of(8196, 55, 10),
    checksums: Uint32Array.of(0x559ede6a, 0x0cfa97b4, 0x82a65c96),
  },
};

const OTHER_PACK = '0123456789abcdef'.repeat(4);

export const GOLDEN_PAGE_COLUMNS: PageColumns = {
  capture: 1,
  batch: 0,
  firstRow: 0,
  parts: [],
  packs: [GOLDEN_PACK.name, OTHER_PACK],
  kinds: Uint8Array.of(
    KIND_STORED,
    KIND_STORED | KIND_BROKE,
    KIND_MERGED,
    KIND_ZERO,
    KIND_ZERO | KIND_BROKE,
    KIND_MERGED | KIND_BROKE,
  ),
  gfns: Uint32Array.of(0, 1, 130, 70_000, 70_001, 2 ** 32 - 2),
  packIndexes: Uint16Array.of(0, 0, 1, 0, 0, 1),
  slots: Uint16Array.of(0, 1, 4095, 0, 0, 258),
};

/** Pages of two attachments: one of two pages, one of zeros. */
export const GOLDEN_ATTACHMENT_COLUMNS: PageColumns = {
  capture: 1,
  batch: 1,
  firstRow: 3,
  parts: [],
  packs: [GOLDEN_PACK.name, OTHER_PACK],
  kinds: Uint8Array.of(KIND_STORED, KIND_MERGED, KIND_ZERO),
  gfns: Uint32Array.of(3, 4, 5),
  packIndexes: Uint16Array.of(0, 1, 0),
  slots: Uint16Array.of(2, 4095, 0),
};

/** As schema 2 has it: a pattern that a pack keeps, and a public one. */
export const GOLDEN_PATTERN_COLUMNS: PageColumns = {
  ...GOLDEN_PAGE_COLUMNS,
  kinds: Uint8Array.of(
    KIND_STORED,
    patternKind(CLASS_WORD32) | KIND_BROKE,
    patternKind(CLASS_BYTE),
    KIND_ZERO,
    KIND_MERGED,
    patternKind(CLASS_EDGED),
  ),
  packIndexes: Uint16Array.of(0, 0, 2, 0, 1, 1),
  slots: Uint16Array.of(0, 5, 1, 0, 4095, 5119),
};

/** As schema 2 has it: contents, two of them patches, and patterns after them. */
export const GOLDEN_PATCHED_PACK: PackWritten = {
  name: 'ab'.repeat(32),
  capture: 2,
  group: 'golden.group-1',
  sizeBytes: PACK_HEADER_BYTES + 4096 + 4 + 36,
  blocks: {
    codecs: Uint8Array.of(CODEC_RAW, CODEC_ZSTD, CODEC_PATTERN),
    pages: Uint8Array.of(1, 4, 2),
    lengths: Uint32Array.of(4096, 4, 36),
    checksums: Uint32Array.of(1, 2, 0xffff_ffff),
  },
  identifiers: Uint8Array.from({ length: 7 * 32 }, (_, i) => i),
  patches: {
    packs: [OTHER_PACK],
    slots: Uint16Array.of(1, 4),
    packIndexes: Uint16Array.of(0, 0),
    references: Uint16Array.of(258, 4095),
  },
};

/** A rewritten pack: contents of two homes, one a patch, and a pattern. */
export const GOLDEN_REWRITTEN_PACK: PackRewritten = {
  name: 'ef'.repeat(32),
  group: 'golden.group-1',
  sizeBytes: PACK_HEADER_BYTES + 4096 + 40 + 18,
  blocks: {
    codecs: Uint8Array.of(CODEC_RAW, CODEC_ZSTD, CODEC_PATTERN),
    pages: Uint8Array.of(1, 3, 1),
    lengths: Uint32Array.of(4096, 40, 18),
    checksums: Uint32Array.of(1, 2, 0xffff_ffff),
  },
  sources: [GOLDEN_PACK.name, OTHER_PACK],
  sourceIndexes: Uint16Array.of(0, 1, 0, 1, 1),
  sourceSlots: Uint16Array.of(4, 4095, 0, 17, 5119),
  patches: {
    packs: [OTHER_PACK],
    slots: Uint16Array.of(2),
    packIndexes: Uint16Array.of(0),
    references: Uint16Array.of(258),
  },
  isCopied: false,
};

/** As schema 2 has it: with salted blocks. */
export const GOLDEN_SALTED_REWRITTEN: PackRewritten = {
  ...GOLDEN_REWRITTEN_PACK,
  sizeBytes: GOLDEN_SALTED_PACK.sizeBytes,
  blocks: GOLDEN_SALTED_PACK.blocks,
  sourceIndexes: Uint16Array.of(0, 1, 0, 1, 1, 1),
  sourceSlots: Uint16Array.of(4, 4095, 0, 17, 2, 5119),
};

/** Of each slot of a pack, the number of its block, and its own in that. */
const copiedRows = ({ blocks }: PackRewritten): { block: number; page: number }[] =>
  [...blocks.pages].flatMap((pages, block) =>
    Array.from({ length: pages }, (_, page) => ({ block, page })),
  );

/** As schema 3 has it: with packed blocks. */
export const GOLDEN_PACKED_REWRITTEN: PackRewritten = {
  ...GOLDEN_SALTED_REWRITTEN,
  sizeBytes: GOLDEN_PACKED_PACK.sizeBytes,
  blocks: GOLDEN_PACKED_PACK.blocks,
};

/** The event of a pack as schema 5 has it: numbers of seven bits a byte. */
export const GOLDEN_SHORT_PACK: PackWritten = {
  ...GOLDEN_PACKED_PACK,
  identifiers: Uint8Array.from({ length: 6 * 32 }, (_, i) => i),
  patches: {
    packs: ['cd'.repeat(32), OTHER_PACK],
    slots: Uint16Array.of(0, 2),
    packIndexes: Uint16Array.of(1, 0),
    references: Uint16Array.of(258, 4095),
  },
};

/** As schema 4 has it: one list of names, and numbers of seven bits a byte. */
export const GOLDEN_SHORT_REWRITTEN: PackRewritten = {
  ...GOLDEN_PACKED_REWRITTEN,
  sources: [GOLDEN_PACK.name, OTHER_PACK, 'cd'.repeat(32)],
  sourceIndexes: Uint16Array.of(0, 0, 0, 1, 1, 1),
  sourceSlots: Uint16Array.of(4, 5, 6, 17, 2, 5119),
  patches: {
    packs: [GOLDEN_PACK.name, OTHER_PACK, 'cd'.repeat(32)],
    slots: Uint16Array.of(0, 2),
    packIndexes: Uint16Array.of(2, 1),
    references: Uint16Array.of(258, 259),
  },
};

/** The same of blocks that are copied whole. */
export const GOLDEN_COPIED_REWRITTEN: PackRewritten = {
  ...GOLDEN_PACKED_REWRITTEN,
  blocks: {
    ...GOLDEN_PACKED_REWRITTEN.blocks,
    checksums: new Uint32Array(GOLDEN_PACKED_REWRITTEN.blocks.codecs.length),
  },
  sourceIndexes: Uint16Array.from(copiedRows(GOLDEN_PACKED_REWRITTEN), ({ block }) => block % 2),
  sourceSlots: Uint16Array.from(
    copiedRows(GOLDEN_PACKED_REWRITTEN),
    ({ block, page }) => 300 * block + page,
  ),
  patches: NO_PATCHES,
  isCopied: true,
};

export const GOLDEN_DEVICE_COLUMNS: PageColumns = {
  capture: 1,
  batch: 0,
  firstRow: 0,
  parts: [5000, 17],
  packs: [GOLDEN_PACK.name],
  kinds: Uint8Array.of(KIND_STORED, KIND_STORED, KIND_ZERO),
  gfns: Uint32Array.of(0, 1, 2),
  packIndexes: Uint16Array.of(0, 0, 0),
  slots: Uint16Array.of(3, 4, 0),
};

/** As schema 6 has it: contents of it are held large. */
export const GOLDEN_LARGE_PACK: PackWritten = {
  ...GOLDEN_SHORT_PACK,
  large: Uint16Array.of(0, 1, 2, 4),
};
