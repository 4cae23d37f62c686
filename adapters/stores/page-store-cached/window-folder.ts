// Windows of packs as files in a folder, by the first two digits of their packs' names. Nothing in it
// is needed and nothing is believed: what cannot be read is fetched again, what cannot be written is
// not kept, and the folder may be lost at any moment. It holds memory of guests, so it is the owner's
// alone.

import { Limiter } from '../../../domain/values/limiter.ts';
import { basename, join } from 'node:path';
import type { FilePort } from '../../files/file-port.ts';
import { failureOf, isAbsent } from '../../files/failures.ts';
import { writeWhole } from '../../files/whole-file.ts';
import { cacheFiles, createCacheSpace } from './cache-space.ts';
import { WINDOW_HEADER_BYTES, readWindow, windowHeader } from './window-file.ts';
import type { Window, WindowId } from './window-file.ts';

export interface WindowFolderOptions {
  readonly files: FilePort;
  readonly folder: string;
  readonly bytesMax: number;
  readonly windowBytes: number;
  readonly onNotice: (text: string) => void;
}

/** The kept windows. Nothing here fails. */
export interface WindowFolder {
  /** A window that is there and sound, or null. */
  load(id: WindowId): Promise<Window | null>;
  keep(id: WindowId, window: Window): Promise<void>;
  /** Numbers of the windows that are there, by the names of their packs. */
  kept(): Promise<ReadonlyMap<string, ReadonlySet<number>>>;
  /** Forgets all windows of a pack. */
  drop(name: string): Promise<void>;
  /** Forgets all windows. */
  dropAll(): Promise<void>;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

const FOLDER_DIGITS = 2;
/** Bytes of files that are read at once, and how many of those a small file counts for. */
const LOAD_BYTES_MAX = 8 * 2 ** 20;
const LOAD_BYTES_MIN = 256 * 1024;
/** Nothing is kept for so long after a failure to keep something. */
const REST_MS = 60_000;
/** A file's time is when it was last used, to this. */
const TOUCH_AFTER_MS = 600_000;
/** Files whose time is remembered; then they are looked at anew. */
const TOUCHED_MAX = 65_536;

class Folder implements WindowFolder {
  readonly #options: WindowFolderOptions;
  readonly #space;
  readonly #loading = new Limiter(LOAD_BYTES_MAX);
  readonly #made = new Map<string, Promise<void>>();
  readonly #touchedAtMs = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();
  #restsUntilMs = 0;
  #hasToldFailure = false;

  constructor(options: WindowFolderOptions) {
    this.#options = options;
    this.#space = createCacheSpace(options);
  }

  async load(id: WindowId): Promise<Window | null> {
    const { windowBytes } = this.#options;
    const path = this.#pathOf(id);
    // Absent, mostly; and whatever else stands in the way, the store has the window.
    const file = await this.#loading
      .run(() => this.#read(path), Math.max(LOAD_BYTES_MIN, windowBytes))
      .catch(() => new Uint8Array(0));
    const window = readWindow(file, id, windowBytes);
    if (window === null) return null;
    this.#space.used(path);
    this.#touch(path);
    return window;
  }

  async keep(id: WindowId, window: Window): Promise<void> {
    if (window.bytes.length === 0 || performance.now() < this.#restsUntilMs) return;
    try {
      await this.#keep(id, window);
    } catch (thrown) {
      this.#rest(thrown);
    }
  }

  async kept(): Promise<ReadonlyMap<string, ReadonlySet<number>>> {
    const { files, folder, windowBytes } = this.#options;
    const kept = new Map<string, Set<number>>();
    try {
      for await (const paths of cacheFiles(this.#options, await files.list(folder)))
        for (const path of paths) {
          const [name = '', bytes, number] = basename(path).split('.');
          if (Number(bytes) !== windowBytes) continue;
          const numbers = kept.get(name) ?? new Set();
          kept.set(name, numbers.add(Number(number)));
        }
    } catch {
      // There is no folder, or it cannot be read: nothing of it would be found either.
    }
    return kept;
  }

  async drop(name: string): Promise<void> {
    const folder = this.#folderOf(name);
    try {
      for (const file of await this.#options.files.list(folder)) {
        if (!file.startsWith(`${name}.`)) continue;
        await this.#options.files.remove(join(folder, file));
        this.#space.removed(join(folder, file));
      }
    } catch (thrown) {
      this.#rest(thrown);
    }
  }

  async dropAll(): Promise<void> {
    const { files, folder } = this.#options;
    try {
      for await (const paths of cacheFiles(this.#options, await files.list(folder)))
        for (const path of paths) {
          await files.remove(path);
          this.#space.removed(path);
        }
    } catch (thrown) {
      this.#rest(thrown);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #folderOf(name: string): string {
    return join(this.#options.folder, name.slice(0, FOLDER_DIGITS));
  }

  #pathOf({ name, offsetBytes }: WindowId): string {
    const { windowBytes } = this.#options;
    return join(this.#folderOf(name), `${name}.${windowBytes}.${offsetBytes / windowBytes}`);
  }

  /** A file's bytes; of one that is longer than any window, one byte more than a window's. */
  async #read(path: string): Promise<Uint8Array> {
    const file = await this.#options.files.open(path, 'read');
    try {
      const bytes = new Uint8Array(WINDOW_HEADER_BYTES + this.#options.windowBytes + 1);
      return bytes.subarray(0, await file.read(bytes, 0));
    } finally {
      await file.close();
    }
  }

  async #keep(id: WindowId, window: Window): Promise<void> {
    const admission = await this.#space.admit(WINDOW_HEADER_BYTES + window.bytes.length);
    if (admission === null) return;
    const path = this.#pathOf(id);
    try {
      await this.#write(id, window).catch(async (thrown: unknown) => {
        if (!isAbsent(thrown)) throw thrown;
        // Somebody removed the folder: once more, from its beginning.
        this.#made.clear();
        await this.#write(id, window);
      });
    } catch (thrown) {
      admission.given();
      throw thrown;
    }
    admission.kept(path);
  }

  async #write(id: WindowId, window: Window): Promise<void> {
    const { files, folder } = this.#options;
    const own = this.#folderOf(id.name);
    const made = this.#made.get(own) ?? this.#makeFolder(own);
    this.#made.set(own, made);
    await made;
    await writeWhole({
      files,
      path: this.#pathOf(id),
      temporaryFolder: folder,
      parts: [windowHeader(id, window), window.bytes],
      as: 'derived',
      existing: 'replace',
    });
  }

  async #makeFolder(own: string): Promise<void> {
    const { files, folder } = this.#options;
    await files.makeFolder(folder);
    await files.makeFolder(own);
  }

  #rest(thrown: unknown): void {
    // A folder that could not be made may be made another time.
    this.#made.clear();
    this.#restsUntilMs = performance.now() + REST_MS;
    if (this.#hasToldFailure) return;
    this.#hasToldFailure = true;
    const { folder, onNotice } = this.#options;
    const { message } = failureOf(thrown, {
      operation: 'write the cache of packs in',
      path: folder,
    });
    onNotice(
      `${message}; until then packs are read without being kept on this host, and nothing is lost`,
    );
  }

  /** Lets other processes know, by the file's time, that it is in use. */
  #touch(path: string): void {
    const nowMs = Date.now();
    if (nowMs - (this.#touchedAtMs.get(path) ?? 0) < TOUCH_AFTER_MS) return;
    if (this.#touchedAtMs.size >= TOUCHED_MAX) this.#touchedAtMs.clear();
    this.#touchedAtMs.set(path, nowMs);
    const touching: Promise<void> = this.#rewriteFirstByte(path, nowMs)
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(touching));
    this.#underWay.add(touching);
  }

  async #rewriteFirstByte(path: string, nowMs: number): Promise<void> {
    const { files } = this.#options;
    const facts = await files.facts(path);
    if (facts === null || nowMs - facts.modifiedAtMs < TOUCH_AFTER_MS) return;
    const file = await files.open(path, 'edit');
    try {
      const first = new Uint8Array(1);
      if ((await file.read(first, 0)) === 1) await file.write(first, 0);
    } finally {
      await file.close();
    }
  }
}

/** The windows kept in a folder, which is made when the first one is. */
export const openWindowFolder = (options: WindowFolderOptions): WindowFolder => new Folder(options);
