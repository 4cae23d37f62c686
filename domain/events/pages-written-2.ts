// The columns of page events up to schema 2, which larger batches have still: what PagesWritten,
// DeviceStateWritten and AttachmentsWritten carry (docs/events.md). All integers little-endian.
//
//   0   4  capture
//   4   4  batch: number of this event among the capture's PagesWritten, from 0
//   8   4  rows n
//  12   4  firstRow: number of the first row in the capture; row r is item 2r, its SharingBroken 2r + 1
//  16   2  packs p
//  18   2  parts q (0 in PagesWritten)
//  20   4  bytes of the gfn column
//  24   4  bytes of the pack column
//  28   4  references m (rows whose outcome is not zero)
//  32   -  parts        q x u32      byte lengths of the parts of a device state
//       -  pack names   p x 32 bytes
//       -  kinds        n x u8       bits 0-1: 0 zero, 1 stored, 2 merged, 3 pattern; 2-6: its class; 7: broke sharing
//       -  gfns         LEB128       first gfn, then each gfn minus the one before minus 1
//       -  packs        m x LEB128   index into the pack names; p: the list of public patterns
//       -  slots        m x u16      slot of the pack, or number of the public pattern

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { assert } from '../values/assert.ts';
import { toHex } from '../values/identifier.ts';
import { writeLeb } from '../values/leb128.ts';
import type { LedgerError } from '../values/ledger-error.ts';
import { BATCH_ROWS_MAX, PACK_SLOTS } from '../values/page.ts';
import {
  bytesMax,
  fitsEvent,
  hasReference,
  HEADER_BYTES,
  KIND_CLASS,
  KIND_MASK,
  KIND_PATTERN,
  malformed,
  NAME_BYTES,
  PARTS_MAX,
  type PageColumns,
} from './page-columns.ts';

/** The bytes of columns. Gfns must ascend and the columns fit one event (fitsEvent). */
export function encodeColumns2(columns: PageColumns): Uint8Array {
  const rows = columns.kinds.length;
  assert(fitsEvent({ rows, packs: columns.packs.length }), 'a batch fits one event');
  assert(columns.parts.length <= PARTS_MAX, 'a device state has few parts');
  const bytes = new Uint8Array(bytesMax({ rows, packs: columns.packs.length }));
  const view = new DataView(bytes.buffer);
  let at = HEADER_BYTES;
  for (const part of columns.parts) {
    view.setUint32(at, part, true);
    at += 4;
  }
  for (const name of columns.packs) {
    for (let i = 0; i < NAME_BYTES; i += 1)
      bytes[at + i] = Number.parseInt(name.slice(2 * i, 2 * i + 2), 16);
    at += NAME_BYTES;
  }
  bytes.set(columns.kinds, at);
  at += rows;
  const gfnsAt = at;
  let previous = -1;
  for (let row = 0; row < rows; row += 1) {
    const gfn = columns.gfns[row]!;
    assert(gfn > previous, 'gfns ascend through a batch');
    at = writeLeb(bytes, at, gfn - previous - 1);
    previous = gfn;
  }
  const packsAt = at;
  let references = 0;
  for (let row = 0; row < rows; row += 1) {
    if (!hasReference(columns.kinds[row]!)) continue;
    at = writeLeb(bytes, at, columns.packIndexes[row]!);
    references += 1;
  }
  const slotsAt = at;
  for (let row = 0; row < rows; row += 1) {
    if (!hasReference(columns.kinds[row]!)) continue;
    view.setUint16(at, columns.slots[row]!, true);
    at += 2;
  }
  view.setUint32(0, columns.capture, true);
  view.setUint32(4, columns.batch, true);
  view.setUint32(8, rows, true);
  view.setUint32(12, columns.firstRow, true);
  view.setUint16(16, columns.packs.length, true);
  view.setUint16(18, columns.parts.length, true);
  view.setUint32(20, packsAt - gfnsAt, true);
  view.setUint32(24, slotsAt - packsAt, true);
  view.setUint32(28, references, true);
  return bytes.slice(0, at);
}

/** What the head of a batch says of its columns. */
export interface BatchHead {
  readonly rows: number;
  readonly parts: readonly number[];
  readonly packs: readonly string[];
  /** Where the kinds begin; the other columns follow, up to the end. */
  readonly kindsAt: number;
  readonly gfnBytes: number;
  readonly packBytes: number;
  readonly references: number;
}

/** The head of an event's data; EVENT_INVALID where its columns do not come to the size of that. */
export function readBatchHead(bytes: Uint8Array): Either<LedgerError, BatchHead> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES) return malformed(`it has ${bytes.length} bytes`);
  const rows = view.getUint32(8, true);
  const packCount = view.getUint16(16, true);
  const partCount = view.getUint16(18, true);
  const gfnBytes = view.getUint32(20, true);
  const packBytes = view.getUint32(24, true);
  const references = view.getUint32(28, true);
  if (rows > BATCH_ROWS_MAX) return malformed(`it claims ${rows} rows`);
  if (partCount > PARTS_MAX) return malformed(`it claims ${partCount} parts`);
  const packsAt = HEADER_BYTES + partCount * 4;
  const kindsAt = packsAt + packCount * NAME_BYTES;
  const length = kindsAt + rows + gfnBytes + packBytes + references * 2;
  if (length !== bytes.length)
    return malformed(`its columns need ${length} bytes and it has ${bytes.length}`);
  const parts = Array.from({ length: partCount }, (_, i) =>
    view.getUint32(HEADER_BYTES + 4 * i, true),
  );
  const packs: string[] = [];
  for (let at = packsAt; at < kindsAt; at += NAME_BYTES)
    packs.push(toHex(bytes.subarray(at, at + NAME_BYTES)));
  return either.right({ rows, parts, packs, kindsAt, gfnBytes, packBytes, references });
}

/** Reads LEB128 gfn deltas into `gfns`; false where they do not fit exactly. */
function readGfns(
  bytes: Uint8Array,
  range: { at: number; end: number },
  gfns: Uint32Array,
): boolean {
  const { end } = range;
  let { at } = range;
  let gfn = -1;
  for (let row = 0; row < gfns.length; row += 1) {
    if (at >= end) return false;
    let delta = bytes[at]!;
    at += 1;
    if (delta >= 0x80) {
      delta &= 0x7f;
      let byte = 0x80;
      for (let scale = 128; byte >= 0x80; scale *= 128) {
        if (at >= end || scale > 2 ** 28) return false;
        byte = bytes[at]!;
        at += 1;
        delta += (byte & 0x7f) * scale;
      }
    }
    gfn += delta + 1;
    if (gfn > 0xffff_fffe) return false;
    gfns[row] = gfn;
  }
  return at === end;
}

/** Reads the references into their rows; a sentence where they do not fit. */
function readReferences(
  bytes: Uint8Array,
  at: { readonly packs: number; readonly slots: number },
  columns: PageColumns,
): string | null {
  const { kinds, packIndexes, slots } = columns;
  const packCount = columns.packs.length;
  const packsEnd = at.slots;
  let packAt = at.packs;
  let slotAt = at.slots;
  for (let row = 0; row < kinds.length; row += 1) {
    const kind = kinds[row]!;
    const isOfPattern = (kind & KIND_MASK) === KIND_PATTERN;
    if (!isOfPattern && (kind & KIND_CLASS) !== 0) return `row ${row} has the kind ${kind}`;
    if (!hasReference(kind)) continue;
    if (packAt >= packsEnd || slotAt + 2 > bytes.length) return 'its references end early';
    let index = bytes[packAt]!;
    packAt += 1;
    if (index >= 0x80) {
      index = (index & 0x7f) + bytes[packAt]! * 128;
      packAt += 1;
      if (bytes[packAt - 1]! >= 0x80) {
        index = (index & 0x3fff) + bytes[packAt]! * 16_384;
        packAt += 1;
      }
    }
    // Not through a DataView: this loop is most of what a replay costs.
    const slot = bytes[slotAt]! | (bytes[slotAt + 1]! << 8);
    slotAt += 2;
    if (index >= packCount && !(isOfPattern && index === packCount))
      return `row ${row} refers to pack ${index} of ${packCount}`;
    if (slot >= PACK_SLOTS) return `row ${row} refers to slot ${slot}`;
    packIndexes[row] = index;
    slots[row] = slot;
  }
  return packAt === packsEnd && slotAt === bytes.length
    ? null
    : 'its references do not fill their columns';
}

/** The columns in an event's data; EVENT_INVALID where any size or index does not fit. */
export function decodeColumns2(bytes: Uint8Array): Either<LedgerError, PageColumns> {
  const head = readBatchHead(bytes);
  if (either.isLeft(head)) return head;
  const { rows, parts, packs, kindsAt, gfnBytes, packBytes } = head.right;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const columns: PageColumns = {
    capture: view.getUint32(0, true),
    batch: view.getUint32(4, true),
    firstRow: view.getUint32(12, true),
    parts,
    packs,
    kinds: bytes.subarray(kindsAt, kindsAt + rows),
    gfns: new Uint32Array(rows),
    packIndexes: new Uint16Array(rows),
    slots: new Uint16Array(rows),
  };
  const gfnsAt = kindsAt + rows;
  const packsAt = gfnsAt + gfnBytes;
  if (!readGfns(bytes, { at: gfnsAt, end: packsAt }, columns.gfns))
    return malformed('its gfns do not fit their column');
  const fault = readReferences(bytes, { packs: packsAt, slots: packsAt + packBytes }, columns);
  return fault === null ? either.right(columns) : malformed(fault);
}
