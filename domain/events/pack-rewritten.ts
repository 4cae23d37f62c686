// PackRewritten: a pack that compaction, a repair or a merge wrote (docs/events.md). Its slots hold
// contents and patterns that have their numbers already: those of slots of other packs, where they lay
// when this was appended. From this event on they lie here. Integers are little-endian, (v) LEB128;
// columns as in docs/events.md, "Values".
//
//   0  32  name (SHA-256 of the pack)
//       -  bytes of the pack, its header included (v)
//       -  group: bytes of its name (u8), the name
//       -  packs p (v)
//       -  pack names   p x 32 bytes
//       -  blocks b (v)
//       -  codecs       column of b, u8
//       -  pages        column of b, u8; n are those of all blocks
//       -  lengths      b x (v)
//       -  form (u8): 0 stored anew, 1 blocks copied whole
//       -  form 0: checksums    b x u32      CRC-32 of the stored bytes
//       -  form 0: packs        column of n  index into the pack names
//       -  form 0: slots        column of n, of slots
//       -  form 0: patches m (v)
//       -  form 0: patch slots  m x (v)      first slot, then each slot minus the one before minus 1
//       -  form 0: patch packs  column of m  index into the pack names
//       -  form 0: references   column of m, of slots
//       -  form 1: packs        column of b  index into the pack names
//       -  form 1: first slots  column of b  slot of the block's first page

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { fromHex, toHex } from '../values/identifier.ts';
import type { LedgerError } from '../values/ledger-error.ts';
import { arePacked, areSalted, contentSlotsOf, type BlockTable } from '../values/pack.ts';
import { PACK_PAGES_MAX, PACK_PATTERNS_MAX, PACK_SLOTS } from '../values/page.ts';
import { decodeRewritten3, encodeRewritten3 } from './pack-rewritten-3.ts';
import { NO_PATCHES, PATCH_PACKS_MAX } from './patches.ts';
import {
  malformed,
  rewrittenFault,
  SOURCE_PACKS_MAX,
  type PackRewritten,
} from './rewritten-pack.ts';
import { BYTES, ColumnReader, ColumnWriter, NUMBERS, SLOTS } from './short-columns.ts';

export { SOURCE_PACKS_MAX, type PackRewritten } from './rewritten-pack.ts';

const NAME_BYTES = 32;
const SIZE_MAX = 2 ** 32 - 1;
const SLOTS_MAX = PACK_PAGES_MAX + PACK_PATTERNS_MAX;
/** What a pack's slots and its patches name stands in one list. */
const NAMES_MAX = SOURCE_PACKS_MAX + 2 * PATCH_PACKS_MAX;
const ANEW = 0;
const COPIED = 1;
/** The schema from which on packs are named where things lie. */
const SHORT_SCHEMA = 4;

/**
 * Schema of the event of a pack with these blocks. Where events may not be short, as earlier releases
 * read them: of those some know no blocks that are packed, or salted.
 */
export function packRewrittenSchema(blocks: BlockTable, areEventsShort: boolean): number {
  if (areEventsShort) return SHORT_SCHEMA;
  if (arePacked(blocks)) return 3;
  return areSalted(blocks) ? 2 : 1;
}

/** The bytes of an event's data, of a schema that `packRewrittenSchema` gives. */
export const encodePackRewritten = (pack: PackRewritten, schema: number): Uint8Array =>
  schema < SHORT_SCHEMA ? encodeRewritten3(pack) : encodeShort(pack);

/** The pack in an event's data; EVENT_INVALID where any size does not fit. */
export const decodePackRewritten = ({
  schema,
  data,
}: {
  readonly schema: number;
  readonly data: Uint8Array;
}): Either<LedgerError, PackRewritten> =>
  schema < SHORT_SCHEMA ? decodeRewritten3(data) : decodeShort(data);

/** Of some slots, those that blocks begin with. */
function firstsOf({ blocks }: PackRewritten, slots: Uint16Array): Uint16Array {
  let slot = 0;
  return Uint16Array.from(blocks.pages, (pages) => {
    slot += pages;
    return slots[slot - pages]!;
  });
}

function writeAnew(writer: ColumnWriter, pack: PackRewritten, names: readonly string[]): void {
  const { blocks, sourceIndexes, sourceSlots, patches } = pack;
  writer.words(blocks.checksums).column(sourceIndexes, NUMBERS).column(sourceSlots, SLOTS);
  const numberOf = new Map(names.map((name, number) => [name, number]));
  writer.number(patches.slots.length);
  let next = 0;
  for (const slot of patches.slots) {
    writer.number(slot - next);
    next = slot + 1;
  }
  writer.column(
    patches.packIndexes.map((index) => numberOf.get(patches.packs[index]!)!),
    NUMBERS,
  );
  writer.column(patches.references, SLOTS);
}

function encodeShort(pack: PackRewritten): Uint8Array {
  const { blocks, isCopied, sources, patches } = pack;
  const names = isCopied ? sources : [...new Set([...sources, ...patches.packs])];
  const writer = new ColumnWriter()
    .raw(fromHex(pack.name))
    .number(pack.sizeBytes)
    .text(pack.group)
    .number(names.length)
    .names(names)
    .number(blocks.codecs.length)
    .column(blocks.codecs, BYTES)
    .column(blocks.pages, BYTES)
    .numbers(blocks.lengths)
    .raw(Uint8Array.of(isCopied ? COPIED : ANEW));
  if (isCopied)
    writer
      .column(firstsOf(pack, pack.sourceIndexes), NUMBERS)
      .column(firstsOf(pack, pack.sourceSlots), NUMBERS);
  else writeAnew(writer, pack, names);
  return writer.bytes();
}

/** Slots of patches, which ascend and are below `slotsMax`. */
function readPatchSlots(reader: ColumnReader, slotsMax: number): Uint16Array {
  const slots = new Uint16Array(reader.number(slotsMax));
  let next = 0;
  for (let i = 0; i < slots.length; i += 1) {
    slots[i] = next + reader.number(Math.max(0, slotsMax - 1 - next));
    next = slots[i]! + 1;
  }
  return slots;
}

/** What slots come from and are patches of. */
type Sources = Pick<PackRewritten, 'sourceIndexes' | 'sourceSlots' | 'patches'>;

function readAnew(reader: ColumnReader, names: readonly string[], blocks: BlockTable): Sources {
  const slots = blocks.pages.reduce((sum, pages) => sum + pages, 0);
  reader.words(blocks.checksums);
  const last = names.length - 1;
  const sourceIndexes = reader.column(new Uint16Array(slots), NUMBERS, last);
  const sourceSlots = reader.column(new Uint16Array(slots), SLOTS, PACK_SLOTS - 1);
  const patchSlots = readPatchSlots(reader, contentSlotsOf(blocks));
  const count = patchSlots.length;
  const indexes = reader.column(new Uint16Array(count), NUMBERS, last);
  const references = reader.column(new Uint16Array(count), SLOTS, PACK_PAGES_MAX - 1);
  const patches =
    count === 0
      ? NO_PATCHES
      : { packs: names, slots: patchSlots, packIndexes: indexes, references };
  return { sourceIndexes, sourceSlots, patches };
}

function readCopied(
  reader: ColumnReader,
  names: readonly string[],
  { pages }: BlockTable,
): Sources {
  const indexes = reader.column(new Uint16Array(pages.length), NUMBERS, names.length - 1);
  const firsts = reader.column(new Uint16Array(pages.length), NUMBERS, PACK_SLOTS - 1);
  const sourceIndexes: number[] = [];
  const sourceSlots: number[] = [];
  for (const [block, count] of pages.entries())
    for (let i = 0; i < count; i += 1) {
      sourceIndexes.push(indexes[block]!);
      sourceSlots.push(firsts[block]! + i);
    }
  return {
    sourceIndexes: Uint16Array.from(sourceIndexes),
    sourceSlots: Uint16Array.from(sourceSlots),
    patches: NO_PATCHES,
  };
}

function decodeShort(data: Uint8Array): Either<LedgerError, PackRewritten> {
  const reader = new ColumnReader(data);
  const name = toHex(reader.raw(NAME_BYTES));
  const sizeBytes = reader.number(SIZE_MAX);
  const group = reader.text();
  const names = reader.names(reader.number(NAMES_MAX));
  const count = reader.number(SLOTS_MAX);
  if (reader.hasFailed || names.length === 0 || count === 0)
    return malformed(`it claims ${count} blocks of ${names.length} packs`);
  const codecs = reader.column(new Uint8Array(count), BYTES, 255);
  const pages = reader.column(new Uint8Array(count), BYTES, 255);
  const lengths = reader.numbers(new Uint32Array(count), SIZE_MAX);
  const form = reader.byte();
  const blocks: BlockTable = { codecs, pages, lengths, checksums: new Uint32Array(count) };
  const slots = pages.reduce((sum, of) => sum + of, 0);
  if (reader.hasFailed || slots > SLOTS_MAX || form > COPIED)
    return malformed(`it claims ${slots} pages in ${count} blocks of form ${form}`);
  const isCopied = form === COPIED;
  const sources = isCopied ? readCopied(reader, names, blocks) : readAnew(reader, names, blocks);
  if (!reader.isDone) return malformed(`its columns do not fit its ${data.length} bytes`);
  const pack: PackRewritten = {
    name,
    group,
    sizeBytes,
    blocks,
    sources: names,
    ...sources,
    isCopied,
  };
  const fault = rewrittenFault(pack);
  return fault === null ? either.right(pack) : malformed(fault);
}
