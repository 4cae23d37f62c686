// What an engine is asked to fill in, from blocks at hand.

import { memoryOfDescriptor } from '../../../adapters/files/memory-file.ts';
import type { FillRequest, StoredBlocks } from '../../../domain/ports/page-engine.ts';

export interface Fill {
  readonly blocks: StoredBlocks;
  /** Page slots[i], counted through the blocks, is laid onto page pages[i] of the file. */
  readonly slots: ArrayLike<number>;
  readonly pages: ArrayLike<number>;
  readonly offsetBytes?: number;
}

/** Some blocks and then others, as those of one pack. */
export function joined(one: StoredBlocks, other: StoredBlocks): StoredBlocks {
  const bytes = new Uint8Array(one.bytes.length + other.bytes.length);
  bytes.set(one.bytes);
  bytes.set(other.bytes, one.bytes.length);
  return {
    bytes,
    codecs: Uint8Array.of(...one.codecs, ...other.codecs),
    pages: Uint8Array.of(...one.pages, ...other.pages),
    lengths: Uint32Array.of(...one.lengths, ...other.lengths),
    checksums: Uint32Array.of(...one.checksums, ...other.checksums),
  };
}

/** A fill of the file that is open as `fd`, from blocks that are at hand. */
export function fillRequest({ fd }: { readonly fd: number }, fill: Fill): FillRequest {
  const { blocks } = fill;
  const pages = [...new Set(Array.from(fill.pages))].toSorted((a, b) => a - b);
  const roomOf = new Map(pages.map((page, room) => [page, room]));
  const rows = Array.from(fill.slots, (slot, i) => ({
    slot,
    room: roomOf.get(fill.pages[i]!)!,
  })).toSorted((a, b) => a.slot - b.slot);
  const slots: number[] = [];
  const rowEnds: number[] = [];
  const starts: number[] = [];
  const needed: number[] = [];
  let [row, firstSlot, start] = [0, 0, 0];
  for (const [block, count] of blocks.pages.entries()) {
    const before = row;
    for (; row < rows.length && rows[row]!.slot < firstSlot + count; row += 1)
      slots.push(rows[row]!.slot - firstSlot);
    if (row > before) {
      needed.push(block);
      rowEnds.push(row);
      starts.push(start);
    }
    firstSlot += count;
    start += blocks.lengths[block]!;
  }
  const { bytes } = blocks;
  const endBlock = needed.length;
  return {
    pieces: [
      { from: bytes, offsetBytes: 0, lengthBytes: bytes.length, endBlock, label: 'pack abc' },
    ],
    blocks: {
      codecs: Uint8Array.from(needed, (block) => blocks.codecs[block]!),
      pages: Uint8Array.from(needed, (block) => blocks.pages[block]!),
      lengths: Uint32Array.from(needed, (block) => blocks.lengths[block]!),
      checksums: Uint32Array.from(needed, (block) => blocks.checksums[block]!),
    },
    starts: Uint32Array.from(starts),
    rowEnds: Uint32Array.from(rowEnds),
    slots: Uint8Array.from(slots),
    rooms: Uint32Array.from(rows, ({ room }) => room),
    pages: Uint32Array.from(pages),
    file: memoryOfDescriptor(fd),
    offsetBytes: fill.offsetBytes ?? 0,
    following: 0,
  };
}
