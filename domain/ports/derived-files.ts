// Where projections keep what they derived: it may vanish at any time.

/** Derived state, named; may vanish at any time. `save` replaces whole and atomically. */
export interface StateFiles {
  /** The bytes last saved under the name, or null: absent, damaged, or of another format. */
  load(name: string): Promise<Uint8Array | null>;
  /** Failures are not errors: what is derived can be derived again. */
  save(name: string, bytes: Uint8Array): Promise<void>;
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
