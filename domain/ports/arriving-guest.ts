// The port to a guest that runs while its memory still arrives. It asks for the pages that it waits
// for, and takes any other, each once.

/** Pages that a guest waits for. */
export interface PageDemand {
  readonly firstPage: number;
  readonly count: number;
}

/** Whoever answers a guest. */
export interface DemandListener {
  /** The guest waits for pages; it may have been given them meanwhile. */
  readonly onDemand: (demand: PageDemand) => void;
  /** It asks for nothing any more: why, or null where that is as it should be. */
  readonly onEnd: (failure: Error | null) => void;
}

/** A guest that runs while its memory still arrives. What it throws is a LedgerError. */
export interface ArrivingGuest {
  /** Begins to tell of demands, those from before too. */
  listen(listener: DemandListener): void;
  /**
   * Gives pages by their numbers, PAGE_BYTES each in `pages`; those that are `zeros` have no bytes
   * there. None may have been given before. They are sent in the order of the calls; the bytes may be
   * used again when the promise resolves.
   */
  give(given: {
    readonly numbers: ArrayLike<number>;
    readonly pages: Uint8Array;
    readonly zeros: ArrayLike<number>;
  }): Promise<void>;
  /** Says that what was not given is zeros, and that nothing more comes. */
  finish(): Promise<void>;
  /** Leaves the guest as it is: it stands at the next page that it lacks, until somebody goes on. */
  leave(): void;
}
