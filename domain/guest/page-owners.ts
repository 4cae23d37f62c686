// Who a kernel says owns each page: its `struct page`, one a frame from vmemmap_base on. A page without a
// use of its own says so by its type; a head of free pages stands for 2^order of them; parts of a larger
// page (a tail: bit 0 of compound_head) are what its head is.

import { PAGE_BYTES } from '../values/page.ts';
import type { Btf } from './btf.ts';
import { undescribed } from './guest-failures.ts';
import { requiredVariable, type KernelSymbols } from './kallsyms.ts';
import type { VirtualMemory } from './virtual-memory.ts';

/** Who owns a page, in the order in which they are told of. */
export const OWNERS = [
  'free',
  'anonymous',
  'file',
  'slab',
  'pageTables',
  'kernel',
  'reserved',
  'unknown',
] as const;
export type Owner = (typeof OWNERS)[number];

/** Places in OWNERS. */
const FREE = 0;
const ANONYMOUS = 1;
const FILE = 2;
const SLAB = 3;
const TABLES = 4;
const KERNEL = 5;
const RESERVED = 6;
const UNKNOWN = 7;
/** Orders of free pages that kernels have are below 12. */
const ORDER_MAX = 20;
/** Frames whose descriptions are read at once. */
const FRAMES_AT_ONCE = 4096;
/** Frames that a block of free pages lies within: what is around a frame that is asked for. */
const BLOCK_FRAMES = 1024;
const DESCRIPTION_BYTES_MAX = 512;

/** A type of pages: those of whose type these bits have this value. */
interface PageType {
  readonly owner: number;
  readonly mask: number;
  readonly value: number;
}

/** Where the fields of a `struct page` lie, and what its bits mean. */
export interface PageLayout {
  readonly bytes: number;
  readonly flags: number;
  readonly mapping: number;
  readonly type: number;
  readonly compoundHead: number;
  readonly order: number;
  readonly types: readonly PageType[];
  /** Numbers of bits; -1: this kernel has no such bit. */
  readonly reservedBit: number;
  readonly lruBit: number;
  readonly slabBit: number;
}

/** Types as a kernel numbers them: the whole upper byte from 6.12 on, else a cleared bit each. */
function pageTypesOf(btf: Btf): readonly PageType[] {
  // Up to 5.10 pages that a control group is charged for had a bit before that of page tables.
  const isBefore511 = btf.offsetOf('page', 'mem_cgroup') !== null;
  const owners = [
    ['buddy', FREE, 0x80],
    ['offline', RESERVED, 0x100],
    ['table', TABLES, isBefore511 ? 0x400 : 0x200],
    ['slab', SLAB, null],
  ] as const;
  const types: PageType[] = [];
  for (const [name, owner, early] of owners) {
    const byte = btf.enumerator(`PGTY_${name}`);
    const named = btf.enumerator(`PG_${name}`);
    // Linux 6.10 and 6.11 name the bits; before they have no names here, and lie lower.
    const isNamed = btf.enumerator('PG_buddy') !== null;
    const bit = isNamed ? named : early;
    const base = isNamed ? 0x8000_0000 : 0xf000_0000;
    if (byte !== null) types.push({ owner, mask: 0xff00_0000, value: (byte << 24) >>> 0 });
    else if (btf.enumerator('PGTY_buddy') === null && bit !== null)
      types.push({ owner, mask: (base | bit) >>> 0, value: base });
  }
  return types;
}

/** From a kernel's types; null: they do not describe pages as is known here. */
export function pageLayoutOf(btf: Btf): PageLayout | null {
  const bytes = btf.sizeOf('page') ?? 0;
  const bit = (name: string): number => {
    const number = btf.enumerator(name);
    return number !== null && number < 32 ? number : -1;
  };
  const fields = ['flags', 'mapping', '_mapcount', 'compound_head', 'private'];
  const offsets = fields.map((name) => btf.offsetOf('page', name) ?? -1);
  const isWithin = offsets.every((offset) => offset >= 0 && offset + 8 <= bytes);
  if (!isWithin || bytes > DESCRIPTION_BYTES_MAX) return null;
  const [flags, mapping, type, compoundHead, order] = offsets;
  return {
    bytes,
    flags: flags!,
    mapping: mapping!,
    type: type!,
    compoundHead: compoundHead!,
    order: order!,
    types: pageTypesOf(btf),
    reservedBit: bit('PG_reserved'),
    lruBit: bit('PG_lru'),
    slabBit: bit('PG_slab'),
  };
}

/** Owners of frames, from their descriptions. */
class Classifier {
  readonly owners: Uint8Array;
  readonly #layout: PageLayout;
  readonly #base: bigint;
  /** Up to where a block of free pages reaches. */
  #freeEnd = 0;
  /** Heads of larger pages of which nothing is known. */
  readonly unknownHeads = new Set<number>();

  constructor(layout: PageLayout, of: { readonly frames: number; readonly base: bigint }) {
    this.owners = new Uint8Array(of.frames).fill(UNKNOWN);
    this.#layout = layout;
    this.#base = of.base;
  }

  /** Takes the descriptions of frames in that lie one after the other. */
  take(first: number, descriptions: Uint8Array): void {
    const { bytes } = this.#layout;
    const view = new DataView(descriptions.buffer, descriptions.byteOffset, descriptions.length);
    const end = Math.min(this.owners.length, first + Math.floor(descriptions.length / bytes));
    for (let frame = first; frame < end; frame += 1)
      this.owners[frame] =
        frame < this.#freeEnd ? FREE : this.#ownerOf(frame, view, (frame - first) * bytes);
  }

  #ownerOf(frame: number, view: DataView, at: number): number {
    const { compoundHead, type, types, order, flags, mapping } = this.#layout;
    if ((view.getUint32(at + compoundHead, true) & 1) === 1)
      return this.#ownerOfHead(view.getBigUint64(at + compoundHead, true) - 1n, frame);
    const word = view.getUint32(at + type, true);
    const found = types.find(({ mask, value }) => (word & mask) >>> 0 === value);
    if (found?.owner === FREE) this.#freeEnd = frame + 2 ** freeOrder(view, at + order);
    if (found !== undefined) return found.owner;
    const isSet = (bit: number): boolean =>
      bit >= 0 && ((view.getUint32(at + flags, true) >>> bit) & 1) === 1;
    if (isSet(this.#layout.slabBit)) return SLAB;
    if (isSet(this.#layout.reservedBit)) return RESERVED;
    const low = view.getUint32(at + mapping, true);
    const isMapped = low !== 0 || view.getUint32(at + mapping + 4, true) !== 0;
    if ((low & 1) === 1) return ANONYMOUS;
    return isMapped && isSet(this.#layout.lruBit) ? FILE : KERNEL;
  }

  /** A head lies before its parts: what it is, is known. */
  #ownerOfHead(head: bigint, frame: number): number {
    const number = (head - this.#base) / BigInt(this.#layout.bytes);
    if (number < 0n || number >= BigInt(frame)) return UNKNOWN;
    const owner = this.owners[Number(number)]!;
    if (owner === UNKNOWN) this.unknownHeads.add(Number(number));
    return owner;
  }
}

const freeOrder = (view: DataView, at: number): number => {
  const order = view.getUint32(at, true);
  return order > ORDER_MAX ? 0 : order;
};

/** Stretches of frames whose descriptions are read: all of them, or those around some. */
function stretchesOf(frames: number, wanted: Iterable<number> | null): Stretch[] {
  const step = wanted === null ? FRAMES_AT_ONCE : BLOCK_FRAMES;
  const count = Math.ceil(frames / step);
  const numbers = new Set<number>();
  if (wanted === null) for (let i = 0; i < count; i += 1) numbers.add(i);
  else for (const frame of wanted) if (frame < frames) numbers.add(Math.floor(frame / step));
  return [...numbers]
    .toSorted((a, b) => a - b)
    .map((i) => ({ first: i * step, count: Math.min(step, frames - i * step) }));
}

/**
 * Owners of frames, as places in OWNERS: of all, O(frames); or of those that are wanted, what is told of
 * others being of no use, O(wanted) and at most of all. GUEST_UNDESCRIBED, GUEST_INVALID.
 */
export async function pageOwners(
  memory: VirtualMemory,
  symbols: KernelSymbols,
  of: { readonly layout: PageLayout | null; readonly wanted?: Iterable<number> },
): Promise<Uint8Array> {
  const { layout, wanted = null } = of;
  const { frames } = memory.physical.pages;
  if (layout === null)
    throw undescribed("the kernel's types (BTF) do not describe its pages as is known here");
  const variable = requiredVariable(symbols, 'vmemmap_base');
  const base = await memory.u64(variable, 'the descriptions of pages');
  const classified = async (asked: Iterable<number> | null): Promise<Classifier> => {
    const classifier = new Classifier(layout, { frames, base });
    for (const stretch of stretchesOf(frames, asked))
      await takeStretch(memory, classifier, { stretch, base, bytes: layout.bytes });
    return classifier;
  };
  const { owners, unknownHeads } = await classified(wanted);
  if (wanted === null || unknownHeads.size === 0) return owners;
  // Heads of pages of 1 GiB lie far before their parts.
  return (await classified([...wanted, ...unknownHeads])).owners;
}

/** Frames one after the other. */
interface Stretch {
  readonly first: number;
  readonly count: number;
}

/** Takes the descriptions of frames. */
async function takeStretch(
  memory: VirtualMemory,
  classifier: Classifier,
  of: { readonly stretch: Stretch; readonly base: bigint; readonly bytes: number },
): Promise<void> {
  const { stretch, base, bytes } = of;
  const { first, count } = stretch;
  const at = (frame: number): bigint => BigInt.asUintN(64, base + BigInt(frame * bytes));
  const all = await memory.tryRead(at(first), count * bytes);
  if (all !== null) classifier.take(first, all);
  else await takeParts(memory, classifier, { first, count, bytes, at });
}

/** Frames whose descriptions are there in part: between what is memory there may be nothing. */
async function takeParts(
  memory: VirtualMemory,
  classifier: Classifier,
  of: Stretch & { readonly bytes: number; readonly at: (frame: number) => bigint },
): Promise<void> {
  const step = Math.max(1, Math.floor(PAGE_BYTES / of.bytes));
  const end = of.first + of.count;
  for (let frame = of.first; frame < end; frame += step) {
    const count = Math.min(step, end - frame);
    const some = await memory.tryRead(of.at(frame), count * of.bytes);
    if (some !== null) classifier.take(frame, some);
  }
}
