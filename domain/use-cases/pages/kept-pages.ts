// Pages that are patterns, or made of blocks which are decoded already, at once: nothing is planned and
// nobody waited for, as who asks for a page of which the block was read a moment ago is asked for thousands
// a second.

import { publicPattern } from '../../patterns/public-patterns.ts';
import { regenerate } from '../../patterns/descriptor.ts';
import type { PageLocator, ReadPack } from '../../ports/models.ts';
import { ZERO, type Holding } from '../../values/holding.ts';
import type { BlockStarts } from '../../values/pack.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { slotAt } from '../../values/place.ts';
import type { DecodedBlocks } from './decoded-blocks.ts';
import { blockOf } from './page-plan.ts';
import { chainOf, CHAIN_MAX, isRead } from './patch-chain.ts';

export interface KeptPorts {
  readonly locator: PageLocator;
  readonly startsOf: (pack: ReadPack) => BlockStarts;
  readonly blocks: Pick<DecodedBlocks, 'kept'>;
}

/** Lays a stored page onto what of it is there. */
export function xorOnto(page: Uint8Array, stored: Uint8Array): void {
  for (let i = 0; i < PAGE_BYTES; i += 1) page[i]! ^= stored[i]!;
}

const CHAIN = new Float64Array(CHAIN_MAX);

/** The page at a place, as it is stored; null: its block is not kept. */
function storedAt({ locator, startsOf, blocks }: KeptPorts, place: number): Uint8Array | null {
  const pack = locator.packAt(place);
  const starts = startsOf(pack);
  const slot = slotAt(place);
  const block = blockOf(starts, slot);
  const at = (slot - starts.slots[block]!) * PAGE_BYTES;
  return blocks.kept(pack.name, block)?.subarray(at, at + PAGE_BYTES) ?? null;
}

/** Makes a page; whether it could be made of what is kept. */
function pageOf(ports: KeptPorts, holding: Holding, page: Uint8Array): boolean {
  if (holding === ZERO) {
    page.fill(0);
    return true;
  }
  if (!isRead(holding)) return regenerate(publicPattern(holding), page) === null;
  const length = chainOf(ports.locator, holding, CHAIN);
  for (let i = 0; i < length; i += 1) {
    const stored = storedAt(ports, CHAIN[i]!);
    if (stored === null) return false;
    if (i === 0) page.set(stored);
    else xorOnto(page, stored);
  }
  return true;
}

/**
 * The pages of holdings, PAGE_BYTES each, into `into`, where all that they are made of is kept; false: it
 * is not, and `into` holds no matter what. POINT_DAMAGED.
 */
export function readKept(
  ports: KeptPorts,
  holdings: ArrayLike<Holding>,
  into: Uint8Array,
): boolean {
  for (let i = 0; i < holdings.length; i += 1)
    if (!pageOf(ports, holdings[i]!, into.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES)))
      return false;
  return true;
}
