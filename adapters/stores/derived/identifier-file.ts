// The identifier column in a file (docs/format.md, "State files"): record n holds the identifier of
// content n and a check of both. Derived: processes share it without a lock, since the record of a
// number is the same whoever writes it; a record whose check fails is none, and makes the projections
// start anew. Reads are synchronous, because the index compares identifiers in the middle of a batch.
// What there is no room for stays in memory: nothing that only asks needs the disk for it.

import { dirname } from 'node:path';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import type { FilePort, OpenFile } from '../../files/file-port.ts';
import {
  MemoryIdentifierColumn,
  type IdentifierColumn,
} from '../../../projections/models/identifier-index.ts';

const CHECK_BYTES = 4;
const RECORD_BYTES = IDENTIFIER_BYTES + CHECK_BYTES;
const IDENTIFIER_WORDS = IDENTIFIER_BYTES / 4;
const RECORD_WORDS = RECORD_BYTES / 4;
/** Records read at once: equal pages of two guests come in runs, so the next look-up is often there. */
const WINDOW_RECORDS = 112;
/** Records that are written at once, out of memory that is used again. */
const WRITTEN_RECORDS = 1024;
const WRITTEN_BYTES = WRITTEN_RECORDS * IDENTIFIER_BYTES;
/** An odd number, so that records of different numbers have different checks. */
const NUMBER_FACTOR = 0x9e37_79b1;

/** XOR of the identifier's words and the scaled number: finds every single flipped bit. Never 0. */
function checkOf(view: DataView, at: number, content: number): number {
  let check = Math.imul(content + 1, NUMBER_FACTOR);
  for (let i = 0; i < IDENTIFIER_BYTES; i += 4) check ^= view.getInt32(at + i, true);
  return check >>> 0 === 0 ? 1 : check >>> 0;
}

/** Writes the records of identifiers from number `first` on into `words`, from its start on. */
function putRecords(words: Int32Array, first: number, identifiers: Uint8Array): void {
  const count = identifiers.length / IDENTIFIER_BYTES;
  const isAligned = identifiers.byteOffset % 4 === 0;
  const source = isAligned ? identifiers : identifiers.slice();
  const given = new Int32Array(source.buffer, source.byteOffset, count * IDENTIFIER_WORDS);
  for (let i = 0; i < count; i += 1) {
    const from = i * IDENTIFIER_WORDS;
    const to = i * RECORD_WORDS;
    let check = Math.imul(first + i + 1, NUMBER_FACTOR);
    for (let word = 0; word < IDENTIFIER_WORDS; word += 1) {
      const value = given[from + word]!;
      words[to + word] = value;
      check ^= value;
    }
    words[to + IDENTIFIER_WORDS] = check === 0 ? 1 : check;
  }
}

interface IdentifierPlace {
  readonly files: FilePort;
  readonly path: string;
}

class IdentifierFile implements IdentifierColumn {
  readonly #place: IdentifierPlace;
  #file: OpenFile | null = null;
  #opening: Promise<void> | null = null;
  /** What the file did not take, from the number where that began. */
  #rest: { readonly first: number; readonly column: MemoryIdentifierColumn } | null = null;
  readonly #window = new Uint8Array(WINDOW_RECORDS * RECORD_BYTES);
  readonly #view = new DataView(this.#window.buffer);
  /** What records are written from, once some are. */
  #records: Int32Array<ArrayBuffer> | null = null;
  #windowFirst = 0;
  #windowCount = 0;

  constructor(place: IdentifierPlace) {
    this.#place = place;
  }

  /** Opens the file, once. Where it cannot be had, or not written, memory does for it. */
  readonly ready = (): Promise<void> => (this.#opening ??= this.#open());

  async #open(): Promise<void> {
    const { files, path } = this.#place;
    this.#file = await files
      .makeFolder(dirname(path))
      .then(() => files.open(path, 'create'))
      .catch(() => files.open(path, 'read'))
      .catch(() => null);
  }

  append(first: number, identifiers: Uint8Array): void {
    this.#windowCount = 0;
    if (this.#rest === null && this.#hasWritten(first, identifiers)) return;
    this.#rest ??= { first, column: new MemoryIdentifierColumn() };
    this.#rest.column.append(first - this.#rest.first, identifiers);
  }

  #hasWritten(first: number, identifiers: Uint8Array): boolean {
    try {
      for (let at = 0; at < identifiers.length; at += WRITTEN_BYTES) {
        const some = identifiers.subarray(at, at + WRITTEN_BYTES);
        const number = first + at / IDENTIFIER_BYTES;
        this.#records ??= new Int32Array(WRITTEN_RECORDS * RECORD_WORDS);
        putRecords(this.#records, number, some);
        const lengthBytes = (some.length / IDENTIFIER_BYTES) * RECORD_BYTES;
        const records = new Uint8Array(this.#records.buffer, 0, lengthBytes);
        this.#file?.writeNow(records, number * RECORD_BYTES);
      }
      return this.#file !== null;
    } catch (thrown) {
      if (!isLedgerError(thrown)) throw thrown;
      return false;
    }
  }

  /** Valid until the next call. */
  read(content: number): Uint8Array | null {
    if (this.#rest !== null && content >= this.#rest.first)
      return this.#rest.column.read(content - this.#rest.first);
    let row = content - this.#windowFirst;
    if (row < 0 || row >= this.#windowCount) {
      this.#windowFirst = content;
      const read = this.#file?.readNow(this.#window, content * RECORD_BYTES) ?? 0;
      this.#windowCount = Math.floor(read / RECORD_BYTES);
      row = 0;
      if (this.#windowCount === 0) return null;
    }
    const at = row * RECORD_BYTES;
    const check = this.#view.getUint32(at + IDENTIFIER_BYTES, true);
    return check === checkOf(this.#view, at, content)
      ? this.#window.subarray(at, at + IDENTIFIER_BYTES)
      : null;
  }

  /** Forgets what was read. The file stays: another process may be using it, and records are checked. */
  clear(): void {
    this.#windowCount = 0;
    this.#rest = null;
  }

  /** Other processes that have the file open keep it, without its name. */
  readonly forget = async (): Promise<void> => {
    this.clear();
    await this.#opening;
    const file = this.#file;
    this.#file = null;
    this.#opening = null;
    await file?.close().catch(() => undefined);
    const { files, path } = this.#place;
    // What cannot be removed is written over: each record says whether it is right.
    await files.remove(path).catch(() => false);
  };

  close(): void {
    // Nothing is lost with a file that does not close.
    this.#file?.close().catch(() => undefined);
  }
}

/** The column in a file, which is opened when the first identifier is asked for. */
export const identifierFile = (
  place: IdentifierPlace,
): IdentifierColumn & { ready(): Promise<void> } => new IdentifierFile(place);
