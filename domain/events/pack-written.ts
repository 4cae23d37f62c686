// PackWritten: what a pack holds (docs/events.md). Integers are little-endian, (v) LEB128; columns as in
// docs/events.md, "Values".
//
//   0  32  name (SHA-256 of the pack)
//       -  capture (v)
//       -  bytes of the pack, its header included (v)
//       -  group: bytes of its name (u8), the name
//       -  blocks b (v)
//       -  codecs       column of b, u8
//       -  pages        column of b, u8; n are those of all blocks: contents, then patterns
//       -  lengths      b x (v)
//       -  checksums    b x u32          CRC-32 of the stored bytes
//       -  identifiers  n x 32 bytes, in slot order
//       -  packs p (v)
//       -  pack names   p x 32 bytes     of packs that patches refer to
//       -  patches m (v)
//       -  patch slots  m x (v)          first slot, then each slot minus the one before minus 1
//       -  patch packs  column of m      index into the pack names
//       -  references   column of m, of slots
//       -  large r (v)                    only where slots are held large: schema 6
//       -  large slots  r x 2 (v)         run by run: first slot, minus the end of the run before; slots, minus 1
//
// Of a slot of a pattern, the identifier is that of a page made of its descriptor and its VM's name:
// its recorder finds it by that, and it equals none of another VM.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { IDENTIFIER_BYTES } from '../ports/page-engine.ts';
import { fromHex, toHex } from '../values/identifier.ts';
import type { LedgerError } from '../values/ledger-error.ts';
import { arePacked, areSalted, contentSlotsOf } from '../values/pack.ts';
import { areRuns, NO_RUNS, type SlotRuns } from '../values/slot-runs.ts';
import { decodeWritten4, encodeWritten4 } from './pack-written-4.ts';
import { PATCH_PACKS_MAX } from './patches.ts';
import { readBlocks, readPatches, writeBlocks, writePatches } from './short-blocks.ts';
import { ColumnReader, ColumnWriter } from './short-columns.ts';
import { isGroupName } from './streams.ts';
import { blocksFault, malformed, type PackWritten } from './written-pack.ts';

export { packSlotsOf, type PackWritten } from './written-pack.ts';

const NAME_BYTES = 32;
const WORD_MAX = 2 ** 32 - 1;
const SHORT_SCHEMA = 5;
const LARGE_SCHEMA = 6;
/** The earliest ledger format of packs in which slots are held large. */
export const HELD_LARGE_FORMAT = 6;

/**
 * Schema of the event of a pack. Where events may not be short, as earlier releases
 * read them: of those some know no blocks that are packed, or salted.
 */
export function packWrittenSchema(
  { blocks, large = NO_RUNS }: Pick<PackWritten, 'blocks' | 'large'>,
  areEventsShort: boolean,
): number {
  if (large.length > 0) return LARGE_SCHEMA;
  if (areEventsShort) return SHORT_SCHEMA;
  if (arePacked(blocks)) return 4;
  return areSalted(blocks) ? 3 : 2;
}

/** The bytes of an event's data, of a schema that `packWrittenSchema` gives. */
export const encodePackWritten = (pack: PackWritten, schema: number): Uint8Array =>
  schema < SHORT_SCHEMA ? encodeWritten4(pack) : encodeShort(pack, schema);

/** The pack in an event's data; EVENT_INVALID where any size does not fit. */
export const decodePackWritten = ({
  schema,
  data,
}: {
  readonly schema: number;
  readonly data: Uint8Array;
}): Either<LedgerError, PackWritten> =>
  schema < SHORT_SCHEMA ? decodeWritten4(data) : decodeShort(data, schema);

function writeLarge(writer: ColumnWriter, runs: SlotRuns): void {
  writer.number(runs.length / 2);
  let end = 0;
  for (let i = 0; i < runs.length; i += 2) {
    writer.number(runs[i]! - end).number(runs[i + 1]! - runs[i]! - 1);
    end = runs[i + 1]!;
  }
}

/** Runs of the slots below an end; fails where they are none. */
function readLarge(reader: ColumnReader, slots: number): SlotRuns {
  const runs = new Uint16Array(2 * reader.number(slots));
  let end = 0;
  for (let i = 0; i < runs.length && !reader.hasFailed; i += 2) {
    runs[i] = end + reader.number(slots - end);
    end = runs[i]! + 1 + reader.number(slots - runs[i]! - 1);
    runs[i + 1] = end;
  }
  return runs;
}

function encodeShort(pack: PackWritten, schema: number): Uint8Array {
  const { blocks, patches } = pack;
  const writer = new ColumnWriter()
    .raw(fromHex(pack.name))
    .number(pack.capture)
    .number(pack.sizeBytes)
    .text(pack.group);
  writeBlocks(writer, blocks);
  writer.words(blocks.checksums).raw(pack.identifiers);
  writer.number(patches.packs.length).names(patches.packs);
  writePatches(writer, patches, (name) => patches.packs.indexOf(name));
  if (schema >= LARGE_SCHEMA) writeLarge(writer, pack.large ?? NO_RUNS);
  return writer.bytes();
}

function decodeShort(data: Uint8Array, schema: number): Either<LedgerError, PackWritten> {
  const reader = new ColumnReader(data);
  const name = toHex(reader.raw(NAME_BYTES));
  const [capture, sizeBytes] = [reader.number(WORD_MAX), reader.number(WORD_MAX)];
  const group = reader.text();
  const read = readBlocks(reader);
  if (typeof read === 'string') return malformed(read);
  const { blocks, slots } = read;
  const fault = blocksFault(blocks, { slots, sizeBytes });
  if (fault !== null) return malformed(fault);
  reader.words(blocks.checksums);
  const identifiers = reader.raw(slots * IDENTIFIER_BYTES).slice();
  const packs = reader.names(reader.number(PATCH_PACKS_MAX));
  const contents = contentSlotsOf(blocks);
  const patches = readPatches(reader, packs, contents);
  const large = schema >= LARGE_SCHEMA ? readLarge(reader, contents) : NO_RUNS;
  if (!reader.isDone) return malformed(`its columns do not fit its ${data.length} bytes`);
  if (!isGroupName(group)) return malformed('its group has a name that is not allowed');
  if (!areRuns(large, contents)) return malformed('its slots that are held large are no runs');
  const pack = { name, capture, group, sizeBytes, blocks, identifiers, patches };
  return either.right(large.length === 0 ? pack : { ...pack, large });
}
