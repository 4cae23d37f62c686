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
//
// Of a slot of a pattern, the identifier is that of a page made of its descriptor and its VM's name:
// its recorder finds it by that, and it equals none of another VM.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { IDENTIFIER_BYTES } from '../ports/page-engine.ts';
import { fromHex, toHex } from '../values/identifier.ts';
import type { LedgerError } from '../values/ledger-error.ts';
import { arePacked, areSalted, contentSlotsOf, type BlockTable } from '../values/pack.ts';
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

/**
 * Schema of the event of a pack with these blocks. Where events may not be short, as earlier releases
 * read them: of those some know no blocks that are packed, or salted.
 */
export function packWrittenSchema(blocks: BlockTable, areEventsShort: boolean): number {
  if (areEventsShort) return SHORT_SCHEMA;
  if (arePacked(blocks)) return 4;
  return areSalted(blocks) ? 3 : 2;
}

/** The bytes of an event's data, of a schema that `packWrittenSchema` gives. */
export const encodePackWritten = (pack: PackWritten, schema: number): Uint8Array =>
  schema < SHORT_SCHEMA ? encodeWritten4(pack) : encodeShort(pack);

/** The pack in an event's data; EVENT_INVALID where any size does not fit. */
export const decodePackWritten = ({
  schema,
  data,
}: {
  readonly schema: number;
  readonly data: Uint8Array;
}): Either<LedgerError, PackWritten> =>
  schema < SHORT_SCHEMA ? decodeWritten4(data) : decodeShort(data);

function encodeShort(pack: PackWritten): Uint8Array {
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
  return writer.bytes();
}

function decodeShort(data: Uint8Array): Either<LedgerError, PackWritten> {
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
  const patches = readPatches(reader, packs, contentSlotsOf(blocks));
  if (!reader.isDone) return malformed(`its columns do not fit its ${data.length} bytes`);
  if (!isGroupName(group)) return malformed('its group has a name that is not allowed');
  return either.right({ name, capture, group, sizeBytes, blocks, identifiers, patches });
}
