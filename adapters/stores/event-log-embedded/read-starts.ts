// Heads at a few positions of the log, so that a read need not fold from zero: the nearer the log's
// end, the closer together, since most reads begin there. Kept in memory; those near the end can be
// handed out and in. A checkpoint is never changed once it is here.

import { decodeHeads, encodeHeads, type StreamHeads } from './stream-heads.ts';

/** No two checkpoints are nearer to each other, but for the newest. */
const SPACING_BYTES_MIN = 256 * 1024;
/** Nor need they be further apart, however far from the end. */
const SPACING_BYTES_MAX = 32 * 1024 * 1024;
const CHECKPOINTS_MAX = 128;
/** Of checkpoints that are handed out, beside the first. */
const HANDED_BYTES_MAX = 128 * 1024;
const LENGTH_BYTES = 4;

/** A sorted set of checkpoints. */
export class Checkpoints {
  #spacingBytes = SPACING_BYTES_MAX;
  #marks: StreamHeads[] = [];

  get #newest(): number {
    return this.#marks.at(-1)?.position ?? 0;
  }

  /** Whether a fold that has come to `position` has something to tell. */
  wants(position: number): boolean {
    return position >= this.#newest + SPACING_BYTES_MIN;
  }

  /** Keeps a copy of `state` unless a newer one is here. */
  add(state: StreamHeads): void {
    if (this.#marks.length > 0 && state.position <= this.#newest) return;
    this.#marks.push(state.copy());
    this.#thin();
    if (this.#marks.length <= CHECKPOINTS_MAX) return;
    this.#spacingBytes *= 2;
    this.#thin();
  }

  /** Of a checkpoint and its neighbours, one goes where those are no further apart than from the end. */
  #thin(): void {
    const marks = this.#marks;
    const end = this.#newest;
    const kept: StreamHeads[] = [];
    for (const [i, mark] of marks.entries()) {
      const next = marks[i + 1]?.position ?? Number.POSITIVE_INFINITY;
      const before = kept.at(-1)?.position ?? 0;
      const room = Math.min(this.#spacingBytes, Math.max(SPACING_BYTES_MIN, end - next));
      if (next - before > room) kept.push(mark);
    }
    this.#marks = kept;
  }

  /** The newest checkpoint at or before a position that also `fits`, or null. */
  before(position: number, fits: (state: StreamHeads) => boolean): StreamHeads | null {
    return this.#marks.findLast((state) => state.position <= position && fits(state)) ?? null;
  }

  /** `state`, and checkpoints before it, serialised: the last first, each preceded by its length. */
  encodedTo(state: StreamHeads): Uint8Array {
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    const earlier = this.#marks.filter(({ position }) => position < state.position);
    for (const heads of [state, ...earlier.toReversed()]) {
      const bytes = encodeHeads(heads);
      if (parts.length > 0 && sizeBytes + bytes.length > HANDED_BYTES_MAX) break;
      const length = new Uint8Array(LENGTH_BYTES);
      new DataView(length.buffer).setUint32(0, bytes.length, true);
      parts.push(length, bytes);
      sizeBytes += bytes.length;
    }
    return Buffer.concat(parts);
  }
}

/** Checkpoints as `encodedTo` gave them, the last first; none where any of them is damaged. */
export function decodedCheckpoints(bytes: Uint8Array): readonly StreamHeads[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoded: StreamHeads[] = [];
  for (let at = 0; at < bytes.length;) {
    const from = at + LENGTH_BYTES;
    const end = from > bytes.length ? Infinity : from + view.getUint32(at, true);
    if (end > bytes.length) return [];
    const heads = decodeHeads(bytes.subarray(from, end));
    if (heads === null || heads.position >= (decoded.at(-1)?.position ?? Infinity)) return [];
    decoded.push(heads);
    at = end;
  }
  return decoded;
}
