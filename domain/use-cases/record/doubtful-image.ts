// What is asked of a capture's image before it is committed: whether its zeros are the guest's, and
// whether its pages are of one moment. And for an image of differences: what pages of it hold that are as
// at another point.

import type { CaptureView, RecorderModels } from '../../ports/models.ts';
import type { GuestCapture, Image } from '../../ports/guests.ts';
import { CHUNK_PAGES, type Fingerprints, type PageEngine } from '../../ports/page-engine.ts';
import { isContent, isTold, UNKNOWN, ZERO } from '../../values/holding.ts';
import { LedgerError } from '../../values/ledger-error.ts';
import type { Refusal } from '../../values/refusals.ts';

/** The pages of a VM that held something, before a capture whose image may lack pages. */
export class ZeroedPages {
  readonly #view: Pick<CaptureView, 'held'>;
  /** Null where the image lacks none. Else 1 for each page that held something. */
  readonly #before: Uint8Array | null;

  constructor(
    view: Pick<CaptureView, 'held'>,
    { image, mayLackPages }: Pick<GuestCapture, 'image' | 'mayLackPages'>,
  ) {
    this.#view = view;
    this.#before = mayLackPages === true ? new Uint8Array(image.pageCount) : null;
    for (let gfn = 0; gfn < (this.#before?.length ?? 0); gfn += 1)
      this.#before![gfn] = this.#hasContent(gfn) ? 1 : 0;
  }

  #hasContent(gfn: number): boolean {
    const held = this.#view.held(gfn);
    return held !== ZERO && isTold(held);
  }

  /** After the capture's pages were taken in: why it cannot be the VM's whole memory; null: it can. */
  refusal(vm: string): Refusal | null {
    if (this.#before === null) return null;
    let was = 0;
    let zeroed = 0;
    for (let gfn = 0; gfn < this.#before.length; gfn += 1) {
      if (this.#before[gfn] === 0) continue;
      was += 1;
      if (!this.#hasContent(gfn)) zeroed += 1;
    }
    return zeroed * 2 > was ? { _tag: 'ZerosDoubtful', vm, zeroed, was } : null;
  }
}

/** Reads an image once more, and refuses it where a page is not what was recorded (`taken`). */
export async function refuseChanged(
  engine: PageEngine,
  image: Image,
  taken: Fingerprints,
): Promise<void> {
  const now: Fingerprints = new SharedArrayBuffer(taken.byteLength);
  let changed = 0;
  for (let firstPage = 0; firstPage < image.pageCount; firstPage += CHUNK_PAGES) {
    const pageCount = Math.min(CHUNK_PAGES, image.pageCount - firstPage);
    const chunk = await engine.scan({ image, firstPage, pageCount, previous: taken, next: now });
    changed += chunk.gfns.length;
    chunk.release();
  }
  if (changed === 0) return;
  throw new LedgerError(
    'SOURCE_CHANGED',
    `${image.label} was written to while it was read: ${changed} of its ${image.pageCount} pages are not those of one moment any more, so nothing of it is in the ledger; stop what writes to it, or record the running guest with record qemu`,
    { label: image.label, found: changed },
  );
}

/**
 * What pages hold at the point that some of a capture's are as at; null: none is. SOURCE_CHANGED where
 * what one of them holds is known no more.
 */
export async function knownElsewhere(
  models: Pick<RecorderModels, 'tableAt'>,
  { asAt, image }: Pick<GuestCapture, 'asAt' | 'image'>,
): Promise<Uint32Array | null> {
  if (asAt === undefined) return null;
  const { vm, capture, pages } = asAt;
  const table = await models.tableAt(vm, capture);
  const isLost = (is: number, gfn: number): boolean =>
    is === 1 && !isContent(table[gfn] ?? UNKNOWN) && table[gfn] !== ZERO;
  if (!pages.some(isLost)) return table;
  throw new LedgerError(
    'SOURCE_CHANGED',
    `${image.label} has pages of capture ${capture} of VM ${vm}, which was lost or let go of while it was recorded; nothing of it is in the ledger: record again`,
    { label: image.label, vm, capture },
  );
}
