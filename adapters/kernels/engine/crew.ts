// Runners, and who may ask which of them for what: inline one, on threads several.

import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { RUNNER_SLOTS, type PageRunner } from './page-runner.ts';
import { Tickets } from './tickets.ts';

/** Fills that may be with one runner at once: one is written while the next one's bytes are copied. */
const RUNNER_FILLS = 2;
/** Likewise what is to be packed. */
const RUNNER_PACKS = 2;

export class Crew {
  readonly runners: readonly PageRunner[];
  readonly slots: Tickets<PageRunner>;
  readonly fills: Tickets<PageRunner>;
  readonly packs: Tickets<PageRunner>;

  constructor(runners: readonly PageRunner[]) {
    this.runners = runners;
    this.slots = new Tickets({ owners: runners, perOwner: RUNNER_SLOTS });
    this.fills = new Tickets({ owners: runners, perOwner: RUNNER_FILLS });
    this.packs = new Tickets({ owners: runners, perOwner: RUNNER_PACKS });
  }

  /** Ends the runners; who waits, and who comes, is told why. */
  async close(why: LedgerError): Promise<void> {
    this.slots.close(why);
    this.fills.close(why);
    this.packs.close(why);
    await Promise.all(this.runners.map((runner) => runner.close()));
  }
}
