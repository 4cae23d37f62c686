// What is asked of a guest's memory by whoever looks for what the guest says of itself: pages by the
// number that the guest gives them, its guest-physical address divided by 4,096 (a frame).

/** Pages of a guest at one moment. */
export interface GuestPages {
  /** One past the last frame that may be memory. */
  readonly frames: number;
  /** Whether a frame is memory. */
  has(frame: number): boolean;
  /** The pages of frames, all of them memory, one after the other, PAGE_BYTES each. */
  read(frames: readonly number[]): Promise<Uint8Array>;
}
