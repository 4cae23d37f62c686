// The captures of a VM, of which there may be a hundred thousand: records of fixed width, as they lie in
// the state file, of which a row is made when somebody asks for it. What many rows say in the same words
// is kept once. What has to be known of all of them is found in the records.
//
// A record (little-endian): u64 position, u64 position of the first batch, i64 time of the image (ns);
// f64 each: capture, time (ms), time recorded (ms), written, stored, merged, pattern, unchanged, broken,
// bytes added, pause (ms), revision, first revision, batches; 16 bytes id, 32 bytes hash; u32 number of
// what it says in words; u32 of flags.

import { fromHex, toHex } from '../../domain/values/identifier.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import type { ImageFacts } from '../../domain/ports/guests.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { AttachmentEntry } from '../../domain/values/attachment.ts';
import type { CaptureMode } from '../../domain/values/capture-mode.ts';
import { captureList, saidInWords, saidList, type SaidInWords } from './capture-codecs.ts';
import { decodeState, StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';
import type { BatchRange } from '../commits.ts';

const POSITION_AT = 0;
const FROM_POSITION_AT = 8;
const IMAGE_TIME_AT = 16;
const NUMBERS_AT = 24;
const NUMBERS = [
  'capture',
  'timeMs',
  'recordedAtMs',
  'written',
  'stored',
  'merged',
  'pattern',
  'unchanged',
  'broken',
  'addedBytes',
] as const;
type NumberName = (typeof NUMBERS)[number];
const numberAt = (name: NumberName): number => NUMBERS_AT + 8 * NUMBERS.indexOf(name);
const CAPTURE_AT = numberAt('capture');
const TIME_AT = numberAt('timeMs');
const WRITTEN_AT = numberAt('written');
const UNCHANGED_AT = numberAt('unchanged');
const ADDED_AT = numberAt('addedBytes');
const PAUSE_AT = NUMBERS_AT + 8 * NUMBERS.length;
const REVISION_AT = PAUSE_AT + 8;
const FIRST_REVISION_AT = PAUSE_AT + 16;
const BATCHES_AT = PAUSE_AT + 24;
const ID_AT = PAUSE_AT + 32;
const ID_BYTES = 16;
const HASH_AT = ID_AT + ID_BYTES;
const HASH_BYTES = 32;
const SAID_AT = HASH_AT + HASH_BYTES;
const FLAGS_AT = SAID_AT + 4;
const RECORD_BYTES = FLAGS_AT + 4;

const WIPED = 1;
const WITH_DEVICE = 2;
const WITH_PAUSE = 4;
const DAMAGED = 8;
/** The record has no room for what a field of it is: the number is that of a row kept beside. */
const BESIDE = 16;

/** A capture as the fold says: counts after stores that another recorder's store came before. */
export interface CaptureRow {
  readonly capture: number;
  readonly position: Position;
  /** Hex of the commit's id. */
  readonly id: string;
  /** When the memory was as captured, as its source says: it need not ascend. */
  readonly timeMs: number;
  /** The recorder's clock at the commit. */
  readonly recordedAtMs: number;
  readonly written: number;
  readonly stored: number;
  readonly merged: number;
  readonly pattern: number;
  readonly unchanged: number;
  readonly broken: number;
  /** Bytes of the packs that it wrote, as they were written. */
  readonly addedBytes: number;
  readonly pauseMs: number | null;
  readonly mode: CaptureMode;
  readonly source: string;
  /** Of the commit, in the VM's stream. */
  readonly revision: number;
  readonly range: BatchRange;
  readonly hasDevice: boolean;
  /** What a person said of it; null: nothing. */
  readonly note: string | null;
  /** The file that it was recorded from; null: it is not known. */
  readonly image: ImageFacts | null;
  /** Files that are kept beside it. */
  readonly attachments: readonly AttachmentEntry[];
  /** Digest of the capture's batches, as its commit says. */
  readonly hash: string;
  /** Nothing known of the pages before this capture holds after it: events were lost. */
  readonly isWiped: boolean;
  readonly damage: string | null;
}

/** Pages that a capture wrote without telling what they hold: its source did not tell it. */
export const unknownWritten = ({
  written,
  stored,
  merged,
  pattern,
}: Pick<CaptureRow, 'written' | 'stored' | 'merged' | 'pattern'>): number =>
  written - stored - merged - pattern;

const isHex = (text: string, bytes: number): boolean =>
  text.length === 2 * bytes && /^[0-9a-f]*$/u.test(text);

/** Whether the fields of a record hold what a row has, to the last digit. */
function isRegular({ id, hash, image }: CaptureRow): boolean {
  if (!isHex(id, ID_BYTES) || !isHex(hash, HASH_BYTES)) return false;
  return image === null || String(BigInt.asIntN(64, BigInt(image.timeNs))) === image.timeNs;
}

/** What a row says in words. */
function saidIn({ mode, source, note, image, attachments, damage }: CaptureRow): SaidInWords {
  const file = image === null ? null : { name: image.name, bytes: image.bytes };
  return { mode, source, note, image: file, attachments, damage };
}

/** Captures in log order, and of a VM. */
export class CaptureRows {
  /** With room for more; those that were loaded lie where the state does. */
  #bytes: Uint8Array = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  length = 0;
  /** What rows say in words, by number; what is the same has one number, by its text. */
  readonly #words: SaidInWords[] = [];
  readonly #numbers = new Map<string, number>();
  /** Rows that no record has room for, by number. */
  readonly #beside: CaptureRow[] = [];
  /** Rows that were made, by index. */
  readonly #made: CaptureRow[] = [];
  #madeCount = 0;

  #f64(index: number, at: number): number {
    return this.#view.getFloat64(index * RECORD_BYTES + at, true);
  }

  #flags(index: number): number {
    return this.#view.getUint32(index * RECORD_BYTES + FLAGS_AT, true);
  }

  /** The number of the capture of an index. */
  captureAt(index: number): number {
    return this.#f64(index, CAPTURE_AT);
  }

  /** Pages that the capture of an index wrote. */
  writtenAt(index: number): number {
    return this.#f64(index, WRITTEN_AT);
  }

  positionAt(index: number): Position {
    return this.#view.getBigUint64(index * RECORD_BYTES + POSITION_AT, true);
  }

  /** Pages that its commit says the VM has. */
  pagesAt(index: number): number {
    return this.#f64(index, WRITTEN_AT) + this.#f64(index, UNCHANGED_AT);
  }

  /** Bytes of the packs that captures wrote. O(captures). */
  get addedBytes(): number {
    let sum = 0;
    for (let i = 0; i < this.length; i += 1) sum += this.#f64(i, ADDED_AT);
    return sum;
  }

  /** Whether of the first `count` none lost anything, nor anything before it. O(captures). */
  areWhole(count = this.length): boolean {
    let flags = 0;
    for (let i = 0; i < count; i += 1) flags |= this.#flags(i);
    return (flags & (WIPED | DAMAGED)) === 0;
  }

  /** The last index up to which captures have numbers at or before one; -1: none has. O(log captures). */
  indexOf(capture: number): number {
    return lastWhere(this.length, (i) => this.captureAt(i) <= capture);
  }

  /** The last index of a commit at or before a position; -1: there is none. O(log captures). */
  indexAt(position: Position): number {
    return lastWhere(this.length, (i) => this.positionAt(i) <= position);
  }

  /** The index with the greatest time at or before one, of those that are asked for; of equals the last. */
  indexAtTime(timeMs: number, isAsked: (capture: number) => boolean): number {
    let found = -1;
    let latest = -Infinity;
    for (let i = 0; i < this.length; i += 1) {
      const time = this.#f64(i, TIME_AT);
      if (time > timeMs || time < latest || !isAsked(this.captureAt(i))) continue;
      found = i;
      latest = time;
    }
    return found;
  }

  /** The row of an index, the same one each time; undefined: there is none. */
  at(index: number): CaptureRow | undefined {
    if (index < 0 || index >= this.length) return undefined;
    const made = this.#made[index];
    if (made !== undefined) return made;
    this.#madeCount += 1;
    return (this.#made[index] = this.#make(index));
  }

  get last(): CaptureRow | undefined {
    return this.at(this.length - 1);
  }

  /** Rows from an index on to before another. */
  slice(from: number, to = this.length): CaptureRow[] {
    return Array.from({ length: Math.max(0, to - from) }, (_, i) => this.at(from + i)!);
  }

  /** All rows, each made: for who looks at all that they say. O(captures) once. */
  get all(): readonly CaptureRow[] {
    for (let i = 0; this.#madeCount < this.length; i += 1) this.at(i);
    return this.#made;
  }

  #make(index: number): CaptureRow {
    const at = index * RECORD_BYTES;
    const flags = this.#flags(index);
    const number = this.#view.getUint32(at + SAID_AT, true);
    if ((flags & BESIDE) !== 0) return this.#beside[number]!;
    const { mode, source, note, image, attachments, damage } = this.#words[number]!;
    const hexOf = (from: number, bytes: number): string =>
      toHex(this.#bytes.subarray(at + from, at + from + bytes));
    const timeNs = String(this.#view.getBigInt64(at + IMAGE_TIME_AT, true));
    return {
      capture: this.captureAt(index),
      position: this.positionAt(index),
      id: hexOf(ID_AT, ID_BYTES),
      timeMs: this.#f64(index, TIME_AT),
      recordedAtMs: this.#number(index, 'recordedAtMs'),
      written: this.#f64(index, WRITTEN_AT),
      stored: this.#number(index, 'stored'),
      merged: this.#number(index, 'merged'),
      pattern: this.#number(index, 'pattern'),
      unchanged: this.#f64(index, UNCHANGED_AT),
      broken: this.#number(index, 'broken'),
      addedBytes: this.#f64(index, ADDED_AT),
      pauseMs: (flags & WITH_PAUSE) === 0 ? null : this.#f64(index, PAUSE_AT),
      mode,
      source,
      revision: this.#f64(index, REVISION_AT),
      range: {
        firstRevision: this.#f64(index, FIRST_REVISION_AT),
        count: this.#f64(index, BATCHES_AT),
        fromPosition: this.#view.getBigUint64(at + FROM_POSITION_AT, true),
      },
      hasDevice: (flags & WITH_DEVICE) !== 0,
      note,
      image: image === null ? null : { ...image, timeNs },
      attachments,
      hash: hexOf(HASH_AT, HASH_BYTES),
      isWiped: (flags & WIPED) !== 0,
      damage,
    };
  }

  #number(index: number, name: NumberName): number {
    return this.#f64(index, numberAt(name));
  }

  /** Takes a row in, the next one. */
  push(row: CaptureRow): void {
    const index = this.length;
    const end = (index + 1) * RECORD_BYTES;
    if (end > this.#bytes.length) {
      const longer = new Uint8Array(2 * end);
      longer.set(this.#bytes);
      this.#hold(longer);
    }
    this.length += 1;
    this.#write(row, index * RECORD_BYTES);
    this.#made[index] = row;
    this.#madeCount += 1;
  }

  #write(row: CaptureRow, at: number): void {
    const view = this.#view;
    const { range, image, pauseMs } = row;
    const isBeside = !isRegular(row);
    view.setBigUint64(at + POSITION_AT, row.position, true);
    view.setBigUint64(at + FROM_POSITION_AT, range.fromPosition, true);
    for (const name of NUMBERS) view.setFloat64(at + numberAt(name), row[name], true);
    view.setFloat64(at + PAUSE_AT, pauseMs ?? 0, true);
    view.setFloat64(at + REVISION_AT, row.revision, true);
    view.setFloat64(at + FIRST_REVISION_AT, range.firstRevision, true);
    view.setFloat64(at + BATCHES_AT, range.count, true);
    if (!isBeside) {
      view.setBigInt64(at + IMAGE_TIME_AT, BigInt(image?.timeNs ?? 0), true);
      this.#bytes.set(fromHex(row.id), at + ID_AT);
      this.#bytes.set(fromHex(row.hash), at + HASH_AT);
    }
    const number = isBeside ? this.#beside.push(row) - 1 : this.#numberOf(saidIn(row));
    view.setUint32(at + SAID_AT, number, true);
    const flags =
      (row.isWiped ? WIPED : 0) |
      (row.hasDevice ? WITH_DEVICE : 0) |
      (pauseMs === null ? 0 : WITH_PAUSE) |
      (row.damage === null ? 0 : DAMAGED) |
      (isBeside ? BESIDE : 0);
    view.setUint32(at + FLAGS_AT, flags, true);
  }

  /** The number of what is said, of which there is one. */
  #numberOf(said: SaidInWords): number {
    const text = JSON.stringify(saidInWords.encode(said));
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#words.push(said) - 1;
    this.#numbers.set(text, number);
    return number;
  }

  #hold(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  save(writer: StateWriter): void {
    writer.column(this.#bytes.subarray(0, this.length * RECORD_BYTES));
    writer.text(JSON.stringify(saidList.encode(this.#words)));
    writer.text(JSON.stringify(captureList.encode(this.#beside)));
  }

  /** What `save` wrote. StateUnfit where it is none. */
  static load(reader: StateReader): CaptureRows {
    const rows = new CaptureRows();
    rows.#hold(reader.part());
    if (rows.#bytes.length % RECORD_BYTES !== 0) throw new StateUnfit('captures are cut off');
    rows.length = rows.#bytes.length / RECORD_BYTES;
    for (const said of decodeState(reader.text(), saidList)) rows.#numberOf(said);
    rows.#beside.push(...decodeState(reader.text(), captureList));
    if (!rows.#isSound()) throw new StateUnfit('captures are not in log order, or say nothing');
    return rows;
  }

  /** Whether commits are in log order, and what they say is there. */
  #isSound(): boolean {
    // Without a big number each: there may be very many.
    let [high, low] = [-1, -1];
    for (let i = 0; i < this.length; i += 1) {
      const at = i * RECORD_BYTES;
      const said = (this.#flags(i) & BESIDE) === 0 ? this.#words : this.#beside;
      if (this.#view.getUint32(at + SAID_AT, true) >= said.length) return false;
      const before = [high, low] as const;
      low = this.#view.getUint32(at + POSITION_AT, true);
      high = this.#view.getUint32(at + POSITION_AT + 4, true);
      if (high < before[0] || (high === before[0] && low <= before[1])) return false;
    }
    return true;
  }
}
