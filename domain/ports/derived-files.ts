// Where projections keep what they derived: it may vanish at any time.

/** Bytes of a state, in memory or where they lie in its file: they are as they were checked. */
export interface StateBytes {
  readonly length: number;
  /** All of them, where they are in memory; else null. */
  readonly memory: Uint8Array | null;
  /**
   * Fills `target` from a place on, at once. IO_FAILED where the file does not give them any more as
   * they were when it was opened.
   */
  copy(at: number, target: Uint8Array): void;
}

/** A state file that is open. Its bytes can be read until it is closed, though its name be another's. */
export interface OpenState extends StateBytes {
  close(): Promise<void>;
}

/** Bytes to be saved, in pieces, each valid until the next is asked for. */
export interface StatePieces {
  readonly length: number;
  pieces(): Iterable<Uint8Array>;
}

/** Derived state, named; may vanish at any time. `save` replaces whole and atomically. */
export interface StateFiles {
  /** The bytes last saved under the name, or null: absent, damaged, or of another format. */
  load(name: string): Promise<Uint8Array | null>;
  /** The same, all of them checked, of which those of a large file stay where they lie. */
  open(name: string): Promise<OpenState | null>;
  /** Failures are not errors: what is derived can be derived again. */
  save(name: string, bytes: Uint8Array | StatePieces): Promise<void>;
  list(prefix: string): Promise<readonly string[]>;
  drop(name: string): Promise<void>;
}

/** Most bytes of a block in a block file. */
export const FILE_BLOCK_BYTES = 16 * 1024 - 4;

/** A block file that is open. */
export interface BlockFile {
  readonly count: number;
  /** FILE_BLOCK_BYTES bytes, zeros after what was saved; null: the block is damaged or gone. */
  read(number: number): Promise<Uint8Array | null>;
  /** The first `count` blocks, as `read` gives them; each is valid until the next is asked for. */
  first(count: number): AsyncIterable<Uint8Array | null>;
  close(): Promise<void>;
}

/**
 * Derived state that is read in parts: files of blocks, each with a checksum of its own. They lie
 * among the state files, which list and drop them, and may vanish at any time.
 */
export interface BlockFiles {
  /**
   * Replaces the file whole and atomically, its blocks taken as they come: each is copied before the
   * next is asked for. False: it is not kept. Rejects with what the blocks themselves reject with.
   */
  save(name: string, blocks: AsyncIterable<Uint8Array>): Promise<boolean>;
  /** The file last saved under the name; null: absent, or of another length than blocks have. */
  open(name: string): Promise<BlockFile | null>;
}
