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
export type PointReader = Pick<PageReader, 'read' | 'readKept' | 'fill' | 'inOrder' | 'blocksRead'>;

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

  /** Blocks that were read and decoded for `read` so far, by whoever reads with the same reader. */
  get blocksRead(): number {
    return this.#plain.blocksRead;
  }

  /** Does without the copies after a failure that is theirs; any other is thrown. */
  #passOver(thrown: unknown): LedgerError {
    if (isOfPack(thrown) && this.#isTheirs(thrown)) return thrown;
    throw thrown;
  }

  /** The copies are given up once all was read without them: else more is away than they are. */
  #giveUp({ message }: LedgerError): void {
    if (!this.#isLost) this.#onLost(message);
    this.#isLost = true;
  }

  async #withCopies<A>(work: (reader: PointReader) => Promise<A>): Promise<A> {
    let failure: LedgerError;
    try {
      return await work(this.#copies);
    } catch (thrown) {
      failure = this.#passOver(thrown);
    }
    const done = await work(this.#plain);
    this.#giveUp(failure);
    return done;
  }

  async read(holdings: ArrayLike<Holding>, into: Uint8Array): Promise<Uint8Array> {
    const read = (reader: PointReader): Promise<Uint8Array> => reader.read(holdings, into);
    return this.#isLost ? read(this.#plain) : this.#withCopies(read);
  }

  readKept(holdings: ArrayLike<Holding>, into: Uint8Array): boolean {
    return (this.#isLost ? this.#plain : this.#copies).readKept(holdings, into);
  }

  /** Who asks what is lost is told of no copy: those pages are not. */
  #isWithoutCopies({ onLost }: BulkRequest): boolean {
    return this.#isLost || onLost !== undefined;
  }

  async fill(request: BulkRequest, target: FillTarget): Promise<void> {
    const fill = (reader: PointReader): Promise<void> => reader.fill(request, target);
    return this.#isWithoutCopies(request) ? fill(this.#plain) : this.#withCopies(fill);
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
        this.#giveUp(this.#passOver(thrown));
      }
    // Pages that were given are passed over as zeros are.
    const table = request.table.slice().fill(ZERO, 0, done);
    yield* this.#plain.inOrder({ ...request, table });
  }
}
