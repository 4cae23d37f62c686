// A guest's memory by the addresses that its kernel, or one of its processes, uses: each is looked up in
// the page tables at its root. Tables and single pages are kept for a while; what is read in one piece is
// asked for at once. All of it is the guest's to write: a walk has as many steps as there are levels.

import type { GuestPages } from '../ports/guest-pages.ts';
import { PAGE_BYTES } from '../values/page.ts';
import { RecentMap } from '../values/recent-map.ts';
import { hexAddress, invalid } from './guest-failures.ts';
import {
  ENTRY_BYTES,
  entryOf,
  frameIn,
  framesOf,
  isLeaf,
  isPresent,
  tableView,
} from './page-entries.ts';

/** Pages that are kept, by their frames. */
const KEPT_PAGES_MAX = 1024;
/** Most pages that are asked for at once. */
const PAGES_AT_ONCE = 1024;

/** Bytes of an address within its page. */
export const withinPage = (address: bigint): number => Number(address & 0xfffn);

/** Bytes from an address to the end of its page: what follows may not be mapped. */
export const toPageEnd = (address: bigint): number => PAGE_BYTES - withinPage(address);

/** Pages of a guest by frame, those used last kept. */
export class PhysicalMemory {
  readonly pages: GuestPages;
  readonly #kept = new RecentMap<number, Uint8Array>({ max: KEPT_PAGES_MAX });

  constructor(pages: GuestPages) {
    this.pages = pages;
  }

  /** A page; null: there is no memory. It is not to be written to. */
  async page(frame: number): Promise<Uint8Array | null> {
    if (!this.pages.has(frame)) return null;
    const kept = this.#kept.get(frame);
    if (kept !== undefined) return kept;
    const page = await this.pages.read([frame]);
    this.#kept.set(frame, page);
    return page;
  }
}

/** Where page tables begin, and how many levels of them there are. */
export interface PageRoot {
  readonly frame: number;
  readonly levels: 4 | 5;
}

/** Pages that lie one after the other for the guest and in its memory. */
interface Stretch {
  readonly frame: number;
  readonly frames: number;
}

export class VirtualMemory {
  readonly physical: PhysicalMemory;
  readonly root: PageRoot;

  constructor(physical: PhysicalMemory, root: PageRoot) {
    this.physical = physical;
    this.root = root;
  }

  /** The memory of others in the same guest. */
  at(rootFrame: number): VirtualMemory {
    return new VirtualMemory(this.physical, { ...this.root, frame: rootFrame });
  }

  /** Where an address leads, and how many frames further it leads in order; null: nowhere. */
  async #stretchAt(address: bigint): Promise<Stretch | null> {
    let { frame } = this.root;
    for (let level: number = this.root.levels; level >= 1; level -= 1) {
      const table = await this.physical.page(frame);
      if (table === null) return null;
      const at = entryOf(address, level) * ENTRY_BYTES;
      const view = tableView(table);
      const low = view.getUint32(at, true);
      if (!isPresent(low)) return null;
      frame = frameIn(low, view.getUint32(at + 4, true), level);
      if (!isLeaf(low, level)) continue;
      const frames = framesOf(level);
      const within = Number((address >> 12n) & BigInt(frames - 1));
      return { frame: frame + within, frames: frames - within };
    }
    return null;
  }

  /** The frame that an address lies in; null: it is not mapped to memory. */
  async frameOf(address: bigint): Promise<number | null> {
    const stretch = await this.#stretchAt(BigInt.asUintN(64, address));
    return stretch === null || !this.physical.pages.has(stretch.frame) ? null : stretch.frame;
  }

  /** The frames of pages from the one of an address on; null for one that is not mapped to memory. */
  async frames(address: bigint, pages: number): Promise<(number | null)[]> {
    const found: (number | null)[] = [];
    for (let page = 0; page < pages;) {
      const at = BigInt.asUintN(64, address + BigInt(page * PAGE_BYTES));
      const stretch = await this.#stretchAt(at);
      const count = stretch === null ? 1 : Math.min(stretch.frames, pages - page);
      for (let i = 0; i < count; i += 1) {
        const frame = stretch === null ? null : stretch.frame + i;
        found.push(frame !== null && this.physical.pages.has(frame) ? frame : null);
      }
      page += count;
    }
    return found;
  }

  /** Bytes at an address. GUEST_INVALID where some of them are not mapped. */
  async read(address: bigint, lengthBytes: number, what: string): Promise<Uint8Array> {
    const bytes = await this.tryRead(address, lengthBytes);
    if (bytes !== null) return bytes;
    throw invalid(`${what} is said to lie at ${hexAddress(address)}, where nothing is mapped`, {
      address: hexAddress(address),
    });
  }

  /** Bytes at an address; null: some of them are not mapped. */
  async tryRead(address: bigint, lengthBytes: number): Promise<Uint8Array | null> {
    const offset = withinPage(address);
    if (offset + lengthBytes <= PAGE_BYTES) {
      const frame = await this.frameOf(address);
      const page = frame === null ? null : await this.physical.page(frame);
      return page === null ? null : page.subarray(offset, offset + lengthBytes);
    }
    const pages = Math.ceil((offset + lengthBytes) / PAGE_BYTES);
    const frames = await this.frames(address, pages);
    const known = frames.filter((frame) => frame !== null);
    if (known.length < pages) return null;
    const bytes = new Uint8Array(pages * PAGE_BYTES);
    for (let from = 0; from < pages; from += PAGES_AT_ONCE) {
      const part = known.slice(from, from + PAGES_AT_ONCE);
      bytes.set(await this.physical.pages.read(part), from * PAGE_BYTES);
    }
    return bytes.subarray(offset, offset + lengthBytes);
  }

  /** A pointer, or another 64-bit number. */
  async u64(address: bigint, what: string): Promise<bigint> {
    const bytes = await this.read(address, 8, what);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  }

  async u32(address: bigint, what: string): Promise<number> {
    const bytes = await this.read(address, 4, what);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  }

  /** A text that ends with a zero, at most so long. */
  async text(address: bigint, lengthMax: number, what: string): Promise<string> {
    const bytes = await this.read(address, lengthMax, what);
    return textIn(bytes);
  }
}

/** A text up to its zero. */
export function textIn(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
