// Where a guest-physical address led over a VM's history: the memory map of each capture says to which
// page, and firmware, devices and memory that is plugged in change it.

import * as either from 'fp-ts/lib/Either.js';
import { gfnOfAddress } from '../../domain/values/memory-map.ts';
import type { VmEntry } from '../models/vm-entry.ts';

/** Captures at which an address led to one page. */
export interface AddressPlace {
  readonly gfn: number;
  /** The first of them. */
  readonly from: number;
  /** The first after them at which it led elsewhere; null: it still leads there. */
  readonly to: number | null;
}

/** The pages that an address led to, oldest first; captures at which it led nowhere are in none. */
export function placesOfAddress({ maps }: VmEntry, address: number): readonly AddressPlace[] {
  const places: AddressPlace[] = [];
  for (const [i, { capture: from, memoryMap }] of maps.entries()) {
    const found = gfnOfAddress(memoryMap, address);
    if (either.isLeft(found)) continue;
    const { gfn } = found.right;
    const to = maps[i + 1]?.capture ?? null;
    const last = places.at(-1);
    if (last?.gfn === gfn && last.to === from) places[places.length - 1] = { ...last, to };
    else places.push({ gfn, from, to });
  }
  return places;
}

/** Something that a page held from a capture on. */
interface Version {
  readonly capture: number;
}

/**
 * Of the versions of the page of a place, oldest first, those that the address led to, each with the
 * first capture at which it did: the address may come to a page long after that was written.
 */
export function versionsAt<V extends Version>(
  { from, to }: AddressPlace,
  versions: readonly V[],
): readonly (V & { readonly from: number })[] {
  const first = versions.findLastIndex(({ capture }) => capture <= from);
  return versions
    .slice(Math.max(0, first))
    .filter(({ capture }) => to === null || capture < to)
    .map((version) => ({ ...version, from: Math.max(from, version.capture) }));
}
