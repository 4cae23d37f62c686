// The ports to guests and to where memory lies. What the domain is given of a file of memory is a
// thing to hand on: only adapters know how it was opened.

/** Memory that adapters can read and write by page; opaque here. */
export interface MemoryFile {
  /** What adapters know it by. */
  readonly handle: unknown;
}

/** A guest's memory at hand: page p lies at offsetBytes + p * PAGE_BYTES of the file. */
export interface Image {
  readonly file: MemoryFile;
  readonly offsetBytes: number;
  readonly pageCount: number;
  /** Shared; where [p] is 1, page p is zero whatever the file holds there. Null: believe the file. */
  readonly zeros: Uint8Array | null;
  /** What a message calls it. */
  readonly label: string;
}
