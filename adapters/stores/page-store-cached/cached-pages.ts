// A page store read through a cache on this host (docs/format.md, "Cache"). It reads aligned windows of
// packs, neighbours together, and keeps them as files in a folder of bounded size, and a few in memory.
// Packs never change, so a window that is sound is right for ever.
//
// A window is fetched once, however many readers wait for it. Memory is bounded by FETCH_BYTES_MAX for
// what is being fetched or written, LOAD_BYTES_MAX (window-folder.ts) for what is read from the folder
// and RECENT_BYTES_MAX for what was just read, beside what the readers themselves asked for. What is put is not kept: a recorder hardly ever reads it back, and the room is
// better used for what was read.

import { Limiter } from '../../../domain/values/limiter.ts';
import { atPort } from '../../../domain/ports/run.ts';
import { RecentMap } from '../../../domain/values/recent-map.ts';
import * as either from 'fp-ts/lib/Either.js';
import { pipe } from 'fp-ts/lib/function.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { assert } from '../../../domain/values/assert.ts';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { PacksAtHand, PageStore } from '../../../domain/ports/page-store.ts';
import type { FilePort } from '../../files/file-port.ts';
import { failureOf } from '../../files/failures.ts';
import { checkPackName, checkRange } from '../page-requests.ts';
import type { PackRange } from '../page-requests.ts';
import { canBeOfPack, PACK_BYTES_MAX } from './range-source.ts';
import type { RangeSource } from './range-source.ts';
import type { Window } from './window-file.ts';
import { openWindowFolder } from './window-folder.ts';
import type { WindowFolder } from './window-folder.ts';

/** Bytes of a window unless said otherwise: see tests/bench/results, page-store-window. */
const DEFAULT_WINDOW_BYTES = 256 * 1024;
/** Most bytes that are asked for at once; a larger window is asked for by itself. */
const REQUEST_BYTES_MAX = 4 * 2 ** 20;
const FETCH_BYTES_MAX = 32 * 2 ** 20;
const RECENT_BYTES_MAX = 8 * 2 ** 20;

export interface CachedPagesOptions {
  readonly store: PageStore & RangeSource;
  readonly files: FilePort;
  /** The cache's own folder; made when something is kept. */
  readonly folder: string;
  /** Most bytes of all files in it. */
  readonly bytesMax: number;
  readonly windowBytes?: number;
  readonly onNotice?: (text: string) => void;
}

export interface CacheStats {
  /** Ranges asked of the store. */
  readonly requests: number;
  readonly bytesFetched: number;
  /** Given to readers. */
  readonly bytesServed: number;
  /** Windows that cost no request: in memory, in the folder, or asked for by another reader. */
  readonly hits: number;
}

/** A page store read through a cache. `list`, `has` and `put` go to the store itself. */
export interface CachedPages extends PageStore {
  /** Forgets what is kept of a pack: for a reader who found that it is damaged. */
  drop(name: string): Promise<void>;
  /** Which bytes of packs are in the folder, as of now. */
  atHand(): Promise<PacksAtHand>;
  /** Forgets what is kept of all packs. */
  dropAll(): Promise<void>;
  stats(): CacheStats;
  /** Waits for what is being kept. The store stays open. */
  close(): Promise<void>;
}

type Found = either.Either<LedgerError, Window>;

/** A window that somebody waits for, until it is kept. */
interface Awaited {
  readonly found: Promise<Found>;
  readonly settle: (found: Promise<Found> | Found) => void;
  readonly isKept: Promise<void>;
  readonly kept: () => void;
}

function createAwaited(): Awaited {
  let settle: Awaited['settle'] = () => undefined;
  let kept: Awaited['kept'] = () => undefined;
  const found = new Promise<Found>((resolve) => {
    settle = resolve;
  });
  const isKept = new Promise<void>((resolve) => {
    kept = resolve;
  });
  return { found, settle, isKept, kept };
}

/** Numbers that follow each other, at most `countMax` together. */
function runs(numbers: readonly number[], countMax: number): number[][] {
  const found: number[][] = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last?.at(-1) === number - 1 && last.length < countMax) last.push(number);
    else found.push([number]);
  }
  return found;
}

class Cache {
  readonly #store: PageStore & RangeSource;
  readonly #windowBytes: number;
  readonly #where: string;
  readonly #folder: WindowFolder;
  /** The windows read last: a reader goes through a pack in steps that are smaller than a window. */
  readonly #recent = new RecentMap<string, Window>({
    max: RECENT_BYTES_MAX,
    weigh: ({ bytes }) => bytes.length,
  });
  readonly #fetching = new Limiter(FETCH_BYTES_MAX);
  /** By key. */
  readonly #awaited = new Map<string, Awaited>();
  readonly #stats = { requests: 0, bytesFetched: 0, bytesServed: 0, hits: 0 };

  constructor(options: CachedPagesOptions) {
    const { windowBytes = DEFAULT_WINDOW_BYTES, onNotice = () => undefined } = options;
    assert(Number.isSafeInteger(windowBytes) && windowBytes > 0, 'a window has bytes');
    assert(windowBytes <= PACK_BYTES_MAX, 'a window is no larger than a pack');
    this.#store = options.store;
    this.#windowBytes = windowBytes;
    this.#where = `read through the cache in ${options.folder}`;
    this.#folder = openWindowFolder({ ...options, windowBytes, onNotice });
  }

  async get(range: PackRange): Promise<Uint8Array> {
    checkPackName(range.name);
    const bytes = canBeOfPack(range) ? await this.#read(range) : await this.#readOdd(range);
    this.#stats.bytesServed += bytes.length;
    return bytes;
  }

  async drop(name: string): Promise<void> {
    // What is being fetched may be of before: it is forgotten as soon as it is there.
    const underWay = [...this.#awaited].filter(([key]) => key.startsWith(`${name}.`));
    await Promise.all(underWay.map(([, awaited]) => awaited.isKept));
    for (const key of this.#recent.keys()) if (key.startsWith(`${name}.`)) this.#recent.delete(key);
    await this.#folder.drop(name);
  }

  /** Which bytes of packs are in the folder. */
  async atHand(): Promise<PacksAtHand> {
    const kept = await this.#folder.kept();
    const bytes = this.#windowBytes;
    return ({ name, offsetBytes, endBytes }) => {
      const windows = kept.get(name);
      if (windows === undefined) return false;
      for (let at = Math.floor(offsetBytes / bytes); at * bytes < endBytes; at += 1)
        if (!windows.has(at)) return false;
      return true;
    };
  }

  async dropAll(): Promise<void> {
    await Promise.all([...this.#awaited.values()].map((awaited) => awaited.isKept));
    this.#recent.clear();
    await this.#folder.dropAll();
  }

  stats(): CacheStats {
    return { ...this.#stats };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#awaited.values()].map((awaited) => awaited.isKept));
    await this.#folder.close();
  }

  async #read(range: PackRange): Promise<Uint8Array> {
    const bytes = new Uint8Array(range.lengthBytes);
    const first = Math.floor(range.offsetBytes / this.#windowBytes);
    const last = Math.floor((range.offsetBytes + range.lengthBytes - 1) / this.#windowBytes);
    const sizes = await Promise.all(
      this.#windows(range.name, { first, last }).map(async (found, i) => {
        const window = valueOf(await found);
        this.#copy(window, bytes, (first + i) * this.#windowBytes - range.offsetBytes);
        return window.sizeBytes;
      }),
    );
    try {
      checkRange(range, { sizeBytes: Math.min(...sizes), where: this.#where });
    } catch (thrown) {
      // The object may have been cut short then and be whole by now.
      await this.drop(range.name);
      throw thrown;
    }
    return bytes;
  }

  /** A range without bytes, or beyond any pack. */
  async #readOdd(range: PackRange): Promise<Uint8Array> {
    const [found] = this.#windows(range.name, { first: 0, last: 0 });
    const { sizeBytes } = valueOf(await found!);
    checkRange(range, { sizeBytes, where: this.#where });
    if (range.lengthBytes === 0) return new Uint8Array(0);
    return valueOf(await this.#store.get(range)());
  }

  /** Copies what of a window belongs into `target`, where the window begins at `at`, perhaps before it. */
  #copy({ bytes }: Window, target: Uint8Array, at: number): void {
    const start = Math.max(0, -at);
    const end = Math.min(bytes.length, target.length - at);
    if (start < end) target.set(bytes.subarray(start, end), at + start);
  }

  #keyOf(name: string, index: number): string {
    return `${name}.${index}`;
  }

  /** Windows of a pack; those that nobody waits for yet are looked for and fetched. */
  #windows(
    name: string,
    { first, last }: { readonly first: number; readonly last: number },
  ): Promise<Found>[] {
    const found: Promise<Found>[] = [];
    const started: number[] = [];
    for (let index = first; index <= last; index += 1) {
      const key = this.#keyOf(name, index);
      const recent = this.#recent.get(key);
      let awaited = this.#awaited.get(key);
      if (awaited === undefined && recent !== undefined) {
        this.#stats.hits += 1;
        found.push(Promise.resolve(either.right(recent)));
        continue;
      }
      if (awaited === undefined) {
        awaited = createAwaited();
        this.#awaited.set(key, awaited);
        started.push(index);
      } else this.#stats.hits += 1;
      found.push(awaited.found);
    }
    if (started.length > 0) void this.#look(name, started);
    return found;
  }

  /** Looks for windows in the folder, and has the others fetched. */
  async #look(name: string, indexes: readonly number[]): Promise<void> {
    const missing: number[] = [];
    await Promise.all(
      indexes.map(async (index) => {
        const window = await this.#folder.load(this.#idOf(name, index));
        if (window === null) {
          missing.push(index);
          return;
        }
        this.#stats.hits += 1;
        this.#awaited.get(this.#keyOf(name, index))!.settle(either.right(window));
        this.#end(name, index, window);
      }),
    );
    const ordered = missing.toSorted((a, b) => a - b);
    const countMax = Math.max(1, Math.floor(REQUEST_BYTES_MAX / this.#windowBytes));
    await Promise.all(runs(ordered, countMax).map((run) => this.#fetch(name, run)));
  }

  #idOf(name: string, index: number) {
    return { name, offsetBytes: index * this.#windowBytes };
  }

  /** Nobody has to wait for a window any more: it is kept, or it cannot be had. */
  #end(name: string, index: number, window: Window | null): void {
    const key = this.#keyOf(name, index);
    const awaited = this.#awaited.get(key);
    assert(awaited !== undefined, 'a window is awaited until it is kept');
    if (window !== null && window.bytes.length > 0) this.#recent.set(key, window);
    this.#awaited.delete(key);
    awaited.kept();
  }

  /** Fetches windows that follow each other by one request, and keeps them. */
  async #fetch(name: string, indexes: readonly number[]): Promise<void> {
    const offsetBytes = indexes[0]! * this.#windowBytes;
    const endBytes = Math.min(PACK_BYTES_MAX, offsetBytes + indexes.length * this.#windowBytes);
    const lengthBytes = endBytes - offsetBytes;
    await this.#fetching.run(
      () => this.#fetchRange({ name, offsetBytes, lengthBytes }, indexes),
      lengthBytes,
    );
  }

  async #fetchRange(range: PackRange, indexes: readonly number[]): Promise<void> {
    const { name } = range;
    const windows = this.#ask(range);
    for (const [i, index] of indexes.entries())
      this.#awaited
        .get(this.#keyOf(name, index))!
        .settle(windows.then((found) => either.map((all: readonly Window[]) => all[i]!)(found)));
    // A broken invariant goes to those who wait for the windows.
    const found = await windows.catch(() => null);
    await Promise.all(
      indexes.map(async (index, i) => {
        const window = found !== null && either.isRight(found) ? found.right[i]! : null;
        if (window !== null) await this.#folder.keep(this.#idOf(name, index), window);
        this.#end(name, index, window);
      }),
    );
  }

  /** A stretch of a pack, cut into windows. */
  async #ask(range: PackRange): Promise<either.Either<LedgerError, readonly Window[]>> {
    this.#stats.requests += 1;
    const outcome = await this.#store.find(range)();
    if (either.isLeft(outcome)) return outcome;
    const { bytes, sizeBytes } = outcome.right;
    const expectedBytes = Math.min(range.lengthBytes, Math.max(0, sizeBytes - range.offsetBytes));
    assert(bytes.length === expectedBytes, 'a range is found as far as its pack goes');
    this.#stats.bytesFetched += bytes.length;
    const windows: Window[] = [];
    for (let at = 0; at < range.lengthBytes; at += this.#windowBytes)
      // Copied, so that none keeps its neighbours in memory.
      windows.push({ bytes: bytes.slice(at, at + this.#windowBytes), sizeBytes });
    return either.right(windows);
  }
}

/** The value; a failure is thrown, to be converted at the port. */
function valueOf<A>(outcome: either.Either<LedgerError, A>): A {
  if (either.isLeft(outcome)) throw outcome.left;
  return outcome.right;
}

/** A page store that is read through a cache in a folder. Nothing is read or made yet. */
export function cachePages(options: CachedPagesOptions): CachedPages {
  const { store, folder } = options;
  const cache = new Cache(options);
  const dropping =
    (name: string) =>
    <A>(value: A): TaskEither<LedgerError, A> =>
      taskEither.fromTask(async () => {
        await cache.drop(name);
        return value;
      });
  return {
    get: (range) =>
      atPort(
        () => cache.get(range),
        (thrown) =>
          failureOf(thrown, { operation: `read pack ${range.name} through`, path: folder }),
      ),
    // What is kept may be of an object that was damaged, which this heals.
    put: (pack) => pipe(store.put(pack), taskEither.flatMap(dropping(pack.name))),
    putPart: (part) => pipe(store.putPart(part), taskEither.flatMap(dropping(part.name))),
    delete: (name) => pipe(store.delete(name), taskEither.flatMap(dropping(name))),
    list: () => store.list(),
    has: (pack) => store.has(pack),
    now: () => store.now(),
    marks: () => store.marks(),
    putMark: (mark) => store.putMark(mark),
    drop: (name) => cache.drop(name),
    atHand: () => cache.atHand(),
    dropAll: () => cache.dropAll(),
    stats: () => cache.stats(),
    close: () => cache.close(),
  };
}
