// What a guest asks for while its memory arrives, recorded some seconds at a time, and given first the next
// time. Where the ledger cannot be written, or is of a format that does not know it, nothing is said.

import { formatOfType } from '../../../domain/events/control.ts';
import { restoresStream } from '../../../domain/events/streams.ts';
import { hasFormat } from '../../../domain/ledger.ts';
import type { PageDemand } from '../../../domain/ports/arriving-guest.ts';
import { decideRequests, initialTraces, traceFor } from '../../../domain/requests.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { Turn } from '../../../domain/values/turn.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

const EVERY_MS = 5_000;
/** What a guest asks for later than this is what it does then, and no part of its start. */
const TRACED_MS = 60_000;

const tracesOf = (ledger: Ledger, vm: string) => ledger.state.traces.get(vm) ?? initialTraces;

/**
 * What guests asked for that ran from a point, or from the nearest before it, of the pages that it has:
 * sets of pages that were asked for together, one after the other, each ascending.
 */
export function tracedSets(
  ledger: Ledger,
  { entry, row }: VmPoint,
  pageCount: number,
): readonly Uint32Array[] {
  return (traceFor(tracesOf(ledger, entry.vm), row.capture) ?? []).map((ranges) => {
    const pages: number[] = [];
    for (const [first, last] of ranges)
      for (let page = first; page <= last && page < pageCount; page += 1) pages.push(page);
    return Uint32Array.from(pages);
  });
}

/** Takes down what a guest asks for. */
export class RequestRecorder {
  readonly #ledger: Ledger;
  readonly #point: VmPoint;
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #pages = new Set<number>();
  readonly #turn = new Turn();
  #isOff: boolean;

  constructor(ledger: Ledger, point: VmPoint) {
    this.#ledger = ledger;
    this.#point = point;
    const { facts } = ledger.state.catalogue;
    this.#isOff = ledger.mode === 'read' || !hasFormat(facts, formatOfType('PageRequested'));
    this.#timer = setInterval(() => void this.#write(), EVERY_MS);
    this.#timer.unref();
  }

  note({ firstPage, count }: PageDemand): void {
    if (this.#isOff || performance.now() - this.#startedMs > TRACED_MS) return;
    for (let page = firstPage; page < firstPage + count; page += 1) this.#pages.add(page);
  }

  /** Records what is left. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#write();
  }

  /** One after the other; a failure ends it, and nothing else. */
  #write(): Promise<void> {
    return this.#turn.run(() => this.#writeNow());
  }

  async #writeNow(): Promise<void> {
    if (this.#isOff || this.#pages.size === 0) return;
    const pages = this.#pages;
    this.#pages = new Set();
    const { vm } = this.#point.entry;
    const { capture } = this.#point.row;
    try {
      await this.#ledger.decide(restoresStream(vm), () =>
        decideRequests(tracesOf(this.#ledger, vm))({ _tag: 'RecordRequests', vm, capture, pages }),
      );
    } catch (thrown) {
      if (!isLedgerError(thrown) && !isRefused(thrown)) throw thrown;
      this.#isOff = true;
    }
  }
}
