// What is asked of a capture's image before it is committed: whether its zeros are the guest's, and
// whether its pages are of one moment. And for an image of differences: what the next capture is
// compared with.

import type { CaptureView, RecorderModels } from '../../ports/models.ts';
import type { GuestCapture, Image } from '../../ports/guests.ts';
import {
  CHUNK_PAGES,
  FINGERPRINT_BYTES,
  type Fingerprints,
  type PageEngine,
} from '../../ports/page-engine.ts';
import { isContent, isTold, UNKNOWN, ZERO } from '../../values/holding.ts';
import { LedgerError } from '../../values/ledger-error.ts';
import type { Refusal } from '../../values/refusals.ts';

/** Every byte of the fingerprint that no page has. */
const NO_PAGE = 0xff;

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

/** The fingerprints of a VM that has more pages than before; null where it has fewer. */
export function grownFingerprints(known: Fingerprints, pages: number): Fingerprints | null {
  const bytes = pages * FINGERPRINT_BYTES;
  if (known.byteLength >= bytes) return known.byteLength === bytes ? known : null;
  const grown: Fingerprints = new SharedArrayBuffer(bytes);
  const view = new Uint8Array(grown);
  view.set(new Uint8Array(known));
  view.fill(NO_PAGE, known.byteLength);
  return grown;
}

/** Gives a page a fingerprint that no page has, so that it is looked at. */
export const forgetFingerprint = (fingerprints: Uint8Array, gfn: number): void => {
  fingerprints.fill(NO_PAGE, gfn * FINGERPRINT_BYTES, (gfn + 1) * FINGERPRINT_BYTES);
};

/** The same of pages that were not read, as they are as at another point or the source does not tell of them. */
export function forgetFingerprints(
  { asAt, untold }: Pick<GuestCapture, 'asAt' | 'untold'>,
  fingerprints: Fingerprints,
): void {
  const bytes = new Uint8Array(fingerprints);
  for (const pages of [asAt?.pages, untold])
    for (const [gfn, is] of pages?.entries() ?? []) if (is === 1) forgetFingerprint(bytes, gfn);
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

/** Gives pages that are as before the fingerprints that they had, or one that no page has. */
export function keepFingerprints(
  { asBefore, ...unread }: Pick<GuestCapture, 'asBefore' | 'asAt' | 'untold'>,
  of: { readonly previous: Fingerprints | null; readonly next: Fingerprints },
): void {
  forgetFingerprints(unread, of.next);
  if (asBefore === undefined) return;
  const next = new Uint8Array(of.next);
  const previous = of.previous === null ? null : new Uint8Array(of.previous);
  for (const [gfn, is] of asBefore.entries()) {
    if (is === 0) continue;
    const at = gfn * FINGERPRINT_BYTES;
    if (previous === null) next.fill(NO_PAGE, at, at + FINGERPRINT_BYTES);
    else next.set(previous.subarray(at, at + FINGERPRINT_BYTES), at);
  }
}
