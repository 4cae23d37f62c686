// A guest without a guest, that asks for pages one after the other, each when nothing more comes with the
// one before: how it is served depends on no timing.

import type { ArrivingGuest, DemandListener } from '../../../domain/ports/arriving-guest.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { serveOf } from '../../../adapters/wiring/restore/resume.ts';
import type { Ledger, VmPoint } from '../../../index.ts';

class AskingGuest implements ArrivingGuest {
  readonly memory: Uint8Array;
  readonly #has: Uint8Array;
  readonly #left: number[];
  #listener: DemandListener | null = null;

  constructor(pageCount: number, asked: readonly number[]) {
    this.memory = new Uint8Array(pageCount * PAGE_BYTES);
    this.#has = new Uint8Array(pageCount);
    this.#left = [...asked];
  }

  listen(listener: DemandListener): void {
    this.#listener = listener;
  }

  /** Asks for the next page that it lacks; when there is none, it is gone. */
  ask(): void {
    while (this.#left.length > 0 && this.#has[this.#left[0]!] === 1) this.#left.shift();
    const [firstPage] = this.#left;
    if (firstPage === undefined) this.#listener!.onEnd(null);
    else this.#listener!.onDemand({ firstPage, count: 1 });
  }

  give({ numbers, pages, zeros }: Parameters<ArrivingGuest['give']>[0]): Promise<void> {
    for (const [i, page] of Array.from(numbers).entries()) {
      this.#has[page] = 1;
      this.memory.set(pages.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES), page * PAGE_BYTES);
    }
    for (const page of Array.from(zeros)) this.#has[page] = 1;
    return Promise.resolve();
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  isLeft = false;

  leave(): void {
    this.isLeft = true;
  }
}

/**
 * Serves a point to a guest that asks for these pages, once it has what is prefetched; the memory that
 * it has in the end.
 */
export async function servedMemory(
  ledger: Ledger,
  point: VmPoint,
  {
    pageCount,
    asked,
    onPrefetched,
  }: {
    readonly pageCount: number;
    readonly asked: readonly number[];
    readonly onPrefetched?: () => void;
  },
): Promise<Uint8Array> {
  const serve = await serveOf(ledger, point);
  const guest = new AskingGuest(pageCount, asked);
  const { server, queue, served } = serve(guest);
  const near = queue.near.bind(queue);
  queue.near = () => {
    const next = near();
    if (next === null) setImmediate(() => guest.ask());
    return next;
  };
  await server.prefetched();
  onPrefetched?.();
  guest.ask();
  await served;
  return guest.memory;
}

/** Counts the ranges that a store is asked for from now on, but for those of some packs. */
export function countGets({ store }: Ledger, but: ReadonlySet<string | undefined>): () => number {
  // Threads that read files themselves are not seen.
  Object.defineProperty(store, 'fileOf', { value: undefined });
  const get = store.get.bind(store);
  let gets = 0;
  store.get = (range) => {
    if (!but.has(range.name)) gets += 1;
    return get(range);
  };
  return () => gets;
}
