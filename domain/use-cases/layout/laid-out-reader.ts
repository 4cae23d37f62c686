// Reads a point from its checkpoint's copies; where one of them is missing or damaged, all goes on
// without them, as every page lies elsewhere too.

import { isOfPack } from '../../ports/page-store.ts';
import type { PageRun } from '../../ports/guests.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import type { LedgerError } from '../../values/ledger-error.ts';
import { ZERO, type Holding } from '../../values/holding.ts';
import type { BulkRequest, PageReader } from '../pages/page-reader.ts';
import type { FillTarget } from '../pages/page-filler.ts';

/** Who reads the pages of one point. */
export type PointReader = Pick<PageReader, 'read' | 'fill' | 'inOrder'>;

export class LaidOutReader implements PointReader {
  readonly #copies: PointReader;
  readonly #plain: PointReader;
  readonly #isTheirs: (failure: LedgerError) => boolean;
  readonly #onLost: (reason: string) => void;
  #isLost = false;

  constructor(of: {
    /** Reads copies where there are some. */
    readonly copies: PointReader;
    readonly plain: PointReader;
    /** Whether a failure is of a pack of copies. */
    readonly isTheirs: (failure: LedgerError) => boolean;
    /** Told, once, why the copies are not read any more. */
    readonly onLost: (reason: string) => void;
  }) {
    this.#copies = of.copies;
    this.#plain = of.plain;
    this.#isTheirs = of.isTheirs;
    this.#onLost = of.onLost;
  }

  /** Gives the copies up after a failure that is theirs; any other is thrown. */
  #giveUp(thrown: unknown): void {
    if (!isOfPack(thrown) || !this.#isTheirs(thrown)) throw thrown;
    if (!this.#isLost) this.#onLost(thrown.message);
    this.#isLost = true;
  }

  async read(holdings: ArrayLike<Holding>, into: Uint8Array): Promise<Uint8Array> {
    if (!this.#isLost)
      try {
        return await this.#copies.read(holdings, into);
      } catch (thrown) {
        this.#giveUp(thrown);
      }
    return this.#plain.read(holdings, into);
  }

  /** Who asks what is lost is told of no copy: those pages are not. */
  #isWithoutCopies({ onLost }: BulkRequest): boolean {
    return this.#isLost || onLost !== undefined;
  }

  async fill(request: BulkRequest, target: FillTarget): Promise<void> {
    if (!this.#isWithoutCopies(request))
      try {
        return await this.#copies.fill(request, target);
      } catch (thrown) {
        this.#giveUp(thrown);
      }
    return this.#plain.fill(request, target);
  }

  async *inOrder(request: BulkRequest): AsyncGenerator<PageRun> {
    let done = 0;
    if (!this.#isWithoutCopies(request))
      try {
        for await (const run of this.#copies.inOrder(request)) {
          yield run;
          done = run.firstPage + run.pages.length / PAGE_BYTES;
        }
        return;
      } catch (thrown) {
        this.#giveUp(thrown);
      }
    // Pages that were given are passed over as zeros are.
    const table = request.table.slice().fill(ZERO, 0, done);
    yield* this.#plain.inOrder({ ...request, table });
  }
}
