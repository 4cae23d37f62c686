// What is gathered of a flow before it is handed on: bounded in number and in bytes, so that a slow
// reader holds little, and handed on as soon as nothing more is at hand.

/** Most items handed on at once. */
const BATCH_ITEMS_MAX = 256;
/** A batch is handed on when it holds so many bytes of data, or more. */
const BATCH_BYTES = 4 * 1024 * 1024;

export class ItemBatch<T> {
  #items: T[] = [];
  #bytes = 0;

  add(item: T, bytes: number): void {
    this.#items.push(item);
    this.#bytes += bytes;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  get isFull(): boolean {
    return this.#items.length >= BATCH_ITEMS_MAX || this.#bytes >= BATCH_BYTES;
  }

  /** What was gathered; the batch is empty afterwards. */
  take(): readonly T[] {
    const items = this.#items;
    this.#items = [];
    this.#bytes = 0;
    return items;
  }
}
