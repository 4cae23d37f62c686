// The port to the data plane: whole batches of pages in, columns out. An engine runs its work on
// worker threads or inline; results do not depend on which, nor on the timing of threads.

import type { BlockTable } from './pack.ts';

/** Pages scanned as one chunk (4 MiB). */
export const CHUNK_PAGES = 1024;
/** Bytes of a page's keyed fingerprint. */
export const FINGERPRINT_BYTES = 24;
/** Bytes of a page's identifier. */
export const IDENTIFIER_BYTES = 32;
/** Bytes of a sharing group's key. */
export const KEY_BYTES = 32;

/** Class of a page that no pattern describes. */
export const CLASS_NONE = 0;
/** Class of a page of zeros. */
export const CLASS_ZERO = 1;

/** A guest's memory as a file at hand: page p lies at offsetBytes + p * PAGE_BYTES. */
export interface Image {
  readonly fd: number;
  readonly offsetBytes: number;
  readonly pageCount: number;
  /** Shared; where [p] is 1, page p is zero whatever the file holds there. Null: believe the file. */
  readonly zeros: Uint8Array | null;
  /** What a message calls it. */
  readonly label: string;
}

/** The fingerprints of a VM's pages, FINGERPRINT_BYTES each, in gfn order, in shared memory. */
export type Fingerprints = SharedArrayBuffer;

export interface ScanRequest {
  readonly image: Image;
  readonly firstPage: number;
  /** At most CHUNK_PAGES. */
  readonly pageCount: number;
  /** Fingerprints of the last capture, or null: every page is a candidate. */
  readonly previous: Fingerprints | null;
  /** Where the fingerprints of this capture go. */
  readonly next: Fingerprints;
}

/** Stored blocks of one chunk, in order. */
export interface StoredBlocks extends BlockTable {
  /** The blocks' stored bytes, back to back. Valid until `release`. */
  readonly bytes: Uint8Array;
}

/**
 * The candidates of a chunk: pages whose fingerprint differs from the last capture's (or all).
 * Columns have one row a candidate, gfns ascending.
 */
export interface ScannedChunk {
  readonly unchanged: number;
  readonly gfns: Uint32Array;
  /** CLASS_NONE, or the pattern's class. */
  readonly classes: Uint8Array;
  /** IDENTIFIER_BYTES a row; zeros for a pattern page. */
  readonly identifiers: Uint8Array;
  /**
   * Compresses the candidates with these row numbers, in this order, into blocks of pages. A block
   * ends after BLOCK_PAGES pages and also after each number of rows in `cuts` (ascending).
   */
  store(request: {
    readonly rows: Uint32Array;
    readonly cuts: readonly number[];
  }): Promise<StoredBlocks>;
  /** Gives the chunk's memory back. Every chunk is released exactly once. */
  release(): void;
}

export interface FillRequest {
  /** Stored bytes of consecutive blocks of one pack, back to back. */
  readonly bytes: Uint8Array;
  readonly blocks: BlockTable;
  /** What to write where: page `slots[i]`, counted from the first block's first page, to page `pages[i]` of the file. */
  readonly slots: Uint32Array;
  readonly pages: Uint32Array;
  readonly fd: number;
  readonly offsetBytes: number;
  /** What a message calls the pack. */
  readonly label: string;
}

/** Keys of one sharing group as the kernels want them. Secret. */
export interface EngineKeys {
  readonly identifierKey: Uint8Array;
  /** Key material of the fingerprint, derived from the group's key. */
  readonly fingerprintKey: Uint8Array;
}

export interface PageEngine {
  /** Threads that work beside the caller's; 0: inline. */
  readonly threads: number;
  /** Chunks that may be unreleased at once; `scan` beyond that waits. */
  readonly chunksMax: number;
  /** Sets the keys for the scans that follow. */
  useKeys(keys: EngineKeys): Promise<void>;
  scan(request: ScanRequest): Promise<ScannedChunk>;
  /** Checks, decompresses and writes pages into a file. PACK_DAMAGED names block and pack. */
  fill(request: FillRequest): Promise<void>;
  /** Checks and decompresses blocks: their pages back to back. Inline. */
  decode(request: {
    readonly bytes: Uint8Array;
    readonly blocks: BlockTable;
    readonly label: string;
  }): Uint8Array;
  /** Compresses whole pages at hand into blocks. Inline. */
  encode(pages: Uint8Array): StoredBlocks;
  /** Classes and identifiers of whole pages at hand. Inline. */
  identify(pages: Uint8Array): { readonly classes: Uint8Array; readonly identifiers: Uint8Array };
  close(): Promise<void>;
}
