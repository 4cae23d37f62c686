// Heads at a few positions of the log, so that a read need not fold from zero. Kept in memory; the
// newest can be handed out and in (StreamHeads). A checkpoint is never changed once it is here.

import type { StreamHeads } from './stream-heads.ts';

/** Checkpoints at least this far apart are kept beside the newest. */
const CHECKPOINT_SPACING_BYTES = 32 * 1024 * 1024;
const CHECKPOINTS_MAX = 128;

/** A sorted set of checkpoints. */
export class Checkpoints {
  #spacingBytes = CHECKPOINT_SPACING_BYTES;
  #marks: StreamHeads[] = [];
  #newest: StreamHeads | null = null;

  /** Whether a fold that has come to `position` has something to tell. */
  wants(position: number): boolean {
    return position >= (this.#newest?.position ?? 0) + this.#spacingBytes;
  }

  /** Keeps a copy of `state` unless a newer one is here and none near is wanted. */
  add(state: StreamHeads): void {
    if (this.#newest !== null && state.position <= this.#newest.position) return;
    this.#newest = state.copy();
    const last = this.#marks.at(-1)?.position ?? 0;
    if (state.position - last < this.#spacingBytes) return;
    this.#marks.push(this.#newest);
    if (this.#marks.length <= CHECKPOINTS_MAX) return;
    this.#marks = this.#marks.filter((_, i) => i % 2 === 1);
    this.#spacingBytes *= 2;
  }

  /** The newest checkpoint at or before a position that also `fits`, or null. */
  before(position: number, fits: (state: StreamHeads) => boolean): StreamHeads | null {
    const isFit = (state: StreamHeads): boolean => state.position <= position && fits(state);
    if (this.#newest !== null && isFit(this.#newest)) return this.#newest;
    return this.#marks.findLast(isFit) ?? null;
  }
}
