// Block files in a map: the port without a disk, which may lose or spoil what it keeps, and counts what
// is read.

import {
  FILE_BLOCK_BYTES,
  type BlockFile,
  type BlockFiles,
} from '../../../domain/ports/derived-files.ts';
import type { MapStateFiles } from '../disks/map-state-files.ts';

export class MapBlockFiles implements BlockFiles {
  readonly kept = new Map<string, Uint8Array[]>();
  /** Files that are open now. */
  openFiles = 0;
  /** Blocks read so far. */
  blocksRead = 0;
  /** Saves that are still kept; further ones are not. */
  savesLeft = Number.POSITIVE_INFINITY;
  /** Names and blocks that a disk has spoilt, as `name/number`. */
  readonly spoilt = new Set<string>();
  readonly #files: MapStateFiles | null;

  /** Files that drop a name here too, as they lie in one folder. */
  constructor(files: MapStateFiles | null = null) {
    this.#files = files;
  }

  async save(name: string, blocks: AsyncIterable<Uint8Array>): Promise<boolean> {
    const kept: Uint8Array[] = [];
    for await (const block of blocks) {
      const whole = new Uint8Array(FILE_BLOCK_BYTES);
      whole.set(block);
      kept.push(whole);
    }
    this.savesLeft -= 1;
    if (this.savesLeft < 0) return false;
    this.kept.set(name, kept);
    // What state files list and drop are these, too.
    this.#files?.kept.set(name, new Uint8Array(0));
    for (const spoilt of this.spoilt) if (spoilt.startsWith(`${name}/`)) this.spoilt.delete(spoilt);
    return true;
  }

  open(name: string): Promise<BlockFile | null> {
    const isDropped = this.#files !== null && !this.#files.kept.has(name);
    const blocks = isDropped ? undefined : this.kept.get(name);
    if (blocks === undefined) return Promise.resolve(null);
    this.openFiles += 1;
    const read = (number: number): Promise<Uint8Array | null> => {
      this.blocksRead += 1;
      const isSpoilt = this.spoilt.has(`${name}/${number}`);
      return Promise.resolve(isSpoilt ? null : (blocks[number]?.slice() ?? null));
    };
    return Promise.resolve({
      count: blocks.length,
      read,
      async *first(count) {
        const given = new Uint8Array(FILE_BLOCK_BYTES);
        for (let number = 0; number < count; number += 1) {
          const block = await read(number);
          if (block !== null) given.set(block);
          yield block === null ? null : given;
        }
      },
      close: () => {
        this.openFiles -= 1;
        return Promise.resolve();
      },
    });
  }
}
