// What pages take in the page store: a page's part of its block, as it lies there now.

import { ordinalAt, slotAt } from '../../domain/values/place.ts';
import { isInPack, type Holding } from '../../domain/values/holding.ts';
import type { AnyPack, Contents } from '../models/contents.ts';

/** Bytes that each slot of a pack takes: those of its block, shared out evenly. */
function slotBytes({ blocks }: AnyPack): Float32Array {
  const slots = blocks.pages.reduce((sum, pages) => sum + pages, 0);
  const bytes = new Float32Array(slots);
  let slot = 0;
  for (let block = 0; block < blocks.pages.length; block += 1) {
    const pages = blocks.pages[block]!;
    bytes.fill(blocks.lengths[block]! / pages, slot, slot + pages);
    slot += pages;
  }
  return bytes;
}

/** Sizes of stored pages, a pack's worked out when one of its pages is asked for. */
export class StoredSizes {
  readonly #contents: Contents;
  readonly #bytes = new Map<number, Float32Array>();

  constructor(contents: Contents) {
    this.#contents = contents;
  }

  /**
   * Bytes of a content, or of a kept pattern's descriptor; not whole numbers. 0 where nothing is
   * stored: zeros, a public pattern, a page that is lost or released. O(log packs).
   */
  bytesOf(holding: Holding): number {
    if (!isInPack(holding)) return 0;
    const place = this.#contents.placeOf(holding);
    if (place < 0) return 0;
    const ordinal = ordinalAt(place);
    let bytes = this.#bytes.get(ordinal);
    if (bytes === undefined) {
      bytes = slotBytes(this.#contents.packAt(place));
      this.#bytes.set(ordinal, bytes);
    }
    return bytes[slotAt(place)] ?? 0;
  }
}
