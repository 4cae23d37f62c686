// The port to the data plane: whole batches of pages in, columns out. An engine runs its work on
// worker threads or inline; results do not depend on which, nor on the timing of threads.

import type { BlockTable, CODEC_PACKED, CODEC_ZSTD } from '../values/pack.ts';
import type { Image, MemoryFile } from './guests.ts';

/** Pages scanned as one chunk (4 MiB). */
export const CHUNK_PAGES = 1024;
/** Bytes of a page's keyed fingerprint. */
export const FINGERPRINT_BYTES = 24;
/** Bytes of a page's identifier. */
export const IDENTIFIER_BYTES = 32;
/** Bytes of a sharing group's key. */
export const KEY_BYTES = 32;

/** The strongest of zstd's levels that blocks are packed with; all decode alike. */
export const ZSTD_LEVEL_MAX = 19;

/** Features in a page's sketch, by which similar pages are found; NO_FEATURE where it has fewer. */
export const SKETCH_FEATURES = 8;
export const NO_FEATURE = 0xffff_ffff;

/** Class of a page that no pattern describes. */
export const CLASS_NONE = 0;
/** Class of a page of zeros. */
export const CLASS_ZERO = 1;
/** Classes of pages that hold one byte, or one word of 2, 4 or 8 bytes, over and over. */
export const CLASS_BYTE = 2;
export const CLASS_WORD16 = 3;
export const CLASS_WORD32 = 4;
export const CLASS_WORD64 = 5;
/** Class of pages that repeat after any other period that divides 64 or 48. */
export const CLASS_PERIOD = 6;
/** Class of pages of known data strings. */
export const CLASS_STRING = 7;
/** Class of pages that are such a pattern but for a short head or tail. */
export const CLASS_EDGED = 8;
/** Class that events give pages of which a source did not tell what they held: no page is classified so. */
export const CLASS_UNTOLD = 31;
/** Classes are below this number: they have five bits. */
export const CLASSES_MAX = 32;

/** A data string that widens the grammar of patterns, under its number. */
export interface AddedString {
  readonly number: number;
  readonly unit: Uint8Array;
}

/** The strings that the grammar knows beside those built in. */
export type Grammar = readonly AddedString[];

/** Descriptors of patterns, back to back; they may hold a guest's bytes. */
export interface Descriptors {
  /** Where each ends in `bytes`. */
  readonly ends: Uint32Array;
  readonly bytes: Uint8Array;
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

/** How pages are compressed: packed, or as a zstd frame of a level from 1 to ZSTD_LEVEL_MAX. */
export type Compression =
  | { readonly codec: typeof CODEC_PACKED }
  | { readonly codec: typeof CODEC_ZSTD; readonly level: number };

/** Stored blocks of one chunk, in order. */
export interface StoredBlocks extends BlockTable {
  /** The blocks' stored bytes, back to back. Those of a chunk are valid until its next `store` or `release`. */
  readonly bytes: Uint8Array;
}

/** Pages that others may be kept as patches against. */
export interface PatchReferences {
  /**
   * PAGE_BYTES each. Pages in shared memory cross to a thread without a copy, and are left alone
   * until the answer is there.
   */
  readonly pages: Uint8Array;
  /** For each page asked for, the number of its reference, or -1. */
  readonly of: Int32Array;
}

/** Blocks some of whose pages may be patches: the page XOR its reference. */
export interface PatchedBlocks extends StoredBlocks {
  /** A row a page, in the order asked for: 1 where it is kept as a patch. */
  readonly patched: Uint8Array;
}

export interface PackRequest {
  /** Whole pages, at most CHUNK_PAGES. In shared memory they cross to a thread without a copy. */
  readonly pages: Uint8Array;
  /** Numbers of pages after which a block ends, ascending; it ends after BLOCK_PAGES_MAX too. */
  readonly cuts: readonly number[];
  /** zstd's, 1 to ZSTD_LEVEL_MAX. */
  readonly level: number;
  /** Absent: no page becomes a patch. */
  readonly references?: PatchReferences | null;
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
  /** Those of the rows whose class is above CLASS_ZERO, in the order of the rows. */
  readonly descriptors: Descriptors;
  /**
   * Compresses the candidates with these row numbers, in this order, into blocks of pages. A block
   * ends after BLOCK_PAGES pages and also after each number of rows in `cuts` (ascending). A row
   * with a reference becomes a patch where fewer than PATCH_BYTES_MAX of its bytes differ.
   */
  store(request: {
    readonly rows: Uint32Array;
    readonly cuts: readonly number[];
    /** Absent: packed. */
    readonly compression?: Compression;
    /** Absent: no row becomes a patch. */
    readonly references?: PatchReferences | null;
  }): Promise<PatchedBlocks>;
  /** Gives the chunk's memory back. Every chunk is released exactly once. */
  release(): void;
}

/** Most pages filled in at once (4 MiB). */
export const FILL_PAGES_MAX = 1024;

/** Stored bytes of a pack that are read as one, with blocks among them. */
export interface FillPiece {
  /** The bytes, or a file that they are read from. */
  readonly from: Uint8Array | MemoryFile;
  /** Where they lie in the file. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Its blocks are those of the request after the piece before, up to this one. */
  readonly endBlock: number;
  /** What a message calls the pack. */
  readonly label: string;
}

/** Pages to make of blocks and to write. Columns of blocks have a row a block, piece by piece. */
export interface FillRequest {
  readonly pieces: readonly FillPiece[];
  readonly blocks: BlockTable;
  /** Where each block begins in its piece. */
  readonly starts: Uint32Array;
  /** By block, the row after its last one in the next two columns. */
  readonly rowEnds: Uint32Array;
  /** Which page of the block is laid, by XOR, onto which of `pages`. */
  readonly slots: Uint8Array;
  readonly rooms: Uint32Array;
  /** Where the pages go in the file, ascending; at most FILL_PAGES_MAX. Each is in some row. */
  readonly pages: Uint32Array;
  /** Open for writing. */
  readonly file: MemoryFile;
  readonly offsetBytes: number;
  /** How many pages are filled in after these for sure: what is little is done without threads. */
  readonly following: number;
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
  /** Sets the strings that widen the grammar, for all that follows. Without a call there are none. */
  useGrammar(grammar: Grammar): Promise<void>;
  scan(request: ScanRequest): Promise<ScannedChunk>;
  /**
   * Reads and checks blocks, makes pages of them and writes these into a file. Where blocks cannot be
   * read or are damaged: which of them, and nothing was written. Throws what the file does.
   */
  fill(request: FillRequest): Promise<readonly number[]>;
  /**
   * Checks and decompresses blocks: their pages back to back, in `into` where that is as long as they are.
   * Inline.
   */
  decode(
    request: {
      readonly bytes: Uint8Array;
      readonly blocks: BlockTable;
      readonly label: string;
    },
    into?: Uint8Array,
  ): Uint8Array;
  /** Compresses whole pages at hand into blocks; where nothing else is said, packed. Inline. */
  encode(pages: Uint8Array, compression?: Compression): StoredBlocks;
  /** Makes blocks of pages that these descriptors describe, in their order. Inline. */
  encodePatterns(descriptors: readonly Uint8Array[]): StoredBlocks;
  /** As `encode`, into blocks of other sizes and with another effort, on a thread. */
  pack(request: PackRequest): Promise<PatchedBlocks>;
  /**
   * Sketches of whole pages at hand, at most CHUNK_PAGES, on a thread: SKETCH_FEATURES ascending
   * numbers a page (similar-pages.ts). They tell of content, so they stay in memory.
   */
  sketch(pages: Uint8Array): Promise<Uint32Array>;
  /** Classes and identifiers of whole pages at hand, also of those that a pattern describes. Inline. */
  identify(pages: Uint8Array): { readonly classes: Uint8Array; readonly identifiers: Uint8Array };
  close(): Promise<void>;
}
