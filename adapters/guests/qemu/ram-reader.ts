// Reads the bodies of a stream's RAM sections (stream-layout.ts) into a spool. Pages already in the
// window are taken in one synchronous loop. Invariants: every block is listed before a page of it
// comes; an address lies inside its block; nothing is reserved for a length before it was bounded.

import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { MemoryBlock } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES, PAGE_SHIFT, VM_PAGES_MAX } from '../../../domain/values/page.ts';
import { latin1 } from './byte-window.ts';
import type { ByteWindow } from './byte-window.ts';
import type { MappedRam } from './mapped-ram.ts';
import { inLedgerOrder } from './ram-blocks.ts';
import type { Spool } from './spool.ts';
import * as layout from './stream-layout.ts';

const WORD_BYTES = 8;
/** Most bytes of a stream, up to the devices, that are no memory. */
const BESIDE_BYTES_MAX = 16 * 1024 * 1024;

/** Flags of features that a ledger does not read, and what switches them off. */
const FOREIGN_FLAGS: readonly (readonly [number, string, string])[] = [
  [0x001, 'a full-memory mark of QEMU before 1.0', 'write the stream with QEMU 2.9 or later'],
  [0x040, 'XBZRLE pages', 'switch the migration capability xbzrle off'],
  [0x080, 'an RDMA hook', 'migrate to a unix socket or a file, not over RDMA'],
  [0x100, 'compressed pages', 'switch the migration capability compress off'],
  [0x200, 'multifd pages', 'switch the migration capability multifd off'],
];

/** What the synchronous loop stopped at. */
type Stop = 'bytes' | 'blocks' | 'end';

interface PlacedBlock {
  readonly name: string;
  readonly pages: number;
  /** Its first page's gfn. */
  readonly first: number;
}

export class RamReader {
  readonly #window: ByteWindow;
  readonly #spool: Spool;
  readonly #pagesMax: number;
  readonly #known: readonly MemoryBlock[];
  readonly #passesMax: number;
  readonly #mapped: MappedRam | null;
  #pages = 0;
  #blocks: ReadonlyMap<string, PlacedBlock> | null = null;
  /** The block named last: CONTINUE refers to it, in later sections too. */
  #block: PlacedBlock | null = null;

  constructor(options: {
    readonly window: ByteWindow;
    readonly spool: Spool;
    readonly pagesMax: number;
    /** The VM's blocks so far. */
    readonly known: readonly MemoryBlock[];
    /** How many times over the stream may bring memory. */
    readonly passesMax: number;
    /** Where memory lies that is in none of the sections; null: it is in them. */
    readonly mapped: MappedRam | null;
  }) {
    assert(options.pagesMax <= VM_PAGES_MAX, 'a VM has at most VM_PAGES_MAX pages');
    this.#window = options.window;
    this.#spool = options.spool;
    this.#pagesMax = options.pagesMax;
    this.#known = options.known;
    this.#passesMax = options.passesMax;
    this.#mapped = options.mapped;
  }

  /** The blocks in the ledger's order; null before they were listed. */
  get blocks(): readonly MemoryBlock[] | null {
    if (this.#blocks === null) return null;
    return [...this.#blocks.values()].map(({ name, pages }) => ({ name, pages }));
  }

  /** Refuses a stream that is longer than its memory, so many times over, can be. */
  checkLength(): void {
    const bytes = this.#passesMax * this.#pages * (PAGE_BYTES + WORD_BYTES) + BESIDE_BYTES_MAX;
    if (this.#window.offsetBytes > bytes && this.#passesMax !== Number.POSITIVE_INFINITY)
      throw this.#invalid(`more than ${bytes} bytes for ${this.#pages} pages of memory`);
  }

  /** Reads one section's body, up to its end mark. */
  async readBody(): Promise<void> {
    for (;;) {
      this.checkLength();
      const stop = this.#takeBuffered();
      if (stop === 'end') return;
      if (stop === 'blocks') await this.#readBlocks();
      else if (!(await this.#window.more())) throw this.#window.truncated("the guest's memory");
    }
  }

  /** Takes every record that is whole in the window. */
  #takeBuffered(): Stop {
    const { view } = this.#window;
    for (;;) {
      const at = this.#window.start;
      const available = this.#window.end - at;
      if (available < WORD_BYTES) return 'bytes';
      const low = view.getUint32(at + 4);
      const flags = low & layout.RAM_FLAGS_MASK;
      const page = (view.getUint32(at) * 2 ** 32 + (low - flags)) / PAGE_BYTES;
      switch (flags) {
        case layout.RAM_PAGE:
        case layout.RAM_ZERO:
        case layout.RAM_PAGE | layout.RAM_CONTINUE:
        case layout.RAM_ZERO | layout.RAM_CONTINUE:
          if (!this.#takePage(flags, page)) return 'bytes';
          break;
        case layout.RAM_EOS:
          this.#window.start += WORD_BYTES;
          return 'end';
        case layout.RAM_BLOCKS:
          return 'blocks';
        default:
          throw this.#foreign(flags);
      }
    }
  }

  /** Takes the page record at the window's start; false where it is not whole yet. */
  #takePage(flags: number, page: number): boolean {
    if (this.#mapped !== null) throw this.#invalid('a page beside RAM that lies in the file');
    const { bytes, start, end } = this.#window;
    let at = start + WORD_BYTES;
    let block = this.#block;
    if ((flags & layout.RAM_CONTINUE) === 0) {
      if (at >= end || at + 1 + bytes[at]! > end) return false;
      const name = latin1(bytes.subarray(at + 1, at + 1 + bytes[at]!));
      at += 1 + bytes[at]!;
      block = this.#blocks?.get(name) ?? null;
      if (block === null) throw this.#invalid(`a page of the block "${name}", which is not listed`);
    }
    const isZero = (flags & layout.RAM_ZERO) !== 0;
    if (at + (isZero ? 1 : PAGE_BYTES) > end) return false;
    if (block === null) throw this.#invalid('a page before any block was named');
    if (page >= block.pages) {
      throw this.#invalid(`page ${page} of the block "${block.name}", which has ${block.pages}`);
    }
    if (isZero) this.#spool.fill(block.first + page, bytes[at]!);
    else this.#spool.write(block.first + page, bytes, at);
    this.#block = block;
    this.#window.start = at + (isZero ? 1 : PAGE_BYTES);
    return true;
  }

  /** The list of blocks: word with the total, then name and length of each. */
  async #readBlocks(): Promise<void> {
    const what = 'the list of RAM blocks';
    if (this.#blocks !== null) throw this.#invalid('a second list of RAM blocks');
    let rest = (await this.#window.u64(what)) - layout.RAM_BLOCKS;
    if (rest > layout.RAM_BYTES_MAX || rest / PAGE_BYTES > this.#pagesMax) {
      throw this.#invalid(`${rest} bytes of RAM, more than a ledger's ${layout.RAM_BYTES_MAX}`);
    }
    const listed: MemoryBlock[] = [];
    while (rest > 0) {
      const name = await this.#window.name(what);
      const length = await this.#window.u64(what);
      if (length === 0 || length > rest || length % PAGE_BYTES !== 0) {
        throw this.#invalid(`${length} bytes for the block "${name}", with ${rest} left to list`);
      }
      if (listed.length === layout.RAM_BLOCKS_MAX || listed.some((b) => b.name === name)) {
        throw this.#invalid(
          `the block "${name}" twice, or as one more than ${layout.RAM_BLOCKS_MAX}`,
        );
      }
      const block = { name, pages: length / PAGE_BYTES };
      await this.#mapped?.takeBlock(this.#window, block);
      listed.push(block);
      rest -= length;
    }
    if (listed.length === 0) throw this.#invalid('no block of RAM');
    this.#place(inLedgerOrder(listed, this.#known));
  }

  #place(blocks: readonly MemoryBlock[]): void {
    const placed = new Map<string, PlacedBlock>();
    let first = 0;
    for (const block of blocks) {
      placed.set(block.name, { ...block, first });
      first += block.pages;
    }
    this.#blocks = placed;
    this.#pages = first;
    if (this.#mapped === null) this.#spool.begin(first);
  }

  #foreign(flags: number): LedgerError {
    const offset = this.#window.offsetBytes;
    const known = FOREIGN_FLAGS.find(([flag]) => (flags & flag) !== 0);
    if (known === undefined) return this.#invalid(`the RAM flags 0x${flags.toString(16)}`);
    return new LedgerError(
      'STREAM_UNSUPPORTED',
      `${this.#window.label} has ${known[1]} (RAM flag 0x${known[0].toString(16)}) at byte ` +
        `${offset}, which a ledger does not read: ${known[2]} and capture again`,
      { label: this.#window.label, offset, flag: known[0] },
    );
  }

  #invalid(found: string): LedgerError {
    const { label, offsetBytes: offset } = this.#window;
    return new LedgerError(
      'STREAM_INVALID',
      `${label} has ${found}, at byte ${offset}: expected RAM as QEMU writes it ` +
        `(pages of 1 << ${PAGE_SHIFT} bytes); capture or copy it again`,
      { label, offset },
    );
  }
}
