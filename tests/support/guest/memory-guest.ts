// A guest in memory: a source and a target without a disk and without QEMU.

import {
  keptSource,
  sharedMemory,
  type GuestCapture,
  type GuestSource,
} from '../../../domain/ports/guests.ts';
import type { FilledTarget, RestoredGuest } from '../../../domain/ports/guests.ts';
import { assert } from '../../../domain/values/assert.ts';
import { pageCountOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** What is said of a guest in memory. */
export type MemoryGuest = Omit<GuestCapture, 'image'> & {
  /** All its pages. */
  readonly pages: Uint8Array;
};

/** A source of what the guest's memory is when it is opened. */
export function memorySource({ pages, ...said }: MemoryGuest): GuestSource {
  const pageCount = pageCountOf(said.memoryMap);
  assert(pages.length === pageCount * PAGE_BYTES, 'a guest has the pages that its map says');
  const shared = new SharedArrayBuffer(pages.length);
  new Uint8Array(shared).set(pages);
  const image = {
    file: sharedMemory(shared),
    offsetBytes: 0,
    pageCount,
    zeros: null,
    label: said.source,
  };
  return keptSource({ ...said, image }, () => undefined);
}

/** A target that keeps the guest it is given. */
export class MemoryTarget implements FilledTarget {
  readonly _tag = 'filled';
  readonly takes = 'guest';
  #guest: RestoredGuest | null = null;
  #pages: Uint8Array = new Uint8Array(0);
  #isDone = false;

  begin(guest: RestoredGuest): ReturnType<FilledTarget['begin']> {
    const shared = new SharedArrayBuffer(pageCountOf(guest.memoryMap) * PAGE_BYTES);
    this.#guest = guest;
    this.#pages = new Uint8Array(shared);
    return Promise.resolve({ file: sharedMemory(shared), offsetBytes: 0 });
  }

  done(): Promise<void> {
    this.#isDone = true;
    return Promise.resolve();
  }

  /** The guest, once it is whole. */
  get guest(): (RestoredGuest & { readonly pages: Uint8Array }) | null {
    return this.#guest === null || !this.#isDone ? null : { ...this.#guest, pages: this.#pages };
  }
}
