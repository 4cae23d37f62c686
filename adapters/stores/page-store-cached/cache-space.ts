// How much the files of a cache take, and which of them go first. Several processes share a folder
// without a lock: each counts what is there, and counts again after every sixteenth of the bound that
// it has added. So one process holds the bound, and each further one that writes at the same moment
// may be a sixteenth above it for a while. What was used least recently goes first, by the files'
// times and by what this process knows of their use.

import { Turn } from '../../../domain/values/turn.ts';
import { join } from 'node:path';
import type { FileFacts, FilePort } from '../../files/file-port.ts';
import { TEMPORARY_PREFIX, removeLeftovers } from '../../files/whole-file.ts';

export interface CacheSpaceOptions {
  readonly files: FilePort;
  readonly folder: string;
  readonly bytesMax: number;
}

/** The space of one cache, as one process sees it. */
export interface CacheSpace {
  /** Makes room for a file that is about to be written; null: there is none. */
  admit(sizeBytes: number): Promise<Admission | null>;
  /** A file was used. */
  used(path: string): void;
  /** A file was removed. */
  removed(path: string): void;
}

/** Room for one file. */
export interface Admission {
  /** It was written there. */
  kept(path: string): void;
  /** It was not written. */
  given(): void;
}

interface Held {
  sizeBytes: number;
  usedAtMs: number;
}

/** Parts that the bound is divided into: how many are added between two counts, and so on. */
const PARTS = 16;
/** Above so many parts something goes, until so many are left. */
const PARTS_MAX = 14;
const PARTS_LEFT = 12;
/** Room that a file takes is given out in such blocks. */
const DISK_BLOCK_BYTES = 4096;
/** Files looked at together. */
const LOOKED_AT_ONCE = 32;
/** Folders in a cache. Others are not ours. */
const CACHE_FOLDER_NAME = /^[0-9a-f]{2}$/u;
/** <pack>.<bytes of a window>.<number of the window>. Other files are not ours. */
const CACHE_FILE_NAME = /^[0-9a-f]{64}\.[1-9][0-9]{0,9}\.[0-9]{1,9}$/u;

/** The files of a cache, by their paths, folder by folder; `names` are in the cache's own. */
export async function* cacheFiles(
  { files, folder }: Pick<CacheSpaceOptions, 'files' | 'folder'>,
  names: readonly string[],
): AsyncGenerator<readonly string[]> {
  for (const name of names) {
    if (!CACHE_FOLDER_NAME.test(name)) continue;
    const found = await files.list(join(folder, name));
    yield found
      .filter((file) => CACHE_FILE_NAME.test(file))
      .map((file) => join(folder, name, file));
  }
}

/** What a file of so many bytes takes on a disk. */
export const diskBytes = (sizeBytes: number): number =>
  Math.ceil(sizeBytes / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES;

class Space implements CacheSpace {
  readonly #options: CacheSpaceOptions;
  /** What the last count found, and what was done since. */
  #held = new Map<string, Held>();
  readonly #usedAtMs = new Map<string, number>();
  /** Files that were kept or removed since the count under way began; null: none is. */
  #changed: Set<string> | null = null;
  #heldBytes = 0;
  #addedBytes = 0;
  #underWayBytes = 0;
  #temporaryBytes = 0;
  /** Counts and evictions are done one at a time. */
  readonly #turn = new Turn();

  constructor(options: CacheSpaceOptions) {
    this.#options = options;
  }

  admit(fileBytes: number): Promise<Admission | null> {
    return this.#turn.run(() => this.#admit(diskBytes(fileBytes)));
  }

  used(path: string): void {
    const nowMs = Date.now();
    const held = this.#held.get(path);
    if (held === undefined) this.#usedAtMs.set(path, nowMs);
    else held.usedAtMs = nowMs;
  }

  removed(path: string): void {
    this.#changed?.add(path);
    this.#heldBytes -= this.#held.get(path)?.sizeBytes ?? 0;
    this.#held.delete(path);
  }

  async #admit(sizeBytes: number): Promise<Admission | null> {
    const { bytesMax } = this.#options;
    const isDue = this.#addedBytes + sizeBytes > bytesMax / PARTS;
    if (isDue || this.#bytes() + sizeBytes > bytesMax) {
      await this.#count();
      if (this.#bytes() + sizeBytes > (bytesMax * PARTS_MAX) / PARTS)
        await this.#evict((bytesMax * PARTS_LEFT) / PARTS - sizeBytes);
      if (this.#bytes() + sizeBytes > bytesMax) return null;
    }
    this.#addedBytes += sizeBytes;
    this.#underWayBytes += sizeBytes;
    return {
      kept: (path) => {
        this.#underWayBytes -= sizeBytes;
        this.removed(path);
        this.#hold(path, { sizeBytes, usedAtMs: Date.now() });
      },
      given: () => {
        this.#underWayBytes -= sizeBytes;
      },
    };
  }

  /** All that is there, as far as it is known; what is being written now perhaps twice. */
  #bytes(): number {
    return this.#heldBytes + this.#underWayBytes + this.#temporaryBytes;
  }

  #hold(path: string, held: Held): void {
    this.#held.set(path, held);
    this.#heldBytes += held.sizeBytes;
  }

  /** Finds out what is there. What is kept or removed meanwhile is known better than by looking. */
  async #count(): Promise<void> {
    this.#changed = new Set();
    try {
      const { files, folder } = this.#options;
      const names = await files.list(folder);
      const found = await this.#look(names);
      await this.#countTemporary(names);
      // From here on nothing is waited for.
      for (const path of this.#changed) {
        const held = this.#held.get(path);
        if (held === undefined) found.delete(path);
        else found.set(path, held);
      }
      this.#held = found;
      this.#heldBytes = [...found.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      this.#usedAtMs.clear();
      this.#addedBytes = 0;
    } finally {
      this.#changed = null;
    }
  }

  /** The files that are there; only those that nobody knew are looked at one by one. */
  async #look(names: readonly string[]): Promise<Map<string, Held>> {
    const found = new Map<string, Held>();
    const unknown: string[] = [];
    for await (const paths of cacheFiles(this.#options, names))
      for (const path of paths) {
        const held = this.#held.get(path);
        if (held === undefined) unknown.push(path);
        else found.set(path, held);
      }
    for (const [path, facts] of await this.#factsOf(unknown)) {
      const usedAtMs = Math.max(facts.modifiedAtMs, this.#usedAtMs.get(path) ?? 0);
      found.set(path, { sizeBytes: diskBytes(facts.sizeBytes), usedAtMs });
    }
    return found;
  }

  /** Files that somebody writes now, or left half written. */
  async #countTemporary(names: readonly string[]): Promise<void> {
    const { files, folder } = this.#options;
    const temporary = names.filter((name) => name.startsWith(TEMPORARY_PREFIX));
    this.#temporaryBytes = 0;
    if (temporary.length === 0) return;
    await removeLeftovers({ files, folder, nowMs: Date.now() });
    for (const [, facts] of await this.#factsOf(temporary.map((name) => join(folder, name))))
      this.#temporaryBytes += diskBytes(facts.sizeBytes);
  }

  /** The files that are still there. */
  async #factsOf(paths: readonly string[]): Promise<[string, FileFacts][]> {
    const found: [string, FileFacts][] = [];
    for (let first = 0; first < paths.length; first += LOOKED_AT_ONCE) {
      const some = paths.slice(first, first + LOOKED_AT_ONCE);
      const facts = await Promise.all(some.map((path) => this.#options.files.facts(path)));
      for (const [i, each] of facts.entries()) if (each !== null) found.push([some[i]!, each]);
    }
    return found;
  }

  /** Removes what was used least recently until `bytesLeft` are left. */
  async #evict(bytesLeft: number): Promise<void> {
    const oldest = [...this.#held].toSorted(([, a], [, b]) => a.usedAtMs - b.usedAtMs);
    for (const [path] of oldest) {
      if (this.#bytes() <= bytesLeft) return;
      // False: another process was quicker.
      await this.#options.files.remove(path);
      this.removed(path);
    }
  }
}

/** The space of the cache in a folder. Nothing is counted before the first files were added. */
export const createCacheSpace = (options: CacheSpaceOptions): CacheSpace => new Space(options);
