// The fingerprints of a VM's pages: what a capture is compared with, so that only pages that were written
// are looked at.

import type { Position } from '../../ports/event-log.ts';
import type { GuestCapture } from '../../ports/guests.ts';
import type { RecorderModels } from '../../ports/models.ts';
import { FINGERPRINT_BYTES, type Fingerprints } from '../../ports/page-engine.ts';

/** Every byte of the fingerprint that no page has. */
const NO_PAGE = 0xff;

/** Fingerprints of a VM's last capture, kept with the keys. */
export interface FingerprintStore {
  /** Null where there are none for exactly this capture. */
  load(
    vm: string,
    at: { readonly capture: number; readonly position: Position },
  ): Promise<Fingerprints | null>;
  save(
    vm: string,
    at: {
      readonly capture: number;
      readonly position: Position;
      readonly fingerprints: Fingerprints;
    },
  ): Promise<void>;
}

/** Those of one VM, as its recorder has them. */
export class VmFingerprints {
  readonly #vm: string;
  readonly #store: FingerprintStore;
  readonly #models: Pick<RecorderModels, 'position'>;
  #last: { capture: number; position: Position; current: Fingerprints } | null = null;
  #spare: Fingerprints | null = null;

  constructor(
    vm: string,
    of: {
      readonly store: FingerprintStore;
      readonly models: Pick<RecorderModels, 'position'>;
    },
  ) {
    this.#vm = vm;
    this.#store = of.store;
    this.#models = of.models;
  }

  /** Those of the last capture; pages that it did not have, have one that no page has. */
  async of(capture: number, pages: number): Promise<Fingerprints | null> {
    if (capture === 0) return null;
    const known = await this.#known(capture);
    return known === null ? null : grownFingerprints(known, pages);
  }

  async #known(capture: number): Promise<Fingerprints | null> {
    if (this.#last?.capture === capture) return this.#last.current;
    const position = this.#models.position(this.#vm, capture);
    if (position === null) return null;
    return this.#store.load(this.#vm, { capture, position });
  }

  /** Room for those of a capture. */
  room(pages: number): Fingerprints {
    const spare = this.#spare;
    this.#spare = null;
    return spare?.byteLength === pages * FINGERPRINT_BYTES ? spare : newFingerprints(pages);
  }

  /** Room that is needed no more. */
  giveBack(room: Fingerprints | null): void {
    this.#spare = room;
  }

  /** Those of a capture that was committed: the last one from now on. */
  take(
    { capture, position }: { readonly capture: number; readonly position: Position },
    current: Fingerprints,
  ): void {
    this.#last = { capture, position, current };
  }

  /** Keeps those of the last capture for the next recorder. */
  async save(): Promise<void> {
    if (this.#last === null) return;
    const { capture, position, current: fingerprints } = this.#last;
    await this.#store.save(this.#vm, { capture, position, fingerprints });
  }
}

const newFingerprints = (pages: number): Fingerprints =>
  new SharedArrayBuffer(pages * FINGERPRINT_BYTES);

/** The fingerprints of a VM that has more pages than before; null where it has fewer. */
function grownFingerprints(known: Fingerprints, pages: number): Fingerprints | null {
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
