// Values for property tests: columns, packs and control events as the domain could make them, and
// damage to bytes.

import fc from 'fast-check';
import { ATTACHMENT_BYTES_MAX } from '../../domain/values/attachment.ts';
import { rangesOf } from '../../domain/values/capture-ranges.ts';
import { CAPTURE_MODES } from '../../domain/values/capture-mode.ts';
import type { CheckpointLayout, ControlEvent } from '../../domain/events/control.ts';
import { LAYOUT_MAP_BYTES_MAX } from '../../domain/events/layout-map.ts';
import type { MemoryMap } from '../../domain/values/memory-map.ts';
import { CODEC_SALTED, SALT_BYTES } from '../../domain/values/block-salt.ts';
import {
  CODEC_PACKED,
  CODEC_RAW,
  CODEC_ZSTD,
  PACK_HEADER_BYTES,
} from '../../domain/values/pack.ts';
import type { PackWritten } from '../../domain/events/pack-written.ts';
import {
  hasReference,
  KIND_BROKE,
  KIND_MERGED,
  KIND_PATTERN,
  KIND_STORED,
  KIND_ZERO,
  patternKind,
  type PageColumns,
} from '../../domain/events/pages-written.ts';
import {
  BLOCK_BYTES,
  BLOCK_PAGES,
  PACK_PAGES_MAX,
  PACK_SLOTS,
  PAGE_BYTES,
} from '../../domain/values/page.ts';
import { cloneEvents } from './hosts/clone-arbitraries.ts';
import { hostEvents } from './hosts/host-arbitraries.ts';
import { stringForm } from '../../domain/patterns/index.ts';
import { NO_PATCHES, type PatchTable } from '../../domain/events/patches.ts';
import { CLASSES_MAX, IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { seededRandom } from './images.ts';

const U32_MAX = 2 ** 32 - 1;
/** The largest gfn there can be. */
export const GFN_MAX = 2 ** 32 - 2;

export const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,40}$/u);
const u32 = fc.nat({ max: U32_MAX });
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
/** A position of a log, as events write it. */
const digits = fc.bigInt({ min: 0n, max: 2n ** 62n }).map(String);
const hex32 = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));

const hexBytes = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: 1, maxLength }).map((bytes) => Buffer.from(bytes).toString('hex'));

/** How a checkpoint was laid out: not, without copies, or with some. */
const checkpointLayout: fc.Arbitrary<CheckpointLayout | null> = fc.option(
  fc.oneof(
    fc.constant({ bytes: 0, map: null, packs: [] }),
    fc.record({
      bytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      map: fc.record({ name: hex32, bytes: fc.nat({ max: LAYOUT_MAP_BYTES_MAX }) }),
      packs: fc.array(hex32, { minLength: 1, maxLength: 4 }),
    }),
  ),
);

const OUTCOMES = [KIND_ZERO, KIND_STORED, KIND_MERGED, KIND_PATTERN];

export interface ColumnsShape {
  readonly seed: number;
  readonly rows: number;
  readonly packs: number;
  /** The largest step from one gfn to the next. */
  readonly step: number;
}

/** Columns of a shape: a seed, not an array a row, so that large ones are quick to make and shrink. */
export function makeColumns({ seed, rows, packs, step }: ColumnsShape): PageColumns {
  const random = seededRandom(seed);
  const columns = {
    kinds: new Uint8Array(rows),
    gfns: new Uint32Array(rows),
    packIndexes: new Uint16Array(rows),
    slots: new Uint16Array(rows),
  };
  let gfn = -1;
  for (let row = 0; row < rows; row += 1) {
    gfn += 1 + random(step);
    columns.gfns[row] = gfn;
    const outcome = packs === 0 ? [KIND_ZERO, KIND_PATTERN][random(2)]! : OUTCOMES[random(4)]!;
    const isOfPattern = outcome === KIND_PATTERN;
    const kind = isOfPattern ? patternKind(random(CLASSES_MAX)) : outcome;
    columns.kinds[row] = kind | (random(4) === 0 ? KIND_BROKE : 0);
    if (!hasReference(outcome)) continue;
    // One more than there are packs: a public pattern.
    columns.packIndexes[row] = random(isOfPattern ? packs + 1 : packs);
    columns.slots[row] = random(PACK_SLOTS);
  }
  // The last row lies at the very end of the largest VM, where there is a choice.
  if (rows > 0 && step > 1) columns.gfns[rows - 1] = GFN_MAX;
  return {
    capture: 1 + random(1000),
    batch: random(10),
    firstRow: random(1_000_000),
    parts: [],
    packs: Array.from({ length: packs }, () => hexOf(random)),
    ...columns,
  };
}

const hexOf = (random: (below: number) => number): string =>
  Array.from({ length: 32 }, () => random(256).toString(16).padStart(2, '0')).join('');

export const pageColumns: fc.Arbitrary<PageColumns> = fc
  .record({
    seed: fc.nat(),
    rows: fc.nat({ max: 300 }),
    packs: fc.nat({ max: 300 }),
    step: fc.constantFrom(1, 2, 200, 1_000_000),
    parts: fc.array(u32, { maxLength: 16 }),
    capture: u32,
    firstRow: u32,
  })
  .map(({ parts, capture, firstRow, ...shape }) => ({
    ...makeColumns(shape),
    parts,
    capture,
    firstRow,
  }));

/** Patches in some of so many slots. */
function patchTable(random: (below: number) => number, pages: number): PatchTable {
  const slots = Array.from({ length: pages }, (_, slot) => slot).filter(() => random(3) === 0);
  if (slots.length === 0) return NO_PATCHES;
  const packs = Array.from({ length: 1 + random(slots.length) }, () => hexOf(random));
  return {
    packs,
    slots: Uint16Array.from(slots),
    packIndexes: Uint16Array.from(slots, () => random(packs.length)),
    references: Uint16Array.from(slots, () => random(PACK_PAGES_MAX)),
  };
}

/** A pack's event with a table of blocks that fits it. */
export const packWritten: fc.Arbitrary<PackWritten> = fc
  .record({
    name: hex32,
    capture: u32,
    group: name,
    blocks: fc.array(
      fc.record({
        pages: fc.integer({ min: 1, max: BLOCK_PAGES }),
        length: fc.integer({ min: 1, max: BLOCK_BYTES }),
        codec: fc.constantFrom(CODEC_RAW, CODEC_ZSTD, CODEC_PACKED),
        isSalted: fc.boolean(),
        checksum: u32,
      }),
      { minLength: 1, maxLength: 40 },
    ),
    seed: fc.nat(),
  })
  .map(({ blocks, seed, ...pack }) => {
    const random = seededRandom(seed);
    const lengths = blocks.map(({ codec, isSalted, pages, length }) => {
      const saltBytes = isSalted ? SALT_BYTES : 0;
      const contentBytes = pages * PAGE_BYTES;
      return saltBytes + (codec === CODEC_RAW ? contentBytes : Math.min(length, contentBytes));
    });
    const pages = blocks.reduce((sum, block) => sum + block.pages, 0);
    return {
      ...pack,
      sizeBytes: lengths.reduce((sum, length) => sum + length, PACK_HEADER_BYTES),
      blocks: {
        codecs: Uint8Array.from(
          blocks,
          ({ codec, isSalted }) => codec | (isSalted ? CODEC_SALTED : 0),
        ),
        pages: Uint8Array.from(blocks, (block) => block.pages),
        lengths: Uint32Array.from(lengths),
        checksums: Uint32Array.from(blocks, ({ checksum }) => checksum),
      },
      identifiers: Uint8Array.from({ length: pages * IDENTIFIER_BYTES }, () => random(256)),
      patches: patchTable(random, pages),
    };
  });

export const memoryMap: fc.Arbitrary<MemoryMap> = fc
  .array(fc.record({ name: fc.string(), pages: fc.nat({ max: 2 ** 28 }) }), { maxLength: 8 })
  .map((blocks) => ({
    blocks,
    ranges: blocks.map((block, i) => ({
      address: i * 2 ** 41,
      block: block.name,
      offset: 0,
      length: block.pages * PAGE_BYTES,
    })),
  }));

const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 8e15 });
/** JSON has no negative zero. */
const measured = finite.map((number) => number + 0);

const noteText = fc.option(fc.string({ minLength: 1, maxLength: 40 }));
const attachmentEntry = fc.record({
  name,
  bytes: fc.nat({ max: ATTACHMENT_BYTES_MAX }),
  sha256: hex32,
});
const imageFile = fc.record({
  name: fc.string(),
  bytes: count,
  timeNs: fc.bigInt({ min: 0n, max: 10n ** 19n }).map(String),
});

const capture = fc.integer({ min: 1, max: U32_MAX });
const lease = hex32.map((text) => text.slice(0, 16));
const word = fc.stringMatching(/^[a-z][a-z-]{0,31}$/u);
const hostText = fc.string({ maxLength: 255 });

const captureCommitted = fc.record({
  vm: name,
  capture,
  timeMs: measured,
  batches: count,
  firstRevision: count,
  hash: hex32,
  written: count,
  stored: count,
  merged: count,
  pattern: count,
  unknown: count,
  unchanged: count,
  pauseMs: fc.option(measured),
  mode: fc.constantFrom(...CAPTURE_MODES),
  source: fc.string(),
  note: noteText,
  attachments: fc.array(attachmentEntry, { maxLength: 3 }),
  image: fc.option(imageFile),
});

/** Every control event. */
export const controlEvent: fc.Arbitrary<ControlEvent> = fc.oneof(
  fc
    .record({ ledger: fc.string(), format: count, pageStore: fc.option(fc.string()) })
    .map((data): ControlEvent => ({ type: 'LedgerCreated', data })),
  fc
    .record({ group: name, keyCheck: hex32 })
    .map((data): ControlEvent => ({ type: 'GroupCreated', data })),
  fc
    .record({
      pattern: fc.integer({ min: 64, max: 255 }),
      expression: fc.uint8Array({ minLength: 1, maxLength: 40 }).map(stringForm),
    })
    .map((data): ControlEvent => ({ type: 'PatternAdded', data })),
  fc
    .record({
      vm: name,
      group: name,
      share: fc.constantFrom('group' as const, 'vm' as const, 'pattern' as const),
      memoryMap,
      parent: fc.option(fc.record({ vm: name, capture })),
    })
    .map((data): ControlEvent => ({ type: 'VmRegistered', data })),
  fc
    .record({ vm: name, memoryMap })
    .map((data): ControlEvent => ({ type: 'MemoryMapChanged', data })),
  fc
    .record({ vm: name, argv: fc.array(fc.string()) })
    .map((data): ControlEvent => ({ type: 'CommandLineObserved', data })),
  captureCommitted.map((data): ControlEvent => ({ type: 'CaptureCommitted', data })),
  fc
    .record({ vm: name, name, capture, note: noteText, layout: checkpointLayout })
    .map((data): ControlEvent => ({ type: 'CheckpointTaken', data })),
  fc
    .record({ vm: name, name, capture, traced: count, layout: checkpointLayout })
    .filter(({ layout }) => layout !== null)
    .map(({ layout, ...data }): ControlEvent => ({
      type: 'CheckpointLaidOut',
      data: { ...data, layout: layout! },
    })),
  fc.record({ vm: name, name }).map((data): ControlEvent => ({ type: 'CheckpointDropped', data })),
  fc
    .record({ vm: name, captures: fc.array(capture).map(rangesOf) })
    .map((data): ControlEvent => ({ type: 'PointsForgotten', data })),
  fc
    .record({
      seen: fc.option(fc.record({ vm: name, capture })),
      packs: fc.array(fc.record({ pack: hex32, slots: hexBytes(640) })),
      areLying: fc.constantFrom(true as const, null),
    })
    .map((data): ControlEvent => ({ type: 'ContentReleased', data })),
  fc
    .record({ packs: fc.array(fc.record({ pack: hex32, slots: hexBytes(640) })) })
    .chain((data) =>
      fc.constantFrom<ControlEvent>({ type: 'ContentLost', data }, { type: 'ContentFound', data }),
    ),
  fc
    .record({
      vm: name,
      capture,
      lease,
      kind: word,
      ledger: fc.string(),
      holder: fc.record({
        host: hostText,
        machine: fc.option(hostText),
        boot: fc.option(hostText),
        space: fc.option(hostText),
        process: count,
        started: fc.option(count),
      }),
    })
    .map((data): ControlEvent => ({ type: 'PointLeased', data })),
  fc
    .record({ vm: name, lease, why: word })
    .map((data): ControlEvent => ({ type: 'LeaseEnded', data })),
  ...cloneEvents({ name, capture, lease, word, hostText, count }),
  fc
    .record({ vm: name, capture, how: word, to: fc.option(hostText) })
    .map((data): ControlEvent => ({ type: 'CheckpointRestored', data })),
  fc
    .record({
      vm: name,
      capture: fc.integer({ min: 1, max: U32_MAX }),
      pages: fc.array(fc.nat(2 ** 20)).map(rangesOf),
    })
    .map((data): ControlEvent => ({ type: 'PageRequested', data })),
  ...hostEvents({ name, capture, lease, word, hostText, hex32, count }),
  fc
    .record({
      vm: name,
      capture: fc.integer({ min: 1, max: U32_MAX }),
      source: fc.constantFrom('writes', 'requests', 'bits'),
      regions: fc.array(fc.nat(2 ** 20)).map(rangesOf),
    })
    .map((data): ControlEvent => ({ type: 'LargePageSampled', data })),
  fc
    .tuple(
      fc.constantFrom('LargePageSplit' as const, 'LargePageRestored' as const),
      fc.record({
        vm: name,
        capture: fc.integer({ min: 1, max: U32_MAX }),
        since: fc.integer({ min: 1, max: U32_MAX }),
        source: fc.constantFrom('writes', 'requests', 'bits'),
        measure: fc.constantFrom('distinct', 'total'),
        threshold: fc.option(count),
        regions: fc.array(
          fc.record({
            region: fc.nat(2 ** 23 - 1),
            activity: count,
            shareable: fc.nat(512),
            pattern: fc.nat(512),
            bytes: count,
          }),
        ),
      }),
    )
    .map(([type, data]): ControlEvent => ({ type, data })),
  fc.record({ vm: name }).map((data): ControlEvent => ({ type: 'VmRetired', data })),
  fc
    .record({
      begins: digits,
      parts: count,
      firstRevision: count,
      from: digits,
      bytes: count,
      format: fc.option(count),
    })
    .map((data): ControlEvent => ({ type: 'HistoryForgotten', data })),
);

/** Bytes after something happened to them: bits flipped, cut short, lengthened, or made up. */
export const damaged = (bytes: Uint8Array): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    fc
      .array(
        fc.record({
          at: fc.nat({ max: bytes.length - 1 }),
          mask: fc.integer({ min: 1, max: 255 }),
        }),
        {
          minLength: 1,
          maxLength: 4,
        },
      )
      .map((flips) => {
        const flipped = bytes.slice();
        for (const { at, mask } of flips) flipped[at]! ^= mask;
        return flipped;
      }),
    fc.nat({ max: bytes.length - 1 }).map((length) => bytes.slice(0, length)),
    fc.uint8Array({ minLength: 1, maxLength: 64 }).map((more) => {
      const longer = new Uint8Array(bytes.length + more.length);
      longer.set(bytes);
      longer.set(more, bytes.length);
      return longer;
    }),
    fc.uint8Array({ maxLength: 400 }),
  );
