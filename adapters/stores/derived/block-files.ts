// Block files (docs/format.md, "State files"): derived state that is read in parts. Block n lies at
// n x 16384; its last four bytes are the CRC-32 of the others and of n, so a block that is damaged, or
// not at its place, is none. As with all derived state nothing here fails: it is absent, or not kept.

import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import {
  FILE_BLOCK_BYTES,
  type BlockFile,
  type BlockFiles,
} from '../../../domain/ports/derived-files.ts';
import type { FilePort, OpenFile } from '../../files/file-port.ts';
import { pathOf, type StateFilesOptions } from './state-files.ts';
import { removeLeftovers, writeWhole } from '../../files/whole-file.ts';

const CHECK_BYTES = 4;
const STRIDE_BYTES = FILE_BLOCK_BYTES + CHECK_BYTES;
/** Blocks that are written at once, and read where one follows the other. */
const BLOCKS_TOGETHER = 16;

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Checksum of a block at its place. */
function checkOf(block: Uint8Array, number: number): number {
  const place = new Uint8Array(CHECK_BYTES);
  viewOf(place).setUint32(0, number, true);
  return crc32(place, crc32(block.subarray(0, FILE_BLOCK_BYTES)));
}

/** Blocks that are saved; where they fail to come, that is no failure of the disk. */
class Source {
  readonly #blocks: AsyncIterable<Uint8Array>;
  failure: { readonly thrown: unknown } | null = null;

  constructor(blocks: AsyncIterable<Uint8Array>) {
    this.#blocks = blocks;
  }

  async *#watched(): AsyncGenerator<Uint8Array> {
    try {
      for await (const block of this.#blocks) yield block;
    } catch (thrown) {
      this.failure = { thrown };
      throw thrown;
    }
  }

  /** Blocks as they lie in the file, some at a time: valid until the next are asked for. */
  async *sealed(): AsyncGenerator<Uint8Array> {
    const piece = new Uint8Array(BLOCKS_TOGETHER * STRIDE_BYTES);
    let number = 0;
    let filled = 0;
    for await (const block of this.#watched()) {
      assert(block.length <= FILE_BLOCK_BYTES, 'a block fits its place');
      const stored = piece.subarray(filled, filled + STRIDE_BYTES);
      stored.set(block);
      stored.fill(0, block.length, FILE_BLOCK_BYTES);
      viewOf(stored).setUint32(FILE_BLOCK_BYTES, checkOf(stored, number), true);
      number += 1;
      filled += STRIDE_BYTES;
      if (filled < piece.length) continue;
      yield piece;
      filled = 0;
    }
    if (filled > 0) yield piece.subarray(0, filled);
  }
}

/** What was saved as a block, out of its bytes in the file; null: they are damaged, or of another place. */
function blockIn(stored: Uint8Array, number: number): Uint8Array | null {
  if (stored.length < STRIDE_BYTES) return null;
  const check = viewOf(stored).getUint32(FILE_BLOCK_BYTES, true);
  return check === checkOf(stored, number) ? stored.subarray(0, FILE_BLOCK_BYTES) : null;
}

class OpenBlockFile implements BlockFile {
  readonly count: number;
  readonly #file: OpenFile;

  constructor(file: OpenFile, count: number) {
    this.#file = file;
    this.count = count;
  }

  async read(number: number): Promise<Uint8Array | null> {
    const stored = new Uint8Array(STRIDE_BYTES);
    const read = await this.#file.read(stored, number * STRIDE_BYTES).catch(() => 0);
    return blockIn(stored.subarray(0, read), number);
  }

  async *first(count: number): AsyncGenerator<Uint8Array | null> {
    const piece = new Uint8Array(Math.min(count, BLOCKS_TOGETHER) * STRIDE_BYTES);
    for (let from = 0; from < count; from += BLOCKS_TOGETHER) {
      const some = Math.min(BLOCKS_TOGETHER, count - from);
      const wanted = piece.subarray(0, some * STRIDE_BYTES);
      const read = await this.#file.read(wanted, from * STRIDE_BYTES).catch(() => 0);
      for (let i = 0; i < some; i += 1) {
        const end = Math.min(read, (i + 1) * STRIDE_BYTES);
        yield blockIn(piece.subarray(i * STRIDE_BYTES, end), from + i);
      }
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

async function openFile(files: FilePort, path: string): Promise<BlockFile | null> {
  const file = await files.open(path, 'read');
  const sizeBytes = await file.sizeBytes();
  if (sizeBytes > 0 && sizeBytes % STRIDE_BYTES === 0)
    return new OpenBlockFile(file, sizeBytes / STRIDE_BYTES);
  await file.close();
  return null;
}

/** The block files in a folder of state files. */
export function openBlockFiles({ files, folder }: StateFilesOptions): BlockFiles {
  return {
    async save(name, blocks) {
      const path = pathOf(folder, name);
      const source = new Source(blocks);
      try {
        const parts = source.sealed();
        await files.makeFolder(dirname(path));
        await writeWhole({ files, path, parts, as: 'derived', existing: 'replace' });
        await removeLeftovers({ files, folder: dirname(path), nowMs: Date.now() });
        return true;
      } catch {
        if (source.failure !== null) throw source.failure.thrown;
        return false;
      }
    },
    open: (name) => openFile(files, pathOf(folder, name)).catch(() => null),
  };
}
