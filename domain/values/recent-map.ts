// A map that holds what was used last: at most so many entries, or so much weight, as bytes. A Map
// keeps the order of its insertions, so one whose entries are put in again at each use is in the order
// of their use.

export interface RecentMapOptions<V> {
  /** The weight of all entries together, at most. */
  readonly max: number;
  /** The weight of a value, which must not change while it is held; absent: each weighs 1. */
  readonly weigh?: (value: V) => number;
}

/** Entries by key; where they become too many, those used least recently go first. */
export class RecentMap<K, V> {
  readonly #options: RecentMapOptions<V>;
  readonly #entries = new Map<K, V>();
  #weight = 0;

  constructor(options: RecentMapOptions<V>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The value of a key, which counts as used now. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  /**
   * Puts a value in, in place of one of that key. Gives the values that had to go for it, for whoever
   * has to close them. The newest stays, however much it weighs.
   */
  set(key: K, value: V): readonly V[] {
    this.delete(key);
    this.#entries.set(key, value);
    this.#weight += this.#weigh(value);
    const dropped: V[] = [];
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#options.max || oldest === key) break;
      dropped.push(this.delete(oldest)!);
    }
    return dropped;
  }

  /** Takes an entry out: what it was. */
  delete(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#weight -= this.#weigh(value);
    return value;
  }

  /** Takes all entries out. */
  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }

  /** From the one used least recently on. */
  keys(): IterableIterator<K> {
    return this.#entries.keys();
  }

  /** From the one used least recently on. */
  values(): IterableIterator<V> {
    return this.#entries.values();
  }

  #weigh(value: V): number {
    return this.#options.weigh?.(value) ?? 1;
  }
}
