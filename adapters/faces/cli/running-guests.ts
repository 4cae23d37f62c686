// Clones that a command has started, seen to until each has ended: what they have of their own is looked
// at now and then, since nothing tells it of a guest that is no more.

import { once } from 'node:events';
import { endClone, privatePagesOf, type StartedClone } from '../../wiring/clones.ts';
import type { Ledger } from '../../wiring/ledger.ts';
import type { VmPoint } from '../../wiring/vm-point.ts';

/** A clone, by its number among those started with it. */
export interface NumberedClone {
  readonly n: number;
  readonly point: VmPoint;
  readonly clone: StartedClone;
}

const LOOK_EVERY_MS = 2_000;
/** How long a guest has to end once it was asked to. */
const END_MS = 10_000;

export class RunningGuests {
  readonly #ledger: Ledger;
  readonly #running = new Set<StartedClone>();
  readonly #pages = new Map<StartedClone, number>();
  readonly #ends: Promise<void>[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Sees to one more. */
  add({ point, clone }: NumberedClone): void {
    this.#running.add(clone);
    this.#ends.push(this.#untilEnded(point, clone));
  }

  async #untilEnded(point: VmPoint, clone: StartedClone): Promise<void> {
    const { process: child, id } = clone;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    this.#running.delete(clone);
    const privatePages = this.#pages.get(clone) ?? null;
    if (id !== null) await endClone(this.#ledger, point, { id, privatePages });
  }

  #look(): void {
    for (const clone of this.#running) {
      const pages = privatePagesOf(clone.process.pid ?? 0);
      if (pages !== null) this.#pages.set(clone, pages);
    }
  }

  /** Resolves when all that were added have ended. */
  get ended(): Promise<void> {
    return Promise.all(this.#ends).then(() => undefined);
  }

  /** Ends all that run still, and waits until they have. */
  async end(): Promise<void> {
    this.#look();
    clearInterval(this.#timer);
    for (const { process: child } of this.#running) child.kill('SIGTERM');
    const late = setTimeout(() => {
      for (const { process: child } of this.#running) child.kill('SIGKILL');
    }, END_MS);
    try {
      await this.ended;
    } finally {
      clearTimeout(late);
    }
  }

  /** Pages that they had of their own when they were seen last, all together. */
  get privatePages(): number {
    return [...this.#pages.values()].reduce((sum, pages) => sum + pages, 0);
  }
}
