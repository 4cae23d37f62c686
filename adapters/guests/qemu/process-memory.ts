// The memory of a process as the kernel shows it: what is mapped where (/proc/PID/maps), which pages of a
// private mapping are the process's own (/proc/PID/pagemap), and their bytes (/proc/PID/mem).

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** Consecutive addresses that are mapped alike. */
export interface Mapping {
  readonly start: number;
  readonly end: number;
  /** As `rw-p`. */
  readonly rights: string;
  /** Where it begins in its file. */
  readonly offset: number;
  /** Empty where there is no file. */
  readonly path: string;
}

const LINE = /^([0-9a-f]+)-([0-9a-f]+) ([rwxps-]{4}) ([0-9a-f]+) \S+ \d+ *(.*)$/u;

/** The mappings that a text of /proc/PID/maps lists. */
export const mappingsIn = (maps: string): readonly Mapping[] =>
  maps.split('\n').flatMap((line) => {
    const [, start, end, rights, offset, path] = LINE.exec(line) ?? [];
    if (start === undefined) return [];
    const number = (hex: string | undefined): number => Number.parseInt(hex!, 16);
    const at = { start: number(start), end: number(end), offset: number(offset) };
    return [{ ...at, rights: rights!, path: path! }];
  });

/** Where QEMU lays blocks of RAM: at multiples of this, with a page behind each that nobody may touch. */
const BLOCK_ALIGNMENT = 2 ** 21;

/**
 * Where a block of RAM of so many bytes lies that has no file; null where none can be it, or several. A
 * block is laid out by itself: aligned, of its whole length, and guarded behind.
 */
export function blockAt(mappings: readonly Mapping[], bytes: number): number | null {
  const found = mappings.filter(({ start, end, rights, path }, i) => {
    const next = mappings[i + 1];
    const isBlock = path === '' && rights === 'rw-p' && end - start === bytes;
    const isGuarded =
      next?.start === end && next.rights === '---p' && next.end - next.start === PAGE_BYTES;
    return isBlock && isGuarded && start % BLOCK_ALIGNMENT === 0;
  });
  return found.length === 1 ? found[0]!.start : null;
}

/** Where so many bytes of a file are mapped privately, all of them and once; null: nowhere, or it is not clear. */
export function fileAt(mappings: readonly Mapping[], path: string, bytes: number): number | null {
  const [mapping, ...more] = mappings.filter(
    (each) => each.path === path && each.rights === 'rw-p' && each.offset === 0,
  );
  const isWhole = more.length === 0 && mapping !== undefined;
  return isWhole && mapping.end - mapping.start === bytes ? mapping.start : null;
}

const ENTRY_BYTES = 8;
const ENTRIES_AT_ONCE = 65_536;
/** Bits of the upper half of an entry: it is in memory, it is swapped out, it is a file's. */
const PRESENT = 0x8000_0000;
const SWAPPED = 0x4000_0000;
const OF_FILE = 0x2000_0000;

/** What a page of a private mapping of a file is where it is there: the process's own, of no file, or the file's. */
export const OWN_PAGE = 1;
export const MAPPED_PAGE = 2;

/** By page, what the entries of /proc/PID/pagemap say of it: OWN_PAGE, MAPPED_PAGE, or 0, it is not there. */
export function statesIn(entries: Uint8Array): Uint8Array {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  return Uint8Array.from({ length: Math.floor(entries.length / ENTRY_BYTES) }, (_, page) => {
    const high = view.getUint32(page * ENTRY_BYTES + 4, true);
    if ((high & SWAPPED) !== 0) return OWN_PAGE;
    if ((high & PRESENT) === 0) return 0;
    return (high & OF_FILE) === 0 ? OWN_PAGE : MAPPED_PAGE;
  });
}

/** Reads a process. What it is while it runs may have changed by the time it is told. */
export class ProcessMemory {
  readonly mappings: readonly Mapping[];
  readonly #memory: number;
  readonly #pagemap: number;

  /** Throws the system's error where it has ended, or may not be looked into. */
  constructor(process: number) {
    this.mappings = mappingsIn(readFileSync(`/proc/${process}/maps`, 'utf8'));
    this.#memory = openSync(`/proc/${process}/mem`, 'r');
    try {
      this.#pagemap = openSync(`/proc/${process}/pagemap`, 'r');
    } catch (thrown) {
      closeSync(this.#memory);
      throw thrown;
    }
  }

  /** Fills bytes from an address on. */
  read(address: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const read = readSync(this.#memory, bytes, done, bytes.length - done, address + done);
      if (read === 0) throw new RangeError(`nothing is mapped at 0x${address.toString(16)}`);
      done += read;
    }
  }

  /** By page from an address on, what it is. */
  states(address: number, pages: number): Uint8Array {
    const states = new Uint8Array(pages);
    const entries = new Uint8Array(ENTRIES_AT_ONCE * ENTRY_BYTES);
    for (let page = 0; page < pages; page += ENTRIES_AT_ONCE) {
      const wanted = Math.min(ENTRIES_AT_ONCE, pages - page) * ENTRY_BYTES;
      const at = (address / PAGE_BYTES + page) * ENTRY_BYTES;
      const read = readSync(this.#pagemap, entries, 0, wanted, at);
      if (read !== wanted) throw new RangeError(`no pages at 0x${address.toString(16)}`);
      states.set(statesIn(entries.subarray(0, read)), page);
    }
    return states;
  }

  close(): void {
    closeSync(this.#memory);
    closeSync(this.#pagemap);
  }
}
