// Files of memory, opened as `record image` opens them.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openMoments, type OpenSourceRequest } from '../../../adapters/guests/sources.ts';
import { openImage } from './open-image.ts';
import type { GuestCapture } from '../../../domain/ports/guests.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { failureOf, valueOf } from '../outcomes.ts';
import type { TemporaryFolder } from '../disks/temporary-folder.ts';
import { bytesOfImage, readPages } from './images.ts';
import type { MemoryRun } from './dump-bytes.ts';

/** What a file gave. */
export interface OpenedDump {
  readonly captured: GuestCapture;
  readonly warnings: readonly string[];
  /** All pages, one after the other. */
  readonly memory: Buffer;
}

/** Opens bytes that were written to files of a folder. */
export class DumpOpener {
  readonly #folder: Pick<TemporaryFolder, 'path'>;
  #files = 0;

  constructor(folder: Pick<TemporaryFolder, 'path'>) {
    this.#folder = folder;
  }

  /** The path of a new file with these bytes. */
  file(bytes: Uint8Array, name?: string): string {
    this.#files += 1;
    const path = join(this.#folder.path, name ?? `dump-${this.#files}`);
    writeFileSync(path, bytes);
    return path;
  }

  #request(bytes: Uint8Array | string): OpenSourceRequest {
    const path = typeof bytes === 'string' ? bytes : this.file(bytes);
    return { path, timeMs: 7000, clock: () => 7000, folder: this.#folder.path };
  }

  /** What a dump holds: of bytes, or of a file. */
  async opened(bytes: Uint8Array | string): Promise<OpenedDump> {
    const source = await valueOf(openImage(this.#request(bytes)));
    const captured = await valueOf(source.capture());
    const { warnings } = source;
    const memory = bytesOfImage(captured.image);
    source.close();
    return { captured, warnings, memory };
  }

  /** What each moment of a file holds, with its time and name. */
  async moments(bytes: Uint8Array | string): Promise<readonly OpenedDump[]> {
    const all: OpenedDump[] = [];
    for await (const source of openMoments({ ...this.#request(bytes), timeMs: null })) {
      const captured = await valueOf(source.capture());
      all.push({ captured, warnings: source.warnings, memory: bytesOfImage(captured.image) });
    }
    return all;
  }

  /** Reads all of bytes that may be no sound dump, as far as it is not zeros by its own account. */
  async read(
    bytes: Uint8Array,
    name: string,
    each: (page: Uint8Array) => void = () => undefined,
  ): Promise<void> {
    for await (const source of openMoments(this.#request(this.file(bytes, name)))) {
      const { image } = await valueOf(source.capture());
      const page = new Uint8Array(PAGE_BYTES);
      for (let gfn = 0; gfn < image.pageCount; gfn += 1)
        if (image.zeros?.[gfn] !== 1) {
          readPages(image, { firstPage: gfn, pages: 1, at: page });
          each(page);
        }
    }
  }

  /** Why a file of several moments is refused, at the first one. */
  async momentsRefused(bytes: Uint8Array): Promise<string> {
    try {
      await this.moments(bytes);
    } catch (thrown) {
      if (isLedgerError(thrown)) return `${thrown.code}: ${thrown.message}`;
      throw thrown;
    }
    return 'not refused';
  }

  /** Why a dump is refused: the code, and what a person reads. */
  async refused(bytes: Uint8Array | string): Promise<string> {
    const { code, message } = await failureOf(openImage(this.#request(bytes)));
    return `${code}: ${message}`;
  }
}

/** Pages at an address, each of them another, and all of them others for another seed. */
export function runAt(page: number, pages: number, seed = 1): MemoryRun {
  const bytes = Buffer.alloc(pages * PAGE_BYTES, Buffer.from(`memory ${seed} `));
  for (let i = 0; i < pages; i += 1) bytes.writeUInt32LE(i + 1, i * PAGE_BYTES + 100);
  return { address: page * PAGE_BYTES, bytes };
}

/** The same with bytes behind them that a dump leaves out. */
export const cutRunAt = (page: number, of: { pages: number; leftOut: number; seed?: number }) => ({
  ...runAt(page, of.pages, of.seed),
  leftOut: of.leftOut * PAGE_BYTES,
});

/** Memory from address 0 on that has these runs. */
export function flat(pages: number, runs: readonly MemoryRun[]): Buffer {
  const bytes = Buffer.alloc(pages * PAGE_BYTES);
  for (const { address, bytes: of } of runs) bytes.set(of, address);
  return bytes;
}
