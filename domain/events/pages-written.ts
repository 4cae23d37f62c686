// The columns of page events: what a PagesWritten, a DeviceStateWritten and an AttachmentsWritten event
// carry (docs/events.md). This is schema 3, which small batches have; larger ones are as before
// (pages-written-2.ts), where what stands about the columns is little and a kernel reads them.
// Integers are (v) LEB128; columns as in docs/events.md, "Values".
//
//       -  capture (v)
//       -  batch (v): number of this event among the capture's PagesWritten, from 0
//       -  firstRow (v): number of the first row in the capture; row r is item 2r, its SharingBroken 2r + 1
//       -  rows n (v)
//       -  parts q (v): 0 in PagesWritten
//       -  parts        q x (v)         byte lengths of the parts of a device state
//       -  packs p (v)
//       -  pack names   p x 32 bytes
//       -  kinds        column of n, u8  as in schema 2
//       -  gfns         column of n      first gfn, then each gfn minus the one before minus 1
//       -  packs        column of m      index into the pack names; p: the list of public patterns
//       -  slots        column of m, of slots; m rows have an outcome that is not zero

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { LedgerError } from '../values/ledger-error.ts';
import { PACK_SLOTS } from '../values/page.ts';
import {
  hasReference,
  KIND_CLASS,
  KIND_MASK,
  KIND_PATTERN,
  malformed,
  PARTS_MAX,
  type PageColumns,
} from './page-columns.ts';
import { decodeColumns2, encodeColumns2 } from './pages-written-2.ts';
import { BYTES, ColumnReader, ColumnWriter, NUMBERS, SLOTS } from './short-columns.ts';

export {
  classOfKind,
  fitsEvent,
  hasReference,
  holdsContent,
  isUntoldKind,
  KIND_BROKE,
  KIND_MASK,
  KIND_MERGED,
  KIND_PATTERN,
  KIND_STORED,
  KIND_UNTOLD,
  KIND_ZERO,
  patternKind,
  ROW_BYTES_MAX,
  type PageColumns,
} from './page-columns.ts';
export { readBatchHead } from './pages-written-2.ts';

/** Most rows of a batch of this schema. */
export const SHORT_ROWS_MAX = 1024;
const SHORT_SCHEMA = 3;
const WORD_MAX = 2 ** 32 - 1;
const GFN_MAX = 2 ** 32 - 2;
/** A pack index has two bytes. */
const PACKS_MAX = 2 ** 16 - 1;

/** Whether columns of a schema are short. */
export const areShort = (schema: number): boolean => schema >= SHORT_SCHEMA;

/** Schema of an event of a type with these columns. Where events may not be short, as earlier releases read them. */
export function pageColumnsSchema(
  type: 'PagesWritten' | 'DeviceStateWritten' | 'AttachmentsWritten',
  columns: Pick<PageColumns, 'kinds'>,
  areEventsShort: boolean,
): number {
  if (areEventsShort && columns.kinds.length <= SHORT_ROWS_MAX) return SHORT_SCHEMA;
  return type === 'PagesWritten' ? 2 : 1;
}

/** The bytes of columns. Gfns must ascend and the columns fit one event (fitsEvent). */
export const encodePageColumns = (columns: PageColumns, schema: number): Uint8Array =>
  areShort(schema) ? encodeShort(columns) : encodeColumns2(columns);

/** The columns in an event's data; EVENT_INVALID where any size or index does not fit. */
export const decodePageColumns = ({
  schema,
  data,
}: {
  readonly schema: number;
  readonly data: Uint8Array;
}): Either<LedgerError, PageColumns> =>
  areShort(schema) ? decodeShort(data) : decodeColumns2(data);

function encodeShort(columns: PageColumns): Uint8Array {
  const { kinds, gfns, packs, parts } = columns;
  const steps = gfns.map((gfn, row) => (row === 0 ? gfn : gfn - gfns[row - 1]! - 1));
  const isReferring = (_: number, row: number): boolean => hasReference(kinds[row]!);
  return new ColumnWriter()
    .number(columns.capture)
    .number(columns.batch)
    .number(columns.firstRow)
    .number(kinds.length)
    .number(parts.length)
    .numbers(parts)
    .number(packs.length)
    .names(packs)
    .column(kinds, BYTES)
    .column(steps, NUMBERS)
    .column(columns.packIndexes.filter(isReferring), NUMBERS)
    .column(columns.slots.filter(isReferring), SLOTS)
    .bytes();
}

/** Gfns of their steps, in place; false where one is beyond the largest VM. */
function addSteps(gfns: Uint32Array): boolean {
  let gfn = -1;
  for (let row = 0; row < gfns.length; row += 1) {
    gfn += gfns[row]! + 1;
    if (gfn > GFN_MAX) return false;
    gfns[row] = gfn;
  }
  return true;
}

/** A sentence on a row that does not fit, or null. */
function rowFault({ kinds, packIndexes, packs }: PageColumns): string | null {
  for (const [row, kind] of kinds.entries()) {
    const isOfPattern = (kind & KIND_MASK) === KIND_PATTERN;
    if (!isOfPattern && (kind & KIND_CLASS) !== 0) return `row ${row} has the kind ${kind}`;
    const last = isOfPattern ? packs.length : packs.length - 1;
    if (hasReference(kind) && packIndexes[row]! > last)
      return `row ${row} refers to pack ${packIndexes[row]} of ${packs.length}`;
  }
  return null;
}

/** Reads a column of the rows that refer to something into its rows. */
function readReferring(
  reader: ColumnReader,
  kinds: Uint8Array,
  of: { readonly form: typeof NUMBERS; readonly max: number },
): Uint16Array {
  const count = kinds.reduce((sum, kind) => sum + (hasReference(kind) ? 1 : 0), 0);
  const values = reader.column(new Uint16Array(count), of.form, of.max);
  let next = 0;
  return Uint16Array.from(kinds, (kind) => {
    if (!hasReference(kind)) return 0;
    next += 1;
    return values[next - 1]!;
  });
}

function decodeShort(data: Uint8Array): Either<LedgerError, PageColumns> {
  const reader = new ColumnReader(data);
  const [capture, batch, firstRow] = [
    reader.number(WORD_MAX),
    reader.number(WORD_MAX),
    reader.number(WORD_MAX),
  ];
  const rows = reader.number(SHORT_ROWS_MAX);
  const parts = [...reader.numbers(new Uint32Array(reader.number(PARTS_MAX)), WORD_MAX)];
  const packs = reader.names(reader.number(PACKS_MAX));
  if (reader.hasFailed) return malformed('its head does not fit');
  const kinds = reader.column(new Uint8Array(rows), BYTES, 255);
  const gfns = reader.column(new Uint32Array(rows), NUMBERS, GFN_MAX);
  const packIndexes = readReferring(reader, kinds, { form: NUMBERS, max: packs.length });
  const slots = readReferring(reader, kinds, { form: SLOTS, max: PACK_SLOTS - 1 });
  if (!reader.isDone) return malformed(`its columns do not fit its ${data.length} bytes`);
  if (!addSteps(gfns)) return malformed('its gfns do not fit their column');
  const columns = { capture, batch, firstRow, parts, packs, kinds, gfns, packIndexes, slots };
  const fault = rowFault(columns);
  return fault === null ? either.right(columns) : malformed(fault);
}
