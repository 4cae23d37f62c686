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
import { PACK_SLOTS } from '../values/page.ts';
import { decodeRewritten3, encodeRewritten3 } from './pack-rewritten-3.ts';
import { NO_PATCHES, PATCH_PACKS_MAX } from './patches.ts';
import {
  malformed,
  rewrittenFault,
  SOURCE_PACKS_MAX,
  type PackRewritten,
} from './rewritten-pack.ts';
import { readBlocks, readPatches, writeBlocks, writePatches } from './short-blocks.ts';
import { ColumnReader, ColumnWriter, NUMBERS, SLOTS } from './short-columns.ts';

export { SOURCE_PACKS_MAX, type PackRewritten } from './rewritten-pack.ts';

const NAME_BYTES = 32;
const SIZE_MAX = 2 ** 32 - 1;
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
  const numbers = new Map(names.map((name, number) => [name, number]));
  writePatches(writer, patches, (name) => numbers.get(name)!);
}

function encodeShort(pack: PackRewritten): Uint8Array {
  const { blocks, isCopied, sources, patches } = pack;
  const names = isCopied ? sources : [...new Set([...sources, ...patches.packs])];
  const writer = new ColumnWriter()
    .raw(fromHex(pack.name))
    .number(pack.sizeBytes)
    .text(pack.group)
    .number(names.length)
    .names(names);
  writeBlocks(writer, blocks);
  writer.raw(Uint8Array.of(isCopied ? COPIED : ANEW));
  if (isCopied)
    writer
      .column(firstsOf(pack, pack.sourceIndexes), NUMBERS)
      .column(firstsOf(pack, pack.sourceSlots), NUMBERS);
  else writeAnew(writer, pack, names);
  return writer.bytes();
}

/** A table of blocks that was read. */
type Blocks = Exclude<ReturnType<typeof readBlocks>, string>;

/** What slots come from and are patches of. */
type Sources = Pick<PackRewritten, 'sourceIndexes' | 'sourceSlots' | 'patches'>;

function readAnew(reader: ColumnReader, names: readonly string[], of: Blocks): Sources {
  const { blocks, slots } = of;
  reader.words(blocks.checksums);
  const last = names.length - 1;
  return {
    sourceIndexes: reader.column(new Uint16Array(slots), NUMBERS, last),
    sourceSlots: reader.column(new Uint16Array(slots), SLOTS, PACK_SLOTS - 1),
    patches: readPatches(reader, names, contentSlotsOf(blocks)),
  };
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
  if (reader.hasFailed || names.length === 0) return malformed('it names no pack');
  const read = readBlocks(reader);
  if (typeof read === 'string') return malformed(read);
  const { blocks } = read;
  const form = reader.byte();
  if (form > COPIED) return malformed(`it is of form ${form}`);
  const isCopied = form === COPIED;
  const sources = isCopied ? readCopied(reader, names, blocks) : readAnew(reader, names, read);
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
