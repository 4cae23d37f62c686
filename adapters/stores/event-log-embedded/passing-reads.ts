// Reads of a file in its order by who is done with what was read when the next of it is asked for: into
// two windows by turns, and once reads are as large as they get, the next one is on its way while what
// was read last is worked off. Windows are used again: fresh memory costs more than reading into it.

import { assert } from '../../../domain/values/assert.ts';
import { Spares } from '../../../domain/values/spares.ts';
import { RECORD_BYTES_MAX } from './record-layout.ts';

/** Bytes by their positions in the log; fewer than asked for only at the end of what is there. */
export interface PositionedBytes {
  read(target: Uint8Array, position: number): Promise<number>;
}

export const READ_BYTES_MAX = 1024 * 1024;
/** Reads into memory that starts at a page's start are several times slower. */
export const WINDOW_SKEW_BYTES = 48;
/** What is read lies behind room for what was unread before it. */
const READ_AT = WINDOW_SKEW_BYTES + RECORD_BYTES_MAX;
/** Windows that are kept for later readers. */
const SPARE_MAX = 2;

const windows = new Spares<Buffer>(SPARE_MAX);

const takeWindow = (): Buffer =>
  windows.take(() => Buffer.allocUnsafeSlow(READ_AT + READ_BYTES_MAX));

function giveWindow(window: Buffer | null): void {
  if (window !== null) windows.giveBack(window);
}

/** A read that was begun. */
interface Reading {
  readonly window: Buffer;
  readonly position: number;
  readonly lengthBytes: number;
  readonly got: Promise<number>;
}

/** What was read: `unread` and then what follows it in the file. */
export interface PassingBytes {
  readonly bytes: Buffer;
  readonly isAtEnd: boolean;
}

/** Not for concurrent use. */
export class PassingReads {
  readonly #file: PositionedBytes;
  /** Where the bytes lie that were given last. */
  #window: Buffer | null = null;
  #ahead: Reading | null = null;

  constructor(file: PositionedBytes) {
    this.#file = file;
  }

  /**
   * Reads so many bytes at a position, READ_BYTES_MAX at most, behind fewer than RECORD_BYTES_MAX that
   * were given before and stand in the file before it. What was given before is gone then.
   */
  async read(
    unread: Uint8Array,
    { position, lengthBytes }: { readonly position: number; readonly lengthBytes: number },
  ): Promise<PassingBytes> {
    assert(unread.length <= RECORD_BYTES_MAX, 'a window has room for what is unread');
    const ahead = this.#ahead;
    this.#ahead = null;
    const isIt = ahead?.position === position && ahead.lengthBytes === lengthBytes;
    if (!isIt) this.#drop(ahead);
    const { window, got } = isIt ? ahead : this.#begin(takeWindow(), position, lengthBytes);
    let count = await got;
    // What the file did not have when it was read ahead it may have by now.
    if (isIt && count < lengthBytes)
      count += await this.#file.read(
        window.subarray(READ_AT + count, READ_AT + lengthBytes),
        position + count,
      );
    const start = READ_AT - unread.length;
    window.set(unread, start);
    const before = this.#window;
    this.#window = window;
    const isAtEnd = count < lengthBytes;
    if (isAtEnd || lengthBytes < READ_BYTES_MAX) giveWindow(before);
    else this.#ahead = this.#begin(before ?? takeWindow(), position + count, lengthBytes);
    return { bytes: window.subarray(start, READ_AT + count), isAtEnd };
  }

  #begin(window: Buffer, position: number, lengthBytes: number): Reading {
    const target = window.subarray(READ_AT, READ_AT + lengthBytes);
    const got = this.#file.read(target, position);
    // Whoever asks for it is told; nobody may.
    got.catch(() => undefined);
    return { window, position, lengthBytes, got };
  }

  /** A window is used again once nothing is read into it any more. */
  #drop(ahead: Reading | null): void {
    if (ahead === null) return;
    const give = (): void => {
      giveWindow(ahead.window);
    };
    ahead.got.then(give, give);
  }

  /** What was given is gone. */
  release(): void {
    this.#drop(this.#ahead);
    this.#ahead = null;
    giveWindow(this.#window);
    this.#window = null;
  }
}
