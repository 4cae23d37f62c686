// A dump that was written to what cannot seek (makedumpfile -F, QEMU): a header of 4,096 bytes with the
// magic "makedumpfile" and, in big-endian numbers of 64 bits, the type 1 and the version 1; then
// records, each the offset of some bytes in the dump, how many, and the bytes; an offset below 0 ends it.

import { assert } from '../../../domain/values/assert.ts';
import { DumpFile, dumpUnfit } from './dump-file.ts';

export const FLATTENED_MAGIC = 'makedumpfile\0\0\0\0';

const HEADER_BYTES = 4096;
const RECORD_HEAD_BYTES = 16;
/** No dump is larger. */
const OFFSET_MAX = 2 ** 50;
const RECORDS_MAX = 2 ** 20;
const DAMAGED = 'it was cut short, or is damaged; dump it again';

/** Bytes of the dump, and where they lie in the file. */
interface Part {
  readonly offset: number;
  readonly length: number;
  readonly at: number;
}

function partsOf(file: DumpFile): readonly Part[] {
  const parts: Part[] = [];
  for (let at = HEADER_BYTES; ;) {
    const head = file.view(at, RECORD_HEAD_BYTES, 'a record');
    const offset = Number(head.getBigInt64(0));
    const length = Number(head.getBigInt64(8));
    if (offset < 0) return parts;
    if (parts.length === RECORDS_MAX)
      throw dumpUnfit(file.label, `has more than ${RECORDS_MAX} records`, 'use `makedumpfile -R`');
    if (!Number.isSafeInteger(offset + Math.max(0, length)) || offset > OFFSET_MAX)
      throw dumpUnfit(file.label, `has a record at byte ${offset}, where no dump reaches`, DAMAGED);
    at += RECORD_HEAD_BYTES;
    file.check(at, length, 'a record');
    if (length > 0) parts.push({ offset, length, at });
    at += length;
  }
}

/** The dump in such a file. Of records of the same place the last one counts. */
export class FlattenedDump extends DumpFile {
  readonly #file: DumpFile;
  readonly #parts: readonly Part[];

  private constructor(file: DumpFile, parts: readonly Part[], sizeBytes: number) {
    super({ fd: -1, label: file.label, sizeBytes });
    this.#file = file;
    this.#parts = parts;
  }

  static of(file: DumpFile): FlattenedDump {
    const last = new Map(partsOf(file).map((part) => [part.offset, part]));
    const parts = [...last.values()].toSorted((a, b) => a.offset - b.offset);
    let end = 0;
    for (const { offset, length } of parts) {
      if (offset < end) throw dumpUnfit(file.label, `has bytes twice at ${offset}`, DAMAGED);
      end = offset + length;
    }
    return new FlattenedDump(file, parts, end);
  }

  /** Bytes that no record has are zeros. */
  override bytes(offset: number, length: number, what: string): Uint8Array<ArrayBuffer> {
    this.checkRead(offset, length, what);
    const bytes = new Uint8Array(length);
    for (let i = this.#firstBehind(offset); i < this.#parts.length; i += 1) {
      const part = this.#parts[i]!;
      const from = Math.max(offset, part.offset);
      const to = Math.min(offset + length, part.offset + part.length);
      if (from >= to) break;
      bytes.set(this.#file.bytes(part.at + from - part.offset, to - from, what), from - offset);
    }
    return bytes;
  }

  /** The number of the first part that ends behind a place. */
  #firstBehind(offset: number): number {
    let [low, high] = [0, this.#parts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { offset: at, length } = this.#parts[middle]!;
      if (at + length <= offset) low = middle + 1;
      else high = middle;
    }
    assert(low <= this.#parts.length, 'a part, or the end');
    return low;
  }
}
