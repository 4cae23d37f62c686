// Bytes of a point, wherever they are asked for: by page, by guest-physical address, or by the addresses
// of the guest's kernel and processes.

import { hexAddress } from '../../../domain/guest/guest-failures.ts';
import { withinPage } from '../../../domain/guest/virtual-memory.ts';
import { accepted } from '../../../domain/ports/run.ts';
import { addressOfGfn, gfnOfAddress } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import { virtualMemoryAt, type GuestPoint, type VirtualPlace } from './guest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { PointMemory } from './point-memory.ts';

/** Pages that are read at once. */
const PAGES_AT_ONCE = 1024;

/** Where to begin. */
export type ReadPlace =
  { readonly page: number } | { readonly physical: number } | { readonly virtual: VirtualPlace };

/** Bytes one after the other in one page. */
export interface ReadStretch {
  readonly gfn: number;
  /** Where they lie for the guest's hardware; null: no address leads there. */
  readonly address: number | null;
  /** Where they lie for who asked by the guest's own addresses; null: nobody did. */
  readonly virtual: bigint | null;
  /** Valid until the next ones are asked for. */
  readonly bytes: Uint8Array;
}

interface Part extends Omit<ReadStretch, 'bytes'> {
  readonly offset: number;
  readonly length: number;
}

/** Offsets into pages, and lengths, of bytes that begin within a page. */
function* pageParts(
  within: number,
  length: number,
): Generator<{ offset: number; length: number; at: number }> {
  for (let at = 0; at < length;) {
    const offset = at === 0 ? within : 0;
    const part = Math.min(PAGE_BYTES - offset, length - at);
    yield { offset, length: part, at };
    at += part;
  }
}

function* partsOfPages(
  point: GuestPoint,
  of: { readonly page: number; readonly length: number; readonly pages: number },
): Generator<Part> {
  const map = memoryMapOf(point);
  for (const { offset, length, at } of pageParts(0, of.length)) {
    const gfn = of.page + at / PAGE_BYTES;
    if (gfn >= of.pages)
      throw refuse({ _tag: 'GfnOutOfRange', vm: point.entry.vm, gfn, pages: of.pages });
    yield { gfn, address: addressOfGfn(map, gfn), virtual: null, offset, length };
  }
}

function* partsOfAddress(
  point: GuestPoint,
  of: { readonly address: number; readonly length: number },
): Generator<Part> {
  const map = memoryMapOf(point);
  for (const { length, at } of pageParts(of.address % PAGE_BYTES, of.length)) {
    const address = of.address + at;
    const { gfn, offset } = accepted(gfnOfAddress(map, address));
    yield { gfn, address, virtual: null, offset, length };
  }
}

async function* partsOfVirtual(
  found: Awaited<ReturnType<typeof virtualMemoryAt>>,
  of: { readonly length: number; readonly pid: number | null },
): AsyncGenerator<Part> {
  const { memory, virtual, address: first } = found;
  for (const { offset, length, at } of pageParts(withinPage(first), of.length)) {
    const address = BigInt.asUintN(64, first + BigInt(at));
    const frame = await virtual.frameOf(address);
    const gfn = frame === null ? null : memory.gfnOf(frame);
    if (frame === null || gfn === null)
      throw refuse({ _tag: 'VirtualUnmapped', address: hexAddress(address), pid: of.pid });
    yield { gfn, address: frame * PAGE_BYTES + offset, virtual: address, offset, length };
  }
}

/** The memory that is meant, and the parts of it, in order. */
async function partsOf(ledger: Ledger, point: GuestPoint, place: ReadPlace, length: number) {
  if ('virtual' in place) {
    const found = await virtualMemoryAt(ledger, point, place.virtual);
    const pid = 'pid' in place.virtual ? place.virtual.pid : null;
    return { memory: found.memory, parts: partsOfVirtual(found, { length, pid }) };
  }
  const memory = await PointMemory.open(ledger, point);
  if ('page' in place) {
    const pages = memory.table.length;
    return { memory, parts: partsOfPages(point, { page: place.page, length, pages }) };
  }
  return { memory, parts: partsOfAddress(point, { address: place.physical, length }) };
}

/**
 * Bytes of a point, a stretch for each page that they lie in. What is not there is refused when it is
 * come to: GFN_OUT_OF_RANGE, ADDRESS_UNMAPPED, VIRTUAL_UNMAPPED; POINT_DAMAGED. By the guest's own
 * addresses also what `describeGuest` fails with.
 */
export async function* readStretches(
  ledger: Ledger,
  point: GuestPoint,
  { place, length }: { readonly place: ReadPlace; readonly length: number },
): AsyncGenerator<ReadStretch> {
  const { memory, parts } = await partsOf(ledger, point, place, length);
  const read = async function* (some: readonly Part[]): AsyncGenerator<ReadStretch> {
    const pages = await memory.pages(some.map(({ gfn }) => gfn));
    for (const [i, { offset, length: bytes, ...where }] of some.entries()) {
      const from = i * PAGE_BYTES + offset;
      yield { ...where, bytes: pages.subarray(from, from + bytes) };
    }
  };
  let some: Part[] = [];
  for await (const part of parts) {
    some.push(part);
    if (some.length < PAGES_AT_ONCE) continue;
    yield* read(some);
    some = [];
  }
  yield* read(some);
}
