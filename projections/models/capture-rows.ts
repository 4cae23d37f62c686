// The captures of a VM, of which there may be a hundred thousand: records of fixed width (records.ts), of
// which a row is made when somebody asks for it. What many rows say in the same words is kept once. What
// has to be known of all of them is found in the records.
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
import { Records } from './records.ts';
import { Remade } from './remade.ts';
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
  #records = new Records(RECORD_BYTES);
  /** Where a record is written before it is taken in. */
  #record: Uint8Array | null = null;
  /** What rows say in words, by number; what is the same has one number, by its text. */
  readonly #words: SaidInWords[] = [];
  readonly #numbers = new Map<string, number>();
  /** Rows that no record has room for, by number. */
  readonly #beside: CaptureRow[] = [];
  readonly #rows = new Remade((index) => this.#make(index));
  /** Every row, once somebody asked for all. */
  #all: CaptureRow[] | null = null;

  get length(): number {
    return this.#records.length;
  }

  #flags(index: number): number {
    return this.#records.u32(index, FLAGS_AT);
  }

  /** The number of the capture of an index. */
  captureAt(index: number): number {
    return this.#records.f64(index, CAPTURE_AT);
  }

  /** Pages that the capture of an index wrote. */
  writtenAt(index: number): number {
    return this.#records.f64(index, WRITTEN_AT);
  }

  positionAt(index: number): Position {
    return this.#records.u64(index, POSITION_AT);
  }

  /** Pages that its commit says the VM has. */
  pagesAt(index: number): number {
    return this.writtenAt(index) + this.#records.f64(index, UNCHANGED_AT);
  }

  /** Bytes of the packs that captures wrote. O(captures). */
  get addedBytes(): number {
    let sum = 0;
    for (let i = 0; i < this.length; i += 1) sum += this.#records.f64(i, ADDED_AT);
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
      const time = this.#records.f64(i, TIME_AT);
      if (time > timeMs || time < latest || !isAsked(this.captureAt(i))) continue;
      found = i;
      latest = time;
    }
    return found;
  }

  /** The row of an index, the same one for all who have it; undefined: there is none. */
  at(index: number): CaptureRow | undefined {
    if (index < 0 || index >= this.length) return undefined;
    return this.#all?.[index] ?? this.#rows.at(index);
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
    return (this.#all ??= Array.from({ length: this.length }, (_, index) => this.#rows.at(index)));
  }

  #make(index: number): CaptureRow {
    const records = this.#records;
    const flags = this.#flags(index);
    const number = records.u32(index, SAID_AT);
    if ((flags & BESIDE) !== 0) return this.#beside[number] ?? saysNothing();
    const said = this.#words[number] ?? saysNothing();
    const { mode, source, note, image, attachments, damage } = said;
    const timeNs = String(records.i64(index, IMAGE_TIME_AT));
    return {
      capture: this.captureAt(index),
      position: this.positionAt(index),
      id: toHex(records.bytes(index, ID_AT, ID_BYTES)),
      timeMs: records.f64(index, TIME_AT),
      recordedAtMs: this.#number(index, 'recordedAtMs'),
      written: this.writtenAt(index),
      stored: this.#number(index, 'stored'),
      merged: this.#number(index, 'merged'),
      pattern: this.#number(index, 'pattern'),
      unchanged: records.f64(index, UNCHANGED_AT),
      broken: this.#number(index, 'broken'),
      addedBytes: records.f64(index, ADDED_AT),
      pauseMs: (flags & WITH_PAUSE) === 0 ? null : records.f64(index, PAUSE_AT),
      mode,
      source,
      revision: records.f64(index, REVISION_AT),
      range: {
        firstRevision: records.f64(index, FIRST_REVISION_AT),
        count: records.f64(index, BATCHES_AT),
        fromPosition: records.u64(index, FROM_POSITION_AT),
      },
      hasDevice: (flags & WITH_DEVICE) !== 0,
      note,
      image: image === null ? null : { ...image, timeNs },
      attachments,
      hash: toHex(records.bytes(index, HASH_AT, HASH_BYTES)),
      isWiped: (flags & WIPED) !== 0,
      damage,
    };
  }

  #number(index: number, name: NumberName): number {
    return this.#records.f64(index, numberAt(name));
  }

  /** Takes a row in, the next one. */
  push(row: CaptureRow): void {
    this.#record ??= new Uint8Array(RECORD_BYTES);
    this.#write(row, this.#record.fill(0));
    this.#records.push(this.#record);
    this.#rows.put(this.length - 1, row);
    this.#all?.push(row);
  }

  #write(row: CaptureRow, record: Uint8Array): void {
    const view = new DataView(record.buffer);
    const { range, image, pauseMs } = row;
    const isBeside = !isRegular(row);
    view.setBigUint64(POSITION_AT, row.position, true);
    view.setBigUint64(FROM_POSITION_AT, range.fromPosition, true);
    for (const name of NUMBERS) view.setFloat64(numberAt(name), row[name], true);
    view.setFloat64(PAUSE_AT, pauseMs ?? 0, true);
    view.setFloat64(REVISION_AT, row.revision, true);
    view.setFloat64(FIRST_REVISION_AT, range.firstRevision, true);
    view.setFloat64(BATCHES_AT, range.count, true);
    if (!isBeside) {
      view.setBigInt64(IMAGE_TIME_AT, BigInt(image?.timeNs ?? 0), true);
      record.set(fromHex(row.id), ID_AT);
      record.set(fromHex(row.hash), HASH_AT);
    }
    const number = isBeside ? this.#beside.push(row) - 1 : this.#numberOf(saidIn(row));
    view.setUint32(SAID_AT, number, true);
    const flags =
      (row.isWiped ? WIPED : 0) |
      (row.hasDevice ? WITH_DEVICE : 0) |
      (pauseMs === null ? 0 : WITH_PAUSE) |
      (row.damage === null ? 0 : DAMAGED) |
      (isBeside ? BESIDE : 0);
    view.setUint32(FLAGS_AT, flags, true);
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

  save(writer: StateWriter): void {
    this.#records.save(writer);
    writer.text(JSON.stringify(saidList.encode(this.#words)));
    writer.text(JSON.stringify(captureList.encode(this.#beside)));
  }

  /** What `save` wrote, its records where they lie. StateUnfit where it is none. */
  static load(reader: StateReader): CaptureRows {
    const rows = new CaptureRows();
    rows.#records = Records.load(reader, RECORD_BYTES);
    for (const said of decodeState(reader.text(), saidList)) rows.#numberOf(said);
    rows.#beside.push(...decodeState(reader.text(), captureList));
    return rows;
  }
}

function saysNothing(): never {
  throw new StateUnfit('a capture says what is not there');
}
