// The bytes of a file that says itself where memory lies in it. Nothing is read that it does not have.

import { readSync } from 'node:fs';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { ImageFile } from '../images/image-file.ts';

/** Most bytes that are read at once: what a dump says of itself is small. */
const READ_BYTES_MAX = 64 * 1024 * 1024;

/** A dump that is not what it should be. */
export const dumpUnfit = (label: string, found: string, instead: string): LedgerError =>
  new LedgerError('SOURCE_FORMAT', `${label} ${found}: ${instead}`, { label });

/** An address, as messages have it. */
export const hexOf = (address: number | bigint): string => `0x${address.toString(16)}`;

export class DumpFile {
  readonly label: string;
  readonly sizeBytes: number;
  readonly #fd: number;

  constructor({ fd, label, sizeBytes }: Pick<ImageFile, 'fd' | 'label' | 'sizeBytes'>) {
    this.#fd = fd;
    this.label = label;
    this.sizeBytes = sizeBytes;
  }

  /** Refuses a stretch that does not lie in the file: SOURCE_SIZE. */
  check(offset: number, length: number, what: string): void {
    const end = offset + length;
    if (Number.isSafeInteger(end) && offset >= 0 && length >= 0 && end <= this.sizeBytes) return;
    throw new LedgerError(
      'SOURCE_SIZE',
      `${this.label} has ${this.sizeBytes} bytes, and ${what} would lie from byte ${offset} to ${end}: it is cut short, or damaged; copy or dump it again`,
      { label: this.label, found: this.sizeBytes, expected: end },
    );
  }

  /** The same of one that is to be read at once. */
  protected checkRead(offset: number, length: number, what: string): void {
    this.check(offset, length, what);
    if (length > READ_BYTES_MAX)
      throw dumpUnfit(
        this.label,
        `has ${length} bytes of ${what}, and at most ${READ_BYTES_MAX} are read`,
        'it is damaged; copy or dump it again',
      );
  }

  /** Bytes of the file. */
  bytes(offset: number, length: number, what: string): Uint8Array<ArrayBuffer> {
    this.checkRead(offset, length, what);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const count = readSync(this.#fd, bytes, done, length - done, offset + done);
      if (count === 0) this.check(offset, this.sizeBytes + 1, what);
      done += count;
    }
    return bytes;
  }

  /** The same, to look numbers up in. */
  view(offset: number, length: number, what: string): DataView {
    return new DataView(this.bytes(offset, length, what).buffer);
  }
}

/** A number of 64 bits; what no file and no memory reaches is no exact one, and above all bounds. */
export const u64 = (view: DataView, at: number, isLittle = true): number =>
  Number(view.getBigUint64(at, isLittle));
