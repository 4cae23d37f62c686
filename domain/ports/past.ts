// What is asked of a VM's past by whoever travels in it: its memory at each kept capture, and when the
// memory at an address was written.

import type { GuestPages } from './guest-pages.ts';

export interface Past {
  /** Captures that are kept, ascending. */
  readonly moments: readonly number[];
  /** Memory at one of them. */
  memoryAt(capture: number): Promise<GuestPages>;
  /**
   * Captures, ascending, kept or not, at which a frame was written, came to be another page, or came to
   * be memory: between two of them it holds the same.
   */
  writesOf(frame: number): Promise<readonly number[]>;
}
