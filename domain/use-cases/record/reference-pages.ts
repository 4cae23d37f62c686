// The pages that new ones may be patches of, at hand for the threads that compress. Buffers are shared
// with them, and used again: fresh memory costs more than reading into old.

import { isLedgerError } from '../../values/ledger-error.ts';
import type { PatchReferences } from '../../ports/page-engine.ts';
import { UNKNOWN, type Holding } from '../../values/holding.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { SpareRooms } from '../../values/spares.ts';
import type { PageReader } from '../pages/page-reader.ts';

/** Pages on loan until they are given back. */
export interface ReferenceLoan {
  readonly references: PatchReferences;
  giveBack(): void;
}

/** Kept for the next capture: small ones follow each other closely, and large ones use a few at once. */
const SPARE_MAX = 4;

const rooms = new SpareRooms({
  max: SPARE_MAX,
  stepBytes: 256 * 1024,
  make: (lengthBytes) => new SharedArrayBuffer(lengthBytes),
});

export class ReferencePages {
  readonly #reader: PageReader;

  constructor(reader: PageReader) {
    this.#reader = reader;
  }

  /**
   * The pages of holdings, UNKNOWN for a row without one; null where no row has one, or they cannot be
   * read: new pages are whole then, and recording goes on.
   */
  async load(over: Uint32Array): Promise<ReferenceLoan | null> {
    const numbers = new Map<Holding, number>();
    const of = Int32Array.from(over, (holding) => {
      if (holding === UNKNOWN) return -1;
      const number = numbers.get(holding) ?? numbers.size;
      numbers.set(holding, number);
      return number;
    });
    if (numbers.size === 0) return null;
    const lengthBytes = numbers.size * PAGE_BYTES;
    const shared = rooms.take(lengthBytes);
    const pages = new Uint8Array(shared, 0, lengthBytes);
    try {
      await this.#reader.read([...numbers.keys()], pages);
    } catch (thrown) {
      rooms.giveBack(shared);
      if (isLedgerError(thrown)) return null;
      throw thrown;
    }
    return { references: { pages, of }, giveBack: () => rooms.giveBack(shared) };
  }
}
