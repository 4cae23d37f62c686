// Columns as events have them from ledger format 3 on: numbers of seven bits a byte, and runs of equal or
// following numbers told of once (docs/events.md, "Values").

import { fromHex, toHex } from '../values/identifier.ts';
import { grown } from '../values/grown.ts';
import { LebReader, lebBytes, writeLeb } from '../values/leb128.ts';

/** How the numbers of a column are written, and what the next one of a run is: this much more. */
export interface ColumnForm {
  readonly unit: 'u8' | 'leb';
  readonly step: 0 | 1;
}

/** Bytes. */
export const BYTES: ColumnForm = { unit: 'u8', step: 0 };
/** Numbers that are often the same. */
export const NUMBERS: ColumnForm = { unit: 'leb', step: 0 };
/** Slots, which often follow each other. */
export const SLOTS: ColumnForm = { unit: 'leb', step: 1 };

const PLAIN = 0;
const AS_RUNS = 1;
const NAME_BYTES = 32;
const FIRST_BYTES = 256;

/** Where the run that begins at a row ends. */
function runEnd(values: ArrayLike<number>, from: number, step: number): number {
  let end = from + 1;
  while (end < values.length && values[end] === values[end - 1]! + step) end += 1;
  return end;
}

const numberBytes = ({ unit }: ColumnForm, value: number): number =>
  unit === 'u8' ? 1 : lebBytes(value);

/** Whether a column takes less as runs. */
function isShorterAsRuns(values: ArrayLike<number>, form: ColumnForm): boolean {
  let gain = 0;
  for (let from = 0; from < values.length;) {
    const end = runEnd(values, from, form.step);
    for (let i = from + 1; i < end; i += 1) gain += numberBytes(form, values[i]!);
    gain -= lebBytes(end - from);
    from = end;
  }
  return gain > 0;
}

/** Writes the data of an event, one part after another. */
export class ColumnWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;

  #room(count: number): number {
    const at = this.#length;
    this.#length += count;
    this.#bytes = grown(this.#bytes, this.#length);
    return at;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  number(value: number): this {
    const at = this.#room(lebBytes(value));
    writeLeb(this.#bytes, at, value);
    return this;
  }

  numbers(values: ArrayLike<number>): this {
    for (let i = 0; i < values.length; i += 1) this.number(values[i]!);
    return this;
  }

  words(values: Uint32Array): this {
    const at = this.#room(4 * values.length);
    const view = new DataView(this.#bytes.buffer);
    for (const [i, value] of values.entries()) view.setUint32(at + 4 * i, value, true);
    return this;
  }

  /** Names of packs, as many as was said before. */
  names(names: readonly string[]): this {
    for (const name of names) this.raw(fromHex(name));
    return this;
  }

  /** A text of at most 255 bytes, after their number. */
  text(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.raw(Uint8Array.of(bytes.length)).raw(bytes);
  }

  /** Plain or as runs, whichever takes less. */
  column(values: ArrayLike<number>, form: ColumnForm): this {
    const areRuns = isShorterAsRuns(values, form);
    this.raw(Uint8Array.of(areRuns ? AS_RUNS : PLAIN));
    for (let from = 0; from < values.length;) {
      const end = areRuns ? runEnd(values, from, form.step) : from + 1;
      if (areRuns) this.number(end - from);
      if (form.unit === 'leb') this.number(values[from]!);
      else this.raw(Uint8Array.of(values[from]!));
      from = end;
    }
    return this;
  }

  /** What was written. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

/** Reads the data of an event. Once something does not fit it has failed, for good, and reads zeros. */
export class ColumnReader {
  readonly #bytes: Uint8Array;
  readonly #reader: LebReader;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#reader = new LebReader(bytes, at, bytes.length);
  }

  get hasFailed(): boolean {
    return this.#reader.hasFailed;
  }

  /** Whether everything was read, and nothing failed. */
  get isDone(): boolean {
    return !this.hasFailed && this.#reader.left === 0;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#reader.left;
  }

  raw(count: number): Uint8Array {
    const at = this.#reader.skip(count);
    return this.hasFailed ? new Uint8Array(0) : this.#bytes.subarray(at, at + count);
  }

  byte(): number {
    return this.hasFailed ? 0 : this.#reader.byte();
  }

  /** A number of at most `max`. */
  number(max: number): number {
    const value = this.hasFailed ? 0 : this.#reader.next();
    if (value <= max && !this.hasFailed) return value;
    this.#reader.hasFailed = true;
    return 0;
  }

  /** Fills an array with numbers of at most `max`. */
  numbers<A extends Uint16Array | Uint32Array>(into: A, max: number): A {
    for (let i = 0; i < into.length && !this.hasFailed; i += 1) into[i] = this.number(max);
    return into;
  }

  words(into: Uint32Array): Uint32Array {
    const bytes = this.raw(4 * into.length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; 4 * i < bytes.length; i += 1) into[i] = view.getUint32(4 * i, true);
    return into;
  }

  /** Names of packs: none are made where there are not so many bytes. */
  names(count: number): string[] {
    const bytes = this.raw(count * NAME_BYTES);
    return Array.from({ length: bytes.length / NAME_BYTES }, (_, i) =>
      toHex(bytes.subarray(i * NAME_BYTES, (i + 1) * NAME_BYTES)),
    );
  }

  text(): string {
    return new TextDecoder().decode(this.raw(this.byte()));
  }

  /** Fills an array with the numbers of a column, each of at most `max`. */
  column<A extends Uint8Array | Uint16Array | Uint32Array>(
    into: A,
    form: ColumnForm,
    max: number,
  ): A {
    const as = this.byte();
    if (as > AS_RUNS) this.#reader.hasFailed = true;
    const { length } = into;
    for (let row = 0; row < length && !this.hasFailed;) {
      const count = as === AS_RUNS ? this.number(length - row) : 1;
      const first = form.unit === 'leb' ? this.number(max) : this.byte();
      const last = first + form.step * (count - 1);
      if (count === 0 || last > max) {
        this.#reader.hasFailed = true;
        return into;
      }
      if (form.step === 0) into.fill(first, row, row + count);
      else for (let i = 0; i < count; i += 1) into[row + i] = first + i;
      row += count;
    }
    return into;
  }
}
