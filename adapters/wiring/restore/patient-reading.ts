// Pages for those who cannot be told that a store is away: a guest in the middle of an instruction, a
// disk. A reading waits until the packs can be had again, however long that takes; what is damaged, or
// gone while its place is there, fails.

import { setTimeout as pause } from 'node:timers/promises';
import { isOfPack } from '../../../domain/ports/page-store.ts';
import { run } from '../../../domain/ports/run.ts';
import { isLedgerError, type LedgerError } from '../../../domain/values/ledger-error.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** How long after a vain attempt the next one begins. */
const AGAIN_MS = 1000;
/** Failures of what is away, and may be there again without anybody's repairing it. */
const AWAY: readonly string[] = [
  'STORE_UNREACHABLE',
  'STORE_REFUSED',
  'STORE_MISSING',
  'LOG_UNREACHABLE',
];

/** Who wants to know that readings wait. */
export interface Waiting {
  /** What readings wait for, said once until it is there again. */
  readonly onAway: (failure: LedgerError) => void;
  readonly onBack: () => void;
}

/**
 * Whether packs cannot be had because their place is away: it does not answer, or it is not the
 * ledger's any more, as where a folder is not mounted.
 */
async function isAway({ store }: Ledger, thrown: LedgerError): Promise<boolean> {
  if (AWAY.includes(thrown.code)) return true;
  if (!isOfPack(thrown)) return false;
  try {
    if (store.isOurs === undefined) {
      for await (const _pack of store.list()) return false;
      return true;
    }
    await run(store.isOurs());
    return false;
  } catch {
    return true;
  }
}

/** Readings that wait together: who wants to know is told once for all of them. */
export class PatientReading {
  readonly #ledger: Ledger;
  readonly #waiting: Waiting;
  #isAway = false;

  constructor(ledger: Ledger, waiting: Waiting) {
    this.#ledger = ledger;
    this.#waiting = waiting;
  }

  /** Reads, and again while the packs are away, until `signal` ends it. */
  async whenThere<A>(read: () => Promise<A>, signal: AbortSignal): Promise<A> {
    for (;;)
      try {
        const made = await read();
        if (this.#isAway) this.#tellBack();
        return made;
      } catch (thrown) {
        if (!isLedgerError(thrown) || !(await isAway(this.#ledger, thrown))) throw thrown;
        if (!this.#isAway) this.#waiting.onAway(thrown);
        this.#isAway = true;
        await pause(AGAIN_MS, undefined, { signal });
      }
  }

  #tellBack(): void {
    this.#isAway = false;
    this.#waiting.onBack();
  }
}
