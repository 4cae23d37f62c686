// Where content lies: a slot of a pack. A place is one number, the pack's ordinal times PACK_SLOTS plus the
// slot, so that places in order are packs in order.

import { PACK_SLOTS } from './page.ts';

/** The number of a pack among all packs, in log order. */
export type Ordinal = number & { readonly _brand?: 'ordinal' };
/** A slot of a pack; below 0: nowhere, as what is released. */
export type Place = number & { readonly _brand?: 'place' };

export const placeAt = (ordinal: Ordinal, slot: number): Place => ordinal * PACK_SLOTS + slot;
export const ordinalAt = (place: Place): Ordinal => Math.floor(place / PACK_SLOTS);
export const slotAt = (place: Place): number => place % PACK_SLOTS;
