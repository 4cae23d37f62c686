// Small reads of packs. What the system has in memory is read at once: to have a thread of the pool do it
// costs many times what the read takes. Nobody tells beforehand whether the system has it, so that it is
// taken by what the last ones took: after one that was slow the next go to the pool, and nobody who is
// served beside them waits for a disk.

import type { OpenFile } from '../../files/file-port.ts';

/** More than this goes to the pool whatever the last ones took: to copy it takes long enough. */
const SMALL_BYTES = 64 * 1024;
/** What comes from memory takes some microseconds. */
const SLOW_MS = 0.5;
/** Reads that go to the pool after a slow one. */
const POOLED_READS = 64;

export class SmallReads {
  readonly #now: () => number;
  #pooled = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** As the file's `read`. */
  async read(file: OpenFile, target: Uint8Array, offsetBytes: number): Promise<number> {
    if (target.length > SMALL_BYTES) return file.read(target, offsetBytes);
    if (this.#pooled > 0) {
      this.#pooled -= 1;
      return file.read(target, offsetBytes);
    }
    const startMs = this.#now();
    const found = file.readNow(target, offsetBytes);
    if (this.#now() - startMs > SLOW_MS) this.#pooled = POOLED_READS;
    return found;
  }
}
